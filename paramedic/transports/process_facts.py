"""What the kernel writes of one process in its files of `/proc` (proc(5)), read as facts."""

from dataclasses import dataclass

from paramedic.errors import TemporaryError
from paramedic.kinds.transport import ProcessFacts

#: An argument list is read so far; bytes.
LIMIT = 65_536

#: Places among the words after the name: the state, and when it began, in ticks after the boot.
_STATE, _BEGAN = 0, 19


@dataclass(frozen=True, slots=True)
class Files:
    """What was read, in this order."""

    stat: bytes
    uids: tuple[str, ...]  # real and effective
    cmdline: bytes
    stat_again: bytes
    name: str  # of the effective user; "" without one


@dataclass(frozen=True, slots=True)
class Boot:
    """The machine's boot: its id, when it was by the clock of now, and how many ticks a second has."""

    id: str
    at: float
    tick: int


def of(pid: int, files: Files, boot: Boot) -> ProcessFacts:
    """The facts. Raises TemporaryError where the process was another one at the end of the look, or the files say nothing."""
    try:
        state, began = _state_and_start(files.stat)
        if _state_and_start(files.stat_again)[1] != began:
            raise TemporaryError(f"process {pid} became another one during the look")
        real, effective = files.uids[:2]
    except (IndexError, ValueError) as error:
        raise TemporaryError(f"what the kernel says of process {pid} cannot be read") from error
    words = files.cmdline.rstrip(b"\0")
    return ProcessFacts(
        pid=pid,
        boot=boot.id,
        began=began,
        started_at=boot.at + began / boot.tick,
        user=(files.name or effective) if real == effective else f"{real} as {effective}",
        arguments=tuple(word.decode(errors="backslashreplace") for word in words.split(b"\0")) if words else (),
        state=state,
    )


def _state_and_start(stat: bytes) -> tuple[str, int]:
    words = stat.rpartition(b")")[2].split()  # a name may have anything in it
    return words[_STATE].decode(), int(words[_BEGAN])
