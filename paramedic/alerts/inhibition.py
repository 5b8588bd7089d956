"""Inhibition, as Alertmanager has it: while a source alert fires, target alerts with equal labels are held.

Alertmanager documentation, "Inhibition-related settings": a missing label and an empty one are the same; an alert that
matches both sides of a rule is not inhibited by alerts for which that is true too, itself among them.
"""

import hashlib
import json
from dataclasses import dataclass

from paramedic.alerts.alert import Alert
from paramedic.alerts.silence import labelled, matchers_of


@dataclass(frozen=True, slots=True)
class Inhibition:
    """One rule."""

    source: tuple[str, ...]
    target: tuple[str, ...]
    equal: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The identity of the rule: another text is another rule."""
        return _digest([self.source, self.target, self.equal])

    def is_source(self, alert: Alert) -> bool:
        """Whether the alert, while it fires, inhibits others."""
        return _all_want(self.source, alert)

    def is_target(self, alert: Alert) -> bool:
        """Whether others may inhibit the alert."""
        return _all_want(self.target, alert)

    def equal_key(self, alert: Alert) -> str:
        """The values of the labels that must be equal; a missing one is empty."""
        labels = labelled(alert).labels
        return _digest([labels.get(name, "") for name in self.equal])

    @property
    def words(self) -> str:
        """The rule for people."""
        equal = f", equal {', '.join(self.equal)}" if self.equal else ""
        return f"{', '.join(self.source)} inhibits {', '.join(self.target)}{equal}"


def _all_want(texts: tuple[str, ...], alert: Alert) -> bool:
    seen = labelled(alert)
    return all(matcher.wants(seen) for matcher in matchers_of(texts))


def _digest(what: object) -> str:
    return hashlib.sha256(json.dumps(what).encode("utf-8", "surrogatepass")).hexdigest()[:32]
