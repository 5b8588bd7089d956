"""Bounds on senders' data: every value becomes text, long text is cut, and a note says what was changed."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from paramedic.text.redaction import redact_start

#: How many labels an alert may have, and how many characters in a name, in a value, and in all of them.
MOST, NAME_LENGTH, VALUE_LENGTH, LENGTH = 128, 256, 16_384, 65_536

#: So many notes are kept word for word, the others as their number.
_NOTES = 8


_USUAL = re.compile(r"[A-Za-z_][A-Za-z0-9_.:/-]{0,63}")


class Number(str):
    """A JSON number as it was written, without loss of precision and without a limit on its digits."""

    __slots__ = ()


class Fitted(NamedTuple):
    """Texts within the bounds, and what was changed to get there."""

    texts: dict[str, str]
    notes: list[str]


def texts(values: Mapping[str, Any], at: str) -> Fitted:
    """Every value as text; the notes name the fields that held something else, and never a value."""
    made, notes = {}, []
    for key, value in values.items():
        if type(value) is str:  # nearly every one; a Number is another type
            made[key] = value
            continue
        made[key], kind = _text(value)
        if kind:
            notes.append(f"{_field(at, key)}: {kind}, read as text")
    return Fitted(made, notes)


def fit(given: Mapping[str, str], at: str, *, first: Iterable[str] = ()) -> Fitted:
    """As many of the texts as the bounds allow: those named in `first`, then the others in their order."""
    if _fits(given):
        return Fitted(dict(given), [])
    made: dict[str, str] = {}
    notes: list[str] = []
    left = LENGTH
    for key in dict.fromkeys([*(key for key in first if key in given), *given]):
        if len(made) == MOST or left <= NAME_LENGTH:
            notes.append(f"{at}: {len(given) - len(made)} of {len(given)} left out")
            break
        name = _name(key)
        made[name] = cut(given[key], min(VALUE_LENGTH, left - len(name)))
        left -= len(name) + len(made[name])
        if name != key:
            notes.append(f"{at}: a name of {len(key)} characters, cut")
        if made[name] != given[key]:
            notes.append(f"{_field(at, key)}: {len(given[key])} characters, cut")
    return Fitted(made, notes)


def cut(text: str, length: int) -> str:
    """At most the first `length` characters, without half a secret at their end."""
    return text if len(text) <= length else str(redact_start(text, length))


def bounded(notes: list[str]) -> tuple[str, ...]:
    """The first notes, and the number of the others."""
    if len(notes) <= _NOTES:
        return tuple(notes)
    return (*notes[:_NOTES], f"{len(notes) - _NOTES} more changes like these")


def _fits(given: Mapping[str, str]) -> bool:
    if len(given) > MOST:
        return False
    names, values = [*map(len, given)], [*map(len, given.values())]
    return (
        max(names, default=0) <= NAME_LENGTH
        and max(values, default=0) <= VALUE_LENGTH
        and sum(names) + sum(values) <= LENGTH
    )


def _field(at: str, key: str) -> str:
    """The field's name, if it looks like a usual one: half a name could be half a secret."""
    return f"{at}.{key}" if _USUAL.fullmatch(key) else f"{at}, one with an unusual name"


def _name(key: str) -> str:
    """The name, or its beginning and a digest of the whole, so that two long names stay distinct."""
    if len(key) <= NAME_LENGTH:
        return key
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{cut(key, NAME_LENGTH - len(digest) - 1)}~{digest}"


def _text(value: object) -> tuple[str, str]:
    """The value as text, and its type if it was not text."""
    match value:
        case Number():
            return str(value), "a number"
        case str():
            return value, ""
        case None:
            return "", "null"
        case bool():
            return str(value).lower(), "a boolean"
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")), "a list" if isinstance(
            value, list
        ) else "an object"
    except RecursionError:
        return "[nested too deep to be shown]", "nested too deep"
