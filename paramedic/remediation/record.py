"""The record of a runbook's proposals: how many it made, and how many would have been right. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from paramedic.machine.clock import iso, spoken
from paramedic.remediation.guardrail import APPROVAL_KEY
from paramedic.remediation.proposal import Proposal, Verdict


@dataclass(frozen=True, slots=True)
class Record:
    """Counts of proposals, each in exactly one: `refused` is by guardrail, and comes before the verdict."""

    proposals: int = 0
    targets: int = 0
    needed: int = 0  # still failing after the time that the remedy would have had
    by_others: int = 0  # somebody else did it meanwhile
    recovered: int = 0  # by itself
    refused: Mapping[str, int] = field(default_factory=dict)
    unknown: int = 0  # judged, and nobody saw
    pending: int = 0  # not judged yet, or its run was lost
    first_at: datetime | None = None
    last_at: datetime | None = None
    recovered_after: tuple[timedelta, timedelta] | None = None  # the shortest and the longest

    @property
    def right(self) -> int:
        """Proposals that named a change which somebody had to make; whether it would have helped shows in `mode: ask`."""
        return self.needed + self.by_others

    def as_json(self) -> dict[str, Any]:
        """For programs; times in seconds."""
        shortest, longest = self.recovered_after or (None, None)
        return {
            "proposals": self.proposals,
            "targets": self.targets,
            "right": self.right,
            "needed": self.needed,
            "by_others": self.by_others,
            "not_needed": self.recovered,
            "refused": dict(self.refused),
            "unknown": self.unknown,
            "pending": self.pending,
            "first_at": None if self.first_at is None else iso(self.first_at),
            "last_at": None if self.last_at is None else iso(self.last_at),
            "recovered_after_seconds": None
            if shortest is None or longest is None
            else {"shortest": shortest.total_seconds(), "longest": longest.total_seconds()},
        }


def sum_up(proposals: Sequence[Proposal]) -> Record:
    """The record of these proposals."""
    if not proposals:
        return Record()
    counts = Counter(_class(proposal) for proposal in proposals)
    took = [
        proposal.judged_at - proposal.made_at
        for proposal in proposals
        if _class(proposal) == Verdict.RECOVERED and proposal.judged_at is not None
    ]
    made = [proposal.made_at for proposal in proposals]
    return Record(
        proposals=len(proposals),
        targets=len({proposal.target for proposal in proposals}),
        needed=counts[Verdict.NEEDED],
        by_others=counts[Verdict.BY_OTHERS],
        recovered=counts[Verdict.RECOVERED],
        refused=Counter(guardrail for proposal in proposals if (guardrail := _refused_by(proposal)) is not None),
        unknown=counts[Verdict.UNSEEN],
        pending=counts[_PENDING],
        first_at=min(made),
        last_at=max(made),
        recovered_after=(min(took), max(took)) if took else None,
    )


_PENDING, _REFUSED = "pending", "refused"


def _class(proposal: Proposal) -> str:
    if _refused_by(proposal) is not None:
        return _REFUSED
    return _PENDING if proposal.verdict is None else proposal.verdict


def _refused_by(proposal: Proposal) -> str | None:
    """The guardrail that would have stopped it; a question to a person stops nothing by itself."""
    return None if proposal.refused_by == APPROVAL_KEY.key else proposal.refused_by


def lines(name: str, record: Record) -> Iterator[str]:
    """The record of the runbook of this name for people, one fact a line."""
    if record.first_at is None or record.last_at is None:
        yield f"{name} has proposed nothing: no incident came to its first change while it observed"
        return
    of = f"on {record.targets} target{'s' if record.targets > 1 else ''}"
    count = f"{record.proposals} proposal{'s' if record.proposals > 1 else ''}"
    yield f"{name}: {count} {of}, from {iso(record.first_at)[:16]}Z to {iso(record.last_at)[:16]}Z"
    yield (
        f"  {record.right} would have been right: {record.needed} still failing after the time that a remedy has, "
        f"{record.by_others} done by somebody else meanwhile"
    )
    yield f"  {record.recovered} would not have been needed: well by itself{_after(record)}"
    stopped = ", ".join(f"{guardrail} {count}" for guardrail, count in sorted(record.refused.items()))
    yield f"  {sum(record.refused.values())} a guardrail would have refused{f': {stopped}' if stopped else ''}"
    yield f"  {record.unknown} nobody could judge, {record.pending} not judged yet"


def _after(record: Record) -> str:
    if record.recovered_after is None:
        return ""
    shortest, longest = (timedelta(seconds=round(span.total_seconds())) for span in record.recovered_after)
    return f", after {spoken(shortest)}" + (f" to {spoken(longest)}" if longest != shortest else "")
