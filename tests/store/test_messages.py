"""What people are told leaves once if it can, and again rather than never."""

from datetime import timedelta

from databases import Clock, at_once
from store_states import opened

from paramedic.alerts.alert import Severity
from paramedic.store import Store, Tx, deliveries, lifecycle, messages, outbox
from paramedic.store.deliveries import HOLD
from paramedic.store.messages import QueuedMessage

MINUTE = timedelta(minutes=1)


def queued(tx: Tx) -> QueuedMessage:
    """The one message that is due."""
    [message] = deliveries.due(tx)
    return message


def _take(url: str, message: int, number: int) -> bool:
    store = Store(url)
    with store.write() as tx:
        taken = deliveries.take(tx, message)
    store.close()
    return taken


def test_of_many_senders_one_has_the_message(store_url: str, store: Store) -> None:
    with store.write() as tx:
        messages.queue_internal_alert(tx, subject="s", body="b", same_within_minutes=10)
        message = queued(tx)
    assert sum(at_once(8, _take, store_url, message.id)) == 1


def test_a_sender_that_died_holds_a_message_for_a_time(timed: Store, clock: Clock) -> None:
    with timed.write() as tx:
        messages.queue_internal_alert(tx, subject="s", body="b", same_within_minutes=10)
        message = queued(tx)
        assert deliveries.take(tx, message.id)
        assert not deliveries.take(tx, message.id)
        assert deliveries.due(tx) == []
    clock.advance(HOLD)
    with timed.write() as tx:
        assert queued(tx).tries == 1
        assert deliveries.take(tx, message.id)


def test_what_was_sent_is_written_once_and_never_due_again(timed: Store, clock: Clock) -> None:
    with timed.record() as tx:
        number = opened(tx)
        messages.queue_resolution(tx, incident=number, policy="default")
        message = queued(tx)
        deliveries.take(tx, message.id)
        assert deliveries.sent(tx, message.id, person="ada")
        assert not deliveries.sent(tx, message.id, person="bob")
        deliveries.put_off(tx, message.id, error="late", until=tx.now)
        deliveries.unreachable(tx, message.id, error="late")
    clock.advance(timedelta(days=1))
    with timed.read() as tx:
        assert deliveries.due(tx) == []
        assert [(message.state, message.person) for message in messages.of(tx, number)] == [("sent", "ada")]


def test_what_did_not_leave_is_tried_again_when_it_is_due(timed: Store, clock: Clock) -> None:
    with timed.write() as tx:
        messages.queue_internal_alert(tx, subject="s", body="b", same_within_minutes=10)
        message = queued(tx)
        deliveries.take(tx, message.id)
        deliveries.put_off(tx, message.id, error="refused", until=tx.now + MINUTE)
        assert deliveries.due(tx) == []
        assert not deliveries.take(tx, message.id)
    clock.advance(MINUTE)
    with timed.write() as tx:
        assert (queued(tx).last_error, queued(tx).tries) == ("refused", 1)
        deliveries.take(tx, message.id)
        deliveries.unreachable(tx, message.id, error="no such address")
    clock.advance(MINUTE)
    with timed.read() as tx:
        assert deliveries.due(tx) == []


def test_the_same_trouble_is_told_once_in_its_time(timed: Store, clock: Clock) -> None:
    def trouble(subject: str) -> int:
        with timed.write() as tx:
            messages.queue_internal_alert(tx, subject=subject, body="b", same_within_minutes=10)
            return len(deliveries.due(tx))

    assert trouble("Prefect does not answer") == 1
    assert trouble("Prefect does not answer") == 1
    assert trouble("The disk is full") == 2
    clock.advance(10 * MINUTE - timedelta(microseconds=1))
    assert trouble("Prefect does not answer") == 2
    clock.advance(timedelta(microseconds=1))
    assert trouble("Prefect does not answer") == 3


def test_a_rung_is_due_at_its_time_and_withdrawn_by_an_acknowledgement(timed: Store, clock: Clock) -> None:
    with timed.record() as tx:
        number = opened(tx)
        messages.queue_page(tx, incident=number, policy="default", severity=Severity.CRITICAL, step=0, due_at=tx.now)
        messages.queue_page(
            tx, incident=number, policy="default", severity=Severity.CRITICAL, step=1, due_at=tx.now + MINUTE
        )
        messages.queue_resolution(tx, incident=number, policy="default")
        assert [message.kind for message in deliveries.due(tx)] == ["rung", "news"]
        taken = deliveries.due(tx)[0]
        deliveries.take(tx, taken.id)
    clock.advance(MINUTE)
    with timed.record() as tx:
        lifecycle.acknowledge(tx, number, by="ada", reason="by the link")
        assert [message.kind for message in deliveries.due(tx)] == ["news"]
        deliveries.put_off(tx, taken.id, error="late", until=tx.now)  # the sender that was in the middle of it
        assert [message.kind for message in deliveries.due(tx)] == ["news"]
        assert deliveries.sent(tx, taken.id, person="ada")  # it did leave: that is what is written
        assert [message.state for message in messages.of(tx, number)] == ["sent", "withdrawn", "due"]


def test_messages_of_one_incident_are_found_among_all(timed: Store) -> None:
    with timed.record() as tx:
        one, other = opened(tx), opened(tx, target="web-2/api")
        for number in (one, other):
            messages.queue_page(
                tx, incident=number, policy="default", severity=Severity.CRITICAL, step=0, due_at=tx.now
            )
        assert [message.incident for message in deliveries.due(tx, incident=other)] == [other]
        assert [message.incident for message in deliveries.due(tx)] == [one, other]
        assert len(deliveries.due(tx, limit=1)) == 1


def test_an_order_is_asked_for_until_it_is_sent_or_nobody_wants_it(timed: Store, clock: Clock) -> None:
    with timed.record() as tx:
        one, other = opened(tx), opened(tx, target="web-2/api")
        assert [order.incident for order in outbox.waiting(tx)] == [one, other]
        outbox.put_off(tx, one, 1, error="503", until=tx.now + MINUTE)
        assert [order.incident for order in outbox.waiting(tx)] == [other]
        assert outbox.sent(tx, other, 1)
        assert not outbox.sent(tx, other, 1)
    clock.advance(MINUTE)
    with timed.record() as tx:
        [order] = outbox.waiting(tx)
        assert (order.incident, order.tries, order.last_error) == (one, 1, "503")
        lifecycle.acknowledge(tx, one, by="ada", reason="by the link")
        assert outbox.waiting(tx) == []
        assert not outbox.sent(tx, one, 1)


def _troubles(store: Store) -> list[str]:
    """The bodies of what is due now, which is taken and sent."""
    with store.write() as tx:
        due = [message for message in deliveries.due(tx) if message.kind == "trouble"]
        for message in due:
            deliveries.take(tx, message.id)
            deliveries.sent(tx, message.id, person="ada")
    return [message.body for message in due]


def test_what_comes_while_the_same_is_not_told_is_counted_and_told_when_the_time_has_passed(
    timed: Store, clock: Clock
) -> None:
    def trouble(body: str, times: int = 1) -> None:
        with timed.write() as tx:
            messages.queue_internal_alert(tx, subject="It broke", body=body, same_within_minutes=10, times=times)

    trouble("the first")
    assert _troubles(timed) == ["the first"]
    for number in range(500):
        trouble(f"number {number}")
    trouble("many at once", times=3_224)
    assert _troubles(timed) == []
    clock.advance(10 * MINUTE)
    [sent] = _troubles(timed)
    assert "many at once" in sent
    assert "one of 3724 since 2026-01-31T09:30:00" in sent
    assert _troubles(timed) == []
    trouble("again")  # within the second window: told at its end
    clock.advance(10 * MINUTE)
    [sent] = _troubles(timed)
    assert sent.startswith("again")
    clock.advance(20 * MINUTE)
    trouble("much later")
    assert _troubles(timed) == ["much later"]


def test_looking_again_at_a_condition_that_lasts_counts_nothing(timed: Store, clock: Clock) -> None:
    bodies = []
    for _ in range(25):
        with timed.write() as tx:
            messages.queue_internal_alert(tx, subject="It is down", body="b", same_within_minutes=10, times=0)
        bodies += _troubles(timed)
        clock.advance(MINUTE)
    assert bodies == ["b"] * 3


def test_many_at_once_are_one_message_with_their_count(timed: Store) -> None:
    with timed.write() as tx:
        messages.queue_internal_alert(tx, subject="It broke", body="the first", same_within_minutes=10, times=20)
    assert _troubles(timed) == ["the first\n\nThere are 19 more of the same."]
