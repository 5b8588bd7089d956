"""A sender's JSON body, taken apart: every value is somebody else's and may be anything, so none of them is trusted to fit."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from paramedic.alerts.alert import Alert
from paramedic.alerts.reading import Bad, BadPayload
from paramedic.text.bounds import Number

#: A body with more values than this is refused: each of them is many times as large in memory as in the body.
_VALUES = 1_000_000

#: So many bad alerts of a group are kept one by one, the others together: a flood of them must not hold the store.
_ONE_BY_ONE = 20

#: A template's variable that nobody filled in: `$HOSTNAME`, `${host}`, `$host.name$`, `{{ host }}`, `{HOST.NAME}`, `*host*`.
_UNFILLED = re.compile(r"\$\{?[A-Za-z_][A-Za-z0-9_.]*[}$]?|\{\{[^{}]*\}\}|\{[A-Z][A-Z0-9_.]*\}|\*[A-Za-z]\w*\*")

#: What senders' languages write for "nothing" where a text is asked for.
_NOTHING = frozenset({"", "null", "none", "nil", "undefined", "<nil>", "<no value>", "[no value]", "n/a"})

#: Epoch times: up to this many seconds, then milliseconds, microseconds and nanoseconds of the same range (until the year 5138).
_SECONDS = 100_000_000_000

#: No alert began before: a start or a number that says so is none.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)

#: Go's zero time: the sender does not know.
_ZERO = "0001-01-01"

_EPOCH = re.compile(r"-?\d{1,20}(?:\.\d{1,20})?")

#: As `json.loads` makes one for every call.
_DECODER = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=Number)

#: No text that is a time is longer; fractions of a second may have many digits.
_LONGEST_TIME = 100

#: An offset without its colon (+0000), as AWS writes it, which Python 3.11 reads as well as the other.
_LOOSE = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)[T ](?P<time>\d\d:\d\d(?::\d\d(?:\.\d+)?)?) ?(?P<zone>Z|UTC|[+-]\d\d:?\d\d)?"
)


def parsed(body: bytes, sender: str) -> Any:
    """The body's JSON; every number in it is a `Number`, a text. Raises BadPayload; `sender` says whose JSON it should be."""
    if body.count(b",") + body.count(b"[") + body.count(b"{") > _VALUES:
        raise BadPayload("body", "has too many values", f"{_VALUES} commas and brackets", readable=False)
    try:
        return _DECODER.decode(body.decode(json.detect_encoding(body), "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise BadPayload("body", f"is no JSON: {error}", f"{sender}'s JSON", readable=False) from error


def parsed_object(body: bytes, sender: str) -> "Fields":
    """The body's JSON object. Raises BadPayload."""
    payload = parsed(body, sender)
    if not isinstance(payload, dict):
        raise BadPayload("body", "is not an object", f"{sender}'s JSON", readable=True)
    return Fields(payload)


def each(
    entries: Iterable[Any], at: str, read: Callable[[Any, str], Alert]
) -> tuple[tuple[Alert, ...], tuple[Bad, ...]]:
    """The alerts of a group, each read by `read(entry, where)`; bad is what it raises a ValueError about."""
    alerts: list[Alert] = []
    bad: list[Bad] = []
    flood: list[Any] = []
    for number, entry in enumerate(entries):
        try:
            alerts.append(read(entry, f"{at}[{number}]"))
        except ValueError as error:
            if len(bad) < _ONE_BY_ONE:
                bad.append(Bad(written(entry), str(error)))
            else:
                flood.append(entry)
    if flood:
        bad.append(Bad(written(flood), f"{at}: {len(flood)} more of them cannot be read", len(flood)))
    return tuple(alerts), tuple(bad)


def written(value: Any) -> str:
    """The value as JSON, for the quarantine."""
    try:
        return json.dumps(value)
    except RecursionError:
        return "[nested too deep to be kept]"


def is_unknown(value: Any) -> bool:
    """Whether the value says that its sender does not know the time."""
    return value is None or (isinstance(value, str) and (value.strip().lower() in _NOTHING or value.startswith(_ZERO)))


def moment(value: Any, at: str, notes: list[str]) -> datetime | None:
    """The moment in UTC; None where the value is no time, or means unknown.

    It is a text (RFC 3339 and its near relatives), or a number or its digits: seconds, milliseconds, microseconds or
    nanoseconds since 1970, by their size. One before 2000 is none. A missing zone is UTC, with a note.
    """
    if is_unknown(value) or not isinstance(value, str) or len(text := value.strip()) > _LONGEST_TIME:
        return None
    found, has_zone = _moment(text, isinstance(value, Number))
    if not has_zone:
        notes.append(f"{at}: names no time zone, taken as UTC")
    return found


@lru_cache(maxsize=1024)
def _moment(text: str, is_number: bool) -> tuple[datetime | None, bool]:  # noqa: FBT001 - the key of the cache
    """The moment, and False where a zone had to be supposed. The alerts of a group mostly began at the same few moments."""
    has_zone = True
    try:
        if _EPOCH.fullmatch(text):
            return _of_epoch(text), has_zone
        found = None if is_number else _LOOSE.fullmatch(text)
        if found is None:
            return None, has_zone
        zone = (found["zone"] or "").replace("UTC", "Z")
        has_zone = bool(zone)
        at = datetime.fromisoformat(f"{found['day']}T{_six_digits(found['time'])}{zone or 'Z'}")
        return at.astimezone(UTC), has_zone
    except (ValueError, OverflowError, OSError):
        return None, has_zone


def _of_epoch(text: str) -> datetime | None:
    seconds = float(text)
    while seconds >= _SECONDS:
        seconds /= 1000
    found = datetime.fromtimestamp(seconds, UTC)
    return found if found >= EARLIEST else None


def _six_digits(time: str) -> str:
    """The time with at most six digits after its point: more say nothing that a datetime could hold."""
    whole, point, fraction = time.partition(".")
    return f"{whole}{point}{fraction[:6]}"


class Fields:
    """One JSON object of a sender. A field that is missing, of another type or not filled in is empty, never an error."""

    def __init__(self, values: Any, at: str = "", notes: list[str] | None = None) -> None:
        """`values`: the object; anything else has no fields. `notes`: where to write what had to be left out."""
        self.values: Mapping[str, Any] = values if isinstance(values, dict) else {}
        self.at = at
        self.notes: list[str] = [] if notes is None else notes

    def __bool__(self) -> bool:
        return bool(self.values)

    def where(self, name: str) -> str:
        """The field's place, for an error or a note."""
        return f"{self.at}.{name}" if self.at else name

    def text(self, *names: str) -> str:
        """The first of these fields that holds a text, number or boolean, without spaces around it; "" where none does."""
        for name in names:
            value = self.values.get(name)
            if isinstance(value, bool):
                return str(value).lower()
            if not isinstance(value, str) or (text := value.strip()).lower() in _NOTHING:
                continue
            if _UNFILLED.fullmatch(text):
                self.notes.append(f"{self.where(name)}: its sender's template was not filled in, left out")
                continue
            return str(text)
        return ""

    def fields(self, *names: str) -> "Fields":
        """The first of these fields that is an object; an empty one where none is."""
        for name in names:
            if isinstance(self.values.get(name), dict):
                return Fields(self.values[name], self.where(name), self.notes)
        return Fields({}, self.where(names[0]), self.notes)

    def list(self, *names: str) -> Sequence[Any]:
        """The first of these fields that is a list with anything in it; an empty one where none is."""
        return next((value for name in names if (value := self.values.get(name)) and isinstance(value, list)), [])

    def moment(self, *names: str) -> datetime | None:
        """The first of these fields that is a time; None, with a note on what is there and is none, where none is."""
        for name in names:
            value = self.values.get(name)
            found = moment(value, self.where(name), self.notes)
            if found is not None:
                return found
            if not is_unknown(value) and not (isinstance(value, str) and value.strip() in ("0", "0.0")):
                self.notes.append(f"{self.where(name)}: no time, left out")
        return None

    def only(self, *names: str) -> dict[str, Any]:
        """Those of these fields that are there and not empty, as they are."""
        return {name: value for name in names if (value := self.values.get(name)) not in (None, "", [], {})}
