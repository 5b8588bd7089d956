"""The newest report of a sender under one fingerprint."""

from dataclasses import dataclass, field
from datetime import datetime

from paramedic.alerts.alert import Status


@dataclass(frozen=True, slots=True)
class LastWord:
    """The last report under this fingerprint: when the alert began, if it fires, or when it ended."""

    status: Status
    at: datetime  # the alert's `effective_at`
    heard_at: datetime | None = field(default=None, compare=False)  # when it was received; None: it was not kept
