"""Alertmanager's matcher syntax: `Name{env=~"prod|canary", team!="search"}` (Alertmanager documentation, "Matchers")."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from paramedic.alert import Alert

#: A pattern or a value longer than this matches nothing: no alert may keep triage busy.
LONGEST_PATTERN = 256
LONGEST_VALUE = 1024

# A name or a value without quotes is anything but space and what the syntax itself needs (Alertmanager's UTF-8 mode).
_BARE = r"""[^\s{}!=~,\\"'`]+"""
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_TOKEN = rf"(?:{_QUOTED}|{_BARE})"
_MATCHER = re.compile(rf"\s*(?P<name>{_TOKEN})\s*(?P<op>=~|!~|!=|=)\s*(?P<value>{_TOKEN})\s*")
_WHOLE = re.compile(rf"\s*(?P<alert>{_TOKEN})?\s*(?:\{{(?P<inside>.*)\}})?\s*", re.DOTALL)

# What a quoted string may hold after a backslash: the escapes of a Go string literal.
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))", re.DOTALL)
_LETTERS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"'}


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
    """The matcher that the text says: `Name`, `Name{...}`, or matchers with or without braces.

    Raises ValueError, saying what is wrong.
    """
    whole = _WHOLE.fullmatch(text)
    if whole is not None:
        name, inside = whole["alert"], whole["inside"] or ""
    elif _MATCHER.match(text):
        name, inside = None, text
    else:
        raise ValueError(f'{text!r:.120} is no matcher; write Name, {{label="value"}} or both')
    matchers = tuple(_matchers(inside))
    if name is None and not matchers:
        raise ValueError('it would want every alert; name one, or write {alertname=~".+"}')
    return AlertMatcher(None if name is None else _unquoted(name), matchers)


def _matchers(rest: str) -> Iterator[Matcher]:
    while rest.strip():
        one = _MATCHER.match(rest)
        if one is None:
            raise ValueError(f'at {rest.strip()[:40]!r}: write label="value", with =, !=, =~ or !~')
        yield _matcher(_unquoted(one["name"]), one["op"], _unquoted(one["value"]))
        rest = rest[one.end() :]
        if rest and not rest.startswith(","):
            raise ValueError(f"at {rest.strip()[:40]!r}: matchers are separated by commas")
        rest = rest[1:]


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    try:
        return _ESCAPE.sub(_unescaped, text[1:-1]).encode("utf-8", "surrogateescape").decode("utf-8")
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text:.80}: it holds an escape that is none, or no UTF-8") from error


def _unescaped(found: re.Match[str]) -> str:
    byte, short, long, octal, letter = found.groups()
    if byte or octal:
        return bytes([int(byte, 16) if byte else int(octal, 8)]).decode("ascii", "surrogateescape")
    if short or long:
        return chr(int(short or long, 16))
    if letter not in _LETTERS:
        raise ValueError(letter)
    return _LETTERS[letter]


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
