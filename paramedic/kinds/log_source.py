"""Where a check reads lines: a file of the target's machine, or its journal. What a look has read is kept in the process."""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.log_follower import Lines, LogFollower
from paramedic.kinds.probing import Option, Question
from paramedic.kinds.transport import MOST_KEPT, OutOfTime, Transport
from paramedic.text.sanitize import one_line

FILE = Option("file", "^/[^\\x00]{1,1000}$", "for the log that it reads: a path of the target's machine")
JOURNAL = Option(
    "journal", "^[A-Za-z0-9_][A-Za-z0-9@._:\\\\-]{0,199}$", "for the unit of systemd whose journal it reads, or `sshd`"
)

#: Of sshd its own messages, by what the kernel says of who has written them: nobody else's `logger -t sshd`.
_SSHD = ("_UID=0", "_COMM=sshd", "+", "_UID=0", "_COMM=sshd-session", "+", "_UID=0", "_COMM=sshd-auth")

#: The machine's clock comes last: of much output the end is kept.
_SHOW = (
    "LC_ALL=C journalctl --quiet --no-pager --all --output=json "
    '--output-fields=MESSAGE,_PID,_COMM,SYSLOG_IDENTIFIER "$@"; r=$?; date "+now %s"; exit $r'
)

#: journald takes no longer message from a program.
_MAY_BE_CUT = 48 * 1024

_MOST_KEPT_LOOKS = 2048

Kept = TypeVar("Kept")

_kept: "OrderedDict[Hashable, object]" = OrderedDict()
_lock = threading.Lock()


def kept(key: Hashable, make: Callable[[], Kept]) -> Kept:
    """What this process has kept of earlier looks under this key, of so many keys; made at the first look."""
    with _lock:
        found = _kept.pop(key, None)
        if found is None:
            found = make()
        _kept[key] = found
        if len(_kept) > _MOST_KEPT_LOOKS:
            _kept.popitem(last=False)
        return found  # type: ignore[return-value] # under a key there is what its own `make` made


def forget() -> None:
    """Forget all looks, as a new process has."""
    with _lock:
        _kept.clear()


def subject(options: Mapping[str, str]) -> str | None:
    """What a check with these options reads: a path, or `journal:UNIT`; None where they name neither. ValueError for both."""
    file, journal = options.get("file"), options.get("journal")
    if file is not None and journal is not None:
        raise ValueError("name one of `file` and `journal`")
    return f"journal:{journal}" if journal is not None else file


class Source:
    """One log of one machine, read on from look to look."""

    def __init__(self, where: str) -> None:
        """`where`: a path, or `journal:UNIT`."""
        self._where = where
        self._follower = LogFollower()
        self._journal = _Journal(where.removeprefix("journal:")) if where.startswith("journal:") else None

    def read(self, question: Question) -> Lines:
        """What is new. Raises TemporaryError or PermanentError where it cannot be read."""
        transport, window = question.transport(), question.window.total_seconds()
        if self._journal is not None:
            return self._journal.read(transport, question.deadline, window)
        try:
            return self._follower.read(lambda after: transport.log(self._where, question.deadline, after=after), window)
        except OSError as error:
            raise TemporaryError(f"{self._where} cannot be read: {error}") from error


class _Journal:
    """The journal of one unit."""

    def __init__(self, unit: str) -> None:
        self._match = _SSHD if unit in ("sshd", "ssh") else (f"--unit={unit}",)
        self._cursor: str | None = None

    def read(self, transport: Transport, deadline: float, window: float) -> Lines:
        """The new messages of the unit, each as a line of a log: when, host, program and process, text."""
        begins = f"--since=-{int(window) + 1}s" if self._cursor is None else f"--after-cursor={self._cursor}"
        command = ("sh", "-c", _SHOW, "sh", begins, *self._match)
        try:
            ended = transport.run(command, deadline, kept=MOST_KEPT)
        except OutOfTime as error:
            raise TemporaryError("the journal did not answer in time") from error
        *shown, clock = ended.output.splitlines() or [""]
        if ended.code != 0 or not clock.startswith("now "):
            self._cursor = None
            raise PermanentError(f"the journal cannot be read: {one_line(ended.errors or ended.output)[-300:]}")
        rows = [row for text in shown if (row := _row(text)) is not None]
        cut = len(ended.output) >= MOST_KEPT - _MAY_BE_CUT
        self._cursor = str(rows[-1]["__CURSOR"]) if rows else self._cursor
        notes = ("only the end of it was read: there was more than one look can take",) if cut else ()
        lines = tuple(_line(row) for row in rows)
        return Lines(float(clock.removeprefix("now ")), lines, _time_of, from_begin=False, notes=notes)


def _row(text: str) -> Mapping[str, Any] | None:
    """One message of the journal; None for one that was cut."""
    try:
        row = json.loads(text)
    except ValueError:
        return None
    return row if isinstance(row, dict) and "__CURSOR" in row and "__REALTIME_TIMESTAMP" in row else None


def _line(row: Mapping[str, Any]) -> str:
    """The message on one line: what is in it is anybody's text."""
    said = row.get("MESSAGE") or ""
    text = bytes(said).decode(errors="replace") if isinstance(said, list) else str(said)
    program = str(row.get("_COMM") or row.get("SYSLOG_IDENTIFIER") or "-").split()[0].rstrip(":")
    at = int(row["__REALTIME_TIMESTAMP"]) / 1e6
    return f"{at:.6f} - {program}[{row.get('_PID', 0)}]: " + text.replace("\n", "\\n").replace("\r", "\\r")


def _time_of(line: str) -> float:
    return float(line.partition(" ")[0])
