"""Moments in the zone of whoever reads them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from paramedic.machine.clock import spoken


@dataclass(frozen=True, slots=True)
class LocalTime:
    """Writes moments in one zone.

    `zone` is a name such as `Europe/Berlin`; one that this machine does not know is UTC, and an empty one is this machine's.
    """

    zone: str = "UTC"

    def moment(self, at: datetime) -> str:
        """`Sat 31 Jan 2026 10:30:00 CET`."""
        return f"{self._local(at):%a %d %b %Y %H:%M:%S %Z}"

    def clock(self, at: datetime) -> str:
        """`10:30:00`, without a zone: for lines under a heading that names it."""
        return f"{self._local(at):%H:%M:%S}"

    def day_and_clock(self, at: datetime, *, near: datetime) -> str:
        """`10:30:00`, or `Fri 30 Jan 10:30:00` on another day than `near`."""
        local = self._local(at)
        return f"{local:%H:%M:%S}" if local.date() == self._local(near).date() else f"{local:%a %d %b %H:%M:%S}"

    def name(self, at: datetime) -> str:
        """`CET, UTC+01:00`: what the zone is called at that moment."""
        local = self._local(at)
        offset = f"{local:%z}"
        return f"{local:%Z}" if local.utcoffset() == timedelta(0) else f"{local:%Z}, UTC{offset[:3]}:{offset[3:5]}"

    def _local(self, at: datetime) -> datetime:
        return at.astimezone(_zone(self.zone) if self.zone else None)


def ago(span: timedelta) -> str:
    """How long ago, without more detail than a reader needs: `17s`, `4m 10s`, `2h 5m`, `3 days`."""
    if span >= timedelta(days=2):
        return f"{span.days} days"
    step = 60 if span >= timedelta(minutes=10) else 1
    seconds = round(span.total_seconds() / step) * step
    return spoken(timedelta(seconds=seconds)) if seconds else "0s"


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a page in UTC beats one that is not sent
        return UTC
