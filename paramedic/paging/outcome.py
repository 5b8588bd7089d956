"""Outcomes of messages, recorded in the store and on the trail, and the next escalation step queued."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from paramedic.errors import TemporaryError
from paramedic.incidents.incident import State
from paramedic.oncall.escalation import Policy
from paramedic.oncall.rotation import Person
from paramedic.paging.backoff import TRIES_BEFORE_NEXT_RUNG, TRIES_OF_A_NOTICE, pause
from paramedic.paging.recipients import Recipients
from paramedic.store import Store, StoreUnavailable, Tx, deliveries, incidents, messages, proposals, trail
from paramedic.store.messages import QueuedMessage

log = logging.getLogger(__name__)

#: What the trail calls a message of each kind.
_CALLED = {
    "rung": "person",
    "update": "update",
    "news": "news",
    "trouble": "trouble",
    "approval": "approver",
    "notice": "notice",
}

#: So many messages are written down in one transaction: others write meanwhile.
_AT_ONCE = 50

#: A question that could not be delivered is sent again after this time: it must not expire unasked.
_ASKED_AGAIN = timedelta(minutes=1)


class Outcomes:
    """Records the outcomes of messages. A store that cannot be written stops nothing, and is tried once a round."""

    def __init__(self, store: Store, recipients: Recipients) -> None:
        self._store = store
        self._recipients = recipients
        self.writable = True

    def waits(self, message: QueuedMessage, now: datetime) -> bool:
        """Whether the first page of an escalation has its step's own time to wait; the store then has it due at its end."""
        after = self._recipients.policy(message).step(0).after if message.begins else timedelta(0)
        if not after:
            return False
        until = message.due_at + after
        self.write(lambda tx: messages.wait(tx, message.id, until=until))
        return now < until

    def left(
        self,
        sent: Sequence[QueuedMessage],
        person: Person,
        how: str,
        later: Mapping[int, Sequence[Person]] | None = None,
    ) -> bool:
        """Record messages sent to this person. False: it could not be written. `later`: who is still to be asked, by message."""
        together = f", as one of {len(sent)} in one message" if len(sent) > 1 else ""

        def write(tx: Tx) -> None:
            for message in part:
                self._left(tx, message, person, how + together, (later or {}).get(message.id, ()))

        for begin in range(0, len(sent), _AT_ONCE):
            part = sent[begin : begin + _AT_ONCE]
            if not self.write(write):
                return False
        return True

    def _left(self, tx: Tx, message: QueuedMessage, person: Person, how: str, later: Sequence[Person]) -> None:
        """Write that it was sent, and queue what follows: the next step, or the next person to be asked."""
        if not deliveries.sent(tx, message.id, person=person.id):
            return
        is_channel_update = message.kind == "notice"
        shown = person.name if is_channel_update else person.id  # an address is on no trail
        self._append_to_trail(
            tx,
            message,
            f"{shown} was told: {message.subject}" if is_channel_update else f"{shown} was told {how}",
            shown,
        )
        # A person who acknowledged before any page was sent gets as much time as the first step's person.
        policy, step = self._recipients.policy(message), message.step + 1
        wait = policy.wait_after(max(message.step, 0))
        if message.kind == "rung" and message.incident and proposals.pages_first_alone(tx, message.incident):
            step, wait = max(message.step, 0), policy.repeat  # whoever has been reached, and nobody after them
        self._queue_next(tx, message, step=step, wait=wait)
        if message.kind == "approval" and message.recipient is None and message.incident is not None:
            for candidate in later:
                messages.queue_approval(
                    tx,
                    incident=message.incident,
                    policy=message.policy,
                    severity=message.severity,
                    recipient=candidate.id,
                    due_at=tx.now + pause(message, TemporaryError()),
                )

    def put_off(self, message: QueuedMessage, error: TemporaryError) -> None:
        """Every recipient failed temporarily: it is tried again, and after a few tries the next step is paged as well."""
        if message.kind == "notice" and message.tries + 1 >= TRIES_OF_A_NOTICE:
            self.unreachable(message, str(error))
            return
        log.warning("message %s was not sent: %s", message.id, error)
        policy = self._recipients.policy(message)

        def write(tx: Tx) -> None:
            deliveries.put_off(tx, message.id, error=str(error), until=tx.now + pause(message, error))
            # The last step has no next: it keeps trying, and piles up no repeats of its own.
            if message.tries + 1 >= TRIES_BEFORE_NEXT_RUNG and not _is_last(policy, message):
                self._queue_next(tx, message, step=message.step + 1, wait=timedelta(0))

        self.write(write)

    def unreachable(self, message: QueuedMessage, error: str) -> None:
        """Every recipient failed permanently: the next step is due at once."""
        log.error("message %s has no recipient who can be reached: %s", message.id, error)
        policy = self._recipients.policy(message)
        last = _is_last(policy, message)
        # An internal alert and a question have no next step: everybody was tried, and is tried again.
        asked_again = {"trouble": policy.repeat} | ({"approval": _ASKED_AGAIN} if message.recipient is None else {})

        def write(tx: Tx) -> None:
            if message.kind != "approval" or message.last_error != error:  # said once, however often it is tried
                self._append_to_trail(tx, message, error)
            if message.kind in asked_again:
                deliveries.put_off(tx, message.id, error=error, until=tx.now + asked_again[message.kind])
                return
            deliveries.unreachable(tx, message.id, error=error)
            if last:  # nobody is left: after a while the whole policy again
                self._queue_next(tx, message, step=0, wait=policy.repeat)
            else:
                self._queue_next(tx, message, step=message.step + 1, wait=timedelta(0))

        self.write(write)

    def needless(self, gone: Sequence[QueuedMessage]) -> None:
        """Withdraw messages that nobody needs any more."""

        def write(tx: Tx) -> None:
            for message in gone:
                messages.withdraw_one(tx, message.id)

        self.write(write)

    def write(self, write: Callable[[Tx], None]) -> bool:
        """Run the write in one transaction with the trail. False: the store cannot be written, in this round no more."""
        if not self.writable:
            return False
        try:
            with self._store.record() as tx:
                write(tx)
        except StoreUnavailable as error:
            log.warning("the outcome of a message could not be recorded: %s", error)
            self.writable = False
            return False
        return True

    @staticmethod
    def _append_to_trail(tx: Tx, message: QueuedMessage, reason: str, person: str | None = None) -> None:
        trail.append(
            tx,
            actor="pager",
            phase="outcome",
            what=f"{_CALLED[message.kind]}.{'told' if person else 'unreachable'}",
            incident=message.incident,
            reason=reason,
            data={"message": message.id, "rung": message.step, "person": person},
        )

    @staticmethod
    def _queue_next(tx: Tx, message: QueuedMessage, *, step: int, wait: timedelta) -> None:
        """Queue the next step, unless somebody has acknowledged meanwhile or a later page is queued already."""
        number = message.incident
        if message.kind != "rung" or number is None or incidents.get(tx, number).state is not State.HANDED_OVER:
            return
        if any(other.kind == "rung" and other.id > message.id for other in messages.of(tx, number)):
            return
        messages.queue_page(
            tx,
            incident=number,
            policy=message.policy,
            severity=message.severity,
            step=step,
            due_at=tx.now + wait,
        )


def _is_last(policy: Policy, message: QueuedMessage) -> bool:
    """Whether it is the policy's last step. A page to a recipient in a step's place never is: the steps continue after it."""
    return message.recipient is None and message.step + 1 >= len(policy.steps)
