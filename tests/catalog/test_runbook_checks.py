"""A runbook that measures: its checks under `when`, the proof under `verify`, and which targets are meant."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.catalog.library import Library, read_folder
from paramedic.catalog.runbook import Runbook
from paramedic.catalog.runbook_file import parse
from paramedic.catalog.services import Services, parse_services
from paramedic.checks.check import CheckAtTarget
from paramedic.checks.threshold import Level
from paramedic.text.yaml_document import BadDocument

ROOT = Path(__file__).parents[2]
NINE = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)

TEXT = """\
---
runbook: tracking-api-slow
service: tracking-api
when:
  - alert: TrackingApiLatency
  - check: http://{host}:8080/health
    latency_p95: {warning: 200ms, critical: 300ms, for: 1m}
    error_rate: {warning: 1%, critical: 3%, for: 1m}
    every: 15s
    timeout: 2s
  - check: tls://{host}:443
    expires_in: {warning: 21d, critical: 7d}
group: web
playbook: restart-service
with:
  target: {supervisord: tracking-api, host: "{instance}"}
  verify: {check: latency_p95, stable: 1m, within: 5m}
---
**Meaning.** a
**Impact.** b
## Diagnosis
## Mitigation
"""

SERVICES = """\
services:
  tracking-api:
    targets:
      - {host: web-1, supervisord: {program: tracking-api, address: "unix:///s"}}
      - {host: web-2, supervisord: {program: tracking-api, address: "unix:///s"}, also: ["web-2:9100"]}
      - {host: web-2, supervisord: {program: tracking-worker, address: "unix:///s"}}
  other:
    targets:
      - {host: web-3, supervisord: {program: tracking-api, address: "unix:///s"}}
"""


@pytest.fixture
def runbook() -> Runbook:
    return parse(TEXT, "r.md")


@pytest.fixture
def services() -> Services:
    return parse_services(SERVICES, "services.yaml")


def test_the_checks_that_the_documentation_shows_are_ones() -> None:
    shown = re.findall(r"```yaml\n(when:.*?)```", (ROOT / "docs" / "runbooks.md").read_text(), re.DOTALL)
    names = {}
    for when, verified in zip(shown, ("latency_p95", "down"), strict=True):
        rest = TEXT[TEXT.index("group:") :].replace("latency_p95", verified)
        names[verified] = [check.name for check in parse(TEXT[: TEXT.index("when:")] + when + rest, "r.md").checks]
    assert names == {"latency_p95": ["http", "process", "leak"], "down": ["ready"]}


def test_its_checks_stand_beside_its_alerts(runbook: Runbook) -> None:
    assert [matcher.alert for matcher in runbook.matchers] == ["TrackingApiLatency"]
    assert [check.kind for check in runbook.checks] == ["http", "tls"]
    assert runbook.verify.metrics == ("latency_p95",)
    assert runbook.group == "web"
    assert parse(TEXT.replace("group: web\n", ""), "r.md").group == "default"


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (
            "latency_p95: {w",
            "latency_p59: {w",
            "r.md:7:5: when.1.latency_p59: no such key, or one that is not enforced; did",
        ),
        ("warning: 200ms", "warning: fast", "r.md:7:19: when.1.latency_p95.warning: 'fast': write a duration: 200ms"),
        ("warning: 200ms", "warnin: 200ms", "when.1.latency_p95.warnin: no such key"),
        ("check: http://{host}:8080/health", "check: htp://x", "when.1.check: 'htp://x' is nothing to check"),
        ("alert: TrackingApiLatency", "alert: TrackingApiLatency\n    every: 5s", "`every` belongs to a check"),
        ("alert: TrackingApiLatency", "every: 5s", "name either an `alert` or a `check`"),
        ("check: tls://{host}:443\n", "check: http://x/\n", "`expires_in` is not measured there"),
        ("{check: latency_p95", "{check: cpu", "no check under `when` measures 'cpu'; allowed: error_rate, expires_in"),
        ("{check: latency_p95, ", "{", "`memory_below: 150MB` or `check: latency_p95`"),
        ("group: web", "group: We b", "group: "),
        ("tls://{host}:443\n    expires_in: {warning: 21d, critical: 7d}", "http://x/", "two checks are called http"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(before: str, after: str, says: str) -> None:
    assert before in TEXT
    with pytest.raises(BadDocument) as caught:
        parse(TEXT.replace(before, after, 1), "r.md")
    problems = [str(problem) for problem in caught.value.problems]
    assert any(says in problem for problem in problems), problems


def test_the_targets_are_the_listed_ones_that_its_own_target_means(runbook: Runbook, services: Services) -> None:
    assert [target.id for target in runbook.targets(services)] == ["web-1/tracking-api", "web-2/tracking-api"]
    on_one_host = parse(TEXT.replace('host: "{instance}"', "host: web-1"), "r.md")
    assert [target.id for target in on_one_host.targets(services)] == ["web-1/tracking-api"]
    every_program = parse(TEXT.replace("supervisord: tracking-api,", 'supervisord: "{program}",'), "r.md")
    assert len(every_program.targets(services)) == 3


def test_the_alert_of_its_check_is_wanted_and_finds_its_target(runbook: Runbook, services: Services) -> None:
    for target in runbook.targets(services):
        placed = CheckAtTarget(runbook.name, runbook.checks[0], target)
        alert = placed.alert(runbook.checks[0].thresholds[0], Level.CRITICAL, value=0.5, began_at=NINE, ended_at=None)
        assert runbook.wants(alert)
        assert runbook.locate(alert, services) == target
        assert not replace(runbook, name="another").wants(alert)


def test_a_sender_cannot_speak_as_a_check(runbook: Runbook) -> None:
    labels = {"runbook": runbook.name, "check": "http", "instance": "web-1"}
    alert = Alert("alertmanager", "x", Severity.CRITICAL, Status.FIRING, NINE, "f", labels)
    assert not runbook.wants(alert)


def test_a_matcher_for_everything_does_not_take_the_alerts_of_another_runbooks_checks(services: Services) -> None:
    greedy = parse(TEXT.replace("alert: TrackingApiLatency", "alert: '{service=\"tracking-api\"}'"), "r.md")
    target = greedy.targets(services)[0]
    threshold = greedy.checks[0].thresholds[0]
    placed = CheckAtTarget("another", greedy.checks[0], target)
    assert not greedy.wants(placed.alert(threshold, Level.WARNING, value=0.2, began_at=NINE, ended_at=None))


HOSTS = """\
hosts:
  web-1: {local: true}
  web-2: {ssh: {address: 10.0.0.2, user: u, key: /k}}
  web-3: {ssh: {address: 10.0.0.3, user: u, key: /k}}
"""


@pytest.fixture
def asked_from(tmp_path: Path) -> Callable[[str], Library]:
    """The library of a runbook whose check is asked from these places."""
    shutil.copy(ROOT / "runbooks" / "oncall.yaml", tmp_path)

    def made(places: str, check: str = "http://{host}:8080/health") -> Library:
        (tmp_path / "services.yaml").write_text(HOSTS + SERVICES)
        text = TEXT.replace("http://{host}:8080/health", f"{check}\n    from: {places}")
        (tmp_path / "tracking-api-slow.md").write_text(text)
        return read_folder(tmp_path)

    return made


def test_a_check_knows_the_hosts_that_it_is_asked_from(asked_from: Callable[[str], Library]) -> None:
    library = asked_from("[local, web-2, web-3]")
    assert library.problems == ()
    check = library.runbooks["tracking-api-slow"].checks[0]
    assert check.asked_from == ("local", "web-2", "web-3")
    assert [host.ssh.address for host in check.places if host.ssh] == ["10.0.0.2", "10.0.0.3"]
    assert asked_from("[local]").problems == ()


@pytest.mark.parametrize(
    ("places", "words"),
    [
        (
            "[local, web-22]",
            "asked `from` 'web-22', and `hosts` of services.yaml lists no such host; did you mean web-2?",
        ),
        ("[locall]", "lists no such host; did you mean local?"),
        ("[local, web-1]", "asked `from` web-1, which is not reached by SSH; allowed: local, web-2, web-3"),
        ("[web-2, web-2]", "'web-2' is named twice: each place has one voice"),
        ("[]", "from"),
        ("web-2", "from"),
        ("[2]", "from"),
    ],
)
def test_places_that_could_not_be_asked_are_refused(
    asked_from: Callable[[str], Library], places: str, words: str
) -> None:
    problems = [str(problem) for problem in asked_from(places).problems]
    assert any(words in problem for problem in problems), problems


def test_a_check_of_what_is_no_address_is_asked_from_nowhere_else() -> None:
    with pytest.raises(BadDocument) as error:
        parse(TEXT.replace("- check: tls://{host}:443", "- check: tls://{host}:443\n    from: [local]"), "r.md")
    assert "`from` belongs to `check: health`" in str(error.value)
    assert "`check: tcp://HOST:PORT`" in str(error.value)
