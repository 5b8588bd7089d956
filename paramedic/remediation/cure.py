"""Did the cure hold? A target is looked at again an hour and a day after a verified remedy, and judged here. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from paramedic.machine.clock import spoken
from paramedic.remediation.health import Health, Sight
from paramedic.remediation.target import Identity

#: So long after a remedy was verified its target is looked at again.
LOOKS_AFTER = (timedelta(hours=1), timedelta(days=1))

#: A target that cannot be seen is looked at again for so long, before nobody knows.
PATIENCE = timedelta(minutes=30)


class Held(StrEnum):
    """What a later look showed of a cure."""

    HELD = "held"  # well, and nobody has changed its release since
    LOST = "lost"  # failing, or the same fault has begun again since
    UNDONE = "undone"  # the release that the remedy had left is current again
    REPLACED = "replaced"  # another release is current: what was cured does not run any more
    UNSEEN = "unseen"  # nobody knows


#: Verdicts that say that somebody should know of it.
NOT_HELD = (Held.LOST, Held.UNDONE)


@dataclass(frozen=True, slots=True)
class CureLook:
    """One look at a cure: when it is due, and once it was taken, what it showed."""

    act: int
    incident: int
    target: str
    runbook: str
    remedy: str  # its name on the trail
    after: timedelta  # the cure
    cured_at: datetime
    due_at: datetime
    before: Identity  # the instance that the remedy was meant for
    identity: Identity | None  # the one that was verified well; None: not known
    blind_since: datetime | None = None  # the first look that saw nothing
    verdict: Held | None = None
    why: str | None = None
    looked_at: datetime | None = None

    @property
    def words(self) -> str:
        """The verdict in words; empty before it."""
        if self.verdict is None or self.looked_at is None:
            return ""
        later = spoken(self.looked_at.replace(microsecond=0) - self.cured_at.replace(microsecond=0)) or "0s"
        return f"{later} after the {self.remedy} {_VERDICTS[self.verdict]}: {self.why}"


_VERDICTS: Mapping[Held, str] = {
    Held.HELD: "the cure holds",
    Held.LOST: "the cure did not hold",
    Held.UNDONE: "somebody has undone the cure",
    Held.REPLACED: "what was cured runs no more",
    Held.UNSEEN: "nobody knows whether the cure holds",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found at the target, and in the store about it."""

    health: Health
    identity: Identity | None  # None: it does not say which instance it is
    came_back: str | None = None  # the incident about the same fault since then, `INC-9`


def judge(look: CureLook, seen: Seen, now: datetime) -> tuple[Held | None, str]:
    """The verdict, with what was seen; None as long as a target that cannot be seen is looked at again."""
    then = None if look.identity is None else look.identity.revision
    current = None if seen.identity is None else seen.identity.revision
    if None not in (then, current) and then != current:
        is_back = current == look.before.revision
        words = f"release {current} is current{' again' if is_back else ''}, and {then} was after the {look.remedy}"
        return (Held.UNDONE if is_back else Held.REPLACED), f"{words}; {seen.health.why}"
    if seen.came_back is not None:
        return Held.LOST, f"{seen.came_back} is about the same fault"
    match seen.health.sight:
        case Sight.WELL:
            return Held.HELD, f"{seen.health.why}{_instance(look, seen)}"
        case Sight.FAILING:
            return Held.LOST, seen.health.why
        case _:
            waited = look.blind_since is not None and now - look.blind_since >= PATIENCE
            return (Held.UNSEEN if waited else None), f"it cannot be seen: {seen.health.why}"


def _instance(look: CureLook, seen: Seen) -> str:
    if look.identity is None or seen.identity is None or look.identity.means(seen.identity):
        return ""
    return "; another instance of it runs by now"
