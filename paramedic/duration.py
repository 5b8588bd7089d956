"""How people write spans of time, moments and amounts of memory: `1h 30m`, `+2h`, `150MB`."""

import re
from datetime import datetime, timedelta

from paramedic.clock import from_iso

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s?(ms|[smhdw])")
_SPAN = re.compile(rf"\s*(?:{_PART.pattern}\s*){{1,6}}")
_SIZES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_SIZE = re.compile(r"\s*(\d{1,12}(?:\.\d{1,6})?)\s?(B|kB|MB|GB|KiB|MiB|GiB)\s*")


def duration(text: str) -> timedelta:
    """The span that the text says. Raises ValueError, saying what is allowed."""
    if not isinstance(text, str) or not _SPAN.fullmatch(text):  # YAML reads `timeout: 10` as a number
        raise ValueError(f"{text!r:.80} is no duration; write 250ms, 5s, 10m, 1h 30m, 2d")
    return timedelta(seconds=sum(float(count) * _UNITS[unit] for count, unit in _PART.findall(text)))


def moment(text: str, *, after: datetime) -> datetime:
    """The moment that the text says: `now`, so long after (`+2h`) or before (`-2h`) `after`, or ISO 8601 with its zone.

    Raises ValueError, saying what is allowed.
    """
    said = text.strip()
    if said == "now":
        return after
    try:
        if said[:1] in ("+", "-"):
            return after + duration(said[1:]) if said[0] == "+" else after - duration(said[1:])
        return from_iso(said)
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"{text!r:.80} is no moment ({error}); write 2026-01-31T22:00+01:00, 2026-01-31T21:00Z, now, +2h"
        ) from error


def size(text: str) -> int:
    """The bytes that the text says. Raises ValueError, saying what is allowed."""
    said = _SIZE.fullmatch(text) if isinstance(text, str) else None
    if said is None:
        raise ValueError(f"{text!r:.80} is no size; write 512kB, 150MB, 1.5GiB")
    return round(float(said[1]) * _SIZES[said[2]])
