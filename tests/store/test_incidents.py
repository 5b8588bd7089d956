"""An incident's life in the store: what a run may begin, what is handed on, and that a person's stays a person's."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from databases import Clock, at_once
from sqlalchemy.exc import IntegrityError
from store_states import (
    HANDED_OVER,
    NINE,
    PLAN,
    TARGET,
    WELL,
    again,
    alert,
    claimed,
    granted,
    intended,
    opened,
    recorded,
    working,
)

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.alerts.last_word import LastWord
from paramedic.incidents.incident import IllegalMove, State
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.store import (
    Store,
    Tx,
    acts,
    attempts,
    deliveries,
    fingerprints,
    incident_alerts,
    incidents,
    joining,
    lifecycle,
    messages,
    outbox,
    runbook_versions,
    trail,
)
from paramedic.store.incidents import NoSuchIncident

# --- opening --------------------------------------------------------------------------------------------------------


def test_an_incident_opens_with_its_attempt_grants_order_and_story(timed: Store) -> None:
    with timed.record() as tx:
        number = opened(tx, rungs=2)
        incident = incidents.get(tx, number)
        assert (incident.state, incident.attempt, incident.severity) == (State.OPEN, 1, Severity.CRITICAL)
        assert incident.ref == f"{timed.uuid}/INC-{number}"
        assert granted(tx, number) == [(1, 1, "open"), (1, 2, "open")]
        assert [order.key for order in outbox.waiting(tx)] == [f"paramedic:{timed.uuid}:1:{number}:1"]
        assert runbook_versions.runbook_text(tx, incident.runbook_version or "").startswith("---")
        assert incidents.live(tx, "tracking", TARGET) == incident
        assert messages.of(tx, number) == []
        entry = next(trail.entries(tx))
        assert trail.content(tx, entry.seq)[1]["alert"]["name"] == "TrackingApiMemory"  # type: ignore[index]
    assert recorded(timed, number) == ["incident.opened", "attempt.raised"]


def test_an_incident_without_a_plan_waits_for_no_run(timed: Store) -> None:
    with timed.record() as tx:
        number = opened(tx, plan=False)
        assert incidents.get(tx, number).attempt == 0
        assert outbox.waiting(tx) == []
        lifecycle.hand_over(tx, number, HANDED_OVER, actor="triage")
        assert [message.kind for message in deliveries.due(tx)] == ["rung"]


def _open(url: str, number: int) -> str:
    store = Store(url)
    try:
        with store.record() as tx:
            live = incidents.live(tx, "tracking", TARGET)
            if live is not None:
                joining.join(tx, live.number, alert(), reason="the same")
                return live.id
            return f"INC-{opened(tx)}"
    finally:
        store.close()


def test_two_processes_that_open_the_same_open_one(store_url: str, store: Store) -> None:
    assert len(set(at_once(8, _open, store_url))) == 1
    with store.read() as tx:
        assert len(incidents.listed(tx)) == 1
        assert incident_alerts.of(tx, 1)[0]["count"] == 8
    assert recorded(store) == ["incident.opened", "attempt.raised"]


def test_the_database_itself_refuses_a_second_live_incident_of_one_target(timed: Store) -> None:
    with timed.record() as tx:
        first = opened(tx)
    with pytest.raises(IntegrityError), timed.record() as tx:
        opened(tx)
    assert recorded(timed) == ["incident.opened", "attempt.raised"]
    with timed.record() as tx:
        lifecycle.resolve(tx, first, WELL, actor="person:ada")
        second = opened(tx)
    assert second > first


def listed(tx: Tx, **asked: Any) -> list[int]:
    return [incident.number for incident in incidents.listed(tx, **asked)]


def test_incidents_are_listed_newest_first_and_in_pages(timed: Store) -> None:
    with timed.record() as tx:
        numbers = [opened(tx, target=f"web-{n}/api") for n in range(5)]
        lifecycle.resolve(tx, numbers[1], WELL, actor="person:ada")
        assert listed(tx, limit=2) == [numbers[4], numbers[3]]
        assert listed(tx, before=numbers[3], limit=2) == [numbers[2], numbers[1]]
        assert listed(tx, states=(State.RESOLVED,)) == [numbers[1]]
        with pytest.raises(NoSuchIncident, match="INC-99"):
            incidents.get(tx, 99)


def test_incidents_are_found_by_service_severity_and_when_they_were_opened(timed: Store, clock: Clock) -> None:
    with timed.record() as tx:
        old = opened(tx, target="web-1/api", received=alert(severity=Severity.WARNING))
        lifecycle.resolve(tx, old, Outcome(Ending.RECOVERED, "well"), actor="run:1")
    clock.advance(timedelta(hours=2))
    with timed.record() as tx:
        new = opened(tx, target="web-2/api")
        hour_ago = tx.now - timedelta(hours=1)
        assert listed(tx, since=hour_ago) == [new]
        assert listed(tx, severities=[Severity.WARNING]) == [old]
        assert listed(tx, services=["tracking", "shop"]) == [new, old]
        assert incidents.listed(tx, services=["shop"]) == []
        lifecycle.reopen(tx, old, alert(severity=Severity.WARNING, starts_at=tx.now), reason="again")
        assert listed(tx, since=hour_ago) == [new, old]


# --- alerts ---------------------------------------------------------------------------------------------------------


def test_a_repeat_is_counted_and_only_what_is_new_is_told(timed: Store) -> None:
    warning = alert(severity=Severity.WARNING)
    with timed.record() as tx:
        number = opened(tx, received=warning)
        for _ in range(3):
            joining.join(tx, number, warning, reason="the same")
        assert incident_alerts.of(tx, number)[0]["count"] == 4
        assert incidents.get(tx, number).severity is Severity.WARNING
        joining.join(tx, number, alert(), reason="worse")
        assert incidents.get(tx, number).severity is Severity.CRITICAL
        joining.join(tx, number, warning, reason="better")
        assert incidents.get(tx, number).severity is Severity.WARNING
        joining.join(tx, number, alert(status=Status.RESOLVED), reason="over")
        joining.join(tx, number, alert("Another"), reason="another name")
        assert [alert["name"] for alert in incident_alerts.of(tx, number)] == ["Another", "TrackingApiMemory"]
    assert recorded(timed, number)[2:] == [
        "alert.firing",
        "incident.rose",
        "alert.firing",
        "incident.fell",
        "alert.resolved",
        "alert.firing",
        "incident.rose",
    ]


def test_the_severity_is_the_worst_of_what_fires(timed: Store, clock: Clock) -> None:
    warning, critical = alert("Slow", severity=Severity.WARNING), alert("Down")
    with timed.record() as tx:
        number = opened(tx, received=warning)

        def severity(*alerts: Any) -> Severity:
            for joined in alerts:
                joining.join(tx, number, joined, reason="a test")
            return incidents.get(tx, number).severity

        assert severity(critical) is Severity.CRITICAL
        assert severity(warning) is Severity.CRITICAL
        assert severity(replace(critical, status=Status.RESOLVED)) is Severity.WARNING
        entry = trail.head(tx)
        assert entry is not None
        assert entry.what == "incident.fell"
        assert entry.data == {"severity": "warning", "before": "critical"}
        assert severity(replace(warning, status=Status.RESOLVED)) is Severity.WARNING
        assert severity(critical) is Severity.CRITICAL
        assert severity(replace(critical, status=Status.RESOLVED)) is Severity.CRITICAL  # nothing fires: as it was
    assert recorded(timed, number).count("incident.rose") == 2


def test_what_arrives_late_about_an_earlier_start_is_counted_and_changes_nothing(timed: Store) -> None:
    newer = alert(severity=Severity.WARNING, starts_at=NINE + timedelta(minutes=5))
    with timed.record() as tx:
        number = opened(tx, received=newer)
        joining.join(tx, number, alert(severity=Severity.CRITICAL, starts_at=NINE), reason="late")
        assert incidents.get(tx, number).severity is Severity.WARNING
        row = incident_alerts.of(tx, number)[0]
        assert (row["severity"], row["starts_at"], row["count"]) == ("warning", newer.starts_at, 2)


# --- a cure that did not last ---------------------------------------------------------------------------------------


def cured(store: Store, *, rungs: int = 1, how: Outcome = WELL) -> int:
    """An incident whose first remedy was verified, or that was seen well without one."""
    claim = working(store, rungs=rungs)
    with store.record() as tx:
        if how is WELL:
            acts.close(tx, intended(tx, claim), result="cured", why="well", actor=claim.holder)
        lifecycle.resolve(tx, claim.incident, how, actor=claim.holder)
        messages.queue_resolution(tx, incident=claim.incident, policy="default")
    return claim.incident


@pytest.mark.parametrize(("rungs", "left"), [(1, []), (2, [2]), (3, [2, 3])])
def test_a_reopened_incident_has_the_remedies_that_are_left(
    timed: Store, clock: Clock, rungs: int, left: list[int]
) -> None:
    number = cured(timed, rungs=rungs)
    repeated = again(clock)
    with timed.record() as tx:
        incident = lifecycle.reopen(tx, number, repeated, reason="it began again")
    with timed.read() as tx:
        assert (incident.state, incident.attempt, incident.ending, incident.ended_at) == (State.OPEN, 2, None, None)
        assert [rung for attempt, rung, state in granted(tx, number) if (attempt, state) == (2, "open")] == left
        assert [(attempt.attempt, attempt.state) for attempt in attempts.of(tx, number)] == [(1, "closed"), (2, "open")]
        assert outbox.waiting(tx)[-1].key == f"paramedic:{timed.uuid}:1:{number}:2"
        assert [message.state for message in messages.of(tx, number)] == ["withdrawn"]  # that it is over is not true
        assert incident_alerts.of(tx, number)[0]["count"] == 2
        raised = trail.head(tx)
        assert raised is not None
        assert raised.actor == "triage"
    assert recorded(timed, number)[-2:] == ["incident.reopened", "attempt.raised"]


def test_what_was_well_by_itself_has_all_its_remedies_again(timed: Store, clock: Clock) -> None:
    number = cured(timed, rungs=2, how=Outcome(Ending.RECOVERED, "seen well"))
    repeated = again(clock)
    with timed.record() as tx:
        lifecycle.reopen(tx, number, repeated, reason="it began again")
        assert [rung for attempt, rung, _ in granted(tx, number) if attempt == 2] == [1, 2]
        assert attempts.begin_attempt(tx, number, 2, flow_run="run-2") is None
        assert attempts.begin_attempt(tx, number, 1, flow_run="run-1") is not None


def test_the_severity_of_a_reopened_incident_is_what_fires_now(timed: Store, clock: Clock) -> None:
    number = cured(timed)
    warning = replace(again(clock), severity=Severity.WARNING, fingerprint="another")
    with timed.record() as tx:
        assert lifecycle.reopen(tx, number, warning, reason="again").severity is Severity.WARNING


@pytest.mark.parametrize("ending", [Ending.HANDED_OVER, Ending.REFUSED])
def test_what_a_person_has_ended_is_not_opened_again(timed: Store, clock: Clock, ending: Ending) -> None:
    with timed.record() as tx:
        number = opened(tx)
        lifecycle.resolve(tx, number, Outcome(ending, "mended"), actor="person:ada")
        assert cure_of(tx) is None
    before = recorded(timed)
    with pytest.raises(IllegalMove, match="is not opened again"), timed.record() as tx:
        lifecycle.reopen(tx, number, again(clock), reason="again")
    assert recorded(timed) == before


def cure_of(tx: Tx, received: Alert | None = None, **other: str) -> tuple[int, datetime] | None:
    where = {"service": "tracking", "target": TARGET, "runbook": PLAN.runbook} | other
    return incident_alerts.cured(tx, received or alert(), **where)


def test_only_the_last_incident_of_the_same_fault_may_be_opened_again(timed: Store, clock: Clock) -> None:
    number = cured(timed)
    with timed.record() as tx:
        well = (number, clock.now())
        assert cure_of(tx) == well
        assert cure_of(tx, alert(replica="b")) == well
        assert cure_of(tx, alert("Another")) is None
        assert cure_of(tx, runbook="another") is None
        assert cure_of(tx, service="shop") is None
        assert cure_of(tx, target="web-2/api") is None
        other = opened(tx, received=alert("Another"))
        assert cure_of(tx) == well
        lifecycle.resolve(tx, other, HANDED_OVER, actor="person:ada")
        assert cure_of(tx) == well
        later = opened(tx)
        assert cure_of(tx) is None
        lifecycle.resolve(tx, later, HANDED_OVER, actor="person:ada")
        assert cure_of(tx) is None


def test_the_newest_word_under_a_fingerprint_is_kept(timed: Store) -> None:
    with timed.write() as tx:
        assert fingerprints.last_word(tx, alert().fingerprint) is None
        fingerprints.remember(tx, alert())
        fingerprints.remember(tx, alert(status=Status.RESOLVED, starts_at=NINE + timedelta(minutes=1)))
        assert fingerprints.last_word(tx, alert().fingerprint) == LastWord(Status.RESOLVED, NINE + timedelta(minutes=1))


def test_a_target_is_well_since_its_last_verified_ending(timed: Store, clock: Clock) -> None:
    with timed.record() as tx:
        assert incidents.well_at(tx, TARGET) is None
        lifecycle.resolve(tx, opened(tx), WELL, actor="run:1")
        lifecycle.hand_over(tx, opened(tx, target="web-2/api"), HANDED_OVER, actor="run:2")
    since = clock.now()
    clock.advance(timedelta(minutes=5))
    with timed.read() as tx:
        assert incidents.well_at(tx, TARGET) == since
        assert incidents.well_at(tx, "web-2/api") is None


# --- endings --------------------------------------------------------------------------------------------------------


def test_handing_over_revokes_first_and_pages_now(timed: Store) -> None:
    claim = working(timed)
    with timed.record() as tx:
        act = intended(tx, claim)
        incident = lifecycle.hand_over(tx, claim.incident, HANDED_OVER, actor=claim.holder)
        assert (incident.state, incident.ending, incident.because) == (
            State.HANDED_OVER,
            Ending.HANDED_OVER,
            "restarted, still failing",
        )
        assert [message.step for message in deliveries.due(tx, incident=claim.incident)] == [0]
        assert acts.open_on(tx, TARGET) == act  # still open: only a look at the target or a person decides it
        again = lifecycle.hand_over(tx, claim.incident, Outcome(Ending.REFUSED, "again"), actor="watchdog")
        assert again == incident
        assert len(messages.of(tx, claim.incident)) == 1


def test_an_acknowledgement_stops_the_climb_and_says_who(timed: Store, clock: Clock) -> None:
    with timed.record() as tx:
        number = opened(tx)
        lifecycle.hand_over(tx, number, HANDED_OVER, actor="triage")
        incident = lifecycle.acknowledge(tx, number, by="ada", reason="by the link")
        assert (incident.state, incident.acknowledged_by, incident.acknowledged_at) == (
            State.ACKNOWLEDGED,
            "ada",
            clock.now(),
        )
        assert [message.state for message in messages.of(tx, number)] == ["withdrawn"]
        assert lifecycle.acknowledge(tx, number, by="ada", reason="clicked twice") == incident
        assert lifecycle.acknowledge(tx, number, by="bob", reason="takes it").acknowledged_by == "bob"
    assert recorded(timed, number)[-2:] == ["incident.acknowledged", "incident.taken_over"]


def test_an_acknowledgement_while_automation_works_takes_it_away_from_it(timed: Store) -> None:
    claim = working(timed)
    with timed.record() as tx:
        incident = lifecycle.acknowledge(tx, claim.incident, by="ada", reason="by the link")
        assert incident.ending is Ending.HANDED_OVER
        assert attempts.begin_attempt(tx, claim.incident, 1, flow_run="run-1") is not None
        with pytest.raises(IllegalMove, match="it is ada's, whatever a run says"):
            lifecycle.hand_over(tx, claim.incident, HANDED_OVER, actor=claim.holder)


def test_a_persons_word_ends_it_and_decides_what_was_open(timed: Store, clock: Clock) -> None:
    claim = working(timed)
    with timed.record() as tx:
        act = intended(tx, claim)
        lifecycle.hand_over(tx, claim.incident, HANDED_OVER, actor=claim.holder)
        incident = lifecycle.resolve(tx, claim.incident, Outcome(Ending.HANDED_OVER, "mended"), actor="person:ada")
        assert (incident.state, incident.ended_at) == (State.RESOLVED, clock.now())
        assert acts.get(tx, act.id).result == "decided"
        assert acts.open_on(tx, TARGET) is None
        assert [message.state for message in messages.of(tx, claim.incident)] == ["withdrawn"]


def test_a_claim_for_an_incident_is_of_its_target(timed: Store) -> None:
    with timed.record() as tx:
        number = opened(tx)
        claim = claimed(tx, number)
        attempts.begin_attempt(tx, number, 1, flow_run="run-1")
        assert claim.target == incidents.get(tx, number).target
        assert intended(tx, claim, limits=Guardrails("act", {"cooldown": timedelta(minutes=1)})).target == TARGET
