"""The outcome of a playbook's work on an incident."""

from dataclasses import dataclass
from enum import StrEnum


class Ending(StrEnum):
    """The endings of a playbook's work."""

    RECOVERED = "recovered"  # by itself, before anything was done
    REMEDIATED = "remediated"  # by a change of ours, verified
    REFUSED = "refused"  # a guardrail said no; a person has it
    OBSERVED = "observed"  # its runbook only says what it would do; a person has it
    HANDED_OVER = "handed_over"  # we could not, or should not; a person has it

    @property
    def needs_a_person(self) -> bool:
        """Whether the incident then belongs to a person."""
        return self in (Ending.REFUSED, Ending.OBSERVED, Ending.HANDED_OVER)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a playbook returns: the ending and its reason in words."""

    ending: Ending
    because: str

    @property
    def needs_a_person(self) -> bool:
        """Whether the incident now belongs to a person."""
        return self.ending.needs_a_person
