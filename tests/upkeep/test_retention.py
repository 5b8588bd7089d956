"""What is old goes, in small bites; what is young, or an open incident needs, stays."""

import json
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from boundaries import Boundaries
from command_line import paramedic
from databases import Clock
from incident_states import alert, begun, handed_over, ordered
from rounds import begin
from sqlalchemy import func, select

from paramedic import keys
from paramedic.audit.verification import verify
from paramedic.incidents.incident import Incident
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.machine.clock import from_iso, iso
from paramedic.settings import ROOT, Settings
from paramedic.store import (
    Store,
    attempts,
    deliveries,
    evidence,
    fingerprints,
    inbox,
    incidents,
    joining,
    lifecycle,
    messages,
    trail,
)
from paramedic.store.quarantine import Unreadable
from paramedic.store.tables import metadata
from paramedic.upkeep import checkpoints, retention
from paramedic.upkeep.retention import BITE, prune

DAY = timedelta(days=1)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path, keep_inbox=10 * DAY, keep_evidence=20 * DAY, keep_trail=30 * DAY)


def counts(store: Store) -> dict[str, int]:
    names = ("inbox", "quarantine", "fingerprints", "evidence", "messages")
    with store.read() as tx:
        return {
            name: tx.conn.execute(select(func.count()).select_from(metadata.tables[name])).scalar_one()
            for name in names
        }


def took(store: Store, **labels: str) -> None:
    """One alert came, and joined an incident or none; one body could not be read."""
    labelled = alert(**labels)
    inbox.receive(store, [labelled], source="alertmanager", sender="x", bad=[Unreadable("??", "no JSON")])
    with store.record() as tx:
        for receipt in inbox.waiting(tx):
            inbox.decided(tx, receipt, verdict="drop", reason="r", incident=None, look_again_at=None)
        fingerprints.remember(tx, labelled)


def seen(store: Store, incident: Incident) -> None:
    with store.write() as tx:
        evidence.add(tx, incident.number, 1, kind="memory", taken_at=tx.now, body="much")


def over(store: Store, incident: Incident) -> None:
    with store.record() as tx:
        lifecycle.resolve(tx, incident.number, Outcome(Ending.HANDED_OVER, "over"), actor="person:ada")


def test_each_thing_goes_when_its_time_is_over_and_not_before(timed: Store, clock: Clock, settings: Settings) -> None:
    incident = handed_over(timed)
    seen(timed, incident)
    took(timed, env="prod")
    over(timed, incident)
    with timed.write() as tx:
        [trouble] = deliveries.due(tx)
        assert deliveries.sent(tx, trouble.id, person="ada")
    full = counts(timed)
    assert all(full.values())
    clock.advance(10 * DAY - timedelta(minutes=2))
    assert prune(timed, settings).removed == {}
    clock.advance(timedelta(minutes=3))
    assert prune(timed, settings).removed == {"inbox": 1, "quarantine": 1, "fingerprints": 1, "messages": 1}
    clock.advance(10 * DAY - timedelta(minutes=2))
    assert prune(timed, settings).removed == {}
    clock.advance(timedelta(minutes=3))
    assert prune(timed, settings).removed == {"evidence": 1, "messages": 1}
    assert set(counts(timed).values()) == {0}
    with timed.read() as tx:
        pruned = [entry for entry in trail.entries(tx) if entry.what == "store.pruned"]
        assert [dict(entry.data) for entry in pruned][1] == {"evidence": 1, "messages": 1}
        assert incidents.get(tx, incident.number).ending is Ending.HANDED_OVER, "the incident itself stays"
    assert prune(timed, settings).removed == {}
    clock.advance(10 * DAY)
    assert prune(timed, settings).sealable > 0


def test_entries_of_the_trail_wait_to_be_sealed_when_they_are_as_old_as_it_says_and_not_before(
    timed: Store, clock: Clock, settings: Settings
) -> None:
    over(timed, handed_over(timed))
    clock.advance(30 * DAY - timedelta(minutes=2))
    assert prune(timed, settings).sealable == 0
    clock.advance(timedelta(minutes=3))
    assert prune(timed, settings).sealable > 0


def test_what_an_open_incident_needs_stays_however_old(timed: Store, clock: Clock, settings: Settings) -> None:
    incident = handed_over(timed)
    seen(timed, incident)
    inbox.receive(timed, [alert()], source="alertmanager", sender="x")
    with timed.record() as tx:
        [receipt] = inbox.waiting(tx)
        inbox.decided(tx, receipt, verdict="join", reason="r", incident=incident.number, look_again_at=None)
        fingerprints.remember(tx, alert())
        deliveries.sent(tx, messages.of(tx, incident.number)[0].id, person="ada")
    before = counts(timed)
    clock.advance(999 * DAY)
    assert prune(timed, settings).removed == {}
    assert counts(timed) == before


def test_what_has_no_decision_or_was_not_told_stays_however_old(timed: Store, clock: Clock, settings: Settings) -> None:
    inbox.receive(timed, [alert(), alert("Held")], source="alertmanager", sender="x")
    with timed.record() as tx:
        held = inbox.waiting(tx)[1]
        inbox.decided(tx, held, verdict="hold", reason="r", incident=None, look_again_at=tx.now + 99 * DAY)
        messages.queue_internal_alert(tx, subject="unsent", body="b", same_within_minutes=1)
    clock.advance(99 * DAY)
    assert prune(timed, settings).removed == {}
    with timed.read() as tx:
        assert (len(inbox.waiting(tx)), len(deliveries.due(tx))) == (2, 1)


def test_an_alert_that_its_sender_still_repeats_is_known_however_long_ago_it_began(
    timed: Store, clock: Clock, settings: Settings
) -> None:
    incident = handed_over(timed)
    with timed.record() as tx:
        fingerprints.remember(tx, alert())
    clock.advance(15 * DAY)
    with timed.record() as tx:
        joining.join(tx, incident.number, alert(), reason="again")
    over(timed, incident)
    assert "fingerprints" not in prune(timed, settings).removed
    clock.advance(11 * DAY)
    assert prune(timed, settings).removed["fingerprints"] == 1


def test_much_goes_in_small_bites_each_told(
    timed: Store, clock: Clock, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BITE", 3)
    for number in range(8):
        took(timed, host=str(number))
    clock.advance(11 * DAY)
    assert prune(timed, settings).removed["inbox"] == 8
    with timed.read() as tx:
        pruned = [entry.data["inbox"] for entry in trail.entries(tx) if entry.what == "store.pruned"]
    assert pruned == [3, 3, 2]


class History:
    """Prefect's run history: filters and deletes as its API does."""

    def __init__(self) -> None:
        self.runs: list[dict[str, Any]] = []
        self.refuses = False
        self.pages = 0

    def add(
        self, run: str, ended: datetime, *, state: str = "COMPLETED", tags: tuple[str, ...] = ("paramedic",)
    ) -> None:
        self.runs.append({"id": run, "end_time": iso(ended), "state_type": state, "tags": list(tags)})

    def found(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        self.pages += 1
        wanted = asked["flow_runs"]
        matching = [
            run
            for run in self.runs
            if run["state_type"] in wanted["state"]["type"]["any_"]
            and from_iso(run["end_time"]) <= from_iso(wanted["end_time"]["before_"])
            and set(wanted["tags"]["all_"]) <= set(run["tags"])
        ]
        return matching[asked["offset"] :][: asked["limit"]]


@pytest.fixture
def history() -> Iterator[tuple[History, str]]:
    history = History()

    class Api(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            self._say(503 if history.refuses else 200, history.found(asked))

        def do_DELETE(self) -> None:
            run = self.path.rpartition("/")[2]
            known = [other for other in history.runs if other["id"] == run]
            history.runs = [other for other in history.runs if other["id"] != run]
            self._say(204 if known else 404, None)

        def _say(self, code: int, what: Any) -> None:
            body = b"" if what is None else json.dumps(what).encode()
            self.send_response(code)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield history, f"http://127.0.0.1:{server.server_port}/api"
    server.shutdown()
    thread.join()
    server.server_close()


def test_prefects_own_runs_go_when_they_are_ours_finished_old_and_not_needed(
    timed: Store, clock: Clock, settings: Settings, history: tuple[History, str]
) -> None:
    prefect, url = history
    settings = settings.model_copy(update={"prefect_api_url": url, "keep_prefect_runs": 5 * DAY})
    working = ordered(timed)
    with timed.record() as tx:
        assert attempts.begin_attempt(tx, working.number, 1, flow_run="needed") is None
    old = clock.now() - 6 * DAY
    prefect.add("needed", old)
    for number in range(300):
        prefect.add(f"old-{number}", old, state=("COMPLETED", "FAILED", "CRASHED", "CANCELLED")[number % 4])
    prefect.add("young", clock.now() - 4 * DAY)
    prefect.add("theirs", old, tags=("other",))
    prefect.add("runs", old, state="RUNNING")
    assert prune(timed, settings).removed == {"prefect_runs": 300}
    assert [run["id"] for run in prefect.runs] == ["needed", "young", "theirs", "runs"]
    assert prefect.pages <= 4
    with timed.read() as tx:
        assert [dict(e.data) for e in trail.entries(tx) if e.what == "store.pruned"] == [{"prefect_runs": 300}]


def test_prefects_runs_are_bounded_a_round_and_its_refusal_is_said(
    timed: Store, clock: Clock, settings: Settings, history: tuple[History, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prefect, url = history
    monkeypatch.setattr(retention, "BITE", 250)
    settings = settings.model_copy(update={"prefect_api_url": url})
    for number in range(700):
        prefect.add(f"old-{number}", clock.now() - 99 * DAY)
    prune(timed, settings)
    assert len(prefect.runs) == 300, "two pages"
    prefect.refuses = True
    took(timed)
    clock.advance(11 * DAY)
    pruned = prune(timed, settings)
    assert "503" in (pruned.complaint or "")
    assert pruned.removed["inbox"] == 1, "what is ours goes all the same"


@pytest.mark.real
@pytest.mark.timeout(240)
def test_killed_in_mid_removal_it_has_told_what_went_and_the_next_round_goes_on(
    store_url: str, tmp_path: Path, history: tuple[History, str]
) -> None:
    prefect, url = history
    clock = Clock()
    store = Store(store_url, now=clock.now)
    incident = begun(store)
    seen(store, incident)
    many = [alert(host=str(number)) for number in range(BITE + 100)]
    inbox.receive(store, [*many, alert()], source="alertmanager", sender="x", bad=[Unreadable("??", "no JSON")])
    with store.record() as tx:
        *dropped, joined = inbox.waiting(tx, limit=BITE + 200)
        for receipt in dropped:
            inbox.decided(tx, receipt, verdict="drop", reason="r", incident=None, look_again_at=None)
        inbox.decided(tx, joined, verdict="join", reason="r", incident=incident.number, look_again_at=None)
    store.close()
    for run in ("run-1", "old"):
        prefect.add(run, clock.now())
    (tmp_path / "boundaries").mkdir()
    boundaries = Boundaries(tmp_path / "boundaries")
    quick = {"lease": timedelta(seconds=2), "renew": timedelta(seconds=0.5)}
    settings = Settings(data=tmp_path, store_url=store_url, prefect_api_url=url, runbooks=ROOT / "runbooks", **quick)
    store = Store(store_url)
    checkpoints.write(store, keys.signing_key(settings), settings.checkpoints())

    boundaries.arm("rows_removed", "inbox")  # the second bite: in the first there is more
    first = begin("prune", settings, PARAMEDIC_KILL_POINTS=str(boundaries.folder))
    boundaries.wait("rows_removed", lambda: None, seconds=120)
    first.kill()
    first.wait()
    assert removed(store) == [BITE], "the bite that was not told is not gone"
    assert counts(store)["inbox"] == 101

    second = begin("prune", settings)
    assert second.communicate(timeout=120)[0] == "Done\n"
    assert removed(store) == [BITE, 100]
    assert counts(store) == {"inbox": 1, "quarantine": 0, "fingerprints": 0, "evidence": 1, "messages": 1}
    assert [run["id"] for run in prefect.runs] == ["run-1"], "what the open incident needs"
    with store.read() as tx:
        key, marks = keys.public_key(settings), checkpoints.read(settings.checkpoints())
        assert verify(trail.entries(tx), lambda seq: trail.content(tx, seq), marks, key, tx.store).verified
    store.close()


def removed(store: Store) -> list[int]:
    """What the trail says of each bite of the inbox."""
    with store.read() as tx:
        pruned = [entry.data for entry in trail.entries(tx) if entry.what == "store.pruned"]
    return [data["inbox"] for data in pruned if "inbox" in data]


def test_the_command_line_says_what_went(store_url: str, tmp_path: Path, history: tuple[History, str]) -> None:
    prefect, url = history
    clock = Clock()
    store = Store(store_url, now=clock.now)
    took(store)
    store.close()
    settings = Settings(data=tmp_path, store_url=store_url, prefect_api_url=url)
    assert "1 of inbox removed" in paramedic("prune", env=settings.as_env())
    prefect.refuses = True
    output = paramedic("prune", code=1, env=settings.as_env())
    assert ("nothing was old enough" in output, "503" in output) == (True, True)
