"""Escalation policies: who is paged, in what order and after how long, until an acknowledgement or a resolution."""

from dataclasses import dataclass
from datetime import timedelta

#: The step that pages whoever has the shift.
ONCALL = "oncall"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a policy: whom to page, and how long after the step before; the first, after the hand-over."""

    tell: str
    after: timedelta


@dataclass(frozen=True, slots=True)
class Policy:
    """The steps for one severity, in order; the last one repeats until somebody acknowledges.

    An acknowledgement pauses the escalation for `acknowledged_for`, not for ever.
    """

    name: str
    steps: tuple[Step, ...]
    repeat: timedelta
    acknowledged_for: timedelta

    def step(self, number: int) -> Step:
        """The step of this number, counted from 0; beyond the last, the last again."""
        return self.steps[min(number, len(self.steps) - 1)]

    def wait_after(self, number: int) -> timedelta:
        """How long after step `number` the next one is due."""
        return self.steps[number + 1].after if number + 1 < len(self.steps) else self.repeat
