"""What one guardrail is: a pure rule, the key by which authors ask for it, and what it says. `guardrails.py` has all of them."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from paramedic.alerts.alert import Severity
from paramedic.remediation.remedy import Remedy
from paramedic.remediation.site_limits import SiteLimits
from paramedic.remediation.target import Identity
from paramedic.text.local_span import LocalSpan
from paramedic.text.nearest import nearest
from paramedic.text.units import SPAN, between


@dataclass(frozen=True, slots=True)
class Case:
    """The change that is judged."""

    now: datetime
    incident: str
    service: str
    target: str
    severity: Severity
    identity: Identity  # the instance of the target that is to be changed
    mode: str = ""
    withdrawn: str | None = None  # why the runbook, as it is now, no longer allows this change
    about: Sequence[Mapping[str, str]] = ()  # what the change is about, as the incident's alerts say it

    @property
    def by_hand(self) -> str:
        """How a person continues where automation may not."""
        return (
            f"act by the Mitigation of the runbook, which is in the page; `paramedic incident resolve {self.incident}` "
            "ends it"
        )


@dataclass(frozen=True, slots=True)
class No:
    """Why a guardrail does not agree, with its numbers, and how a person goes on by hand."""

    reason: str
    by_hand: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A guardrail's refusal: which one, why with its numbers, and how a person continues by hand."""

    guardrail: str
    reason: str
    by_hand: str


@dataclass(frozen=True, slots=True)
class About:
    """A guardrail's row in the documentation."""

    reads: str
    says: str  # what its refusal says
    go_on: str  # how a person goes on


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a guardrail's value in a runbook must agree with."""

    service: str
    remedies: tuple[Remedy, ...]  # the runbook's ladder
    listed: int | None = None  # how many targets of the service services.yaml lists; None: not read here
    beside: frozenset[str] = frozenset()  # the keys of the guardrails that the runbook asks for


@dataclass(frozen=True, slots=True)
class Misfit:
    """A value that disagrees with its surroundings: its keys under `guardrails`, what is wrong, what is allowed."""

    at: tuple[str, ...]
    what: str
    allowed: str


def _of_every_remedy(value: Any, _remedy: Remedy) -> Any:
    return value


def _fits_anywhere(_value: Any, _around: Surroundings) -> list[Misfit]:
    return []


@dataclass(frozen=True, slots=True)
class Written:
    """How an author asks for a guardrail: a key under `guardrails` of a runbook."""

    key: str
    type: Any  # the pydantic type of its value, with its bounds
    example: Any  # as an author writes it
    nothing: Any = None  # what an author who does not write it asks
    of: Callable[[Any, Remedy], Any] = _of_every_remedy  # what the value asks of one remedy; None: nothing
    misfits: Callable[[Any, Surroundings], list[Misfit]] = _fits_anywhere


@dataclass(frozen=True, slots=True, eq=False)
class Guardrail:
    """One rule. It is asked with the case, with what the store's query of its name has seen, and with what the author asks.

    One with a key (`written`) is asked only where the author asks for it.
    """

    name: str  # on the trail
    no: Callable[[Case, Any, Any], No | None]
    about: About
    yes: Callable[[Case, Any, Any], str] | None = None  # what let a change pass, with its numbers, for the trail
    written: Written | None = None
    of_site: Callable[[SiteLimits], Any] | None = None  # what the settings ask of it; such a one is always asked


# --- what the store's queries see, and what authors ask ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Holding:
    """Whether the run that asks still has the incident and its target."""

    attempt: int  # ours
    current_attempt: int  # the incident's
    is_ours: bool
    lease_until: datetime | None


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier change of the same incident by the same remedy: when, and what came of it (None: not known)."""

    remedy: str  # its name on the trail
    at: datetime
    result: str | None


@dataclass(frozen=True, slots=True)
class Granted:
    """The one permission for a remedy of an incident (None: there is none), and the act that spent an earlier one."""

    state: str | None  # open, spent, revoked
    spent_by: Earlier | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """The allowed number of changes within a period."""

    count: int
    per: timedelta


@dataclass(frozen=True, slots=True)
class Spent:
    """The use of a budget: the acts within its period, and when one is free again if none is now."""

    used: int
    free_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AtOnce:
    """The number of the service's targets that may be changed at once, of how many there are."""

    count: int
    of: int

    @property
    def counts_healthy(self) -> bool:
        """Whether the service's other targets must be looked at: the same share of however many are healthy is one."""
        return self.count > 1

    def allowed(self, reachable: int) -> int:
        """How many may be, where only so many are healthy or are being changed: the same share, and one at least."""
        return max(1, min(self.count, self.count * reachable // self.of))


@dataclass(frozen=True, slots=True)
class Busy:
    """Other targets of the service: those with a change that is not verified, and those that are not healthy without one."""

    changing: tuple[str, ...] = ()
    away: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()  # what the change takes away of the service; (): the changed target alone

    @property
    def taking(self) -> int:
        """How many targets of the service the change takes away."""
        return max(1, len(self.taken))


def taken_words(case: Case, taken: tuple[str, ...]) -> str:
    """What a change takes away, in words: the target, its parts of one service, or both; (): the target."""
    parts = [each for each in taken if each != case.target]
    if not parts:
        return case.target
    named = f"{', '.join(parts[:5])}{f' and {len(parts) - 5} more' if len(parts) > 5 else ''}"
    if case.target in taken:
        return f"{case.target} with {named}"
    return f"{named} ({'a part' if len(parts) == 1 else 'parts'} of {case.target})"


class AskedWhen(StrEnum):
    """When a person must approve a remedy, as an author writes it: from a severity on, or outside the runbook's hours."""

    WARNING = "warning"
    CRITICAL = "critical"
    OUT_OF_HOURS = "out-of-hours"


#: As `approval`: outside its hours a runbook asks a person, instead of refusing.
OUT_OF_HOURS = AskedWhen.OUT_OF_HOURS

#: Stands for every remedy of the ladder, where the author names none.
_EVERY_REMEDY = "*"


@dataclass(frozen=True, slots=True)
class Asking:
    """When a person must approve one remedy: from a severity on (None: from none), and outside of these hours."""

    from_severity: Severity | None
    outside: tuple[LocalSpan, ...] = ()


_BUDGETED = between("1s", "365d")


def _budget(text: Any) -> Budget:
    match = re.fullmatch(r"(\d{1,6}) per (.{1,20})", text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("write `3 per hour` or `2 per 30m`")
    words = {"hour": "1h", "day": "1d", "minute": "1m", "week": "1w"}
    budget = Budget(int(match[1]), _BUDGETED(words.get(match[2], match[2])))
    if budget.count == 0:
        raise ValueError("a budget of nothing allows nothing; write `mode: observe` for that")
    return budget


def _at_once(text: Any) -> AtOnce:
    match = re.fullmatch(r"(\d{1,6}) of (\d{1,6})", text) if isinstance(text, str) else None
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ValueError("write `1 of 4`: so many of the service's targets, of so many that services.yaml lists")
    return AtOnce(int(match[1]), int(match[2]))


def _at_once_misfits(at_once: AtOnce, around: Surroundings) -> list[Misfit]:
    """Where services.yaml lists another number of targets than the author counted."""
    if around.listed is None or at_once.of == around.listed:
        return []
    what = f"says {at_once.of} targets, and services.yaml lists {around.listed} of {around.service}"
    return [Misfit(("at_once",), what, f"write {min(at_once.count, around.listed)} of {around.listed}")]


def _by_remedy(written: Any) -> Any:
    """`out-of-hours` alone is asked of every remedy."""
    return {_EVERY_REMEDY: written} if written == OUT_OF_HOURS else written


def _of_its_remedy(by_remedy: Mapping[str, AskedWhen], remedy: Remedy) -> Severity | AskedWhen | None:
    """The severity from which this remedy needs an approval, or OUT_OF_HOURS; None: it needs none."""
    when = by_remedy.get(remedy.word, by_remedy.get(_EVERY_REMEDY))
    return when if when is None or when == OUT_OF_HOURS else Severity(when)


def _approval_misfits(by_remedy: Mapping[str, AskedWhen], around: Surroundings) -> list[Misfit]:
    """Where an approval is asked for a remedy that the ladder does not have, or out of hours that nobody names."""
    words = [remedy.word for remedy in around.remedies]
    strange = [
        Misfit(("approval", name), "the ladder has no such remedy", nearest(name, words, "it has"))
        for name in by_remedy
        if name not in (*words, _EVERY_REMEDY)
    ]
    if OUT_OF_HOURS in by_remedy.values() and "hours" not in around.beside:
        allowed = "write `hours` beside it: `hours: Mon-Fri 08:00 to 18:00 Europe/Berlin`"
        strange.append(Misfit(("approval",), "nothing says which hours those are", allowed))
    return strange


def _again_misfits(again: bool, around: Surroundings) -> list[Misfit]:  # noqa: FBT001 - the author's own value
    """Where nothing says how often a cure may be repeated: that is asked of the whole runbook."""
    if not again or around.listed is None or "budget" in around.beside:
        return []
    return [Misfit(("again",), "nothing says how often", "write a `budget` beside it: `budget: 3 per hour`")]


_BUDGET_TEXT = Annotated[str, Field(pattern=rf"^\d{{1,6}} per (hour|day|minute|week|{SPAN.pattern})$")]
_AT_ONCE_TEXT = Annotated[str, Field(pattern=r"^\d{1,6} of \d{1,6}$")]

WrittenBudget = Annotated[Budget, BeforeValidator(_budget, json_schema_input_type=_BUDGET_TEXT)]
WrittenApproval = Annotated[
    dict[str, AskedWhen],
    BeforeValidator(_by_remedy, json_schema_input_type=Literal["out-of-hours"] | dict[str, AskedWhen]),
]
WrittenAtOnce = Annotated[AtOnce, BeforeValidator(_at_once, json_schema_input_type=_AT_ONCE_TEXT)]

AT_ONCE_KEY = Written("at_once", WrittenAtOnce, "1 of 4", misfits=_at_once_misfits)
AGAIN_KEY = Written("again", bool, True, False, misfits=_again_misfits)
APPROVAL_KEY = Written(
    "approval", WrittenApproval, {"restart": "critical"}, {}, of=_of_its_remedy, misfits=_approval_misfits
)
