"""A change of a machine asks the services that have targets on it, by their own runbooks, and looks at their other targets."""

from pathlib import Path
from typing import Any

import pytest
from playbook_runs import FOUR_HOSTS, MEMORY

from paramedic.change import members
from paramedic.change.exclusive import exclusive
from paramedic.change.guarded import change
from paramedic.change.limits import pinned_and_current
from paramedic.doors import reading
from paramedic.errors import Refused
from paramedic.kinds.process_target import process_identity
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.remediation.quorum import Quorum
from paramedic.remediation.remedy import RESTART
from paramedic.remediation.target import Identity, Target
from paramedic.store.guardrail_facts import Around

MACHINE = "web-1/machine:system"
LISTED = (
    FOUR_HOSTS
    + """\
  machines:
    targets:
      - {host: web-1, machine: {}}
      - {host: web-9, machine: {}}
"""
)
ASKS = MEMORY.replace("runbook: tracking-api-memory", "runbook: tracking-api-down").replace("at_once: 2 of 4", "WISH")


class Owner:
    """What owns a target: a machine runs, and a program as the test says."""

    def __init__(self, target: Target, *, is_down: bool) -> None:
        self.target, self.is_down = target, is_down

    def identity(self) -> Identity:
        if self.target.kind == "machine":
            return Identity("running", {"boot": "1"})
        return process_identity(None, None, "EXITED") if self.is_down else process_identity(7, 1.0, "RUNNING")


@pytest.fixture
def rebooting(begin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The run of a runbook that asks nothing of other targets, on a machine; a runbook of the program's service asks `wish`."""

    def begun(wish: str, *down: str) -> Any:
        books = tmp_path / "runbooks"
        (books / "services.yaml").write_text(LISTED)
        (books / "tracking-api-down.md").write_text(ASKS.replace("WISH", wish))
        looked: list[str] = []

        def reader(target: Target) -> Owner:
            looked.append(target.id)
            return Owner(target, is_down=target.id in down)

        monkeypatch.setattr(reading, "reader", reader)
        case = begin((", at_once: 2 of 4", ""), target=MACHINE)
        case.looked = looked
        return case

    return begun


def rebooted(case: Any) -> None:
    with exclusive(case.run, MACHINE):
        change(case.run, MACHINE, RESTART, name="reboot", step=case.touch)


def around(case: Any) -> Around:
    return members.look_around(case.run, *pinned_and_current(case.run, RESTART))


def test_a_reboot_is_refused_where_it_would_leave_too_few_of_another_service(rebooting: Any) -> None:
    case = rebooting("keep_healthy: 3 of 4", "web-2/tracking-api")
    with pytest.raises(Refused) as no:
        rebooted(case)
    assert no.value.reason.endswith("(parts)")
    assert (
        "by runbook tracking-api-down of service tracking: 2 of service tracking's 4 targets are seen healthy beside "
        f"web-1/tracking-api (a part of {MACHINE}), and 3 must be (keep_healthy: 3 of 4): web-2/tracking-api fails: its "
        "supervisord says EXITED"
    ) in no.value.reason
    assert case.touch.asked == []


def test_a_reboot_that_leaves_enough_of_it_is_begun_and_the_look_was_at_the_others(rebooting: Any) -> None:
    case = rebooting("keep_healthy: 3 of 4")
    rebooted(case)
    assert len(case.touch.asked) == 1
    others = {f"web-{number}/tracking-api" for number in (2, 3, 4)}
    assert others <= set(case.looked)
    assert "web-1/tracking-api" not in case.looked, "it is taken away, however it looks"
    assert "web-9/machine:system" not in case.looked, "nobody asks how the other machines are"


def test_where_one_at_a_time_is_all_that_is_asked_nobody_is_looked_at(rebooting: Any) -> None:
    case = rebooting("at_once: 1 of 4")
    found = around(case)
    assert (found.members, [touched.service for touched in found.touched]) == (None, ["machines", "tracking"])


def test_what_the_own_runbook_asks_is_no_reason_to_look_at_another_service(rebooting: Any) -> None:
    case = rebooting("at_once: 1 of 4")
    found = members.look_around(case.run, Guardrails("act", {"keep_healthy": Quorum("50%", 50, 100)}))
    assert found.members is not None
    assert (list(found.members.health), case.looked) == (["web-9/machine:system"], ["web-9/machine:system"])


def test_what_services_yaml_lists_since_the_run_began_is_a_part_too(rebooting: Any) -> None:
    case = rebooting("at_once: 1 of 4")
    file = case.settings.runbooks / "services.yaml"
    file.write_text(file.read_text() + "  shop:\n    targets:\n      - {host: web-1, systemd: shop.service}\n")
    found = around(case)
    assert found.overlapping == ("web-1/shop.service", "web-1/tracking-api")
    assert [touched.taken for touched in found.touched] == [
        (MACHINE,),
        ("web-1/tracking-api",),
        ("web-1/shop.service",),
    ]


def test_where_services_yaml_cannot_be_read_a_whole_is_not_changed(rebooting: Any) -> None:
    case = rebooting("at_once: 1 of 4")
    limits = pinned_and_current(case.run, RESTART)
    (case.settings.runbooks / "services.yaml").write_text("services: [")
    [lost] = members.look_around(case.run, *limits).touched
    assert lost.has_parts
    assert "services.yaml:1" in str(lost.unknown)
