"""An alert as a reader of some vendor's body puts it together, before its texts are cut to what fits."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from paramedic.alerts import severity_words
from paramedic.alerts.alert import Alert, Status, fingerprint
from paramedic.alerts.payload import EARLIEST
from paramedic.machine.clock import utc_now
from paramedic.text.bounds import bounded, fit, texts

#: Labels that runbooks and services.yaml go by, and annotations that people need: kept before the others.
FIRST_LABELS = ("alertname", "severity", "service", "job", "instance", "namespace", "cluster", "env")
FIRST_ANNOTATIONS = ("summary", "description", "link", "runbook_url", "value")

#: The annotation with the page at the sender that shows the alert.
LINK = "link"

#: A later start is a fault: it would make every word that its sender says before then an old one.
_AHEAD = timedelta(days=1)

_LINK = re.compile(r"https?://[^\s\x00-\x1f\"<>\\]{1,2000}", re.IGNORECASE)

#: A label's name as every matcher can write it.
_LABEL = re.compile(r"[^A-Za-z0-9_]+")


@dataclass(slots=True)
class Draft:
    """What is known of one alert. Labels and annotations may hold values of any type; empty ones are left out.

    `identity` is what the vendor gives the alert from its first word to its last: an issue's id, an alias, a cycle's key. An
    empty one leaves the labels to tell two alerts apart. `severity` is the vendor's word, or one of ours where the vendor's has
    another meaning than in the table of severities. `by`: who acknowledged it.
    """

    source: str
    name: str
    status: Status
    identity: Sequence[str] = ()
    severity: str = ""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    labels: Mapping[str, Any] = field(default_factory=dict)
    annotations: Mapping[str, Any] = field(default_factory=dict)
    link: str = ""
    by: str | None = None
    notes: Sequence[str] = ()

    def alert(self, now: datetime | None = None) -> Alert:
        """The alert. Raises ValueError without a name. Without a plausible start it began when it was received."""
        if not self.name:
            raise ValueError("its name is missing; every alert has a name")
        now = now or utc_now()
        own = {"alertname": self.name, **({"severity": self.severity} if self.severity else {})}
        labels, label_notes = texts({**_filled(self.labels), **own}, "labels")
        link = {LINK: self.link} if _LINK.fullmatch(self.link) else {}
        annotations, annotation_notes = texts({**_filled(self.annotations), **link}, "annotations")
        fitted, cut = fit(labels, "labels", first=FIRST_LABELS)
        fitted_annotations, annotations_cut = fit(annotations, "annotations", first=FIRST_ANNOTATIONS)
        starts_at, start_notes = plausible_start(self.starts_at, now, self.ends_at)
        if self.status is Status.RESOLVED and self.ends_at is not None and self.starts_at is None:
            start_notes = []  # what is over has no other order than by its end
        identity = {str(place): part for place, part in enumerate(self.identity)} if any(self.identity) else labels
        return Alert(
            source=self.source,
            name=fitted["alertname"] or "[cut]",
            severity=severity_words.DEFAULT.severity(labels.get(severity_words.LABEL, "")),
            status=self.status,
            starts_at=starts_at,
            ends_at=self.ends_at,
            fingerprint=fingerprint(self.source, identity),
            labels=fitted,
            annotations=fitted_annotations,
            value=fitted_annotations.get("value"),
            by=self.by if self.status is Status.ACKNOWLEDGED else None,
            notes=bounded([*self.notes, *label_notes, *cut, *annotation_notes, *annotations_cut, *start_notes]),
        )


def plausible_start(
    starts_at: datetime | None, now: datetime, ends_at: datetime | None = None, *, at: str = "start"
) -> tuple[datetime, list[str]]:
    """The start, and a note where it is another than the sender's: order is by the start, so every alert has one."""
    if starts_at is None and ends_at is not None and ends_at <= now:
        return ends_at, [f"{at}: no time, taken as its end"]
    if starts_at is None or starts_at < EARLIEST:
        return now, [f"{at}: no time, taken as the time of receipt"]
    if starts_at > now + _AHEAD:
        return now, [f"{at}: lies in the future, taken as the time of receipt; is its sender's clock right?"]
    return starts_at, []


def label_name(text: str) -> str:
    """The text as a label's name: letters, digits and `_`, not a digit first; "" where nothing of it is left."""
    name = _LABEL.sub("_", text).strip("_")
    return f"_{name}" if name[:1].isdigit() else name


def tags(written: str | Sequence[Any]) -> dict[str, str]:
    """Labels from tags `key:value`, as a list or separated by commas.

    Of one key the first counts; one without a value is "true".
    """
    found: dict[str, str] = {}
    for tag in written.split(",") if isinstance(written, str) else written:
        key, _, value = str(tag).strip().partition(":")
        if (name := label_name(key)) and name not in found:
            found[name] = value.strip() or "true"
    return found


def _filled(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "", [], {})}
