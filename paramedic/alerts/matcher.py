"""Alertmanager's matcher syntax: `Name{env=~"prod|canary", team!="search"}` (Alertmanager documentation, "Matchers").

Both of Alertmanager's parsers are here, in its default order: the classic one where it can read the text, else the UTF-8 one.
Regular expressions are RE2's, the dialect of Alertmanager itself: linear in the value, whatever a sender puts into it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import re2

from paramedic.alerts.alert import Alert

#: A longer pattern is refused: RE2 is linear in pattern times value, and the product must stay far below a second.
LONGEST_PATTERN = 4096

_SPACE = " \t\r\n\f"
# A UTF-8 token without quotes is anything but space and what the syntax itself needs.
_TOKEN = re2.compile(r'"(?:[^"\\]|\\(?s:.))*"|' + r"""[^\s\v\x{85}\x{a0}{}!=~,\\"'`]+""")
_OPERATOR = re2.compile(r"=~|!~|!=|=")
_CLASSIC = re2.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|=|!=|!~)\s*((?s:.*?))\s*")

# What a quoted UTF-8 token may hold after a backslash: the escapes of a Go string literal.
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))", re.DOTALL)
_LETTERS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"'}


@dataclass(frozen=True, slots=True)
class Matcher:
    """One label's condition. A missing label is an empty one, as Alertmanager has it."""

    name: str
    op: str
    value: str

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether the alert's labels meet it."""
        value = labels.get(self.name, "")
        if self.op in ("=", "!="):
            return (value == self.value) is (self.op == "=")
        found = _pattern(self.value).search(_utf8(value)) is not None
        return found is (self.op == "=~")


@dataclass(frozen=True, slots=True)
class AlertMatcher:
    """Selects alerts by name, by labels, or both."""

    alert: str | None
    matchers: tuple[Matcher, ...]

    def wants(self, alert: Alert) -> bool:
        """Whether it selects this alert."""
        if self.alert is not None and self.alert != alert.name:
            return False
        return all(matcher.holds(alert.labels) for matcher in self.matchers)


def parse(text: str) -> AlertMatcher:
    """The matcher of the text: `Name`, `Name{...}`, or matchers with or without braces, as Alertmanager reads them.

    Raises ValueError, saying what is wrong.
    """
    name, rest = _alert_name(text.strip(_SPACE))
    try:
        matchers = tuple(_classic(rest))
    except ValueError:
        matchers = tuple(_utf8_matchers(rest))
    if name is None and not matchers:
        raise ValueError('it would want every alert; name one, or write {alertname=~".+"}')
    return AlertMatcher(name, matchers)


def _alert_name(text: str) -> tuple[str | None, str]:
    """`Name` and what follows it. Alertmanager's own syntax has no name: text that begins with a matcher has none."""
    token = _TOKEN.match(text)
    rest = text[token.end() :].lstrip(_SPACE) if token else text
    if token is None or _OPERATOR.match(rest):
        return None, text
    if rest and not (rest.startswith("{") and rest.endswith("}")):
        raise ValueError(f'{text!r:.120} is not a matcher; write Name, {{label="value"}} or both')
    return _unquoted(token.group()), rest


def _classic(text: str) -> Iterator[Matcher]:
    """Alertmanager's first parser (pkg/labels): commas separate matchers, a backslash that escapes nothing is literal."""
    for part in _parts(text.removeprefix("{").removesuffix("}")):
        found = _CLASSIC.fullmatch(part)
        if found is None:
            raise ValueError(f'at {part[:40]!r}: write label="value", with =, !=, =~ or !~')
        yield _matcher(found.group(1), found.group(2), _classic_value(found.group(3)))


def _parts(text: str) -> Iterator[str]:
    """The text between the commas that stand outside quotes, without an empty last part."""
    quoted = escaped = False
    begin = 0
    for at, char in enumerate(text):
        if char == "," and not quoted:
            yield text[begin:at]
            begin = at + 1
        elif char == '"':
            quoted = quoted is escaped
            escaped = False
        elif char == "\\":
            escaped = not escaped
        elif char != ",":
            escaped = False
    if text[begin:].strip(_SPACE):
        yield text[begin:]


def _classic_value(raw: str) -> str:
    r"""The value without its quotes; `\"`, `\\` and `\n` are escapes, any other backslash stays (`\d`)."""
    open_quote = raw.startswith('"')
    rest = raw[1:] if open_quote else raw
    value, escaped = [], False
    for left, char in zip(range(len(rest) - 1, -1, -1), rest, strict=True):
        if escaped:
            value.append({"n": "\n", '"': '"', "\\": "\\"}.get(char, "\\" + char))
            escaped = False
        elif char == "\\" and left:
            escaped = True
        elif char != '"':
            value.append(char)
        elif open_quote and not left:
            open_quote = False
        else:
            raise ValueError(f"{raw:.80}: it holds a quote without a backslash")
    if open_quote:
        raise ValueError(f"{raw:.80}: its quote is not closed")
    return "".join(value)


def _utf8_matchers(text: str) -> Iterator[Matcher]:
    """Alertmanager's second parser (UTF-8): quoted names, and Go's escapes in quotes."""
    rest = text
    if braces := text.startswith("{"):
        rest = rest[1:].lstrip(_SPACE)
    while rest and not rest.startswith("}"):
        name, rest = _next(_TOKEN, rest)
        operator, rest = _next(_OPERATOR, rest)
        value, rest = _next(_TOKEN, rest)
        yield _matcher(_unquoted(name), operator, _unquoted(value))
        if rest and not rest.startswith((",", "}")):
            raise ValueError(f"at {rest[:40]!r}: matchers are separated by commas")
        rest = rest.removeprefix(",").lstrip(_SPACE)
    if rest != ("}" if braces else ""):
        raise ValueError(f"{text!r:.120}: its braces are not closed, or something follows them")


def _next(token: "re2._Regexp", text: str) -> tuple[str, str]:
    found = token.match(text)
    if found is None:
        raise ValueError(f'at {text[:40]!r}: write label="value", with =, !=, =~ or !~, and the value in quotes')
    return found.group(), text[found.end() :].lstrip(_SPACE)


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


def _matcher(name: str, op: str, value: str) -> Matcher:
    """Raises ValueError where a pattern is too long, or is not one of RE2's."""
    if op in ("=~", "!~"):
        if len(value) > LONGEST_PATTERN:
            raise ValueError(f"a pattern has at most {LONGEST_PATTERN} characters")
        try:
            _pattern(value)
        except re2.error as error:
            reason = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else error
            raise ValueError(f"{value!r} is not a pattern (RE2): {reason}") from error
    return Matcher(name, op, value)


def _options() -> "re2.Options":
    options = re2.Options()
    options.log_errors = False
    return options


@lru_cache(maxsize=1024)
def _pattern(value: str) -> "re2._Regexp":
    """Compiled and anchored exactly as Alertmanager does it, `a)|(b` included."""
    return re2.compile(f"^(?:{value})$", _options())


def _utf8(text: str) -> str:
    """The text with each lone surrogate, which UTF-8 cannot hold, as U+FFFD, as Go reads such JSON."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
