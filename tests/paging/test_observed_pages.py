"""An incident that is only observed pages one person, again and again, until somebody takes it; the others are left asleep."""

from datetime import timedelta

import pytest
from databases import Clock
from incident_states import Paging, holding, queued
from mail_server import Postbox, text_of
from store_states import proposed

from paramedic.incidents.outcome import Ending, Outcome
from paramedic.remediation import observed_paging
from paramedic.store import Store, incident_summary, lifecycle

pytestmark = pytest.mark.real

NOBODY_FIRST = """\
people:
  ada: {name: Ada}
  bob: {name: Bob, email: bob@example.org}
rotation: {zone: UTC, starts: 2026-01-05 09:00, every: 1 week, people: [ada]}
policies:
  default:
    rungs: [{tell: oncall}, {tell: bob, after: 10m}]
    repeat: 30m
"""


def observed(store: Store, page: observed_paging.Paging) -> int:
    """An incident that its runbook gave to a person, with what it would have done."""
    incident, claim = holding(store)
    with store.record() as tx:
        made = proposed(tx, claim, paging=page)
        lifecycle.hand_over(tx, incident.number, Outcome(Ending.OBSERVED, made.words), actor=claim.holder)
    return incident.number


def test_only_the_first_person_of_the_policy_is_paged_and_paged_again(
    timed: Store, by_mail: Paging, postbox: Postbox, clock: Clock
) -> None:
    number = observed(timed, observed_paging.Paging.FIRST)
    pager = by_mail()
    assert pager.deliver_due() == 1
    [page] = postbox.letters
    assert "would have restarted web-1/tracking-api" in page["Subject"]
    assert "would have restarted web-1/tracking-api" in text_of(page)
    clock.advance(timedelta(minutes=29, seconds=59))
    assert pager.deliver_due() == 0
    clock.advance(timedelta(seconds=1))
    assert pager.deliver_due() == 1
    assert postbox.recipients == ["ada@example.org", "ada@example.org"]
    with timed.read() as tx:
        known = incident_summary.summary(tx, lifecycle.get(tx, number), oncall=pager._recipients.oncall)
    assert known.next_page is not None
    assert known.next_page.person == "ada"


def test_by_the_runbook_s_word_the_whole_policy_is_paged(
    timed: Store, by_mail: Paging, postbox: Postbox, clock: Clock
) -> None:
    observed(timed, observed_paging.Paging.ALL)
    pager = by_mail()
    pager.deliver_due()
    clock.advance(timedelta(minutes=10))
    pager.deliver_due()
    assert postbox.recipients == ["ada@example.org", "bob@example.org"]


def test_where_the_first_person_cannot_be_reached_the_next_is_paged(
    timed: Store, by_mail: Paging, postbox: Postbox, clock: Clock
) -> None:
    number = observed(timed, observed_paging.Paging.FIRST)
    pager = by_mail(NOBODY_FIRST)
    pager.deliver_due()
    pager.deliver_due()
    assert postbox.recipients == ["bob@example.org"]
    clock.advance(timedelta(minutes=30))
    pager.deliver_due()
    assert postbox.recipients == ["bob@example.org"] * 2
    with timed.read() as tx:
        incident = lifecycle.get(tx, number)
    assert {row.step for row in queued(timed, incident)} == {0, 1}
