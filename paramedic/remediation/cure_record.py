"""The record of a runbook's remedies: how often each helped which target, and how often that held. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from paramedic.machine.clock import spoken
from paramedic.remediation.cure import LOOKS_AFTER, CureLook, Held
from paramedic.remediation.remedy import Verb

_PENDING = "pending"  # the look is not due yet, or was not taken


class _Act(Protocol):
    """As much of an act as the record needs."""

    @property
    def target(self) -> str: ...
    @property
    def remedy(self) -> str: ...
    @property
    def result(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class RemedyRecord:
    """One remedy at one target: each act counts once. `held` has the verdicts so long after a cure, by their names."""

    remedy: str  # its name on the trail
    target: str
    cured: int = 0  # verified well after it
    in_vain: int = 0  # it failed, or its target was not well after it
    unknown: int = 0  # open, or nobody saw what became of it
    not_sent: int = 0
    held: Mapping[timedelta, Mapping[str, int]] = field(default_factory=dict)

    @property
    def acts(self) -> int:
        """How often it was begun."""
        return self.cured + self.in_vain + self.unknown + self.not_sent

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        looks = [
            {"after_seconds": after.total_seconds()}
            | {str(verdict): self.held.get(after, {}).get(verdict, 0) for verdict in [*Held, _PENDING]}
            for after in LOOKS_AFTER
        ]
        counted = {name: getattr(self, name) for name in ("acts", "cured", "in_vain", "unknown", "not_sent")}
        return {"remedy": self.remedy, "target": self.target, **counted, "looks": looks}

    @property
    def words(self) -> str:
        """The counts in words; those that are none are left out."""
        counted = {
            "helped": self.cured,
            "did not": self.in_vain,
            "nobody knows": self.unknown,
            "not sent": self.not_sent,
        }
        counts = ", ".join(f"{count} {name}" for name, count in counted.items() if count)
        times = "once" if self.acts == 1 else f"{self.acts} times"
        later = [f"; {spoken(after)} later {words}" for after in LOOKS_AFTER if (words := self._after(after))]
        return f"{self.remedy} of {self.target}, {times}: {counts}{''.join(later)}"

    def _after(self, after: timedelta) -> str:
        seen = self.held.get(after, {})
        return ", ".join(f"{seen[verdict]} {word}" for verdict, word in _WORDS.items() if seen.get(verdict))


_WORDS: Mapping[str, str] = {
    Held.HELD: "held",
    Held.LOST: "did not hold",
    Held.UNDONE: "undone by somebody",
    Held.REPLACED: "replaced by another release",
    Held.UNSEEN: "not seen",
    _PENDING: "not looked at yet",
}

_IN_VAIN = ("done", "failed")  # what is done and was not verified well did not help


def sum_up(acts: Sequence[_Act], looks: Sequence[CureLook]) -> list[RemedyRecord]:
    """The record of these acts, for each remedy and target, by their names."""
    results: dict[tuple[str, str], Counter[str]] = {}
    for act in acts:
        if act.remedy == Verb.UNDO:  # the act that it undoes counts: it was in vain
            continue
        results.setdefault((act.remedy, act.target), Counter())[_class(act.result)] += 1
    held: dict[tuple[str, str], dict[timedelta, Counter[str]]] = {}
    for look in looks:
        seen = held.setdefault((look.remedy, look.target), {}).setdefault(look.after, Counter())
        seen[look.verdict or _PENDING] += 1
    return [
        RemedyRecord(remedy, target, **counts, held=held.get((remedy, target), {}))
        for (remedy, target), counts in sorted(results.items())
    ]


def lines(remedies: Sequence[RemedyRecord]) -> Iterator[str]:
    """The record for people, one remedy and target a line; nothing where nothing was done."""
    if not remedies:
        return
    total = sum(remedy.acts for remedy in remedies)
    cured = sum(remedy.cured for remedy in remedies)
    yield f"  acted {'once' if total == 1 else f'{total} times'}, and {cured} of them helped:"
    for remedy in remedies:
        yield f"    {remedy.words}"


def _class(result: str | None) -> str:
    if result == "cured":
        return "cured"
    if result == "not_sent":
        return "not_sent"
    return "in_vain" if result in _IN_VAIN else "unknown"
