"""What a remedy has cured is looked at again by a round, whatever ran meanwhile; what it finds is on the incident."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
from failing_shop import TARGET, Shop
from store_states import intended

from paramedic.catalog.library import open_library
from paramedic.change import cure, exclusive
from paramedic.change.run import PlaybookRun
from paramedic.dispatch.events import called
from paramedic.doors import reading
from paramedic.errors import TemporaryError
from paramedic.incidents.outcome import Ending
from paramedic.kinds.process_target import process_identity
from paramedic.machine.clock import boottime
from paramedic.remediation.health import Health, Sight
from paramedic.remediation.target import Identity
from paramedic.store import acts, incident_summary, incidents, leases, messages, trail
from paramedic.text.local_time import LocalTime
from tasks import look_again
from tasks.current_run import working_on
from tasks.notify import resolved
from tasks.scheduled import Round

V6 = replace(process_identity(4242, 1769850000.0, "RUNNING"), revision="v6")
WELL, FAILING = Health(Sight.WELL, "every condition holds"), Health(Sight.FAILING, "answered 503")
BLIND = Health(Sight.UNKNOWN, "its supervisord does not say how it is")
HOUR = timedelta(hours=1)


@dataclass
class Cured:
    """The shop after a roll-back from v7 to v6 that has ended its incident, as whoever looks finds it."""

    shop: Shop
    health: Health = WELL
    identity: Identity | Exception = V6
    looked: int = 0

    def look(self, _run: PlaybookRun) -> Health:
        self.looked += 1
        return self.health

    def tell(self, _target: object) -> Identity:
        if isinstance(self.identity, Exception):
            raise self.identity
        return self.identity

    def round(self) -> str:
        store, settings = self.shop.store, self.shop.run.settings
        lease = "look-again/default"
        with store.write() as tx:
            leases.take(tx, lease, holder="run:run-9", lease=timedelta(days=9))
        this = Round(settings, store, open_library(settings), "default", "run-9", lease, boottime() + 60)
        return look_again.look_at_what_was_cured(this)

    def said(self) -> list[tuple[str, str]]:
        with self.shop.store.read() as tx:
            return [(called(entry), entry.reason) for entry in trail.entries(tx) if entry.what.startswith("cure.")]

    def messages(self) -> list[messages.QueuedMessage]:
        with self.shop.store.read() as tx:
            return messages.of(tx, self.shop.run.incident.number)


@pytest.fixture
def cured(shop: Callable[..., Shop], monkeypatch: pytest.MonkeyPatch) -> Cured:
    one = Cured(shop(remedies="[restart]", notify=("webhook:ops",)))
    run, store = one.shop.run, one.shop.store
    monkeypatch.setattr(reading, "identity", one.tell)
    with exclusive.claimed(run, TARGET), store.record() as tx:
        assert run.keeper is not None
        act = intended(tx, run.keeper.claim)
        acts.close(tx, act, result="done", why="it answered", actor=run.holder)
    with working_on(run):
        assert resolved(run.incident, ()).ending is Ending.REMEDIATED
    monkeypatch.setattr(cure, "measure", one.look)
    monkeypatch.setattr(cure, "time", SimpleNamespace(sleep=lambda _: None))
    monkeypatch.setattr(Round, "go_on", lambda _: None)
    return one


def test_a_cure_that_holds_is_said_on_its_incident_and_nobody_is_told(cured: Cured) -> None:
    assert cured.round() == "no look is due"
    cured.shop.clock.advance(HOUR)
    assert cured.round() == "1 held"
    assert cured.round() == "no look is due"
    cured.shop.clock.advance(23 * HOUR)
    assert cured.round() == "1 held"
    assert cured.said() == [
        ("cure.held", "1h after the restart the cure holds: every condition holds"),
        ("cure.held", "24h after the restart the cure holds: every condition holds"),
    ]
    assert [message for message in cured.messages() if "hold" in message.subject] == []
    with cured.shop.store.read() as tx:
        seen = incident_summary.summary(tx, incidents.get(tx, cured.shop.run.incident.number))
    assert any("1h after the restart the cure holds" in line for line in seen.did(LocalTime("UTC")))


@pytest.mark.parametrize(
    ("identity", "health", "what", "words"),
    [
        (V6, FAILING, "cure.lost", "1h after the restart the cure did not hold: answered 503"),
        (
            replace(V6, revision="v9"),
            Health(Sight.WELL, "well"),
            "cure.replaced",
            "1h after the restart what was cured runs no more: release v9 is current, and v6 was after the restart; well",
        ),
        (TemporaryError("no answer"), WELL, "cure.held", "1h after the restart the cure holds: every condition holds"),
    ],
)
def test_what_became_of_it_is_said(
    cured: Cured, identity: Identity | Exception, health: Health, what: str, words: str
) -> None:
    cured.shop.clock.advance(HOUR)
    cured.identity, cured.health = identity, health
    cured.round()
    assert cured.said() == [(what, words)]


def test_the_channels_hear_of_a_cure_that_did_not_hold(cured: Cured) -> None:
    cured.shop.clock.advance(HOUR)
    cured.health = FAILING
    cured.round()
    told = [message for message in cured.messages() if message.kind == "notice"]
    assert "the cure did not hold" in f"{told[-1].subject} {told[-1].body}"


def test_what_cannot_be_seen_is_looked_at_again_by_the_next_rounds(cured: Cured) -> None:
    cured.shop.clock.advance(HOUR)
    cured.health, cured.identity = BLIND, TemporaryError("no answer")
    assert cured.round() == "1 to be looked at again"
    cured.shop.clock.advance(timedelta(minutes=5))
    assert cured.round() == "1 to be looked at again"
    cured.health, cured.identity = WELL, V6
    assert cured.round() == "1 held"
    cured.health = BLIND
    cured.shop.clock.advance(23 * HOUR)
    cured.round()
    cured.shop.clock.advance(timedelta(minutes=30))
    assert cured.round() == "1 unseen"


def test_after_days_without_paramedic_both_looks_are_taken_late_and_say_so(cured: Cured) -> None:
    cured.shop.clock.advance(timedelta(days=3))
    assert cured.round() == "2 held"
    assert [reason.partition(" after")[0] for _, reason in cured.said()] == ["72h", "72h"]


def test_one_look_at_a_target_that_is_listed_no_longer_stops_no_other(cured: Cured) -> None:
    cured.shop.clock.advance(HOUR)
    services = cured.shop.run.settings.runbooks / "services.yaml"
    services.write_text(services.read_text().replace("web-1", "web-2"))
    assert cured.round() == "1 unseen"
    assert "services.yaml no longer lists it" in cured.said()[0][1]
    assert cured.looked == 0
