"""What people do to an incident is told by name: the first acknowledgement, taking over, and the end."""

from datetime import timedelta

from databases import Clock
from sqlalchemy import text
from store_states import HANDED_OVER, opened, recorded

from paramedic.incidents.incident import Incident, State
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.incidents.report import spans
from paramedic.store import Store, Tx, incidents, lifecycle, messages, trail
from paramedic.store.incident_story import story

MENDED = Outcome(Ending.HANDED_OVER, "a full disk, emptied")


def _handed_over(tx: Tx) -> int:
    number = opened(tx)
    lifecycle.hand_over(tx, number, HANDED_OVER, actor="run:1")
    return number


def _takes(store: Store, number: int, by: str) -> Incident:
    with store.record() as tx:
        return lifecycle.acknowledge(tx, number, by=by, reason="by the link in a message")


def _updates(store: Store, number: int) -> list[tuple[str | None, str, str]]:
    with store.read() as tx:
        found = [message for message in messages.of(tx, number) if message.kind == "update"]
    return [(message.recipient, message.subject, message.state) for message in found]


def test_the_first_acknowledgement_counts_and_the_latest_is_the_one_that_ends(timed: Store, clock: Clock) -> None:
    with timed.record() as tx:
        number = _handed_over(tx)
    clock.advance(timedelta(minutes=1))
    _takes(timed, number, "ada")
    clock.advance(timedelta(minutes=9))
    taken = _takes(timed, number, "ben")
    assert (taken.acknowledged_by, taken.acknowledged_at) == ("ben", clock.now())
    with timed.record() as tx:
        assert spans(story(tx, number))["acknowledgement"] == timedelta(minutes=1)
        clock.advance(timedelta(minutes=5))
    with timed.record() as tx:
        assert not lifecycle.end_acknowledgement(tx, number, after=timedelta(minutes=10)), (
            "ben has had it for 5 minutes"
        )


def test_taking_over_is_on_the_trail_with_both_names_and_told_to_who_had_it(timed: Store) -> None:
    with timed.record() as tx:
        number = _handed_over(tx)
    _takes(timed, number, "ada")
    assert _updates(timed, number) == []
    _takes(timed, number, "ben")
    with timed.read() as tx:
        *_, last = trail.entries(tx, incident=number)
    assert (last.what, last.actor, last.data["from"]) == ("incident.taken_over", "person:ben", "ada")
    assert last.reason == "ben took it over from ada, by the link in a message"
    assert _updates(timed, number) == [("ada", "ben has taken it over from you", "due")]


def test_who_takes_it_back_at_once_is_not_told_of_the_loss(timed: Store) -> None:
    with timed.record() as tx:
        number = _handed_over(tx)
    for by in ("ada", "ben", "ada"):
        _takes(timed, number, by)
    assert _updates(timed, number) == [
        ("ada", "ben has taken it over from you", "withdrawn"),
        ("ben", "ada has taken it over from you", "due"),
    ]


def test_who_takes_what_somebody_had_for_too_long_takes_it_over_too(timed: Store, clock: Clock) -> None:
    with timed.record() as tx:
        number = _handed_over(tx)
    _takes(timed, number, "ada")
    clock.advance(timedelta(hours=4))
    with timed.record() as tx:
        assert lifecycle.end_acknowledgement(tx, number, after=timedelta(hours=4))
    _takes(timed, number, "ben")
    assert recorded(timed, number)[-2:] == ["acknowledgement.ended", "incident.taken_over"]
    assert _updates(timed, number) == [("ada", "ben has taken it over from you", "due")]


def test_a_persons_word_that_it_is_over_is_a_resolution_by_name(timed: Store) -> None:
    with timed.record() as tx:
        number = _handed_over(tx)
        incident = lifecycle.resolve(tx, number, MENDED, actor="person:ada")
    assert (incident.state, incident.ending, incident.resolved_by) == (State.RESOLVED, Ending.HANDED_OVER, "ada")
    assert incident.outcome == "resolved by ada"
    with timed.read() as tx:
        *_, last = trail.entries(tx, incident=number)
    assert (last.what, last.actor, last.reason) == ("incident.resolved", "person:ada", MENDED.because)


def test_a_playbooks_end_is_named_as_before_and_is_nobodys(timed: Store) -> None:
    with timed.record() as tx:
        incident = lifecycle.resolve(tx, opened(tx), Outcome(Ending.REMEDIATED, "it helped"), actor="run:1")
    assert (incident.outcome, incident.resolved_by) == ("remediated", None)
    assert recorded(timed, incident.number)[-1] == "incident.remediated"


def test_who_has_it_hears_that_somebody_else_resolved_it(timed: Store) -> None:
    with timed.record() as tx:
        number = _handed_over(tx)
        lifecycle.acknowledge(tx, number, by="ada", reason="by the link")
        lifecycle.resolve(tx, number, MENDED, actor="person:ben")
        own = _handed_over(tx)
        lifecycle.acknowledge(tx, own, by="ada", reason="by the link")
        lifecycle.resolve(tx, own, MENDED, actor="person:ada")
    assert _updates(timed, number) == [("ada", "ben has resolved it", "due")]
    assert _updates(timed, own) == []


def test_one_resolved_before_names_were_kept_was_resolved_by_a_person(timed: Store) -> None:
    with timed.record() as tx:
        number = _handed_over(tx)
        lifecycle.resolve(tx, number, MENDED, actor="person:ada")
        tx.conn.execute(text("UPDATE incidents SET resolved_by = NULL"))
        assert incidents.get(tx, number).outcome == "resolved by a person"
