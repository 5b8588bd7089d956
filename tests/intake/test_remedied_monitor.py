"""A remedy that restarts the very monitor that raised the alert starts no loop: the monitor forgets, and tells all anew."""

from datetime import timedelta
from pathlib import Path

import pytest
from databases import Clock
from store_states import ALIVE, DEADLINE, HOUR, inbox_rows

from paramedic.alerts.alert import Alert, Severity, Status, fingerprint
from paramedic.catalog.library import read_folder
from paramedic.incidents.incident import State
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.intake.intake import Intake
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.store import Store, acts, attempts, claims, inbox, incidents, intents, lifecycle
from paramedic.store.acts import Act
from paramedic.store.claims import Claim

SHELF = read_folder(Path(__file__).parents[2] / "runbooks")
LABELS = {"alertname": "TrackingApiMemory", "env": "prod", "instance": "web-1:9100"}
MINUTE = timedelta(minutes=1)


class Monitor:
    """Says that something is wrong with itself; restarted, it says that it is over, and a minute later the same anew."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock

    def fires(self) -> str:
        self._say(Status.FIRING)
        return str(inbox_rows(self._store)[-1].verdict)

    def restarted(self) -> None:
        self._say(Status.RESOLVED)
        self._clock.advance(MINUTE)

    def _say(self, status: Status) -> None:
        known_by = fingerprint("alertmanager", LABELS)
        now = self._clock.now()
        said = Alert("alertmanager", LABELS["alertname"], Severity.CRITICAL, status, now, known_by, LABELS)
        inbox.receive(self._store, [said], source="alertmanager", sender="test")
        Intake(self._store, lambda: SHELF).work()


def worked_on(store: Store, *, helped: bool) -> bool:
    """What a run does about the newest incident, if one is to be worked on: whether it restarted the target."""
    with store.record() as tx:
        incident = incidents.listed(tx, limit=1)[0]
        if incident.state is not State.OPEN:
            return False
        number, attempt = incident.number, incident.attempt
        assert attempts.begin_attempt(tx, number, attempt, flow_run=f"run-{number}-{attempt}") is None
        claim = claims.take(
            tx, target=incident.target, incident=number, attempt=attempt, holder="run:1", lease=timedelta(seconds=10)
        )
        assert isinstance(claim, Claim)
        judged = intents.intend(
            tx, claim, rung=1, remedy="restart", identity=ALIVE, deadline=DEADLINE, limits=Guardrails("act")
        )
        if isinstance(judged, Act):
            acts.close(tx, judged, result="cured" if helped else "done", why="seen", actor=claim.holder)
        claims.release(tx, claim)
        acted = isinstance(judged, Act)
        if acted and helped and acts.cures(tx, incident.target, 24 * HOUR) < 3:
            lifecycle.resolve(tx, number, Outcome(Ending.REMEDIATED, "well"), actor=claim.holder)
        else:
            lifecycle.hand_over(tx, number, Outcome(Ending.HANDED_OVER, "again"), actor=claim.holder)
    return acted


@pytest.mark.parametrize("pause", [5 * MINUTE, 45 * MINUTE])
@pytest.mark.parametrize("helped", [True, False])
def test_it_ends_with_a_person_after_few_restarts_however_often_it_fires_again(
    store: Store, clock: Clock, pause: timedelta, helped: bool
) -> None:
    monitor = Monitor(store, clock)
    restarts = 0
    for _ in range(20):
        monitor.fires()
        if worked_on(store, helped=helped):
            restarts += 1
            monitor.restarted()
        clock.advance(pause)
    assert restarts <= 3
    with store.read() as tx:
        assert incidents.listed(tx, limit=1)[0].state is State.HANDED_OVER, "and a person has it"


def test_where_a_person_ends_each_incident_without_mending_it_the_breaker_ends_it(store: Store, clock: Clock) -> None:
    monitor = Monitor(store, clock)
    restarts = 0
    for _ in range(10):
        monitor.fires()
        if worked_on(store, helped=False):
            restarts += 1
            monitor.restarted()
        with store.record() as tx:
            newest = incidents.listed(tx, limit=1)[0]
            if newest.state is not State.RESOLVED:
                lifecycle.resolve(tx, newest.number, Outcome(Ending.HANDED_OVER, "it runs"), actor="person:ada")
        clock.advance(35 * MINUTE)
    assert restarts == 3
