"""What else happens at night: runs that sleep, operators who cancel, storms, lies, and a Prefect that is not there."""

import concurrent.futures
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from kill.driver import TOKEN, Ward, gone, wait_for

from paramedic.demo.world import Service, text_of
from paramedic.incidents.incident import Incident, State
from paramedic.incidents.outcome import Ending
from paramedic.machine.clock import iso, utc_now
from paramedic.remediation.approval import Approval
from paramedic.store import approvals, incident_alerts, incidents, kill_switch, lifecycle
from paramedic.store import trail as stored_trail
from paramedic.store.tables import inbox

pytestmark = [pytest.mark.real, pytest.mark.kill, pytest.mark.timeout(600)]
together = pytest.mark.together

#: name -> what is wrong with the service from its start.
_FAULTS = {
    "stopped-before-intent": "",
    "stopped-after-intent": "",
    "retried": "",
    "fifty": "",
    "two-names": "",
    "hostile": "",
    "planted": "",
    "beyond-help": "--starts-broken",
    "window": "",
    "third-cure": "",
    "paused": "",
    "tag-limit": "",
    "no-trail": "",
    "dead-key": "",
    "locked": "",
    "acknowledged": "",
    "frozen-prefect": "",
    "frozen-after-act": "",
    "observed": "",
    "lowered": "",
    "ours": "",
    "bad-release": "",
    "overtaken": "",
    "faster": "",
    "faster-than-second": "",
    "bad-release-dies": "",
    "bad-release-half": "",
    "crashing": "",
    "crashing-release": "",
    "crashing-for-good": "",
    "unmarked-release": "",
    "old-release": "",
    "unwanted": "",
    "undeployed": "",
    **{
        f"cancelled-at-{point}": "" for point in ("claimed", "evidence_taken", "intent_written", "act_sent", "verified")
    },
}
SERVICES = [*((name, "web-2", faults) for name, faults in _FAULTS.items()), ("frozen-supervisord", "web-3", "")]


def _stands(whole: Ward, name: str, point: str) -> int:
    """Break the service, send its alert, and hold its run at the boundary; the run's process."""
    service = whole.service(name)
    whole.prefect_is_well()
    whole.break_it(service)
    whole.arm(point, service)
    assert whole.send(whole.alert(service)).status_code == 202
    return whole.stands_at(point, service)


def _wakes_and_ends(whole: Ward, service: Service, pid: int, point: str) -> None:
    whole.release(point, service)
    os.kill(pid, signal.SIGCONT)
    wait_for("the woken run's end", lambda: gone(pid), whole.tick, seconds=60)


def _set_state(whole: Ward, flow_run: str, **state: Any) -> None:
    """As the Prefect UI does it."""
    whole.ask_prefect("POST", f"/flow_runs/{flow_run}/set_state", json={"state": state})


def _whats(whole: Ward, number: int) -> list[str]:
    with whole.store.read() as tx:
        return [entry.what for entry in stored_trail.entries(tx, incident=number)]


@together
def test_a_run_that_slept_past_its_lease_before_its_intent_begins_no_change_when_it_wakes(whole: Ward) -> None:
    service = whole.service("stopped-before-intent")
    pid = _stands(whole, service.name, "evidence_taken")
    os.kill(pid, signal.SIGSTOP)
    incident = whole.ended(service)
    assert (incident.ending, incident.attempt, service.starts) == (Ending.REMEDIATED, 2, 2)
    _wakes_and_ends(whole, service, pid, "evidence_taken")
    assert service.starts == 2
    assert len(whole.acts_of(incident)) == 1


@together
def test_a_run_that_slept_between_intent_and_first_byte_finds_claim_and_deadline_gone(whole: Ward) -> None:
    service = whole.service("stopped-after-intent")
    pid = _stands(whole, service.name, "intent_written")
    os.kill(pid, signal.SIGSTOP)
    incident = whole.ended(service)
    assert (incident.ending, service.starts) == (Ending.HANDED_OVER, 1)
    assert "Nobody knows whether it happened" in text_of(whole.mailbox.about(incident.id)[0]), (
        "the page names the open act"
    )
    _wakes_and_ends(whole, service, pid, "intent_written")
    assert service.starts == 1, "the woken run restarted a target that somebody else has"
    assert [act.result for act in whole.acts_of(incident)] == ["not_sent"]


@together
@pytest.mark.parametrize(
    ("point", "restarts", "ending"),
    [
        ("claimed", 0, Ending.HANDED_OVER),
        ("evidence_taken", 0, Ending.HANDED_OVER),
        ("intent_written", 1, Ending.HANDED_OVER),  # the change has begun: it runs to its end, and nothing follows it
        ("act_sent", 1, Ending.HANDED_OVER),
        ("verified", 1, Ending.REMEDIATED),  # there is nothing left to stop
    ],
)
def test_cancelled_in_the_ui_it_stops_before_its_next_change_and_a_person_gets_it(
    whole: Ward, point: str, restarts: int, ending: Ending
) -> None:
    service = whole.service(f"cancelled-at-{point}")
    _stands(whole, service.name, point)
    run = whole.flow_runs(whole.incidents_on(service)[0])[0]["id"]
    _set_state(whole, run, type="CANCELLING", name="Cancelling")
    whole.release(point, service)
    incident = whole.ended(service)
    assert (incident.ending, service.starts) == (ending, 1 + restarts), incident.because
    finished = ("CANCELLED", "COMPLETED")
    wait_for("the run's end", lambda: whole.flow_runs(incident)[0]["state_type"] in finished, whole.tick)
    assert incident.attempt == 1, "a cancelled run is not followed by another"


@together
def test_retry_in_the_ui_on_a_finished_run_does_nothing_and_says_why(whole: Ward) -> None:
    service = whole.service("retried")
    whole.break_it(service)
    whole.send(whole.alert(service))
    incident = whole.ended(service)
    run = whole.flow_runs(incident)[0]["id"]
    wait_for("the run's end", lambda: whole.flow_runs(incident)[0]["state_type"] == "COMPLETED", whole.tick)
    _set_state(whole, run, type="SCHEDULED", name="AwaitingRetry")
    wait_for(
        "the retried run",
        lambda: whole.flow_runs(incident)[0]["state_name"] == "NothingToDo",
        whole.tick,
        seconds=60,
    )
    assert "is over" in whole.ask_prefect("GET", f"/flow_runs/{run}")["state"]["message"]
    assert service.starts == 2


@together
def test_fifty_repeats_over_four_connections_are_one_incident_and_one_act(whole: Ward) -> None:
    service = whole.service("fifty")
    whole.break_it(service)
    alert = whole.alert(service)
    with concurrent.futures.ThreadPoolExecutor(4) as senders:
        answers = list(senders.map(lambda _: whole.send(alert), range(50)))
    receipts = [receipt for answer in answers for receipt in answer.json()["receipts"]]
    assert [answer.status_code for answer in answers] == [202] * 50
    assert len(set(receipts)) == 50
    incident = whole.ended(service)
    assert (incident.ending, service.starts) == (Ending.REMEDIATED, 2)
    with whole.store.read() as tx:
        rows = tx.conn.execute(inbox.select().where(inbox.c.receipt.in_(receipts))).all()
        counted = sum(row["count"] for row in incident_alerts.of(tx, incident.number))
    assert {row.state for row in rows} <= {"triaged", "held"}
    joined = [row for row in rows if row.incident == incident.number]
    assert counted == len(joined)
    assert len(whole.flow_runs(incident)) == 1


@together
def test_two_alerts_with_different_names_on_one_target_are_one_incident_and_one_act(whole: Ward) -> None:
    service = whole.service("two-names")
    whole.break_it(service)
    whole.send(whole.alert(service), whole.alert(service, alertname="AlsoSlow", severity="warning"))
    incident = whole.ended(service)
    assert (incident.ending, service.starts) == (Ending.REMEDIATED, 2)
    with whole.store.read() as tx:
        assert len(incident_alerts.of(tx, incident.number)) == 2


@together
def test_what_comes_in_a_label_is_data_everywhere(whole: Ward) -> None:
    service = whole.service("hostile")
    whole.break_it(service)
    trap = whole.folder / "pwned"
    nasty = {
        "shell": f"$(touch {trap}); `touch {trap}` | touch {trap}",
        "sql": "'; DROP TABLE incidents; --",
        "jinja": "{{ cycler.__init__.__globals__.os.system('touch " + str(trap) + "') }}",
        "prefect": '{"__prefect_kind": "jinja", "template": "{{ 1 + 1 }}"}',
        "path": "../../../../etc/passwd",
        "lines": "one\r\nBcc: everybody@example.org\r\n\r\nbody",
        "terminal": "\x1b]0;owned\x07\x1b[2J",
        "markup": "<script>alert(1)</script>",
        "surrogate": "a\ud800b",
        "null": "a\x00b",
    }
    alert = whole.alert(service, **nasty)
    alert["annotations"] = {"summary": "[red]not red[/red] {{ secrets }}"}
    assert whole.send(alert).status_code == 202
    big = whole.send(whole.alert(service, big="x" * 17_000_000))
    assert big.status_code == 413
    incident = whole.ended(service)
    assert (incident.ending, service.starts) == (Ending.REMEDIATED, 2)
    assert not trap.exists()
    mail = whole.mailbox.about(incident.id)[0]
    assert mail["Bcc"] is None
    assert "\x1b" not in text_of(mail)
    run = whole.flow_runs(incident)[0]
    assert run["parameters"] == {"run": {"incident": incident.ref, "attempt": 1}}


@together
def test_a_planted_secret_appears_nowhere(whole: Ward) -> None:
    service = whole.service("planted")
    whole.break_it(service)
    httpx.get(f"{service.url}/track/{TOKEN}", timeout=5, trust_env=False)  # now it stands in the service's own log
    alert = whole.alert(service, note=f"the token is {TOKEN}")
    alert["annotations"] = {"link": f"https://x.example.org/?t={TOKEN}"}
    whole.send(alert)
    incident = whole.ended(service)
    assert incident.ending is Ending.REMEDIATED
    assert TOKEN in (service.folder / f"{service.name}.log").read_text(), "it was not planted"
    for folder, _, files in os.walk(whole.folder / "data"):
        for path in (Path(folder) / name for name in files):
            with contextlib.suppress(FileNotFoundError):  # the stories beside have files that pass
                assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path
    for mail in whole.mailbox.messages:
        assert TOKEN not in mail.as_string()


@together
def test_a_handed_over_incident_is_acted_on_no_more_however_long_its_alert_goes_on(whole: Ward) -> None:
    service = whole.service("beyond-help")
    alert = whole.alert(service)
    whole.send(alert)
    incident = whole.ended(service)
    assert (incident.ending, service.starts) == (Ending.HANDED_OVER, 2)
    for _ in range(5):
        whole.send(alert)
    wait_for("its decisions", lambda: _undecided(whole) == 0, whole.tick)
    assert len(whole.incidents_on(service)) == 1
    assert service.starts == 2
    assert len(whole.flow_runs(incident)) == 1
    page = text_of(whole.mailbox.about(incident.id)[0])
    assert "log-tail" in page
    assert "/ack/" in page


@together
def test_an_alert_that_goes_on_for_its_window_after_the_cure_starts_nothing(whole: Ward) -> None:
    service = whole.service("window")
    whole.break_it(service)
    alert = whole.alert(service)
    whole.send(alert)
    incident = whole.ended(service)
    assert incident.ending is Ending.REMEDIATED
    whole.send(alert)
    wait_for("its decision", lambda: _undecided(whole) == 0, whole.tick)
    assert len(whole.incidents_on(service)) == 1
    whole.send(alert | {"status": "resolved", "endsAt": iso(utc_now())})
    wait_for("the hold's end", lambda: _held(whole, service.name) == 0, whole.tick, seconds=60)
    assert len(whole.incidents_on(service)) == 1
    assert service.starts == 2


@together
def test_the_third_cure_of_a_day_goes_to_a_person_although_it_helped(whole: Ward) -> None:
    service = whole.service("third-cure")
    for cure in (1, 2, 3):
        whole.break_it(service)
        whole.send(whole.alert(service))  # it begins after the cure before: a new one
        wait_for(
            f"cure {cure}",
            lambda cure=cure: (
                [one.state for one in whole.incidents_on(service)].count(State.OPEN) == 0
                and len(whole.incidents_on(service)) == cure
                and whole.incidents_on(service)[0].state in (State.RESOLVED, State.HANDED_OVER)
            ),
            whole.tick,
            seconds=60,
        )
        time.sleep(1.1)  # the runbook's cooldown
    endings = [one.ending for one in whole.incidents_on(service)]
    assert endings == [Ending.HANDED_OVER, Ending.REMEDIATED, Ending.REMEDIATED]
    assert "cure number 3" in (whole.incidents_on(service)[0].because or "")
    assert service.starts == 4


def test_while_acting_is_paused_nothing_acts_and_a_person_is_told(whole: Ward) -> None:
    service = whole.service("paused")
    whole.break_it(service)
    with whole.store.record() as tx:
        kill_switch.pause(tx, by="ada", reason="a test")
    try:
        whole.send(whole.alert(service))
        incident = whole.ended(service)
    finally:
        with whole.store.record() as tx:
            kill_switch.resume(tx, by="ada", reason="the test is over")
    assert (incident.ending, service.starts) == (Ending.REFUSED, 1)
    assert "ada" in (incident.because or "")


def test_a_limit_of_zero_on_the_tag_is_understood_as_an_operators_stop(whole: Ward) -> None:
    service = whole.service("tag-limit")
    whole.break_it(service)
    whole.ask_prefect("POST", "/concurrency_limits/", json={"tag": "changes", "concurrency_limit": 0})
    try:
        whole.send(whole.alert(service))
        incident = whole.ended(service)
    finally:
        whole.ask_prefect("DELETE", "/concurrency_limits/tag/changes")
    assert (incident.ending, service.starts) == (Ending.REFUSED, 1)
    assert "limit on the tag" in (incident.because or "")


def test_where_the_intent_cannot_be_written_nothing_is_done(whole: Ward) -> None:
    service = whole.service("no-trail")
    whole.break_it(service)
    database = sqlite3.connect(whole.folder / "data" / "paramedic.db", timeout=10)
    database.execute(
        "CREATE TRIGGER no_intent BEFORE INSERT ON trail WHEN NEW.phase = 'intent' "
        "BEGIN SELECT RAISE(ABORT, 'the test forbids it'); END"
    )
    try:
        whole.send(whole.alert(service))
        incident = whole.ended(service)
    finally:
        database.execute("DROP TRIGGER no_intent")
        database.close()
    assert (incident.ending, service.starts) == (Ending.HANDED_OVER, 1)
    assert whole.acts_of(incident) == []


def test_a_key_that_meets_a_dead_run_is_no_dispatch(whole: Ward) -> None:
    service = whole.service("dead-key")
    whole.break_it(service)
    with whole.store.read() as tx:
        number = incidents.listed(tx, limit=1)[0].number + 1
    deployment = whole.ask_prefect("GET", "/deployments/name/restart-service/restart-service")["id"]
    for store in (whole.store.uuid, "0" * 8 + whole.store.uuid[8:]):  # ours, and an old store with the same numbers
        run = whole.ask_prefect(
            "POST",
            f"/deployments/{deployment}/create_flow_run",
            json={
                "idempotency_key": f"paramedic:{store}:1:{number}:1",
                "parameters": {"run": {"incident": f"{store}/INC-{number}", "attempt": 1}},
                "state": {"type": "SCHEDULED", "state_details": {"scheduled_time": "2099-01-01T00:00:00Z"}},
            },
        )["id"]
        _set_state(whole, run, type="COMPLETED")
    whole.send(whole.alert(service))
    incident = whole.ended(service)
    assert incident.number == number
    assert (incident.ending, incident.attempt, service.starts) == (Ending.REMEDIATED, 2, 2)


def test_a_store_that_is_locked_for_a_while_stops_nothing_for_good(whole: Ward) -> None:
    service = whole.service("locked")
    _stands(whole, service.name, "evidence_taken")
    database = sqlite3.connect(whole.folder / "data" / "paramedic.db", timeout=10, isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    whole.release("evidence_taken", service)
    until = time.monotonic() + 12
    while time.monotonic() < until:
        whole.tick()
        assert service.starts == 1, "it acted, and the intent cannot have been written"
        time.sleep(0.2)
    database.execute("ROLLBACK")
    database.close()
    incident = whole.ended(service)
    assert (incident.ending, service.starts) == (Ending.REMEDIATED, 2)


@together
def test_an_acknowledgement_stops_the_next_change(whole: Ward) -> None:
    service = whole.service("acknowledged")
    _stands(whole, service.name, "evidence_taken")
    number = whole.incidents_on(service)[0].number
    with whole.store.record() as tx:
        lifecycle.acknowledge(tx, number, by="ada", reason="she was faster")
    whole.release("evidence_taken", service)
    wait_for(
        "the run's end",
        lambda: whole.flow_runs(whole.incidents_on(service)[0])[0]["state_type"] in ("FAILED", "COMPLETED"),
        whole.tick,
    )
    assert whole.incidents_on(service)[0].state is State.ACKNOWLEDGED
    assert service.starts == 1
    assert "restart" not in _whats(whole, number)


def test_a_prefect_that_is_gone_in_mid_run_gives_no_permission_and_stops_no_page(whole: Ward) -> None:
    service = whole.service("frozen-prefect")
    _stands(whole, service.name, "evidence_taken")
    with _gone_for_a_while(whole):
        whole.release("evidence_taken", service)
        incident = whole.ended(service, seconds=60)
    assert (incident.ending, service.starts) == (Ending.REFUSED, 1)
    assert "Prefect does not say" in (incident.because or "")
    whole.prefect_is_well()


def test_a_prefect_that_is_gone_after_the_act_stops_neither_proof_nor_news(whole: Ward) -> None:
    service = whole.service("frozen-after-act")
    _stands(whole, service.name, "outcome_written")
    with _gone_for_a_while(whole):
        whole.release("outcome_written", service)
        incident = whole.ended(service, seconds=60)
    assert (incident.ending, incident.attempt, service.starts) == (Ending.REMEDIATED, 1, 2)
    whole.prefect_is_well()


@contextlib.contextmanager
def _gone_for_a_while(whole: Ward) -> Iterator[None]:
    """Prefect's server stands still inside the block; with LONG_TESTS=1 for two minutes at least."""
    server = psutil.Process(whole.stack.pids()["prefect"])
    server.suspend()
    back_at = time.monotonic() + (120 if os.environ.get("LONG_TESTS") == "1" else 0)
    try:
        yield
        while time.monotonic() < back_at:
            time.sleep(1)
    finally:
        server.resume()


@together
def test_a_runbook_that_observes_says_what_it_would_do_and_does_nothing(whole: Ward) -> None:
    service = whole.service("observed")
    whole.break_it(service)
    whole.send(whole.alert(service, env="observe"))
    incident = whole.ended(service)
    assert (incident.ending, service.starts) == (Ending.REFUSED, 1)
    assert "restart of web-2/observed" in (incident.because or "")
    assert "mode is observe" in text_of(whole.mailbox.about(incident.id)[0])


@together
def test_a_runbook_that_is_written_while_we_run_is_in_force_and_one_that_is_lowered_before_its_act_does_nothing(
    whole: Ward,
) -> None:
    service = whole.service("lowered")
    books = whole.folder / "runbooks"
    text = (books / "observed-service.md").read_text().replace("observed-service", "lowered-service")
    book = books / "lowered-service.md"
    book.write_text(text.replace('env="observe"', 'env="lowered"').replace("mode: observe", "mode: act"))
    whole.break_it(service)
    whole.arm("evidence_taken", service)
    whole.send(whole.alert(service, env="lowered"))
    pid = whole.stands_at("evidence_taken", service)
    book.write_text(book.read_text().replace("mode: act", "mode: observe"))
    _wakes_and_ends(whole, service, pid, "evidence_taken")
    incident = whole.ended(service)
    assert (incident.runbook, incident.ending, service.starts) == ("lowered-service", Ending.REFUSED, 1)
    assert "by the runbook as it is now, not as it was: the runbook's mode is observe" in (incident.because or "")
    assert whole.acts_of(incident) == []


def _has_a_bad_release(whole: Ward, name: str, *, reversible: bool | None = True) -> Service:
    """v2 answers nothing but errors, and runs. Its starts are two: the first, and that into v2."""
    service = whole.service(name)
    service.deploy("v2", reversible=reversible, errors=1.0)
    whole.world.restart(service)
    return service


@together
def test_where_a_restart_does_not_help_the_next_rung_goes_back_to_the_last_healthy_release(whole: Ward) -> None:
    service = _has_a_bad_release(whole, "bad-release")
    whole.send(whole.alert(service, env="ladder"))
    incident = whole.ended(service)
    assert incident.ending is Ending.REMEDIATED, incident.because
    assert (service.release, service.starts) == ("v1", 4)
    assert [(act.remedy, act.rung, act.result) for act in whole.acts_of(incident)] == [
        ("restart", 1, "done"),
        ("roll_back", 2, "cured"),
    ]


def _has_a_crashing_release(whole: Ward, name: str) -> Service:
    """v2 ends as soon as it has started; supervisord starts it again and again, or has given it up."""
    service = whole.service(name)
    service.deploy("v2", crashes=True)
    whole.world.restart(service)
    return service


#: What becomes of a restart in a crash loop: it fails, or finds another process than it had judged.
_VAIN = ("failed", "not_sent")


@together
def test_where_the_release_crashes_the_restart_is_in_vain_and_the_next_rung_goes_back(whole: Ward) -> None:
    service = _has_a_crashing_release(whole, "crashing-release")
    whole.send(whole.alert(service, env="ladder"))
    incident = whole.ended(service)
    assert incident.ending is Ending.REMEDIATED, incident.because
    assert service.release == "v1"
    first, second = whole.acts_of(incident)
    assert (first.remedy, second.remedy, second.result) == ("restart", "roll_back", "cured")
    assert first.result in _VAIN


@together
def test_where_the_only_remedy_fails_its_person_hears_why_in_words(whole: Ward) -> None:
    service = _has_a_crashing_release(whole, "crashing")
    whole.send(whole.alert(service))
    incident = whole.ended(service)
    why = {
        "failed": (Ending.HANDED_OVER, "the playbook cannot go on: supervisord"),
        "not_sent": (Ending.REFUSED, "web-2/crashing is no longer the one that was judged"),
    }
    (act,) = whole.acts_of(incident)
    ending, words = why[act.result or ""]
    assert incident.ending is ending
    assert (incident.because or "").startswith(words), incident.because


@together
def test_where_every_rung_fails_a_person_hears_of_it(whole: Ward) -> None:
    service = _has_a_crashing_release(whole, "crashing-for-good")
    (service.folder / "releases" / "v1" / "release.json").write_text('{"crashes": true}')
    whole.send(whole.alert(service, env="ladder"))
    incident = whole.ended(service)
    assert (incident.ending, service.release) == (Ending.HANDED_OVER, "v1"), incident.because
    assert (incident.because or "").startswith("no remedy of the ladder is left, still failing")
    assert {act.result for act in whole.acts_of(incident)} <= set(_VAIN)


@together
def test_where_a_crash_loop_overtakes_the_restart_the_next_rung_goes_back(whole: Ward) -> None:
    service = _has_a_bad_release(whole, "overtaken")
    whole.arm("intent_written", service)
    whole.send(whole.alert(service, env="ladder"))
    whole.stands_at("intent_written", service)
    _is_overtaken(whole, service)
    whole.release("intent_written", service)
    incident = whole.ended(service)
    assert incident.ending is Ending.REMEDIATED, incident.because
    assert service.release == "v1"
    assert [(act.remedy, act.result) for act in whole.acts_of(incident)] == [
        ("restart", "not_sent"),
        ("roll_back", "cured"),
    ]


def _is_overtaken(whole: Ward, service: Service) -> None:
    """supervisord starts another process than the last act is about, which waits for its first byte."""
    act = whole.acts_of(whole.incidents_on(service)[0])[-1]
    before = service.starts
    if act.identity.instance["pid"] is None:  # it was judged between two processes: whatever runs next is another
        return
    os.kill(act.identity.instance["pid"], signal.SIGKILL)
    wait_for("supervisord's own restart", lambda: service.starts == before + 1, whole.tick, seconds=60)


@together
def test_what_comes_back_by_itself_before_its_restart_has_recovered(whole: Ward) -> None:
    service = whole.service("faster")
    whole.break_it(service)
    whole.arm("intent_written", service)
    whole.send(whole.alert(service, env="ladder"))
    whole.stands_at("intent_written", service)
    _is_overtaken(whole, service)
    whole.release("intent_written", service)
    wait_for("its end", lambda: whole.incidents_on(service)[0].ended_at is not None, whole.tick, seconds=90)
    incident = whole.incidents_on(service)[0]
    assert (incident.ending, service.starts) == (Ending.RECOVERED, 2), incident.because
    assert [act.result for act in whole.acts_of(incident)] == ["not_sent"]


@together
def test_what_was_changed_before_it_came_back_by_itself_is_told_to_a_person(whole: Ward) -> None:
    service = _has_a_bad_release(whole, "faster-than-second")
    before = service.folder / "releases" / "v1" / "release.json"
    before.write_text('{"errors": 1.0}')
    whole.arm("verified", service)
    whole.send(whole.alert(service, env="back-first"))
    whole.stands_at("verified", service)
    whole.arm("intent_written", service)
    whole.release("verified", service)
    whole.stands_at("intent_written", service)
    before.write_text("{}")  # somebody mends it by hand
    _is_overtaken(whole, service)
    whole.release("intent_written", service)
    incident = whole.ended(service)
    assert incident.ending is Ending.REMEDIATED, incident.because
    assert [(act.remedy, act.result) for act in whole.acts_of(incident)] == [
        ("roll_back", "cured"),
        ("restart", "not_sent"),
    ]


@together
def test_a_run_that_dies_between_two_rungs_is_followed_by_one_that_takes_the_second(whole: Ward) -> None:
    service = _has_a_bad_release(whole, "bad-release-dies")
    whole.arm("verified", service)
    whole.send(whole.alert(service, env="ladder"))
    os.kill(whole.stands_at("verified", service), signal.SIGKILL)
    whole.release("verified", service)
    incident = whole.ended(service)
    assert (incident.ending, incident.attempt) == (Ending.REMEDIATED, 2), incident.because
    assert (service.release, service.starts) == ("v1", 4), "the first rung was tried once, and so was the second"


@together
def test_a_roll_back_that_died_half_done_is_not_repeated_and_a_person_hears_what_is_open(whole: Ward) -> None:
    service = _has_a_bad_release(whole, "bad-release-half")
    whole.arm("act_sent", service)
    whole.send(whole.alert(service, env="rollback"))
    os.kill(whole.stands_at("act_sent", service), signal.SIGKILL)
    whole.release("act_sent", service)
    incident = whole.ended(service)
    assert (incident.ending, service.release, service.starts) == (Ending.HANDED_OVER, "v1", 2), incident.because
    assert "roll_back" in (incident.because or "")
    assert "Nobody knows whether it happened" in text_of(whole.mailbox.about(incident.id)[0])


@together
def test_a_release_that_nobody_marked_as_reversible_is_crossed_only_with_a_persons_word(whole: Ward) -> None:
    service = _has_a_bad_release(whole, "unmarked-release", reversible=None)
    whole.send(whole.alert(service, env="rollback"))
    waiting: list[Approval] = []

    def asked() -> bool:
        with whole.store.read() as tx:
            waiting[:] = [known for one in whole.incidents_on(service) if (known := approvals.asked(tx, one.number))]
        return bool(waiting)

    wait_for("the question", asked, whole.tick, seconds=60)
    assert service.release == "v2", "it asked, and did not wait for the answer"
    with whole.store.record() as tx:
        approvals.decide(tx, waiting[0].id, granted=True, by="ada", how="command line")
    incident = whole.ended(service)
    assert (incident.ending, service.release, service.starts) == (Ending.REMEDIATED, "v1", 3), incident.because


@together
def test_nothing_is_rolled_back_without_a_deployment_to_blame(whole: Ward) -> None:
    service = whole.service("old-release")
    service.deploy("v2")
    whole.break_it(service)
    whole.send(whole.alert(service, env="on-cause"))
    incident = whole.ended(service)
    assert (incident.ending, service.release, service.starts) == (Ending.REMEDIATED, "v2", 2), incident.because
    assert "rung.skipped" in _whats(whole, incident.number)


@together
def test_a_playbook_and_its_runbook_come_from_a_folder_outside_the_tree(whole: Ward) -> None:
    service = whole.service("ours")
    whole.break_it(service)
    whole.send(whole.alert(service, env="ours"))
    incident = whole.ended(service)
    assert (incident.ending, service.starts) == (Ending.HANDED_OVER, 2)
    assert "restarted by our own playbook" in (incident.because or "")
    assert whole.flow_runs(incident)[0]["name"].startswith("our-restart · ")


@together
def test_an_alert_that_no_runbook_wants_finds_its_person_by_the_default_policy(whole: Ward) -> None:
    service = whole.service("unwanted")
    whole.send(whole.alert(service, env="nobody", service="payments", instance="db-7"))
    found: list[Incident] = []

    def told() -> bool:
        with whole.store.read() as tx:
            place = 'unlisted:db-7{program="unwanted"}'
            found[:] = [one for one in incidents.listed(tx, limit=500) if one.target == place]
        return bool(found) and bool(whole.mailbox.about(found[0].id))

    wait_for("the page", told, whole.tick)
    assert (found[0].service, found[0].ending, found[0].state) == ("payments", Ending.HANDED_OVER, State.HANDED_OVER)
    assert "no runbook wants it" in (found[0].because or "")
    assert service.starts == 1


def test_a_prefect_that_no_longer_knows_the_deployments_is_told_of_them_again(whole: Ward) -> None:
    service = whole.service("undeployed")
    whole.break_it(service)
    path = "/deployments/name/restart-service/restart-service"
    whole.ask_prefect("DELETE", f"/deployments/{whole.ask_prefect('GET', path)['id']}")
    whole.send(whole.alert(service))
    incident = whole.ended(service)
    assert (incident.ending, incident.attempt, service.starts) == (Ending.REMEDIATED, 1, 2)


@together
def test_a_typo_in_a_runs_parameters_is_refused_when_it_is_created(whole: Ward) -> None:
    deployment = whole.ask_prefect("GET", "/deployments/name/restart-service/restart-service")["id"]
    run = {"incident": f"{whole.store.uuid}/INC-1", "attempt": 1, "atempt": 2}
    answer = whole.call_prefect("POST", f"/deployments/{deployment}/create_flow_run", json={"parameters": {"run": run}})
    assert answer.status_code in (409, 422), answer.text


@together
def test_prefect_deploy_makes_the_same_of_prefect_yaml(whole: Ward) -> None:
    path = "/deployments/name/restart-service/restart-service"
    before = whole.ask_prefect("GET", path)
    root = Path(__file__).parents[2]
    env = dict(os.environ) | whole.prefect_env | {"PREFECT_HOME": str(whole.folder / "home")}
    for _ in range(2):
        subprocess.run(
            [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
            cwd=root,
            env=env,
            check=True,
            capture_output=True,
            timeout=120,
        )
    after = whole.ask_prefect("GET", path)
    for key in ("id", "entrypoint", "path", "work_pool_name", "description", "tags", "parameter_openapi_schema"):
        assert after[key] == before[key], key
    assert not after["pull_steps"]


@together
def test_an_act_without_an_answer_is_not_repeated(whole: Ward) -> None:
    """supervisord stands still after it was sent the restart; it is carried out late, once."""
    service = whole.service("frozen-supervisord")
    _stands(whole, service.name, "intent_written")
    number = whole.incidents_on(service)[0].number
    supervisord = psutil.Process(whole.world.pid(service.host))
    whole.arm("act_sent", service)
    whole.release("intent_written", service)
    whole.stands_at("act_sent", service)
    supervisord.suspend()
    try:
        whole.release("act_sent", service)
        incident = whole.ended(service, seconds=120)
    finally:
        supervisord.resume()
    assert incident.ending in (Ending.HANDED_OVER, Ending.REMEDIATED), incident.because
    wait_for("the late restart", lambda: service.starts == 2, whole.tick)
    assert len(whole.acts_of(incident)) == 1
    assert _whats(whole, number).count("restart") == 1


def _undecided(whole: Ward) -> int:
    with whole.store.read() as tx:
        return len(tx.conn.execute(inbox.select().where(inbox.c.state == "new")).all())


def _held(whole: Ward, name: str) -> int:
    with whole.store.read() as tx:
        rows = tx.conn.execute(inbox.select().where(inbox.c.state == "held")).all()
    return sum(row.alert["labels"].get("program") == name for row in rows)
