"""Alertmanager's matcher syntax: `Name{env=~"prod|canary", team!="search"}` (Alertmanager documentation, "Matchers")."""

import re
from dataclasses import dataclass

from paramedic.alert import Alert

#: A pattern or a value longer than this matches nothing: no alert may keep triage busy.
LONGEST_PATTERN = 256
LONGEST_VALUE = 1024

_NAME = r"[a-zA-Z_][a-zA-Z0-9_]*"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_MATCHER = re.compile(rf"\s*(?P<name>{_NAME}|{_QUOTED})\s*(?P<op>=~|!~|!=|=)\s*(?P<value>{_QUOTED}|[^\s,{{}}\"]+)\s*")
_WHOLE = re.compile(r"\s*(?P<alert>[^\s{}]+)?\s*(?:\{(?P<inside>.*)\})?\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Matcher:
    """One label's condition. A missing label is an empty one, as Alertmanager has it."""

    name: str
    op: str
    value: str

    def holds(self, labels: dict[str, str]) -> bool:
        """Whether the alert's labels meet it."""
        said = labels.get(self.name, "")
        if self.op == "=":
            return said == self.value
        if self.op == "!=":
            return said != self.value
        if len(said) > LONGEST_VALUE:
            return False
        found = re.fullmatch(self.value, said) is not None
        return found if self.op == "=~" else not found


@dataclass(frozen=True, slots=True)
class AlertMatcher:
    """Which alerts are meant: by name, by labels, or both."""

    alert: str | None
    matchers: tuple[Matcher, ...]

    def wants(self, alert: Alert) -> bool:
        """Whether it means this alert."""
        if self.alert is not None and self.alert != alert.name:
            return False
        labels = dict(alert.labels)
        return all(matcher.holds(labels) for matcher in self.matchers)


def parse(text: str) -> AlertMatcher:
    """The matcher that the text says. Raises ValueError, saying what is wrong."""
    whole = _WHOLE.fullmatch(text)
    if whole is None or (whole["alert"] is None and whole["inside"] is None):
        raise ValueError(f'{text!r:.120} is no matcher; write Name, {{label="value"}} or both')
    matchers = []
    rest = whole["inside"] or ""
    while rest.strip():
        one = _MATCHER.match(rest)
        if one is None:
            raise ValueError(f'at {rest.strip()[:40]!r}: write label="value", with =, !=, =~ or !~')
        matchers.append(_matcher(_unquoted(one["name"]), one["op"], _unquoted(one["value"])))
        rest = rest[one.end() :]
        if rest and not rest.startswith(","):
            raise ValueError(f"at {rest.strip()[:40]!r}: matchers are separated by commas")
        rest = rest[1:]
    return AlertMatcher(whole["alert"], tuple(matchers))


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    return re.sub(r"\\(.)", lambda escape: {"n": "\n", "t": "\t"}.get(escape[1], escape[1]), text[1:-1])


#: A repeated group that repeats inside costs exponential time.
_NESTED = re.compile(r"\([^()]*[*+{][^()]*\)[*+{]")


def _matcher(name: str, op: str, value: str) -> Matcher:
    if op in ("=~", "!~"):
        if len(value) > LONGEST_PATTERN:
            raise ValueError(f"a pattern has at most {LONGEST_PATTERN} characters")
        if _NESTED.search(value):
            raise ValueError(f"{value!r}: a repetition inside a repetition can take for ever")
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"{value!r} is no pattern: {error}") from error
    return Matcher(name, op, value)
