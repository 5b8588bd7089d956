"""Follows a log from look to look: whole lines, each once, with when it was written as far as that can be trusted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from paramedic.kinds.log_parts import LIMIT, LogPart, LogParts, LogPosition
from paramedic.kinds.log_time import Anchor, Written, anchor, written

#: So much of what was read last is compared at the next look: a file that was rewritten in place has something else there.
_COMPARED = 256

#: A line that is longer is cut: nobody's pattern waits for its end.
_LONGEST = 64 * 1024

#: A time so far ahead of the machine's clock is none.
_AHEAD = 300.0

#: No file has this inode: what is at the path is read from its beginning.
_FROM_BEGIN = LogPosition("0", 0)

#: Asks a transport for what is new: `Transport.log` but for its path and deadline.
Ask = Callable[[LogPosition | None], LogParts]


@dataclass(frozen=True, slots=True)
class Lines:
    """What one look has brought."""

    now: float  # the machine's clock
    lines: tuple[str, ...]
    at: Callable[
        [str], float | None
    ]  # when one of these lines was written, by the machine's clock; None: not to be trusted
    from_begin: bool  # the log itself begins with them: nothing older is in it
    notes: tuple[str, ...] = ()  # what was lost or is left, in words


@dataclass
class LogFollower:
    """The position in one log. For one look at a time."""

    limit: int = LIMIT
    _position: LogPosition | None = None
    _last: bytes = b""  # what stands before the position
    _partial: bytes = b""  # the beginning of a line whose end is not written yet
    _anchor: Anchor | None = None
    _looked_at: float | None = None  # the machine's clock
    _notes: list[str] = field(default_factory=list)

    def read(self, ask: Ask, window: float) -> Lines:
        """What is new since the last look; at first, and after longer than `window` seconds, what the window may hold.

        Raises what `ask` raises.
        """
        self._notes = []
        follows = self._position is not None
        found = ask(self._overlap())
        if self._goes_on(found) and found.parts[0].begin > 0 and not found.parts[0].data.startswith(self._last):
            found = ask(_FROM_BEGIN)
        data = self._followed(found) if follows else self._taken(found.parts)
        begins = found.parts[0].begin
        *whole, self._partial = data.split(b"\n")
        self._partial = self._partial[:_LONGEST]
        lines = tuple(line[:_LONGEST].decode(errors="replace") for line in whole)
        if not follows and begins > 0:
            lines = lines[1:]  # its beginning was not read
        self._anchored(lines, found.parts[-1])
        before, self._looked_at = self._looked_at, found.now
        live = follows and before is not None and found.now - before <= max(window, 1.0)
        known = self._anchor
        return Lines(
            found.now,
            lines,
            lambda line: _moment(written(line), known, found.now, live=live),
            from_begin=not follows and begins == 0,
            notes=tuple(self._notes),
        )

    def _overlap(self) -> LogPosition | None:
        """The position that is asked for: some of what was read last is read again, and compared."""
        if self._position is None:
            return None
        return LogPosition(self._position.file, self._position.offset - len(self._last))

    def _goes_on(self, found: LogParts) -> bool:
        """Whether the file at the path is still the one that was read last, and none shorter than it was."""
        asked, only = self._overlap(), found.parts[0]
        return asked is not None and len(found.parts) == 1 and (only.file, only.begin) == (asked.file, asked.offset)

    def _followed(self, found: LogParts) -> bytes:
        """What is new, whatever became of the file that was read last."""
        earlier = found.parts[0]
        if (self._goes_on(found) or len(found.parts) > 1) and earlier.data.startswith(self._last):
            before = self._partial + earlier.data[len(self._last) :]
            self._move(earlier)
            return before if self._left(earlier) else self._taken(found.parts[1:], before)
        self._notes.append("the log was replaced, and what was written to it just before may not have been seen")
        return self._taken(found.parts[-1:], self._partial)

    def _taken(self, parts: Sequence[LogPart], before: bytes = b"") -> bytes:
        """The data of parts, one after the other, as far as they were read whole."""
        taken = before
        for part in parts:
            if taken and not taken.endswith(b"\n"):
                taken += b"\n"  # what ended a file without a line's end is a line
            taken += part.data
            self._move(part)
            if self._left(part):
                break
        return taken

    def _move(self, part: LogPart) -> None:
        self._position = LogPosition(part.file, part.begin + len(part.data))
        self._last = part.data[-_COMPARED:]

    def _left(self, part: LogPart) -> bool:
        """Whether some of it was too much for one look."""
        left = part.size - part.begin - len(part.data)
        if left > 0:
            self._notes.append(f"{left:,} B of it are left for the next look")
        return left > 0

    def _anchored(self, lines: tuple[str, ...], part: LogPart) -> None:
        if lines and part.begin + len(part.data) >= part.size:
            found = anchor(written(lines[-1]), part.written_at)
            self._anchor = found or self._anchor


def _moment(own: Written | None, known: Anchor | None, now: float, *, live: bool) -> float | None:
    """When a line was written: by itself where that can be trusted, else when it came, if it has just come."""
    at = None
    if own is not None and own.zoned:
        at = own.at
    elif own is not None and known is not None:
        at = known.of(own)
    if at is None or at > now + _AHEAD:
        return now if live else None
    return min(at, now)
