"""The newest thing that a sender said under one fingerprint."""

from dataclasses import dataclass, field
from datetime import datetime

from paramedic.alerts.alert import Status


@dataclass(frozen=True, slots=True)
class LastWord:
    """The last thing its sender said under this fingerprint: when what fires began, or when what is over ended."""

    status: Status
    at: datetime  # the alert's `effective_at`
    heard_at: datetime | None = field(default=None, compare=False)  # when it was received; None: it was not kept
