"""What a sender said, once."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from paramedic.machine.clock import from_iso, iso


class Severity(StrEnum):
    """How bad the sender says it is."""

    WARNING = "warning"
    CRITICAL = "critical"


class Status(StrEnum):
    """Whether the sender says it is still so."""

    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Alert:
    """One sentence of one sender. Labels and annotations are data and nothing else (design P7).

    `notes` say what had to be changed for the alert to be read: a text that was cut, a time that was missing.
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

    @property
    def effective_at(self) -> datetime:
        """The moment by which alerts of one fingerprint are ordered: the start of what fires, the end of what is over.

        An end that is missing, or lies before the start, counts as the start.
        """
        if self.status is Status.FIRING or self.ends_at is None:
            return self.starts_at
        return max(self.starts_at, self.ends_at)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values; `from_json` reads them back."""
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
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Self:
        """The alert that `as_json` wrote. Raises KeyError or ValueError on anything else."""
        return cls(
            source=said["source"],
            name=said["name"],
            severity=Severity(said["severity"]),
            status=Status(said["status"]),
            starts_at=from_iso(said["starts_at"]),
            ends_at=from_iso(said["ends_at"]) if said["ends_at"] else None,
            fingerprint=said["fingerprint"],
            labels=said["labels"],
            annotations=said["annotations"],
            value=said["value"],
            notes=tuple(said.get("notes", ())),
        )


def fingerprint(source: str, labels: Mapping[str, str]) -> str:
    """The same labels from the same source are the same alert, in whatever order they arrive."""
    return hashlib.sha256(json.dumps([source, sorted(labels.items())]).encode()).hexdigest()[:32]
