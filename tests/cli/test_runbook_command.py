"""`paramedic runbook test · new`: what would happen, said offline; and a runbook to begin with."""

import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from command_line import paramedic
from incident_states import RUNBOOK

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.catalog.library import read_folder
from paramedic.cli import main
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.kinds.process_target import process_identity
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.settings import Settings
from paramedic.store import Store, acts, attempts, claims, intents, kill_switch, lifecycle
from paramedic.store.acts import Act
from paramedic.store.claims import Claim
from paramedic.store.runbook_versions import Plan

ROOT = Path(__file__).parents[2]
NAME = "tracking-api-memory"


def _say(*argv: str, code: int = 0) -> str:
    return " ".join(paramedic("runbook", *argv, code=code).split())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with the shipped runbooks; the memory one acts."""
    folder = tmp_path / "runbooks"
    folder.mkdir()
    for file in ("services.yaml", "oncall.yaml"):
        (folder / file).write_text((ROOT / "runbooks" / file).read_text())
    text = (ROOT / "runbooks" / f"{NAME}.md").read_text()
    (folder / f"{NAME}.md").write_text(text.replace("mode: observe", "mode: act"))
    return tmp_path


def _alert(data: Path, **labels: str) -> str:
    all_labels = {
        "alertname": "TrackingApiMemory",
        "env": "prod",
        "instance": "web-1:9100",
        "severity": "critical",
    } | labels
    alert = {"status": "firing", "labels": all_labels, "annotations": {}, "startsAt": "2026-11-01T09:00:00Z"}
    alert |= {"endsAt": "0001-01-01T00:00:00Z", "generatorURL": "", "fingerprint": "f404ecabc8dd5cd7"}
    body = {"version": "4", "groupKey": "{}", "truncatedAlerts": 0, "status": "firing", "receiver": "paramedic"}
    body |= {"groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "", "alerts": [alert]}
    file = data / "alert.json"
    file.write_text(json.dumps(body))
    return str(file)


def _tried(data: Path, *argv: str, code: int = 0, **labels: str) -> str:
    return _say("test", NAME, "--alert", _alert(data, **labels), "--data", str(data), *argv, code=code)


def test_it_says_what_would_run_on_what_and_touches_nothing(data: Path) -> None:
    output = _tried(data)
    assert "it is wanted, and means web-1/tracking-api" in output
    assert "playbook restart-service would look whether it is still failing" in output
    assert "each verified before the next: restart" in output
    assert "no guardrail would stop its first change" in output
    assert sorted(path.name for path in data.iterdir()) == ["alert.json", "runbooks"]


def test_it_says_why_it_would_not_act(data: Path) -> None:
    assert "no matcher means it" in _tried(data, env="test", code=1)
    output = _tried(data, instance="db-7", code=1)
    assert "services.yaml lists no supervisord 'tracking-api' on host 'db-7'" in output
    assert "a person would get it, by policy default" in output
    file = data / "runbooks" / f"{NAME}.md"
    file.write_text(file.read_text().replace("mode: act", "mode: observe"))
    assert "guardrail mode would stop it: the runbook's mode is observe" in _tried(data, code=1)


def test_what_was_done_before_counts(data: Path, sqlite_template: Path) -> None:
    settings = Settings(data=data)
    shutil.copyfile(sqlite_template, data / "paramedic.db")
    store = Store(settings.store())
    alert = Alert("alertmanager", "Slow", Severity.CRITICAL, Status.FIRING, datetime.now(UTC), "f", {})
    with store.record() as tx:
        plan = Plan(NAME, "v1", RUNBOOK, 1)
        target = "web-1/tracking-api"
        lifecycle.open_incident(
            tx, alert, service="tracking-api", target=target, policy="default", reason="r", plan=plan
        )
        attempts.begin_attempt(tx, 1, 1, flow_run="run-1")
        claim = claims.take(tx, target=target, incident=1, attempt=1, holder="run:run-1", lease=timedelta(minutes=1))
        assert isinstance(claim, Claim)
        alive = process_identity(1, 1.0, "RUNNING")
        deadline, limits = timedelta(seconds=5), Guardrails("act")
        act = intents.intend(tx, claim, rung=1, remedy="restart", identity=alive, deadline=deadline, limits=limits)
        assert isinstance(act, Act)
        acts.close(tx, act, result="cured", why="well", actor="a")
    assert "it would join INC-1" in _tried(data, code=1)
    with store.record() as tx:
        lifecycle.resolve(tx, 1, Outcome(Ending.REMEDIATED, "well"), actor="a")
    assert "guardrail cooldown would stop it: web-1/tracking-api was acted on at" in _tried(data, code=1)
    with store.record() as tx:
        kill_switch.pause(tx, by="ada", reason="a release is on its way")
    found = json.loads(_tried(data, "--json", code=1))
    assert found[0]["acts"] is False
    assert "guardrail kill switch would stop it" in found[0]["lines"][-2]
    store.close()


@pytest.fixture
def slow(data: Path) -> Path:
    """The shipped runbook with a check, as one that acts, for two targets."""
    services = data / "runbooks" / "services.yaml"
    target = '      - {host: web-2, supervisord: {program: tracking-api, address: "unix:///s"}, releases: /srv/api}\n'
    services.write_text(services.read_text() + target)
    file = data / "runbooks" / "tracking-api-slow.md"
    file.write_text((ROOT / "runbooks" / file.name).read_text().replace("mode: observe", "mode: act"))
    return file


def test_without_an_alert_it_says_what_would_be_done_about_its_own_checks(data: Path, slow: Path) -> None:
    text = slow.read_text()
    assert "error_rate: {warning: 1%, critical: 3%" in text
    slow.write_text(text.replace("error_rate: {warning: 1%, critical: 3%", "error_rate: {warning: 1%"))
    output = _say("test", slow.stem, "--data", str(data))
    for host in ("web-1", "web-2"):
        raised, at = "check tracking-api-slow/health would raise it", f"{host}/tracking-api"
        assert f"{raised}, critical, on finding that latency_p95 of {at} is 300ms" in output
        assert f"{raised}, warning, on finding that error_rate of {at} is 1%" in output
        assert f"it is wanted, and means {at}" in output
    assert "each verified before the next: restart, rollback-if-deployed-within: 30m" in output
    found = json.loads(_say("test", slow.stem, "--data", str(data), "--json"))
    assert [(row["alert"], row["target"], row["acts"]) for row in found] == [
        (f"tracking-api-slow {metric}", f"{host}/tracking-api", True)
        for host in ("web-1", "web-2")
        for metric in ("latency_p95", "error_rate")
    ]


def test_without_an_alert_and_without_a_check_there_is_nothing_to_rehearse(data: Path, slow: Path) -> None:
    output = _say("test", NAME, "--data", str(data), code=2)
    assert f"runbook {NAME} has no check: name an alert to rehearse it with, --alert FILE" in output
    slow.write_text(slow.read_text().replace("supervisord: tracking-api", "systemd: tracking-api.service"))
    output = _say("test", slow.stem, "--data", str(data), code=1)
    assert "there is no usable runbook 'tracking-api-slow'" in output


def test_lint_names_each_target_that_lacks_what_a_runbook_asks_for_and_the_runbook_stays_usable(
    data: Path, slow: Path
) -> None:
    output = _say("lint", "--data", str(data), code=1)
    for key in ("when", "with.verify.health"):
        assert f"{key}: services.yaml names no health for web-2/tracking-api; services.yaml: health: http://…" in output
    assert "web-1/tracking-api" not in output
    assert slow.stem in read_folder(slow.parent).runbooks


def test_lint_names_a_command_whose_time_is_longer_than_a_change_has(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = data / "runbooks" / "services.yaml"
    command = "        commands: {clear: {run: [clear], timeout: 1m}}\n"
    services.write_text(services.read_text() + command)
    line = services.read_text().count("\n")
    output = _say("lint", "--data", str(data), code=1)
    assert (
        f"{services}:{line}:42: services.tracking-api.targets.0.commands.clear.timeout: 1m are never given: " in output
    )
    assert "a change ends after 30s (PARAMEDIC_ACT_DEADLINE), and the command with it" in output
    monkeypatch.setenv("PARAMEDIC_ACT_DEADLINE", "1m")
    assert "nothing wrong" in _say("lint", "--data", str(data))


def test_lint_names_a_heading_without_text_at_its_line(data: Path) -> None:
    file = data / "runbooks" / f"{NAME}.md"
    text = file.read_text().partition("## Mitigation")[0] + "## Mitigation\n\n<!-- later -->\n"
    file.write_text(text)
    line = text.split("\n").index("## Mitigation") + 1
    output = _say("lint", "--data", str(data), code=1)
    assert f"{file}:{line}:1: there is nothing under Mitigation; a person on call looks for all four" in output
    assert NAME in read_folder(file.parent).runbooks


def test_lint_says_what_is_wrong_with_every_file_at_once(data: Path) -> None:
    folder = data / "runbooks"
    (folder / "services.yaml").write_text("services: []\n")
    (folder / "oncall.yaml").write_text("people: {}\n")
    (folder / f"{NAME}.md").write_text("nothing")
    output = _say("lint", "--data", str(data), code=1)
    for words in (
        "services.yaml:1:1: services: ",
        "oncall.yaml:1:1: people: ",
        "oncall.yaml:1:1: policies: is missing",
    ):
        assert words in output
    assert f"{NAME}.md:1:1: no front matter" in output


def test_a_body_that_cannot_be_read_is_said(data: Path) -> None:
    (data / "bad.json").write_text('{"version": "4"}')
    output = _say("test", NAME, "--alert", str(data / "bad.json"), "--data", str(data), code=2)
    assert "alerts" in output
    assert "there is no usable runbook 'nobody'" in _say(
        "test", "nobody", "--alert", _alert(data), "--data", str(data), code=1
    )


def test_of_a_new_runbook_lint_says_what_is_to_be_filled_in_yet_and_nothing_else(data: Path) -> None:
    output = _say("new", "tracking-api-slow", "--service", "tracking-api", "--data", str(data))
    assert "tracking-api-slow.md" in output
    file = data / "runbooks" / "tracking-api-slow.md"
    assert read_folder(file.parent).problems == (), "nobody is told of it while it is written"
    output = _say("lint", "--data", str(data), code=1)
    assert f"{file}:5:1: still as `paramedic runbook new` wrote it: - alert: ALERTNAME; fill in what is in" in output
    assert "TO DO BY HAND WHEN PARAMEDIC COULD NOT" in output
    assert output.count("still as") == 6
    file.write_text(re.sub(r"[A-Z]{2,}.*", "Words.", file.read_text()))
    assert "2 runbooks, 2 targets: nothing wrong" in _say("lint", "--data", str(data))
    again = _say("new", "tracking-api-slow", "--service", "tracking-api", "--data", str(data), code=1)
    assert "exists already; nothing was written" in again
    assert "lists no target of 'payments'" in _say("new", "x", "--service", "payments", "--data", str(data), code=1)
    assert "small letters" in _say("new", "../x", "--service", "tracking-api", "--data", str(data), code=2)


def test_a_program_is_told_where_a_new_runbook_is_and_what_one_says(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(*argv: str) -> Any:
        with pytest.raises(SystemExit) as ended:
            main(["runbook", *argv, "--json", "--data", str(data)])
        assert ended.value.code == 0
        return json.loads(capsys.readouterr().out)

    file = data / "runbooks" / "tracking-api-slow.md"
    made = answer("new", file.stem, "--service", "tracking-api")
    assert made == {"name": file.stem, "service": "tracking-api", "file": str(file)}
    listed = next(row for row in answer("list") if row["name"] == file.stem)
    assert answer("show", file.stem) == listed | {"text": file.read_text()}


def test_an_own_playbook_is_shown_by_its_own_words_and_verbs(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flows = tmp_path / "flows"
    flows.mkdir()
    code = (
        "from tasks.act import restart\nfrom tasks.guard import exclusive\nfrom tasks import escalate\n"
        "from tasks.playbook import playbook\n@playbook\ndef our_restart(incident, runbook):\n"
        '    """Restart it twice\n    and hope. More words."""\n    with exclusive(incident.target):\n'
        "        restart(incident.target)\n    return escalate.hand_over(incident, because='done')\n"
    )
    (flows / "our_restart.py").write_text(code)
    monkeypatch.setenv("PARAMEDIC_FLOWS", str(flows))
    file = data / "runbooks" / f"{NAME}.md"
    file.write_text(file.read_text().replace("restart-service", "our-restart"))
    output = _tried(data)
    assert "playbook our-restart, your own, would run: Restart it twice and hope." in output
    assert "exclusive, restart, hand_over, and never stays_healthy: it does not verify what it does" in output
    assert "verified before the next" not in output
    assert "whatever it does not resolve goes to a person" in output
    verifying = code.replace("import restart\n", "import restart\nfrom tasks.verify import stays_healthy\n", 1)
    verifying = verifying.replace("        restart(", "        stays_healthy(incident, runbook)\n        restart(")
    (flows / "our_restart.py").write_text(verifying)
    output = _tried(data)
    assert "it calls, in the order of its text: exclusive, stays_healthy, restart, hand_over " in output


def test_labels_alone_make_an_alert_that_the_runbook_wants(data: Path) -> None:
    def tried(*labels: str, code: int = 0) -> str:
        options = [word for label in ("env=prod", *labels) for word in ("--label", label)]
        return _say("test", NAME, "--data", str(data), *options, code=code)

    assert "it is wanted, and means web-1/tracking-api" in tried("instance=web-1:9100")
    assert "no matcher means it" in tried("instance=web-1:9100", "alertname=Other", code=1)
    assert "lists no supervisord 'tracking-api' on host 'db=7'" in tried("instance=db=7", code=1)
    assert "write it as name=value" in tried("instance", code=2)
    words = _say("test", NAME, "--data", str(data), "--label", "a=b", "--alert", _alert(data), code=2)
    assert "give one of both" in words
