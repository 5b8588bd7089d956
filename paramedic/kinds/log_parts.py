"""What a look at a growing log brings: the parts of its files that were not read yet, over any rotation."""

from dataclasses import dataclass

#: One look reads at most so many bytes of each file.
LIMIT = 4 * 1024 * 1024

#: Files with these endings are packed: what is in them is not looked for.
PACKED = (".gz", ".xz", ".bz2", ".zst", ".Z", ".zip", ".lz4", ".lzma")


@dataclass(frozen=True, slots=True)
class LogPosition:
    """How far a log was read."""

    file: str  # the inode of the file, which stays its own when it is renamed
    offset: int


@dataclass(frozen=True, slots=True)
class LogPart:
    """A part of one file of a log."""

    file: str
    begin: int  # the offset of `data`
    data: bytes
    size: int  # of the file, at the look
    written_at: float  # when it was last written: seconds since the epoch, by the machine's clock


@dataclass(frozen=True, slots=True)
class LogParts:
    """What is new in a log, oldest first. The last part is of the file that is at the path now."""

    now: float  # seconds since the epoch, by the machine's clock
    parts: tuple[LogPart, ...]
