"""Clocks: wall-clock time, and a monotonic clock that continues while the machine is suspended."""

import functools
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path


def utc_now() -> datetime:
    """Now by the wall clock: aware, in UTC."""
    return datetime.now(UTC)


def boottime() -> float:
    """Seconds on a clock that never jumps and continues in suspend (CLOCK_BOOTTIME; the monotonic clock elsewhere)."""
    return time.clock_gettime(_STEADY)


@functools.cache
def boot() -> str:
    """The id of the boot that `boottime` counts from; where the system gives none, an id of this process."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return str(uuid.uuid4())


_STEADY: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def iso(moment: datetime) -> str:
    """The moment as `2026-01-31T09:30:00.250000Z`: one spelling for the trail, the CLI and the API."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def from_iso(text: str) -> datetime:
    """The moment that `iso` wrote, aware, in UTC. Raises ValueError on anything without a zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{text!r} is not a moment that UTC can name") from error


def spoken(span: timedelta) -> str:
    """A duration as people write it: `250ms`, `3s`, `1m 30s`, `2h`; empty for zero."""
    if span < timedelta(0):
        return f"-{spoken(-span)}"
    seconds = span.total_seconds()
    if seconds < 0.9995:
        return f"{round(seconds * 1000)}ms"
    if seconds < 59.95:
        return f"{seconds:.1f}".rstrip("0").rstrip(".") + "s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "m"), (rest, "s")]
    return " ".join(f"{count}{unit}" for count, unit in parts if count)
