"""Errors, named by what the caller should do next: try again, give up, or accept the refusal."""

from datetime import timedelta


class TemporaryError(Exception):
    """Another try may succeed: a time-out, a refused connection, a busy server. `after`: how long the server asks to wait."""

    def __init__(self, *words: object, after: timedelta | None = None) -> None:
        super().__init__(*words)
        self.after = after


class PermanentError(Exception):
    """Another try changes nothing: a bad setting, a missing program, a denied login."""


class Unreachable(TemporaryError):
    """The target's host does not answer, so nothing of it can be asked: it may be down, or only the way to it."""


class NotLetIn(PermanentError):
    """We are not let in at the target's host (another host key, a refused login, no key), so nothing of it can be asked."""


class CannotSee(PermanentError):
    """The target's health could not be seen for the allowed time: no change is begun, and no cure is believed (P11)."""


class StopAfterChange(PermanentError):
    """What a change led to keeps anything else from being tried: it is undone where it can be, and people go on.

    `kept`: why it is not undone, in words; "" where it is to be. `otherwise`: why not where it cannot be.
    """

    otherwise = ""

    def __init__(self, words: str, *, kept: str = "") -> None:
        super().__init__(words)
        self.kept = kept


class MadeWorse(StopAfterChange):
    """After the change the target is not well, and it or another one of its service is worse than before it."""


class WaitsForPeople(PermanentError):
    """The change is made as far as Paramedic may make it, and people have to go on: nothing else is tried."""


class BrokeElsewhere(StopAfterChange):
    """After the change the target is well, and another one of its service is not any more."""

    otherwise = "a person decides what led to what"


class Refused(Exception):
    """A guardrail's refusal. It is not a failure: it carries its reason, and how to continue by hand."""

    def __init__(self, reason: str, *, by_hand: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.by_hand = by_hand


class TargetChanged(Refused):
    """The target is no longer the instance that was judged: its supervisor was faster. Look again before anything else."""


class HostNotReached(CannotSee):
    """The target's host was not reached for the allowed time: what is known of it otherwise is kept, and a person decides."""


class OutcomeUnknown(Exception):
    """The change was sent, and its outcome is unknown: never repeat it blindly (design P4)."""


def is_out_of_reach(error: BaseException | None) -> bool:
    """Whether the error, or what it came from, says that the target's host is not reached."""
    while error is not None:
        if isinstance(error, Unreachable | NotLetIn):
            return True
        error = error.__cause__
    return False
