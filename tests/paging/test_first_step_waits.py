"""The first step of a policy waits its own time, from the hand-over on: unless somebody takes the incident before."""

from datetime import timedelta

from databases import Clock
from incident_states import Paging, handed_over, on_call, queued, unwritable
from mail_server import Postbox

from paramedic.store import Store, incident_summary, lifecycle

PEOPLE = """\
people:
  ada: {name: Ada, email: ada@example.org}
  bob: {name: Bob, email: bob@example.org}
rotation: {zone: UTC, starts: 2026-01-05 09:00, every: 1 week, people: [ada]}
policies:
  default:
    rungs: [{tell: oncall, after: 10m}, {tell: bob, after: 5m}]
    repeat: 30m
"""
SECOND = timedelta(seconds=1)


def told(postbox: Postbox) -> list[str]:
    return [str(letter["To"]) for letter in postbox.letters]


def test_it_is_taken_after_its_time_and_the_next_one_after_that(
    timed: Store, clock: Clock, by_mail: Paging, postbox: Postbox
) -> None:
    incident, pager = handed_over(timed), by_mail(PEOPLE)
    for _ in range(2):
        assert pager.deliver_due() == 0
    with timed.read() as tx:
        following = incident_summary.summary(tx, incident, oncall=on_call(PEOPLE).oncall).next_page
        assert following is not None
        assert (following.person, following.at) == ("ada", tx.now + timedelta(minutes=10))
    clock.advance(timedelta(minutes=10) - SECOND)
    assert pager.deliver_due() == 0
    clock.advance(SECOND)
    assert pager.deliver_due() == 1
    clock.advance(timedelta(minutes=5))
    assert pager.deliver_due() == 1
    assert told(postbox) == ["ada@example.org", "bob@example.org"]


def test_who_is_next_is_said_before_anybody_has_looked_at_the_queue(timed: Store) -> None:
    incident = handed_over(timed)
    with timed.read() as tx:
        following = incident_summary.summary(tx, incident, oncall=on_call(PEOPLE).oncall).next_page
        assert following is not None
        assert following.at == tx.now + timedelta(minutes=10)


def test_an_incident_that_is_taken_meanwhile_pages_nobody(
    timed: Store, clock: Clock, by_mail: Paging, postbox: Postbox
) -> None:
    incident, pager = handed_over(timed), by_mail(PEOPLE)
    assert pager.deliver_due() == 0
    with timed.record() as tx:
        lifecycle.acknowledge(tx, incident.number, by="ada", reason="on the command line")
    clock.advance(timedelta(minutes=20))
    assert pager.deliver_due() == 0
    assert told(postbox) == []


def test_it_waits_its_time_while_the_store_cannot_be_written(
    timed: Store, store_url: str, clock: Clock, by_mail: Paging, postbox: Postbox
) -> None:
    incident = handed_over(timed)
    timed.close()  # whose sessions could still write
    with unwritable(store_url):
        assert by_mail(PEOPLE).deliver_due() == 0
        assert queued(timed, incident)[0].begins
        clock.advance(timedelta(minutes=10))
        assert by_mail(PEOPLE).deliver_due() == 1
    assert told(postbox) == ["ada@example.org"]
