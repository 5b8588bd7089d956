"""A maintenance window: people work on a target, so nothing acts on it, and its alerts wait until the window ends."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from paramedic.machine.clock import iso, spoken

#: What lasts longer than this mutes a service and maintains nothing.
LONGEST = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Window:
    """One window, of a service or of one of its targets."""

    id: int
    service: str
    target: str | None  # None: every target of the service
    starts_at: datetime
    ends_at: datetime
    by: str
    reason: str

    @property
    def where(self) -> str:
        """The service or target, in words."""
        return f"service {self.service}" if self.target is None else self.target

    @property
    def words(self) -> str:
        """What is in maintenance, until when, who set it and why, in words."""
        return f"{self.where} is in maintenance until {iso(self.ends_at)}, by {self.by}: {self.reason}"

    @property
    def end(self) -> str:
        """The command that ends it."""
        return f"paramedic maintenance end {self.id}"


def check(starts_at: datetime, ends_at: datetime, now: datetime) -> None:
    """Raises ValueError for an implausible window."""
    if ends_at <= starts_at:
        raise ValueError(f"it would end at {iso(ends_at)}, and begins at {iso(starts_at)}: write a later end")
    if ends_at <= now:
        raise ValueError(f"it would have ended at {iso(ends_at)}, and it is {iso(now)}")
    if ends_at - starts_at > LONGEST:
        raise ValueError(
            f"it would last {spoken(ends_at - starts_at)}, and {spoken(LONGEST)} is the longest: "
            "what is never to be acted on belongs into its runbook"
        )
