"""A command that was run is named wherever the change is told, and the end of its output is kept, without its secrets."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from message_cases import BEN

from paramedic.catalog.library import open_library
from paramedic.change import exclusive, guarded
from paramedic.doors import reading
from paramedic.errors import PermanentError, Refused, TemporaryError
from paramedic.incidents import report
from paramedic.messages import page
from paramedic.remediation.remedy import RESTART, Remedy, Verb
from paramedic.store import acts, evidence, incident_summary, incidents, kill_switch, trail
from paramedic.store.incident_story import story
from tasks import act

NAME = "run: clear-cache"

SERVICES = """\
services:
  tracking:
    owner: delivery
    targets:
      - host: web-1
        supervisord: {program: tracking-api, address: "unix:///nowhere/at/all"}
        commands: {COMMAND: {run: [sh, -c, 'SCRIPT'], timeout: 10s}}
      - {host: web-2, supervisord: {program: tracking-api, address: "unix:///nowhere/at/all"}}
      - {host: web-3, supervisord: {program: tracking-api, address: "unix:///nowhere/at/all"}}
      - {host: web-4, supervisord: {program: tracking-api, address: "unix:///nowhere/at/all"}}
"""


@pytest.fixture
def running(begin: Any) -> Callable[..., Any]:
    """Runs the command of this script as the remedy of an incident, and returns the case."""

    def run(script: str, *, command: str = "clear-cache", within: str = "10s") -> Any:
        case = begin()
        text = SERVICES.replace("SCRIPT", script).replace("COMMAND", command).replace("10s", within)
        (case.settings.runbooks / "services.yaml").write_text(text)
        case.run.target = open_library(case.settings).services.targets[case.run.target.id]
        case.remedy = Remedy(1, Verb.RUN, command=command)
        return case

    return run


def carry_out(case: Any) -> None:
    with exclusive.exclusive(case.run, case.run.target.id):
        guarded.change(case.run, case.run.target.id, case.remedy, name=case.remedy.name, step=act.run.__wrapped__)  # type: ignore[attr-defined]


def entries(case: Any) -> list[tuple[str, str, Any]]:
    with case.store.read() as tx:
        found = trail.entries(tx)
        return [(entry.what, entry.reason, entry.data.get("remedy")) for entry in found if entry.what.startswith("run")]


def kept(case: Any) -> list[tuple[str, str]]:
    with case.store.read() as tx:
        return [(piece["kind"], piece["body"]) for piece in evidence.of(tx, case.run.incident.number)]


def test_a_command_that_succeeded_is_named_with_the_end_of_its_output(running: Any) -> None:
    case = running("echo freed 3 GB; echo and found nothing else >&2")
    carry_out(case)
    assert entries(case) == [
        ("run", f"{NAME}: every guardrail agrees", NAME),
        ("run.done", f"{NAME}: it ended with exit code 0", NAME),
    ]
    with case.store.read() as tx:
        [done] = acts.of(tx, case.run.incident.number)
    assert (done.remedy, done.result) == (NAME, "done")
    assert f"the {NAME} of {case.run.target.id}" in done.words
    assert kept(case) == [(f"output of {NAME}", "freed 3 GB\nand found nothing else")]


def test_report_and_page_name_it_and_show_what_it_printed(running: Any) -> None:
    case = running("echo freed 3 GB")
    carry_out(case)
    with case.store.record() as tx:
        [done] = acts.of(tx, case.run.incident.number)
        acts.close(tx, done, result="cured", why="verified well after it", actor=case.run.holder)
    with case.store.read() as tx:
        incident = incidents.get(tx, case.run.incident.number)
        written = report.markdown(story(tx, incident.number))
        known = incident_summary.summary(tx, incident)
    message = page.page(known, person=BEN, link="", lasts=timedelta(hours=1))
    assert f"rung 1: {NAME} of" in written
    assert written.count(f": {NAME}: ") == 3, "each of its entries in the timeline"
    assert "    freed 3 GB" in written
    for words in ("ran clear-cache on web-1/tracking-api: done, and it helped", f"{NAME} begins: ", "    freed 3 GB"):
        assert words in message.text


def test_what_it_printed_is_redacted_before_it_is_cut_and_is_not_on_the_trail(
    running: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarded, "_OUTPUT_LIMIT", 12)
    case = running("echo chatter; echo password=correcthorsebattery")
    carry_out(case)
    [(_, body)] = kept(case)
    assert body == "ord=[secret]"
    with case.store.read() as tx:
        written = [f"{entry.reason} {entry.data}" for entry in trail.entries(tx)]
    assert not [words for words in written if "chatter" in words or "horse" in words]


def test_a_key_whose_beginning_was_cut_off_is_not_kept(running: Any) -> None:
    case = running("echo c2VjcmV0; echo -----END RSA PRIVATE KEY-----; echo done")
    carry_out(case)
    assert kept(case) == [(f"output of {NAME}", "[secret]\ndone")]


def test_a_command_that_failed_or_was_ended_keeps_what_it_printed(running: Any) -> None:
    case = running("echo half of it; exit 3")
    with pytest.raises(PermanentError):
        carry_out(case)
    assert [(what, remedy) for what, _, remedy in entries(case)] == [("run", NAME), ("run.failed", NAME)]
    assert kept(case) == [(f"output of {NAME}", "half of it")]


def test_a_command_whose_time_was_over_keeps_what_it_printed(running: Any) -> None:
    case = running("echo half of it; sleep 60", within="1s")
    carry_out(case)
    assert [(what, remedy) for what, _, remedy in entries(case)] == [("run", NAME), ("run.unknown", NAME)]
    assert kept(case) == [(f"output of {NAME}", "half of it")]


def test_silence_is_said(running: Any) -> None:
    case = running("true")
    carry_out(case)
    assert kept(case) == [(f"output of {NAME}", "it printed nothing")]


def test_a_refusal_names_it(running: Any) -> None:
    case = running("echo never")
    with case.store.record() as tx:
        kill_switch.pause(tx, scope="all", by="ada", reason="x")
    with pytest.raises(Refused, match=f"{NAME} of web-1/tracking-api"):
        carry_out(case)
    [(what, reason, remedy)] = entries(case)
    assert (what, remedy) == ("run.refused", NAME)
    assert reason.startswith(f"{NAME}: ")
    assert kept(case) == []


def test_the_longest_name_is_whole_on_the_trail(running: Any) -> None:
    longest = "c" * 63
    case = running("echo ok", command=longest)
    carry_out(case)
    assert {remedy for _, _, remedy in entries(case)} >= {f"run: {longest}"}
    [(kind, _)] = kept(case)
    assert (kind, len(kind)) == (f"output of run: {longest}"[:64], 64)


def test_a_target_that_cannot_be_seen_after_it_ran_does_not_make_it_unsent(
    running: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = running("echo ran")
    identity = reading.identity

    def away(_: object) -> Any:
        raise TemporaryError("it does not answer")

    program = act.command

    def then_away(*args: Any, **options: Any) -> Any:
        monkeypatch.setattr(reading, "identity", away)
        return program(*args, **options)

    monkeypatch.setattr(act, "command", then_away)
    carry_out(case)
    monkeypatch.setattr(reading, "identity", identity)
    assert case.results() == ["done"]
    assert entries(case)[-1][:2] == (
        "run.done",
        f"{NAME}: it ended with exit code 0; which instance runs now is not known: it does not answer",
    )


def test_a_restart_is_named_by_its_event_alone(begin: Any) -> None:
    case = begin()
    case.change(remedy=RESTART)
    assert [reason for _, reason in case.events()] == ["every guardrail agrees", "web-1/tracking-api answered"]
