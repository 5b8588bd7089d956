"""When a line of a log was written, by the line itself; where it names no year or no zone, by what else is known of its file."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {name: number for number, name in enumerate(_NAMES, 1)}

#: At the start of a line alone: what follows may be anybody's text.
_ISO = re.compile(
    r"\W?(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(?: ?(Z|UTC|[+-]\d\d:?\d\d))?(?!\d)"
)
_SYSLOG = re.compile(r"(?:<\d{1,3}>)?([A-Z][a-z]{2}) +(\d{1,2}) (\d\d):(\d\d):(\d\d)(?:\.\d+)? ")
_ACCESS = re.compile(r"\S+ \S+ \S+ \[(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-]\d{4})\]")
_EPOCH = re.compile(r"\W?([12]\d{9})(?:\.(\d{1,9}))?(?!\d)")

#: Keys of a line of JSON that say when.
_KEYS = ("time", "timestamp", "@timestamp", "ts", "time_local", "time_iso8601", "msec")

#: A zone is a multiple of this; so far off may what is written last be from when the file was.
_QUARTER = 900
_CLOSE = 120.0

#: The zones that there are, in seconds east of Greenwich.
_ZONES = (-12 * 3600, 14 * 3600)


@dataclass(frozen=True, slots=True)
class Written:
    """A line's own time: seconds since the epoch, but for the zone where it names none."""

    at: float
    zoned: bool
    yearless: bool = False


def written(line: str) -> Written | None:
    """The line's own time; None where it shows none."""
    if line.startswith("{"):
        return _in_json(line)
    try:
        if found := _ISO.match(line):
            *date, fraction, zone = found.groups()
            return _of(tuple(int(part) for part in date), fraction, zone)
        if found := _ACCESS.match(line):
            day, month, year, hour, minute, second, zone = found.groups()
            return _of((int(year), _MONTHS[month], int(day), int(hour), int(minute), int(second)), None, zone)
        if found := _SYSLOG.match(line):
            month, day, hour, minute, second = found.groups()
            leap = 2000  # a year in which every day of a year is
            stamp = _of((leap, _MONTHS[month], int(day), int(hour), int(minute), int(second)), None, None)
            return Written(stamp.at, zoned=False, yearless=True)
        if found := _EPOCH.match(line):
            return Written(float(f"{found[1]}.{found[2] or 0}"), zoned=True)
    except (ValueError, KeyError, OverflowError):
        return None
    return None


def _of(date: tuple[int, ...], fraction: str | None, zone: str | None) -> Written:
    year, month, day, hour, minute, second = date
    offset = timedelta()
    if zone and zone not in ("Z", "UTC"):
        sign = -1 if zone[0] == "-" else 1
        offset = sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
    moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=timezone(offset))
    return Written(moment.timestamp() + float(f"0.{fraction or 0}"), zoned=zone is not None)


def _in_json(line: str) -> Written | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    value = next((row[key] for key in _KEYS if key in row), None) if isinstance(row, dict) else None
    return None if value is None else of_value(value)


def of_value(value: object) -> Written | None:
    """The time that a field has: ISO 8601, as access logs write it, or seconds or milliseconds since the epoch."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value) / (1000 if value >= 1e11 else 1)
        return Written(seconds, zoned=True) if 1e9 <= seconds < 1e10 else None
    text = str(value)[:60]
    return written(text) or written(f"- - - [{text}]")


@dataclass(frozen=True, slots=True)
class Anchor:
    """How far a log's own times are from the epoch's, learnt from its last line and when its file was last written."""

    zone: float  # seconds east of Greenwich
    written_at: float

    def of(self, own: Written) -> float:
        """When it was, in seconds since the epoch."""
        return own.at if own.zoned else _in_its_year(own, self.written_at + self.zone) - self.zone


def anchor(last: Written | None, written_at: float) -> Anchor | None:
    """The anchor by the last line of a file that was last written then; None where they do not fit together."""
    if last is None or last.zoned:
        return None
    apart = min((_in_its_year(last, written_at + zone) - written_at for zone in (-86_400, 0, 86_400)), key=abs)
    zone = round(apart / _QUARTER) * _QUARTER
    if abs(apart - zone) > _CLOSE or not _ZONES[0] <= zone <= _ZONES[1]:
        return None
    return Anchor(float(zone), written_at)


def _in_its_year(own: Written, near: float) -> float:
    """The time, in the year in which it is closest to `near` where it names none."""
    if not own.yearless:
        return own.at
    moment, this = datetime.fromtimestamp(own.at, UTC), datetime.fromtimestamp(near, UTC).year
    found = []
    for year in (this - 1, this, this + 1):
        try:
            found.append(moment.replace(year=year).timestamp())
        except ValueError:  # the 29th of February
            continue
    return min(found, key=lambda at: abs(at - near))
