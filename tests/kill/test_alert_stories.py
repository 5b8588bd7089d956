"""Alerts that come in storms, lie, carry secrets, go on after the cure, or are nobody's."""

import concurrent.futures
import contextlib
import os
import time
from pathlib import Path

import httpx
import pytest
from kill.driver import TOKEN, Driver, wait_for
from kill.steps import on_web_2, undecided

from paramedic.demo.world import text_of
from paramedic.incidents.incident import Incident, State
from paramedic.incidents.outcome import Ending
from paramedic.machine.clock import iso, utc_now
from paramedic.store import incident_alerts, incidents
from paramedic.store.tables import inbox

pytestmark = [pytest.mark.real, pytest.mark.kill, pytest.mark.timeout(600)]
sentinel = pytest.mark.sentinel
together = pytest.mark.together

SERVICES = [
    *on_web_2("fifty", "two-names", "hostile", "planted", "window", "third-cure", "unwanted"),
    ("beyond-help", "web-2", "--starts-broken"),
]


@sentinel
@together
def test_fifty_repeats_over_four_connections_are_one_incident_and_one_act(whole: Driver) -> None:
    service = whole.service("fifty")
    whole.break_it(service)
    alert = whole.alert(service)
    with concurrent.futures.ThreadPoolExecutor(4) as senders:
        answers = list(senders.map(lambda _: whole.send(alert), range(50)))
    receipts = [receipt for answer in answers for receipt in answer.json()["receipts"]]
    assert [answer.status_code for answer in answers] == [202] * 50
    assert len(set(receipts)) == 50
    incident = whole.ended(service)
    assert (incident.ending, service.starts) == (Ending.REMEDIATED, 2), whole.told_of(service)
    with whole.store.read() as tx:
        rows = tx.conn.execute(inbox.select().where(inbox.c.receipt.in_(receipts))).all()
        counted = sum(row["count"] for row in incident_alerts.of(tx, incident.number))
    assert {row.state for row in rows} <= {"triaged", "held"}
    joined = [row for row in rows if row.incident == incident.number]
    assert counted == len(joined)
    assert len(whole.flow_runs(incident)) == 1


@together
def test_two_alerts_with_different_names_on_one_target_are_one_incident_and_one_act(whole: Driver) -> None:
    service = whole.service("two-names")
    whole.break_it(service)
    whole.send(whole.alert(service), whole.alert(service, alertname="AlsoSlow", severity="warning"))
    incident = whole.ended(service)
    assert (incident.ending, service.starts) == (Ending.REMEDIATED, 2), whole.told_of(service)
    with whole.store.read() as tx:
        assert len(incident_alerts.of(tx, incident.number)) == 2


@sentinel
@together
def test_what_comes_in_a_label_is_data_everywhere(whole: Driver) -> None:
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
    assert (incident.ending, service.starts) == (Ending.REMEDIATED, 2), whole.told_of(service)
    assert not trap.exists()
    mail = whole.mailbox.about(incident.id)[0]
    assert mail["Bcc"] is None
    assert "\x1b" not in text_of(mail)
    run = whole.flow_runs(incident)[0]
    assert run["parameters"] == {"run": {"incident": incident.ref, "attempt": 1}}


@together
def test_a_planted_secret_appears_nowhere(whole: Driver) -> None:
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


@sentinel
@together
def test_a_handed_over_incident_is_acted_on_no_more_however_long_its_alert_goes_on(whole: Driver) -> None:
    service = whole.service("beyond-help")
    alert = whole.alert(service)
    whole.send(alert)
    incident = whole.ended(service)
    assert (incident.ending, service.starts) == (Ending.HANDED_OVER, 2), whole.told_of(service)
    for _ in range(5):
        whole.send(alert)
    wait_for("its decisions", lambda: undecided(whole) == 0, whole.tick)
    assert len(whole.incidents_on(service)) == 1
    assert service.starts == 2
    assert len(whole.flow_runs(incident)) == 1
    page = text_of(whole.mailbox.about(incident.id)[0])
    assert "log-tail" in page
    assert "/ack/" in page


@together
def test_an_alert_that_goes_on_for_its_window_after_the_cure_starts_nothing(whole: Driver) -> None:
    service = whole.service("window")
    whole.break_it(service)
    alert = whole.alert(service)
    whole.send(alert)
    incident = whole.ended(service)
    assert incident.ending is Ending.REMEDIATED
    whole.send(alert)
    wait_for("its decision", lambda: undecided(whole) == 0, whole.tick)
    assert len(whole.incidents_on(service)) == 1
    whole.send(alert | {"status": "resolved", "endsAt": iso(utc_now())})
    wait_for("the hold's end", lambda: _held(whole, service.name) == 0, whole.tick, seconds=60)
    assert len(whole.incidents_on(service)) == 1
    assert service.starts == 2


@together
def test_the_third_cure_of_a_day_goes_to_a_person_although_it_helped(whole: Driver) -> None:
    service = whole.service("third-cure")
    for cure in (1, 2, 3):
        whole.break_it(service)
        whole.send(whole.alert(service))  # it begins after the cure before: a new one
        wait_for(
            f"cure {cure}",
            lambda cure=cure: (
                [incident.state for incident in whole.incidents_on(service)].count(State.OPEN) == 0
                and len(whole.incidents_on(service)) == cure
                and whole.incidents_on(service)[0].state in (State.RESOLVED, State.HANDED_OVER)
            ),
            whole.tick,
            seconds=60,
        )
        time.sleep(1.1)  # the runbook's cooldown
    endings = [incident.ending for incident in whole.incidents_on(service)]
    assert endings == [Ending.HANDED_OVER, Ending.REMEDIATED, Ending.REMEDIATED]
    assert "cure number 3" in (whole.incidents_on(service)[0].because or "")
    assert service.starts == 4


@together
def test_an_alert_that_no_runbook_wants_finds_its_person_by_the_default_policy(whole: Driver) -> None:
    service = whole.service("unwanted")
    whole.send(whole.alert(service, env="nobody", service="payments", instance="db-7"))
    found: list[Incident] = []

    def paged() -> bool:
        with whole.store.read() as tx:
            place = 'unlisted:db-7{program="unwanted"}'
            found[:] = [incident for incident in incidents.listed(tx, limit=500) if incident.target == place]
        return bool(found) and bool(whole.mailbox.about(found[0].id))

    wait_for("the page", paged, whole.tick)
    assert (found[0].service, found[0].ending, found[0].state) == ("payments", Ending.HANDED_OVER, State.HANDED_OVER)
    assert "no runbook wants it" in (found[0].because or "")
    assert service.starts == 1


def _held(whole: Driver, name: str) -> int:
    with whole.store.read() as tx:
        rows = tx.conn.execute(inbox.select().where(inbox.c.state == "held")).all()
    return sum(row.alert["labels"].get("program") == name for row in rows)
