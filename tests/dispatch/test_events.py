"""The trail as events of a real Prefect server: each entry once, whoever dies or is away, and never an outside word."""

import threading
from datetime import timedelta

import pytest
from events_api import EventsApi
from prefect_server import Prefect
from store_states import ALIVE, DEADLINE, FREE, alert, claimed, intended, opened

from paramedic.dispatch import events as loop
from paramedic.dispatch.events import BATCH, Events
from paramedic.errors import PermanentError, TemporaryError
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.machine.backoff import Backoff
from paramedic.store import (
    Store,
    StoreUnavailable,
    acts,
    attempts,
    event_cursor,
    incidents,
    intents,
    kill_switch,
    lifecycle,
    trail,
)
from paramedic.transports.prefect_http import PrefectApi

pytestmark = [pytest.mark.real]

RUN = "0f3f1c52-9a3e-4f43-8f0c-0d9f6f6f4b11"


def _all_of(events: Events) -> None:
    while events.work():
        pass


def _story(store: Store) -> None:
    with store.record() as tx:
        number = opened(tx)
        attempts.begin_attempt(tx, number, 1, flow_run=RUN)
        claim = claimed(tx, number, run=RUN)
        acts.close(tx, intended(tx, claim), result="done", why="it answered", actor=f"run:{RUN}")
        intents.intend(
            tx, claim, rung=1, remedy="restart", identity=ALIVE, deadline=DEADLINE, limits=FREE
        )  # refused: its grant is spent
        lifecycle.hand_over(tx, number, Outcome(Ending.HANDED_OVER, "still failing"), actor=f"run:{RUN}")
        lifecycle.acknowledge(tx, number, by="ada", reason="by the link in a message")
        kill_switch.pause(tx, by="ada", reason="enough for tonight")


NAMES = [
    "paramedic.incident.opened",
    "paramedic.attempt.raised",
    "paramedic.attempt.began",
    "paramedic.claim.taken",
    "paramedic.act.intended",
    "paramedic.act.done",
    "paramedic.act.refused",
    "paramedic.incident.handed_over",
    "paramedic.incident.acknowledged",
    "paramedic.acts.paused",
]


def test_an_incident_is_told_from_its_opening_to_its_person(prefect: Prefect, store: Store) -> None:
    _story(store)
    _all_of(Events(store, PrefectApi(prefect.api)))
    kept = prefect.events(store.uuid, at_least=len(NAMES))
    with store.read() as tx:
        entries = list(trail.entries(tx))
    assert [event["event"] for event in kept] == NAMES
    assert [event["payload"]["seq"] for event in kept] == [entry.seq for entry in entries]
    over = kept[NAMES.index("paramedic.incident.handed_over")]
    assert over["resource"] == {
        "prefect.resource.id": f"paramedic.incident.{store.uuid}.INC-1",
        "prefect.resource.name": "INC-1",
        "paramedic.severity": "critical",
        "paramedic.service": "tracking",
        "paramedic.runbook": "tracking-api-memory",
    }
    assert over["related"] == [{"prefect.resource.id": f"prefect.flow-run.{RUN}", "prefect.resource.role": "flow-run"}]
    assert over["payload"] == {
        "store": store.uuid,
        "seq": 8,
        "incident": "INC-1",
        "attempt": None,
        "target": "web-1/tracking-api",
        "actor": f"run:{RUN}",
        "phase": "outcome",
        "what": "incident.handed_over",
        "reason": "still failing",
    }
    assert kept[-1]["resource"]["prefect.resource.id"] == f"paramedic.store.{store.uuid}"


@pytest.mark.parametrize("backend", ["sqlite"])
def test_a_crash_between_telling_and_noting_it_doubles_no_event(
    prefect: Prefect, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    _story(store)

    def dies(*_: object) -> None:
        raise StoreUnavailable("killed here")

    with monkeypatch.context() as patch:
        patch.setattr(event_cursor, "advance", dies)
        with pytest.raises(StoreUnavailable):
            Events(store, PrefectApi(prefect.api)).work()
    prefect.events(store.uuid, at_least=len(NAMES))
    with store.read() as tx:
        assert event_cursor.position(tx) == 0
    with store.record() as tx:
        kill_switch.resume(tx, by="ada", reason="go on")
    _all_of(Events(store, PrefectApi(prefect.api)))
    assert [event["event"] for event in prefect.events(store.uuid, at_least=len(NAMES) + 1)] == [
        *NAMES,
        "paramedic.acts.resumed",
    ]


def test_two_that_tell_one_trail_tell_it_once(events_api: EventsApi, store: Store, store_url: str) -> None:
    _story(store)
    both = Store(store_url), Store(store_url)
    threads = [threading.Thread(target=_all_of, args=(Events(each, PrefectApi(events_api.url)),)) for each in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for each in both:
        each.close()
    with store.record() as tx:
        kill_switch.resume(tx, by="ada", reason="go on")
    _all_of(Events(store, PrefectApi(events_api.url)))
    assert events_api.names == [*NAMES, "paramedic.acts.resumed"]


def test_a_prefect_that_is_away_gets_all_of_it_later(events_api: EventsApi, store: Store) -> None:
    _story(store)
    with pytest.raises(TemporaryError, match="does not answer"):
        Events(store, PrefectApi("http://127.0.0.1:9/api")).work()
    with store.read() as tx:
        assert event_cursor.position(tx) == 0
    _all_of(Events(store, PrefectApi(events_api.url)))
    assert events_api.names == NAMES


def test_a_fresh_entry_rests_and_one_of_a_clock_that_ran_ahead_does_not(
    events_api: EventsApi, store: Store, store_url: str
) -> None:
    def sent_after(minutes: float) -> int:
        """How many entries are told so long after they were written."""
        with store.read() as tx:
            wrote_at = tx.now
        later = Store(store_url, now=lambda: wrote_at + timedelta(minutes=minutes))
        count = Events(later, PrefectApi(events_api.url), rest=timedelta(minutes=10)).work()
        later.close()
        return count

    _story(store)
    assert [sent_after(0), sent_after(5), sent_after(10)] == [0, 0, len(NAMES)]
    with store.record() as tx:
        kill_switch.resume(tx, by="ada", reason="go on")
    assert [sent_after(0), sent_after(-5)] == [0, 1]


class _Troubled(Events):
    """Its looks at the trail come out as listed; after the last it is told to stop."""

    def __init__(self, store: Store, looks: list[Exception | int], stop: threading.Event) -> None:
        super().__init__(store, PrefectApi("http://127.0.0.1:9/api"))
        self.looks, self.stop = looks, stop

    def work(self) -> int:
        look = self.looks.pop(0)
        if not self.looks:
            self.stop.set()
        if isinstance(look, Exception):
            raise look
        return look


def test_no_fault_ends_the_telling(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loop, "_BACKOFF", Backoff((0,)))
    stop = threading.Event()
    faults = [TemporaryError("away"), PermanentError("no login"), StoreUnavailable("locked"), ValueError("a bug")]
    troubled = _Troubled(store, [*faults, BATCH, 0], stop)
    troubled.run(stop, poll_seconds=0)
    assert troubled.looks == []
    assert [str(fault) in caplog.text for fault in faults] == [True] * 4


def test_a_prefect_that_wants_a_login_is_told_nothing_and_loses_nothing(store: Store, closed_door: str) -> None:
    _story(store)
    with pytest.raises(PermanentError, match="prefect_api_auth"):
        Events(store, PrefectApi(closed_door)).work()
    with store.read() as tx:
        assert event_cursor.position(tx) == 0


def test_a_long_trail_goes_in_bounded_batches(events_api: EventsApi, store: Store) -> None:
    with store.record() as tx:
        number = opened(tx)
        for count in range(BATCH):
            incidents.note(tx, number, by="ada", text=f"note {count}")
    events = Events(store, PrefectApi(events_api.url))
    assert events.work() == BATCH
    assert events.work() == 2
    assert events.work() == 0


def test_no_word_of_an_alert_is_in_an_event(events_api: EventsApi, store: Store) -> None:
    with store.record() as tx:
        number = opened(tx, target="unlisted:{{ 7*7 }}", plan=False, received=alert(summary="<b>psst</b>"))
        incidents.note(tx, number, by="ada", text="psst, a note")
        incidents.append_to_timeline(
            tx, number, actor="x", what="seen", reason="a\x1b[31m\nb password=hunter2hunter2 " + "z" * 9000
        )
    _all_of(Events(store, PrefectApi(events_api.url)))
    kept = list(events_api.kept.values())
    assert len(kept) >= 3
    for outside in ("psst", "7*7", "hunter2"):
        assert outside not in str(kept)
    reason = kept[-1]["payload"]["reason"]
    assert reason.startswith("a\\x1b[31m b password=[secret] zzz")
    assert len(reason) == 500
