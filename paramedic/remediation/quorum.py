"""The quorum: how many of a service's members must be seen healthy at the moment of a change."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from paramedic.machine.clock import spoken
from paramedic.remediation.guardrail import About, Case, Guardrail, Misfit, No, Surroundings, Written, taken_words
from paramedic.remediation.health import Health, Sight

#: The key by which an author asks for it.
QUORUM = "keep_healthy"

#: A look that is older than this says nothing about now.
SEEN_WITHIN = timedelta(seconds=10)

#: So many that are missing are named.
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Members:
    """How other targets looked just before a change, by their id; looked at from `taken_at` on."""

    taken_at: datetime  # by the store's clock
    health: Mapping[str, Health]

    def too_old(self, now: datetime) -> str | None:
        """Why the look says nothing about now; None where it does. A clock that was set back makes it useless too."""
        age = now - self.taken_at
        if timedelta(0) <= age <= SEEN_WITHIN:
            return None
        return f"was looked at {spoken(age)} ago, and {spoken(SEEN_WITHIN)} is the limit"

    def unseen(self, now: datetime) -> dict[str, str]:
        """Those that were not seen healthy just now, and why. Unknown is not healthy."""
        old = self.too_old(now)
        return {
            target: old or f"{'fails' if health.sight is Sight.FAILING else 'cannot be seen'}: {health.why}"
            for target, health in self.health.items()
            if old is not None or health.sight is not Sight.WELL
        }


@dataclass(frozen=True, slots=True)
class Healthy:
    """The service's members at this moment: how many there are, and why some do not count as healthy."""

    members: int  # with what the change takes away, which never counts as healthy
    missing: Mapping[str, str]  # of the others
    taken: tuple[str, ...] = ()  # what the change takes away of the service; (): the changed target alone

    @property
    def count(self) -> int:
        """How many members are healthy beside what the change takes away."""
        return self.members - max(1, len(self.taken)) - len(self.missing)


@dataclass(frozen=True, slots=True)
class Quorum:
    """The share of a service's members that must be healthy: `3 of 4`, `51%`."""

    text: str
    share: int
    of: int

    @property
    def is_percent(self) -> bool:
        """Whether it is a share of however many there are."""
        return self.text.endswith("%")

    def needed(self, members: int) -> int:
        """How many of so many members."""
        return math.ceil(self.share * members / self.of)


def parsed(text: Any) -> Quorum:
    """The quorum that a file writes: `51%`, `3 of 4`. Raises ValueError, saying what is allowed."""
    match = re.fullmatch(r"(\d{1,3})%|(\d{1,6}) of (\d{1,6})", text) if isinstance(text, str) else None
    if match is not None:
        share, of = (int(match[1]), 100) if match[1] else (int(match[2]), int(match[3]))
        if 1 <= share <= of:
            return Quorum(match[0], share, of)
    raise ValueError("write `51%` or `3 of 4`: so much of the service is seen healthy whenever something is changed")


def _misfits(quorum: Quorum, around: Surroundings) -> list[Misfit]:
    """Where services.yaml lists another number, or the quorum leaves no target that could ever be changed."""
    if around.listed is None:
        return []
    if not quorum.is_percent and quorum.of != around.listed:
        what = f"says {quorum.of} targets, and services.yaml lists {around.listed} of {around.service}"
        return [Misfit((QUORUM,), what, f"write {min(quorum.share, around.listed)} of {around.listed}")]
    if quorum.needed(around.listed) >= around.listed:
        what = (
            f"keeps {quorum.needed(around.listed)} of {around.listed} targets healthy, and the one that is changed is not: "
            "nothing could ever be changed"
        )
        most = f"write at most {around.listed - 1} of {around.listed}" if around.listed > 1 else "leave it out"
        return [Misfit((QUORUM,), what, most)]
    return []


def too_few(case: Case, healthy: Healthy | None, quorum: Quorum) -> No | None:
    """Why the change would leave too few of the service's targets; None where it would not."""
    if healthy is None:
        return No("nobody has looked how the service's other targets are", case.by_hand)
    needed = quorum.needed(healthy.members)
    if healthy.count >= needed:
        return None
    missing = "; ".join(f"{target} {why}" for target, why in sorted(healthy.missing.items())[:_NAMED])
    beside = taken_words(case, healthy.taken)
    return No(
        f"{healthy.count} of service {case.service}'s {healthy.members} targets are seen healthy beside {beside}, and "
        f"{needed} must be (keep_healthy: {quorum.text}){f': {missing}' if missing else ''}",
        f"mend those first, or {case.by_hand}",
    )


def enough(_case: Case, healthy: Healthy | None, quorum: Quorum) -> str:
    """What let it pass, with its numbers."""
    if healthy is None:
        return "nobody looked"
    return f"{healthy.count} of {healthy.members} healthy beside it, and {quorum.needed(healthy.members)} must be"


_TEXT = Annotated[str, Field(pattern=r"^(\d{1,3}%|\d{1,6} of \d{1,6})$")]

#: A quorum as a field of a file's model.
WrittenQuorum = Annotated[Quorum, BeforeValidator(parsed, json_schema_input_type=_TEXT)]

QUORUM_RULE = Guardrail(
    "quorum",
    too_few,
    About(
        "how the other targets of the service look, just before: its owner says that it runs, its health address answers, "
        "its checks are well, no change of it, of a part of it or of what it is a part of is unverified, and no incident of it "
        "is open; what cannot be seen is not healthy",
        "how many are healthy, how many must be, and what is wrong with the others",
        "mend those first, or act by the Mitigation",
    ),
    yes=enough,
    written=Written(
        QUORUM,
        WrittenQuorum,
        "51%",
        misfits=_misfits,
    ),
)
