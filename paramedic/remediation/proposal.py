"""A proposal: the change that a runbook in observe mode would have made, and whether it would have been needed. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from paramedic.machine.clock import spoken
from paramedic.remediation.guardrail import APPROVAL_KEY
from paramedic.remediation.observed_paging import Paging
from paramedic.remediation.remedy import would_have
from paramedic.remediation.target import Identity


class Verdict(StrEnum):
    """What the time that the remedy would have had showed."""

    NEEDED = "needed"  # still failing at its end
    BY_OTHERS = "by_others"  # well, and another instance of the target runs: somebody else did it
    RECOVERED = "recovered"  # well by itself: it was not needed
    UNSEEN = "unseen"  # nobody knows


@dataclass(frozen=True, slots=True)
class Proposal:
    """One proposal, as the store has it; `verdict` is None until it is judged."""

    id: int
    incident: int
    attempt: int
    rung: int
    target: str
    runbook: str
    remedy: str  # as its runbook names it
    why: str  # what the look just before it saw
    identity: Identity  # the instance of the target that it was meant for
    refused_by: str | None  # the guardrail that would not have allowed it
    refusal: str | None
    paging: Paging
    made_at: datetime
    judge_by: datetime
    verdict: Verdict | None = None
    verdict_why: str | None = None
    judged_at: datetime | None = None

    @property
    def words(self) -> str:
        """What would have been done, on which target, and what would have stopped it."""
        what = f"would have {would_have(self.remedy, self.target)}"
        if self.refused_by is None:
            return what
        if self.refused_by == APPROVAL_KEY.key:
            return f"would have asked a person, and once approved {what.removeprefix('would ')}"
        return f"{what}, and guardrail {self.refused_by} would have refused: {self.refusal}"

    @property
    def judged(self) -> str:
        """The verdict in words; empty before it."""
        if self.verdict is None or self.judged_at is None:
            return ""
        after = spoken(self.judged_at.replace(microsecond=0) - self.made_at.replace(microsecond=0))
        words = {
            Verdict.NEEDED: f"still failing {after} later",
            Verdict.BY_OTHERS: f"well {after} later, and not by itself: another instance runs",
            Verdict.RECOVERED: f"well by itself {after} later: nothing was needed",
            Verdict.UNSEEN: "nobody knows whether it was needed",
        }[self.verdict]
        return f"{words}: {self.verdict_why}" if self.verdict_why else words
