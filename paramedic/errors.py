"""What went wrong, named by what the caller should do next: try again, give up, or accept the no."""

from datetime import timedelta


class TemporaryError(Exception):
    """It may go better in a moment: a time-out, a refused connection, a busy server. `after`: how long it asks to wait."""

    def __init__(self, *words: object, after: timedelta | None = None) -> None:
        super().__init__(*words)
        self.after = after


class PermanentError(Exception):
    """Trying again changes nothing: a bad setting, a missing program, a denied login."""


class CannotSee(PermanentError):
    """Whether the target is well could not be seen for as long as was allowed: neither a cure is begun nor one believed (P11)."""


class Refused(Exception):
    """A guardrail said no. A "no" is not a failure: it carries its reason, and how to go on by hand."""

    def __init__(self, reason: str, *, by_hand: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.by_hand = by_hand


class TargetChanged(Refused):
    """The target is no longer the one that was judged: whoever keeps it running was faster. Look anew before anything else."""


class OutcomeUnknown(Exception):
    """It was sent, and whether it happened is open: never to be repeated blindly (design P4)."""
