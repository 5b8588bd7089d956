"""The target's log by patterns: the lines of which there were none before the breach come first."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.evidence import Gathered, Of, Scene, table
from paramedic.text.sanitize import without_colours

ABOUT = (
    "its `log`, and the log that its owner keeps (a unit's journal, what a container, a program or pods printed), by patterns: "
    "lines that are new since the breach first, then those around it"
)
OF = Of.TARGET

#: So much of a log is read, and of a journal so many lines, back to so long before the breach.
_BYTES, _LINES = 1024 * 1024, 5000
_BEFORE = timedelta(hours=1)

#: A line that came so shortly before the breach may be its cause.
_MARGIN = timedelta(minutes=2)

#: What the log that the target's owner keeps is called.
_OWN = "owner's log"

_SHOWN_NEW, _SHOWN_KNOWN, _SHOWN_AROUND, _WIDTH = 40, 15, 40, 400

_ISO = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"
_TIMES = re.compile(
    rf"{_ISO}|\d\d/[A-Z][a-z]{{2}}/\d{{4}}:\d\d:\d\d:\d\d [+-]\d{{4}}|[A-Z][a-z]{{2}} [ \d]\d \d\d:\d\d:\d\d"
)

#: A moment that needs no guess of a zone: with its zone, or in seconds since the epoch at the line's begin.
_ZONED = re.compile(r"^\W{0,3}(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,]\d+)?(Z|[+-]\d\d:?\d\d)")
_EPOCH = re.compile(r"^(\d{10})(?:\.\d{1,9})? ")

#: What differs in lines that say the same.
_VARIES = re.compile(
    r"\"[^\"]{0,500}\"|'[^']{0,500}'"
    r"|\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"
    r"|\b(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{6,}\b|0x[0-9a-fA-F]+|\d+"
)


@dataclass(slots=True)
class Pattern:
    """Lines that say the same."""

    first: int  # the number of its first line
    began_at: datetime | None  # the time of that line
    last: str = ""
    count: int = 0


def gather(scene: Scene) -> Gathered:
    """Read the end of each log. Raises PermanentError where the target has none, or none can be read."""
    parts, unseen = [], []
    for name, read in (("log", _file), (_OWN, _of_owner)):
        try:
            if (seen := read(scene)) is not None:
                unseen += [f"its {name}: {why}" for why in seen.unseen]
                where = name if name == _OWN else str(scene.target.log)
                parts += [told(where, seen.text.splitlines(), scene.since)] if seen.text else []
        except (TemporaryError, PermanentError) as error:
            unseen.append(f"its {name}: {error}")
    if not parts:
        raise PermanentError(
            "; ".join(unseen) or f"services.yaml names no `log` for {scene.target.id}, and its owner keeps none"
        )
    return Gathered("\n\n".join(parts), unseen)


def _file(scene: Scene) -> Gathered | None:
    return None if scene.target.log is None else Gathered(scene.transport.tail(scene.target.log, _BYTES, _LINES))


def _of_owner(scene: Scene) -> Gathered:
    begin = scene.since - _BEFORE
    found = scene.log_lines(_LINES, begin.timestamp())
    none = () if found.text else (f"it has no line of {scene.target.name} since {_spoken(begin)}",)
    return Gathered(found.text, (*none, *found.unseen))


def told(name: str, lines: Sequence[str], since: datetime) -> str:
    """The log in words."""
    lines = [without_colours(line) for line in lines]
    times = list(moments(lines))
    timed = sum(time is not None for time in times) > len(lines) / 2
    found = patterns(lines, times)
    if timed:
        begin = since - _MARGIN
        new = [seen for seen in found.values() if seen.began_at is not None and seen.began_at >= begin]
        how = f"new: not before {_spoken(begin)}"
        if len(new) == len(found):
            how += ", of which these lines have nothing: what was known then is not seen"
    else:
        new = [seen for seen in found.values() if seen.first >= len(lines) * 3 // 4]
        how = "new: in the last quarter of these lines alone, which carry no time with a zone"
    known = [seen for seen in found.values() if seen not in new]
    parts = [f"{name}: {len(lines):,} lines of {len(found):,} patterns, {len(new):,} of them new ({how})"]
    parts += _listed("new, in the order in which they began", sorted(new, key=lambda seen: seen.first)[:_SHOWN_NEW])
    known.sort(key=lambda seen: -seen.count)
    parts += _listed("known before, the most frequent first", known[:_SHOWN_KNOWN])
    if timed and (around := _around(lines, times, since)):
        parts.append("\n".join([f"the lines around {_spoken(since)}", *around]))
    return "\n\n".join(parts)


def moments(lines: Sequence[str]) -> Iterator[datetime | None]:
    """The time of each line: its own, or of one without any, such as a line of a stack, that of the line before."""
    time = None
    for line in lines:
        time = _moment(line) or time
        yield time


def _moment(line: str) -> datetime | None:
    try:
        if found := _EPOCH.match(line):
            return datetime.fromtimestamp(int(found[1]), UTC)
        if found := _ZONED.match(line):
            return datetime.fromisoformat(f"{found[1]}T{found[2]}{found[3].replace('Z', '+00:00')}")
    except (ValueError, OverflowError):
        pass
    return None


def patterns(lines: Sequence[str], times: Sequence[datetime | None]) -> dict[str, Pattern]:
    """The patterns of the lines, by what stays the same in them."""
    found: dict[str, Pattern] = {}
    for number, (line, time) in enumerate(zip(lines, times, strict=True)):
        if not line.strip():
            continue
        seen = found.setdefault(masked(line), Pattern(number, time))
        seen.count += 1
        seen.last = line
    return found


def masked(line: str) -> str:
    """What stays the same in lines that say the same: no times, numbers, ids, and nothing that was quoted."""
    return _VARIES.sub("#", _TIMES.sub("", _EPOCH.sub("", line[:2000]))).strip()


def _listed(title: str, found: Sequence[Pattern]) -> list[str]:
    if not found:
        return []
    rows = [(f"{seen.count:,}", _clipped(seen.last)) for seen in found]
    return [f"{title}\n{table([('times', 'the last of its lines'), *rows], right=(0,))}"]


def _around(lines: Sequence[str], times: Sequence[datetime | None], since: datetime) -> list[str]:
    before = [number for number, time in enumerate(times) if time is not None and time < since]
    at = before[-1] + 1 if before else 0
    return [_clipped(line) for line in lines[max(at - _SHOWN_AROUND // 2, 0) : at + _SHOWN_AROUND // 2]]


def _clipped(line: str) -> str:
    return line if len(line) <= _WIDTH else f"{line[:_WIDTH]}… ({len(line):,} characters)"


def _spoken(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%SZ}"
