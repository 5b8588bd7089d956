"""What a remedy has cured is looked at again by a round, whatever ran meanwhile; what it finds is on the incident."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from databases import Clock
from incident_states import PEOPLE
from playbook_runs import playbook_run
from store_states import alert, intended

from paramedic.catalog.library import Library, open_library
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
from paramedic.settings import Settings
from paramedic.store import (
    Store,
    acts,
    attempts,
    incident_summary,
    incidents,
    leases,
    lifecycle,
    messages,
    trail,
)
from paramedic.store.runbook_versions import Plan
from paramedic.text.local_time import LocalTime
from tasks import look_again
from tasks.current_run import working_on
from tasks.notify import resolved
from tasks.scheduled import Round

TARGET = "web-1/shop"
V6 = replace(process_identity(4242, 1769850000.0, "RUNNING"), revision="v6")
V7 = replace(process_identity(4141, 1769840000.0, "RUNNING"), revision="v7")
WELL, FAILING = Health(Sight.WELL, "every condition holds"), Health(Sight.FAILING, "answered 503")
BLIND = Health(Sight.UNKNOWN, "its supervisord does not say how it is")
HOUR = timedelta(hours=1)

SERVICES = """\
services:
  shop:
    owner: delivery
    targets: [{host: web-1, supervisord: {program: shop, address: "unix:///nowhere/at/all"}}]
"""
RUNBOOK = """\
---
runbook: shop-down
service: shop
when: [{alert: ShopDown}]
mode: act
playbook: restart-service
with:
  target: {supervisord: shop, host: "{instance}"}
  verify: {memory_below: 1GB, stable: 1m, within: 5m}
notify: ["webhook:ops"]
---
**Meaning.** It is down.
**Impact.** Nobody can buy.
## Diagnosis
Look.
## Mitigation
Restart it.
"""


@dataclass
class Shop:
    """The shop, as whoever looks finds it."""

    store: Store
    clock: Clock
    settings: Settings
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

    def round(self, *, library: Library | None = None) -> str:
        with self.store.write() as tx:
            leases.take(tx, "look-again/default", holder="run:run-9", lease=timedelta(days=9))
        this = Round(
            self.settings,
            self.store,
            library or open_library(self.settings),
            "default",
            "run-9",
            "look-again/default",
            boottime() + 60,
        )
        return look_again.look_at_what_was_cured(this)

    def said(self) -> list[tuple[str, str]]:
        with self.store.read() as tx:
            return [(called(entry), entry.reason) for entry in trail.entries(tx) if entry.what.startswith("cure.")]


@pytest.fixture
def shop(timed: Store, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    books = tmp_path / "runbooks"
    books.mkdir()
    for name, text in (("services.yaml", SERVICES), ("oncall.yaml", PEOPLE), ("shop-down.md", RUNBOOK)):
        (books / name).write_text(text)
    one = Shop(timed, clock, Settings(data=tmp_path, runbooks=books))
    monkeypatch.setattr(cure, "measure", one.look)
    monkeypatch.setattr(cure, "time", SimpleNamespace(sleep=lambda _: None))
    monkeypatch.setattr(reading, "identity", one.tell)
    monkeypatch.setattr(Round, "go_on", lambda _: None)
    return one


@pytest.fixture
def cured(shop: Shop) -> Callable[[], int]:
    """Makes an incident that a roll-back from v7 to v6 has ended; its number."""

    def made() -> int:
        library = open_library(shop.settings)
        runbook = library.runbooks["shop-down"]
        plan = Plan(runbook.name, runbook.version, runbook.text, rungs=1, notify=("webhook:ops",))
        with shop.store.record() as tx:
            number = lifecycle.open_incident(
                tx, alert("ShopDown"), service="shop", target=TARGET, policy="default", reason="it is new", plan=plan
            ).number
            assert attempts.begin_attempt(tx, number, 1, flow_run="run-1") is None
            incident = incidents.get(tx, number)
        run = playbook_run(shop.store, shop.settings, incident, runbook, library.services.targets[TARGET])
        with exclusive.claimed(run, TARGET), shop.store.record() as tx:
            assert run.keeper is not None
            act = intended(tx, run.keeper.claim)
            acts.close(tx, act, result="done", why="it answered", actor=run.holder)
        with working_on(run):
            assert resolved.fn(incident, ()).ending is Ending.REMEDIATED  # type: ignore[attr-defined]
        return number

    return made


def test_a_cure_that_holds_is_said_on_its_incident_and_nobody_is_told(shop: Shop, cured: Any) -> None:
    number = cured()
    assert shop.round() == "no look is due"
    shop.clock.advance(HOUR)
    assert shop.round() == "1 held"
    assert shop.round() == "no look is due"
    shop.clock.advance(23 * HOUR)
    assert shop.round() == "1 held"
    assert shop.said() == [
        ("cure.held", "1h after the restart the cure holds: every condition holds"),
        ("cure.held", "24h after the restart the cure holds: every condition holds"),
    ]
    with shop.store.read() as tx:
        seen = incident_summary.summary(tx, incidents.get(tx, number))
        notices = [message for message in messages.of(tx, number) if "hold" in message.subject]
    assert notices == []
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
    shop: Shop, cured: Any, identity: Identity | Exception, health: Health, what: str, words: str
) -> None:
    cured()
    shop.clock.advance(HOUR)
    shop.identity, shop.health = identity, health
    shop.round()
    assert shop.said() == [(what, words)]


def test_the_channels_hear_of_a_cure_that_did_not_hold(shop: Shop, cured: Any) -> None:
    number = cured()
    shop.clock.advance(HOUR)
    shop.health = FAILING
    shop.round()
    with shop.store.read() as tx:
        told = [message for message in messages.of(tx, number) if message.kind == "notice"]
    assert "the cure did not hold" in f"{told[-1].subject} {told[-1].body}"


def test_what_cannot_be_seen_is_looked_at_again_by_the_next_rounds(shop: Shop, cured: Any) -> None:
    cured()
    shop.clock.advance(HOUR)
    shop.health, shop.identity = BLIND, TemporaryError("no answer")
    assert shop.round() == "1 to be looked at again"
    shop.clock.advance(timedelta(minutes=5))
    assert shop.round() == "1 to be looked at again"
    shop.health, shop.identity = WELL, V6
    assert shop.round() == "1 held"
    shop.health = BLIND
    shop.clock.advance(23 * HOUR)
    shop.round()
    shop.clock.advance(timedelta(minutes=30))
    assert shop.round() == "1 unseen"


def test_after_days_without_paramedic_both_looks_are_taken_late_and_say_so(shop: Shop, cured: Any) -> None:
    cured()
    shop.clock.advance(timedelta(days=3))
    assert shop.round() == "2 held"
    assert [reason.partition(" after")[0] for _, reason in shop.said()] == ["72h", "72h"]


def test_one_look_at_a_target_that_is_listed_no_longer_stops_no_other(shop: Shop, cured: Any) -> None:
    cured()
    shop.clock.advance(HOUR)
    (shop.settings.runbooks / "services.yaml").write_text(SERVICES.replace("web-1", "web-2"))
    assert shop.round() == "1 unseen"
    assert "services.yaml no longer lists it" in shop.said()[0][1]
    assert shop.looked == 0
