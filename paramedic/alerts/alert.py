"""An alert, as its sender reported it once."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from paramedic.machine.clock import from_iso, iso

#: In the note of an alert whose sender left others of its group out.
LEFT_OUT = "(truncatedAlerts)"


class Severity(StrEnum):
    """How severe the alert is, by its sender."""

    WARNING = "warning"
    CRITICAL = "critical"


class Status(StrEnum):
    """Whether the alert still fires, by its sender; ACKNOWLEDGED: a person there has taken it, and it fires on."""

    FIRING = "firing"
    RESOLVED = "resolved"
    ACKNOWLEDGED = "acknowledged"


@dataclass(frozen=True, slots=True)
class Alert:
    """One report by one sender. Labels and annotations are data and nothing else (design P7).

    `notes` say what had to be changed for the alert to be read: a text that was cut, a time that was missing.
    `informational`: by its sender's severity it asks for nobody; it opens no incident. `by`: who acknowledged it there.
    """

    source: str
    name: str
    severity: Severity
    status: Status
    starts_at: datetime
    fingerprint: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    ends_at: datetime | None = None
    value: str | None = None
    notes: tuple[str, ...] = ()
    informational: bool = False
    by: str | None = None

    @property
    def effective_at(self) -> datetime:
        """The time by which alerts of one fingerprint are ordered: the start of a firing one, the end of a resolved one.

        A missing end, or one before the start, counts as the start.
        """
        if self.status is not Status.RESOLVED or self.ends_at is None:
            return self.starts_at
        return max(self.starts_at, self.ends_at)

    def as_json(self) -> dict[str, Any]:
        """The alert as plain JSON values, for `from_json`."""
        return {
            "source": self.source,
            "name": self.name,
            "severity": self.severity.value,
            "status": self.status.value,
            "starts_at": iso(self.starts_at),
            "ends_at": iso(self.ends_at) if self.ends_at else None,
            "fingerprint": self.fingerprint,
            "labels": dict(self.labels),
            "annotations": dict(self.annotations),
            "value": self.value,
            "notes": list(self.notes),
            "informational": self.informational,
            "by": self.by,
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """The alert that `as_json` wrote. Raises KeyError or ValueError on anything else."""
        return cls(
            source=fields["source"],
            name=fields["name"],
            severity=Severity(fields["severity"]),
            status=Status(fields["status"]),
            starts_at=from_iso(fields["starts_at"]),
            ends_at=from_iso(fields["ends_at"]) if fields["ends_at"] else None,
            fingerprint=fields["fingerprint"],
            labels=fields["labels"],
            annotations=fields["annotations"],
            value=fields["value"],
            notes=tuple(fields.get("notes", ())),
            informational=bool(fields.get("informational", False)),
            by=fields.get("by"),
        )


def fingerprint(source: str, labels: Mapping[str, str]) -> str:
    """The identity of an alert: the same labels from the same source give the same digest, in whatever order they arrive."""
    return hashlib.sha256(json.dumps([source, sorted(labels.items())]).encode()).hexdigest()[:32]
