"""What a sender wrote, made to fit: every value becomes text, long text is cut, and a note says what was changed."""

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
    """A JSON number as it was written: no precision is lost, and none is too long to be read."""

    __slots__ = ()


class Fitted(NamedTuple):
    """Texts within the bounds, and what was changed to get there."""

    texts: dict[str, str]
    notes: list[str]


def texts(said: Mapping[str, Any], at: str) -> Fitted:
    """Every value as text; the notes name the fields that held something else, and never a value."""
    made, notes = {}, []
    for key, value in said.items():
        made[key], kind = _text(value)
        if kind:
            notes.append(f"{_field(at, key)}: {kind}, read as text")
    return Fitted(made, notes)


def fit(said: Mapping[str, str], at: str, *, first: Iterable[str] = ()) -> Fitted:
    """As much of the texts as the bounds allow: those named in `first`, then the others in their order."""
    if _fits(said):
        return Fitted(dict(said), [])
    made: dict[str, str] = {}
    notes: list[str] = []
    left = LENGTH
    for key in dict.fromkeys([*(key for key in first if key in said), *said]):
        if len(made) == MOST or left <= NAME_LENGTH:
            notes.append(f"{at}: {len(said) - len(made)} of {len(said)} left out")
            break
        name = _name(key)
        made[name] = cut(said[key], min(VALUE_LENGTH, left - len(name)))
        left -= len(name) + len(made[name])
        if name != key:
            notes.append(f"{at}: a name of {len(key)} characters, cut")
        if made[name] != said[key]:
            notes.append(f"{_field(at, key)}: {len(said[key])} characters, cut")
    return Fitted(made, notes)


def cut(text: str, length: int) -> str:
    """The first `length` characters at most, without half a secret at their end."""
    return text if len(text) <= length else str(redact_start(text, length))


def bounded(notes: list[str]) -> tuple[str, ...]:
    """The notes that are kept."""
    if len(notes) <= _NOTES:
        return tuple(notes)
    return (*notes[:_NOTES], f"{len(notes) - _NOTES} more changes like these")


def _fits(said: Mapping[str, str]) -> bool:
    return (
        len(said) <= MOST
        and all(len(key) <= NAME_LENGTH and len(value) <= VALUE_LENGTH for key, value in said.items())
        and sum(len(key) + len(value) for key, value in said.items()) <= LENGTH
    )


def _field(at: str, key: str) -> str:
    """The field's name, where it is a usual one: half a name could be half a secret."""
    return f"{at}.{key}" if _USUAL.fullmatch(key) else f"{at}, one with an unusual name"


def _name(key: str) -> str:
    """The name, or its beginning and a digest of the whole: two long names stay two."""
    if len(key) <= NAME_LENGTH:
        return key
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{cut(key, NAME_LENGTH - len(digest) - 1)}~{digest}"


def _text(value: object) -> tuple[str, str]:
    """The value as text, and what it was if it was none."""
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
