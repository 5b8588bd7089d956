"""Which target of which service a runbook means."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.catalog.runbook import Runbook
from paramedic.catalog.runbook_file import parse
from paramedic.catalog.services import Services, parse_services
from paramedic.text.yaml_document import BadDocument

ROOT = Path(__file__).parents[2]
GOOD = (ROOT / "runbooks" / "tracking-api-memory.md").read_text()


@pytest.fixture
def services() -> Services:
    return parse_services((ROOT / "runbooks" / "services.yaml").read_text(), "services.yaml")


@pytest.fixture
def runbook() -> Runbook:
    return parse(GOOD, "r.md")


def _alert(**labels: str) -> Alert:
    return Alert("a", "TrackingApiMemory", Severity.CRITICAL, Status.FIRING, datetime.now(UTC), "f", labels)


def test_it_wants_its_alerts_and_no_others(runbook: Runbook) -> None:
    assert runbook.wants(_alert(env="prod"))
    assert runbook.wants(_alert(env="canary"))
    assert not runbook.wants(_alert(env="production"))
    assert not runbook.wants(_alert())


@pytest.mark.parametrize("spelling", ["web-1", "web-1:9100", "web-1.internal"])
def test_a_listed_host_is_found_by_any_of_its_spellings(runbook: Runbook, services: Services, spelling: str) -> None:
    target = runbook.locate(_alert(instance=spelling), services)
    assert not isinstance(target, str)
    assert target.id == "web-1/tracking-api"


@pytest.mark.parametrize("host", ["web-9", "web-1/../web-2", "{instance}", "", "web-1\n", "$(reboot)"])
def test_a_label_cannot_name_a_host_that_is_not_listed(runbook: Runbook, services: Services, host: str) -> None:
    assert isinstance(runbook.locate(_alert(instance=host), services), str)


def test_a_systemd_unit_is_found_as_one_and_not_as_a_program() -> None:
    text = GOOD.replace("supervisord: tracking-api", 'systemd: "{unit}"').replace("log-tail", "journal")
    unit = parse(text, "r.md")
    assert unit.evidence == ("process-tree", "memory", "journal")
    listed = "services:\n  tracking-api:\n    targets:\n      - host: web-1\n        systemd: tracking-api.service\n"
    services = parse_services(listed, "services.yaml")
    target = unit.locate(_alert(unit="tracking-api.service", instance="web-1"), services)
    assert not isinstance(target, str)
    assert (target.id, target.kind) == ("web-1/tracking-api.service", "systemd")
    refusal = unit.locate(_alert(unit="other.service", instance="web-1"), services)
    assert refusal == "services.yaml lists no systemd 'other.service' on host 'web-1'"
    assert isinstance(parse(GOOD, "r.md").locate(_alert(instance="web-1"), services), str)


def test_a_missing_label_is_said(runbook: Runbook, services: Services) -> None:
    assert runbook.locate(_alert(), services) == "the alert has no label instance, which its target needs"


def test_a_program_and_a_unit_of_one_name_on_one_host_are_refused_in_words() -> None:
    listed = "services:\n  a:\n    targets:\n      - {host: web-1, systemd: app.service}\n      - {host: web-1, %s}\n"
    program = "supervisord: {program: app.service, address: unix:///s}"
    with pytest.raises(BadDocument, match=r"web-1/app\.service is listed as systemd and as supervisord; .*rename one"):
        parse_services(listed % program, "services.yaml")
    assert len(parse_services(listed % program.replace("app.service", "app"), "services.yaml").targets) == 2


def test_a_target_listed_twice_is_refused() -> None:
    text = (ROOT / "runbooks" / "services.yaml").read_text()
    with pytest.raises(BadDocument, match="listed twice"):
        parse_services(text + text[text.rindex("      - host") :], "services.yaml")
