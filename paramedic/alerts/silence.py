"""A silence: alerts that match it are held, and nobody is told of them, until it ends."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache

from paramedic.alerts.alert import Alert, Severity
from paramedic.alerts.matcher import AlertMatcher, parse
from paramedic.machine.clock import iso, spoken

#: What is silent for longer is switched off: that belongs into the rule that raises it.
LONGEST = timedelta(days=90)

#: A silence has at most so many matchers.
MOST_MATCHERS = 20


@dataclass(frozen=True, slots=True)
class Silence:
    """One silence. All of its matchers must match an alert."""

    id: int
    matchers: tuple[str, ...]
    starts_at: datetime
    ends_at: datetime
    author: str
    reason: str
    incident: int | None = None  # for which a person silenced it by a link
    last_matched_at: datetime | None = None

    @property
    def words(self) -> str:
        """Which one, until when, who set it and why, in words."""
        return f"silence {self.id} holds it until {iso(self.ends_at)}, by {self.author}: {self.reason}"

    @property
    def waits_for(self) -> str:
        """What the inbox says of an alert that it holds."""
        return f"silence:{self.id}"

    def matches(self, alert: Alert) -> bool:
        """Whether it silences the alert."""
        seen = labelled(alert)
        return all(matcher.wants(seen) for matcher in matchers_of(self.matchers))


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of failure: alerts of one name and severity."""

    name: str
    severity: Severity

    @classmethod
    def of(cls, alert: Alert) -> "Kind":
        """The kind of the alert."""
        return cls(alert.name, alert.severity)

    def is_new_beside(self, known: Sequence["Kind"]) -> bool:
        """Whether none of these has its name and is as severe."""
        return not any(
            kind.name == self.name and (kind.severity is self.severity or kind.severity is Severity.CRITICAL)
            for kind in known
        )


def labelled(alert: Alert) -> Alert:
    """The alert as silences and inhibition rules see it: with the labels `alertname` and `severity`, where it has none."""
    return replace(alert, labels={"alertname": alert.name, "severity": alert.severity.value} | dict(alert.labels))


@lru_cache(maxsize=4096)
def matchers_of(texts: tuple[str, ...]) -> tuple[AlertMatcher, ...]:
    """The parsed matchers. Raises ValueError, saying which is wrong."""
    found = []
    for text in texts:
        try:
            found.append(parse(text))
        except ValueError as error:
            raise ValueError(f"matcher {text!r:.120}: {error}") from error
    return tuple(found)


def check_matchers(texts: tuple[str, ...]) -> None:
    """Raises ValueError for matchers that cannot be read, and for those that an alert without any label would match.

    Alertmanager refuses them too: a missing label is an empty one, so that `team!="search"` alone silences nearly everything.
    """
    if not texts or len(texts) > MOST_MATCHERS:
        raise ValueError(f"write 1 to {MOST_MATCHERS} matchers")
    if all(
        matcher.alert is None and all(each.holds({}) for each in matcher.matchers) for matcher in matchers_of(texts)
    ):
        raise ValueError(
            "an alert without any of these labels would match, and so nearly every alert: "
            'a missing label is an empty one; add a matcher that needs a value, such as service="shop" or alertname=~".+"'
        )


def check_times(starts_at: datetime, ends_at: datetime) -> None:
    """Raises ValueError for an implausible time."""
    if ends_at <= starts_at:
        raise ValueError(f"it would end at {iso(ends_at)}, and begins at {iso(starts_at)}: write a later end")
    if ends_at - starts_at > LONGEST:
        raise ValueError(f"it would last {spoken(ends_at - starts_at)}, and {spoken(LONGEST)} is the longest")


def for_alerts(alerts: Sequence[Alert]) -> tuple[str, ...]:
    """Matchers that match these alerts: by the labels that all of them have alike, and their names.

    Raises ValueError where they have nothing in common but would silence everything.
    """
    seen = [labelled(alert).labels for alert in alerts]
    if not seen:
        raise ValueError("there is no alert to silence")
    common = {
        name: value
        for name, value in seen[0].items()
        if value and all(labels.get(name) == value for labels in seen[1:])
    }
    common.pop("severity", None)  # what gets worse is still the same
    names = sorted({labels["alertname"] for labels in seen})
    texts = [f"{_name(name)}={_quoted(value)}" for name, value in sorted(common.items()) if name != "alertname"]
    if len(names) == 1:
        texts.insert(0, f"alertname={_quoted(names[0])}")
    else:
        texts.insert(0, f"alertname=~{_quoted('|'.join(map(_literally, names)))}")
    matchers = tuple(texts[:MOST_MATCHERS])
    check_matchers(matchers)
    return matchers


def _name(name: str) -> str:
    return name if name.isidentifier() and name.isascii() else _quoted(name)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _literally(text: str) -> str:
    """The text as a pattern of RE2 that matches it alone."""
    return "".join(char if char.isalnum() or char == "_" or not char.isascii() else f"\\{char}" for char in text)
