"""Backoff after a failed send, and the limits on how many messages one person gets."""

from datetime import timedelta

from paramedic.alerts.alert import Severity
from paramedic.errors import TemporaryError
from paramedic.machine.backoff import Backoff
from paramedic.store.messages import QueuedMessage

#: How long a message waits after its first, second, … failed try.
_BACKOFF = Backoff((5, 15, 60, 120, 300))

#: After this many failed tries the next step is paged as well.
TRIES_BEFORE_NEXT_RUNG = 3

#: A channel that takes no notice is asked for some eight hours; then the notice is old.
TRIES_OF_A_NOTICE = 100

#: How many a channel that listens gets within a minute, singly and at all; a program takes one for each event.
_NOTICE, _FOR_A_PROGRAM = (9, 10), (1_000_000, 1_000_000)


def pause(message: QueuedMessage, error: TemporaryError) -> timedelta:
    """The wait before the next try: longer with each try, and as long as the other side asks for, within bounds."""
    asked = (error.after or timedelta(0)).total_seconds()
    return timedelta(seconds=max(_BACKOFF.after(message.tries), min(asked, _BACKOFF.seconds[-1])))


def urgent(message: QueuedMessage) -> bool:
    """Whether the message is worth waking somebody: critical, a question, or an alert about Paramedic itself."""
    critical = message.kind in ("rung", "update") and message.severity is Severity.CRITICAL
    return critical or message.kind in ("approval", "trouble")


def limits(message: QueuedMessage, a_minute: int) -> tuple[int, int]:
    """How many messages of this urgency one person, or one channel, gets per minute: singly, and in all.

    A person gets `a_minute` of them, and the rest as a digest. Messages that can wait leave the last one of a minute to
    urgent ones.
    """
    if message.kind == "notice" and not (message.recipient or "").startswith("email:"):
        # A program that takes webhooks counts on one for each event.
        return _FOR_A_PROGRAM if (message.recipient or "").startswith("webhook:") else _NOTICE
    return (a_minute - 1, a_minute) if urgent(message) else (a_minute // 2, a_minute - 1)
