"""The words that senders write for a severity, and what each means: a table of defaults, which a setting adds to."""

import re
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from functools import lru_cache

from paramedic.alerts.alert import Alert, Severity

#: The label that carries the word.
LABEL = "severity"

#: A longer word, or one with control characters, is told by its length.
_SHOWN = 40


class Meaning(StrEnum):
    """What a word means: one of the severities, or that the alert is for information only."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


def _plain(word: str) -> str:
    """The word without case, spaces and punctuation: `SEV-1`, `sev 1` and `sev1` are one."""
    return _plain_of_usual(word) if len(word) <= _SHOWN else _stripped(word)


def _stripped(word: str) -> str:
    return re.sub(r"[\W_]+", "", word.casefold())


#: Senders write the same few words in every alert.
_plain_of_usual = lru_cache(maxsize=256)(_stripped)


#: Lower numbers are worse, as with PagerDuty, Opsgenie and syslog. Only what plainly asks for nobody is information.
_WORDS = {
    Meaning.CRITICAL: "critical crit fatal emergency emerg panic alert page pager blocker blocking disaster catastrophic "
    "major high highest severe urgent immediate error err outage down failure 0 1 p0 p1 s0 s1 sev0 sev1 severity0 "
    "severity1 priority0 priority1 prio0 prio1 level0 level1 tier0 tier1",
    Meaning.WARNING: "warning warn minor medium moderate average low lowest ticket noncritical degraded "
    + " ".join(
        f"{prefix}{number}"
        for prefix in ("", "p", "s", "sev", "severity", "priority", "prio", "level", "tier")
        for number in (2, 3, 4, 5)
    ),
    Meaning.INFO: "info information informational informative none ok okay notice notification debug trace verbose",
}
_DEFAULTS = {word: meaning for meaning, words in _WORDS.items() for word in words.split()}


class SeverityTable:
    """What severity words mean; case, spaces and punctuation do not count."""

    def __init__(self, own: Mapping[str, Meaning] | None = None) -> None:
        """`own` comes before the defaults."""
        self._words = _DEFAULTS | {_plain(word): meaning for word, meaning in (own or {}).items()}

    def meaning(self, word: str) -> Meaning | None:
        """What the word means; None where the table has no such word."""
        return self._words.get(_plain(word))

    def severity(self, word: str) -> Severity:
        """The severity that an alert with this word has; one for information alone has the lower one.

        An unknown word counts as critical: both severities page, but a policy may let warnings wait, and what nobody
        here can read must not wait in silence (design P5). No word at all is a warning.
        """
        if not _plain(word):
            return Severity.WARNING
        meaning = self.meaning(word)
        return Severity.CRITICAL if meaning in (Meaning.CRITICAL, None) else Severity.WARNING

    def judged(self, alert: Alert) -> Alert:
        """The alert by its label `severity`, whatever its reader made of it; without that label, as its reader made it."""
        word = alert.labels.get(LABEL, "")
        if not _plain(word):
            return alert
        meaning = self.meaning(word)
        severity, informational = self.severity(word), meaning is Meaning.INFO
        notes = alert.notes
        if meaning is None:
            notes = (*notes, f"labels.{LABEL}: {shown(word)} is not in the table of severities, counted as critical")
        if (alert.severity, alert.informational, alert.notes) == (severity, informational, notes):
            return alert
        return replace(alert, severity=severity, informational=informational, notes=notes)


#: The defaults alone.
DEFAULT = SeverityTable()


def of_words(own: Mapping[str, Meaning]) -> Mapping[str, Meaning]:
    """The words of a setting, checked. Raises ValueError for one without a letter or digit."""
    for word in own:
        if not _plain(word):
            raise ValueError(f"{word!r:.80} is not a word: it has no letter and no digit")
    return own


def shown(word: str) -> str:
    """The word for a note or a reason: whole or not at all, as half a secret would not be known for one."""
    return repr(word) if len(word) <= _SHOWN and word.isprintable() else f"a text of {len(word)} characters"
