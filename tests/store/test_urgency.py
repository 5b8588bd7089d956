"""The worst comes first: the severity first, then the tier of the service: in the inbox, of runs and of messages."""

import random
from datetime import timedelta
from itertools import product

import pytest
from databases import Clock
from store_states import alert

from paramedic.alerts.alert import Severity
from paramedic.incidents.tier import Tier, urgency
from paramedic.remediation.service import ServiceFacts
from paramedic.store import Store, deliveries, inbox, incidents, lifecycle, messages, outbox
from paramedic.store.runbook_versions import Plan

#: The worst first.
KINDS = list(product((Severity.CRITICAL, Severity.WARNING), Tier))
NAMES = [f"{severity} of {tier}" for severity, tier in KINDS]


def _shuffled() -> list[tuple[Severity, Tier]]:
    mixed = list(KINDS)
    while mixed == KINDS or mixed[0] == KINDS[0]:
        random.shuffle(mixed)
    return mixed


def test_every_critical_one_is_more_urgent_than_any_warning_and_within_each_the_tier_decides() -> None:
    assert [urgency(severity, tier) for severity, tier in KINDS] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("held", [False, True])
def test_the_inbox_gives_the_most_urgent_alerts_first_whether_new_or_held(
    timed: Store, clock: Clock, *, held: bool
) -> None:
    for severity, tier in _shuffled():
        with timed.write() as tx:
            received = alert(f"{severity} of {tier}", severity=severity)
            inbox.put(tx, [received], source="alertmanager", sender="a", tier=tier)
    if held:
        with timed.write() as tx:
            for receipt in inbox.waiting(tx):
                until = tx.now + timedelta(minutes=1)
                inbox.decided(tx, receipt, verdict="hold", reason="r", incident=None, look_again_at=until)
        clock.advance(timedelta(minutes=1))
    with timed.read() as tx:
        assert [receipt.alert.name for receipt in inbox.waiting(tx)] == NAMES
        assert [receipt.alert.name for receipt in inbox.waiting(tx, limit=2)] == NAMES[:2]


def _incidents(store: Store, clock: Clock) -> dict[int, str]:
    found = {}
    for severity, tier in _shuffled():
        with store.record() as tx:
            incident = lifecycle.open_incident(
                tx,
                alert(severity=severity),
                service=tier,
                target=f"web-1/{severity}-{tier}",
                policy="default",
                reason="a test",
                plan=Plan("r", "v1", "text", 1),
                about=ServiceFacts(tier=tier),
            )
        found[incident.number] = f"{severity} of {tier}"
        clock.advance(timedelta(seconds=1))
    return found


def test_runs_are_ordered_by_severity_and_tier_whichever_incident_was_first(timed: Store, clock: Clock) -> None:
    names = _incidents(timed, clock)
    with timed.read() as tx:
        assert [names[order.incident] for order in outbox.waiting(tx)] == NAMES
        assert incidents.get(tx, next(iter(names))).tier in Tier


def test_pages_leave_by_severity_and_tier_and_news_of_paramedic_itself_between_critical_and_the_rest(
    timed: Store, clock: Clock
) -> None:
    names = _incidents(timed, clock)
    with timed.record() as tx:
        messages.queue_internal_alert(tx, subject="trouble", body="b", same_within_minutes=1)
        for number in names:
            incidents.start_escalation(tx, incidents.get(tx, number))
    with timed.read() as tx:
        due = deliveries.due(tx)
    assert [names.get(message.incident or 0, "trouble") for message in due] == [*NAMES[:3], "trouble", *NAMES[3:]]
    assert sorted(due, key=lambda message: (deliveries.rank(message), message.due_at, message.id)) == due


def test_what_an_older_version_opened_and_queued_counts_as_standard(timed: Store, clock: Clock) -> None:
    names = _incidents(timed, clock)
    with timed.record() as tx:
        for number in names:
            incidents.start_escalation(tx, incidents.get(tx, number))
        tx.conn.exec_driver_sql("UPDATE incidents SET tier = NULL WHERE tier = 'standard'")
        tx.conn.exec_driver_sql("UPDATE messages SET tier = NULL WHERE tier = 'standard'")
    with timed.read() as tx:
        assert [names[order.incident] for order in outbox.waiting(tx)] == NAMES
        assert [names[message.incident or 0] for message in deliveries.due(tx)] == NAMES
