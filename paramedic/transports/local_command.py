"""Runs one program on this machine: an argument list, a deadline, and bounded output."""

import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Self

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.transport import KEPT, MOST_KEPT, Ended, OutOfTime
from paramedic.machine.clock import boottime
from paramedic.machine.open_transaction import must_be_closed
from paramedic.text.decoding import decode
from paramedic.text.sanitize import visible

#: A program that says more than this between two looks has what came before cut off.
_HELD = MOST_KEPT

_LOOK_SECONDS = 0.02

#: How long a program has to end by itself after SIGTERM.
_GRACE_SECONDS = 2.0


class LocalCommand:
    """A program that can be started once: everything slow or uncertain is done before `start`.

    It has its own session and process group, and writes to memory, not to a pipe: the end of this process
    neither ends it nor breaks its output.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        cwd: str | None = None,
        environment: Mapping[str, str] | None = None,
        kept: int = KEPT,
    ) -> None:
        """`kept`: bytes of the end of its output. Raises PermanentError if there is no such program here."""
        found = located(arguments[0])
        if cwd is not None and not os.path.isdir(cwd):  # noqa: PTH112 - a question, not a path to work on
            raise PermanentError(f"there is no folder {cwd} to run {arguments[0]} in")
        self._arguments = [found, *arguments[1:]]
        self._cwd = cwd
        self._environment = {"PATH": _path(), **(environment or {})}
        self._output, self._errors = _Words("output", kept), _Words("errors")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._output.close()
        self._errors.close()

    def start(self) -> None:
        """Start it.

        Raises TemporaryError if the machine gives no process just now, PermanentError if it never will; nothing ran.
        """
        must_be_closed("a program is started")
        try:
            self._process = subprocess.Popen(
                self._arguments,
                cwd=self._cwd,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=self._output.file,
                stderr=self._errors.file,
                start_new_session=True,
            )
        except (BlockingIOError, MemoryError) as error:
            raise TemporaryError(f"{self._arguments[0]} could not be started: {error}") from error
        except (OSError, ValueError) as error:
            raise PermanentError(f"{self._arguments[0]} could not be started: {error}") from error

    def end(self, deadline: float) -> Ended:
        """How it ended, `deadline` (by `boottime`) at the latest. Raises OutOfTime once its process group is ended."""
        while (code := self._process.poll()) is None:
            self._output.bound()
            self._errors.bound()
            if boottime() >= deadline:
                self._stop()
                raise OutOfTime(self._output.text() + self._errors.text())
            time.sleep(_LOOK_SECONDS)
        return Ended(code, self._output.text(), self._errors.text())

    def _stop(self) -> None:
        group = self._process.pid
        until = boottime() + _GRACE_SECONDS
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGTERM)
        # Its leader is not waited for before the last signal is sent: until then the group's number is nobody else's.
        while os.waitid(os.P_PID, group, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None and boottime() < until:
            time.sleep(_LOOK_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        self._process.wait()


def located(program: str) -> str:
    """Where the program is. Raises PermanentError if this machine has none of that name that this user may run."""
    found = shutil.which(program, path=_path())
    if found is None:
        raise PermanentError(f"this machine has no program {program!r:.200} that this user may run")
    return found


def _path() -> str:
    return os.environ.get("PATH", os.defpath)


class _Words:
    """A program's output, in memory: a full disk does not matter."""

    def __init__(self, name: str, kept: int = KEPT) -> None:
        self._kept = kept
        self.file = os.memfd_create(name, os.MFD_CLOEXEC)
        fcntl.fcntl(self.file, fcntl.F_SETFL, os.O_APPEND)
        self._freed = 0  # bytes at the beginning, whose memory is free again
        self._head = b""

    def bound(self) -> None:
        """Free the memory of all but the end. The file only grows: what the program writes meanwhile is neither lost nor torn."""
        if (size := os.fstat(self.file).st_size) - self._freed > _HELD:
            self._head = self._head or os.pread(self.file, 4, 0)
            _free(self.file, size - self._kept)
            self._freed = size - self._kept

    def text(self) -> str:
        size = os.fstat(self.file).st_size
        offset = max(size - self._kept, 0)
        end = os.pread(self.file, self._kept, offset)
        return visible(decode(end, offset=offset, head=self._head or os.pread(self.file, 4, 0)))

    def close(self) -> None:
        os.close(self.file)


def _free(file: int, size: int) -> None:
    """Free the memory of so many bytes at the beginning of a file in memory, which are zeros from then on."""
    libc = ctypes.CDLL(None, use_errno=True)
    keep_size, punch_hole = 1, 2  # linux/falloc.h
    if libc.fallocate(file, keep_size | punch_hole, ctypes.c_int64(0), ctypes.c_int64(size)) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
