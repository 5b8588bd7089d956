"""Requests in the lines of an access log, and what a window of them shows: rate, share of errors, how long they took."""

import json
import math
import re
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

#: nginx and Apache, common and combined, with what stands before and after: a virtual host, a request time.
_COMBINED = re.compile(
    r"\S+ .{0,500}?\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] +"
    r"\"(?P<request>(?:[^\"\\]|\\.)*)\" (?P<status>[1-5]\d\d) (?:\d+|-)(?P<rest>.*)"
)
_NUMBER = re.compile(r"\"?(\d{1,12}(?:\.\d{1,9})?)\"?")

#: No server writes a longer line.
_LONGEST = 32 * 1024

#: What the fields of a line of JSON are called, where its author does not say.
KEYS = {
    "status": ("status", "status_code", "response_status", "code"),
    "took": ("request_time", "duration", "response_time", "took", "latency"),
    "request": ("request", "request_uri", "uri", "url", "path"),
}

#: How often in a second each unit is.
UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}

#: A time is kept to within a percent.
_STEP = math.log(1.02)
_SMALLEST = 1e-6

#: A window is cut into so many pieces, each of which is over at once.
_PIECES = 200


@dataclass(frozen=True, slots=True)
class Request:
    """One request."""

    status: int
    took: float | None  # seconds
    request: str


def combined(line: str, took: str | None, unit: float) -> Request | None:
    """The request of a line of nginx or Apache; None where it is none. `took`: what its time stands behind, or `last`."""
    found = _COMBINED.fullmatch(line) if len(line) <= _LONGEST else None
    if found is None:
        return None
    words = found["rest"].split()
    text = None
    if took == "last":
        text = words[-1] if words else None
    elif took is not None:
        text = next((word.removeprefix(took) for word in reversed(words) if word.startswith(took)), None)
    return Request(int(found["status"]), _seconds(text, unit), found["request"])


def in_json(line: str, keys: Mapping[str, str], unit: float) -> Request | None:
    """The request of a line of JSON; None where it is none. `keys`: how its fields are called, `response.status` too."""
    try:
        row = json.loads(line) if len(line) <= _LONGEST else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict):
        return None
    status, took, request = (_field(row, keys, name) for name in ("status", "took", "request"))
    try:
        code = int(str(status))
    except ValueError:
        return None
    return Request(code, _seconds(took, unit), str(request)) if 100 <= code <= 599 else None


def _field(row: Mapping[str, object], keys: Mapping[str, str], name: str) -> object:
    for path in (keys[name],) if name in keys else KEYS[name]:
        value: object = row
        if path in row:
            return row[path]
        for part in path.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is not None:
            return value
    return None


def _seconds(value: object, unit: float) -> float | None:
    """A time; None for `-`, for nothing, and for what is none."""
    if isinstance(value, bool) or value is None:
        return None
    found = _NUMBER.fullmatch(str(value))
    return float(found[1]) * unit if found is not None else None


@dataclass
class _Piece:
    requests: int = 0
    errors: int = 0
    unread: int = 0
    took: "Counter[int]" = field(default_factory=Counter)


class RequestWindow:
    """The requests of a sliding window: its memory is bounded, however many they are."""

    def __init__(self, seconds: float) -> None:
        self._piece = max(seconds / _PIECES, 0.05)
        self._pieces: OrderedDict[int, _Piece] = OrderedDict()

    def add(self, at: float, *, error: bool, took: float | None) -> None:
        """One request."""
        piece = self._at(at)
        piece.requests += 1
        piece.errors += error
        if took is not None:
            piece.took[round(math.log(max(took, _SMALLEST)) / _STEP)] += 1

    def add_unread(self, at: float) -> None:
        """A line that is no request."""
        self._at(at).unread += 1

    def _at(self, at: float) -> _Piece:
        return self._pieces.setdefault(int(at / self._piece), _Piece())

    def forget(self, before: float) -> None:
        """Forget what was before."""
        first = int(before / self._piece)
        for number in [number for number in self._pieces if number < first]:
            del self._pieces[number]

    def since(self, begins: float, least: int) -> "Seen":
        """What the requests since then show; fewer than `least` count as so many, the others well and quick."""
        first = math.ceil(begins / self._piece)
        pieces = [piece for number, piece in self._pieces.items() if number >= first]
        took = sum((piece.took for piece in pieces), Counter[int]())
        return Seen(
            sum(piece.requests for piece in pieces),
            sum(piece.errors for piece in pieces),
            sum(piece.unread for piece in pieces),
            took,
            least,
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """What a window of requests shows."""

    requests: int
    errors: int
    unread: int
    took: Mapping[int, int]
    least: int

    @property
    def error_rate(self) -> float:
        """How many in a hundred were errors."""
        return 100 * self.errors / max(self.requests, self.least)

    def percentiles(self, ranks: Sequence[int]) -> dict[int, float]:
        """How long they took, in seconds, by nearest rank; nothing where no line said it."""
        timed = sum(self.took.values())
        if not timed:
            return {}
        counted = max(timed, self.least)
        found = {}
        for rank in ranks:
            place = math.ceil(rank / 100 * counted) - (counted - timed)  # those that are missing were quick
            found[rank] = self._nth(place)
        return found

    def _nth(self, place: int) -> float:
        if place <= 0:
            return 0.0
        passed = 0
        for step in sorted(self.took):
            passed += self.took[step]
            if passed >= place:
                return math.exp(step * _STEP)
        return 0.0
