"""Child processes that are kept running: one that dies is restarted, one that hangs is ended first."""

import contextlib
import logging
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from paramedic.machine import liveness, parent_death
from paramedic.machine.backoff import Backoff
from paramedic.machine.orphans import Orphans

log = logging.getLogger(__name__)

#: How soon a child that died is restarted, by how often it died in a row.
_BACKOFF = Backoff((0.2, 0.5, 1.0, 2.0, 5.0))

#: A child that lived this long has its backoff reset.
_SETTLED_SECONDS = 10.0

#: How long children may take to end after SIGTERM: those that work, then the one that they work with.
_STOP_SECONDS = (6.0, 2.0)

#: A log that grew to this size is rotated once, to `.log.1`.
_LOG_BYTES = 10 * 1024 * 1024

_LOOK_AT_LOGS_SECONDS = 5.0

#: Who looks this late has stood still itself, and so may the whole machine have.
_LATE_SECONDS = 5.0


def _always() -> bool:
    return True


@dataclass
class Child:
    """One child process: how it is started, and its state.

    After its first sign of life (`paramedic.machine.liveness`) it may be silent for `silent_seconds`; then it is reported, and
    ended and started again once `may_end` says so. None: its signs of life are not watched.
    """

    name: str
    argv: list[str]
    env: dict[str, str]
    serves: bool = False  # the others work with it: it ends after them
    silent_seconds: float | None = None
    may_end: Callable[[], bool] = _always
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    deaths: int = 0
    start_again_at: float = 0.0
    pipe: int | None = None
    heard_at: float | None = None
    is_reported: bool = False


class Children:
    """The children, each the leader of its own process group.

    Use it from the main thread: the children die with it when this process is killed. Ctrl-C on the terminal
    reaches only us, and we end them in order; what a child that died leaves behind in its group is killed.
    """

    def __init__(self, logs: Path, report: Callable[[str, str], None] = lambda _subject, _words: None) -> None:
        """`report` pages a person about a child that hangs; it does not block."""
        self._logs = logs
        self._folder = logs.parent
        self._report = report
        self._children: list[Child] = []
        self._orphans = Orphans()
        self._logs_looked_at = 0.0
        self._ticked_at = time.monotonic()

    def start(self, child: Child) -> None:
        """Start a child and keep it running. Raises OSError where the log cannot be written."""
        self._children.append(child)
        self._spawn(child)

    def pids(self) -> dict[str, int]:
        """The pid of each running child."""
        return {child.name: child.process.pid for child in self._children if child.process is not None}

    def tick(self) -> None:
        """Restart children that died or hang. Call it a few times a second."""
        now = time.monotonic()
        late, self._ticked_at = now - self._ticked_at > _LATE_SECONDS, now
        for child in self._children:
            if child.process is None:
                if now >= child.start_again_at:
                    self._spawn(child)
            elif child.process.poll() is not None:
                _kill_group(child.process)
                child.deaths = 0 if now - child.started_at > _SETTLED_SECONDS else child.deaths + 1
                pause = _BACKOFF.after(child.deaths)
                log.warning("%s ended with %s; started again in %s s", child.name, child.process.returncode, pause)
                child.process = None
                child.start_again_at = now + pause
            else:
                self._listen(child, child.process, now, late=late)
        self._orphans.tick(self.pids().values())
        if now - self._logs_looked_at > _LOOK_AT_LOGS_SECONDS:
            self._logs_looked_at = now
            for child in self._children:
                _keep_short(self._log_of(child))

    def stop(self) -> None:
        """End all children: SIGTERM, then SIGKILL after a while; those that serve the others last."""
        for serves, seconds in zip((False, True), _STOP_SECONDS, strict=True):
            running = [child.process for child in self._children if child.process and child.serves is serves]
            for process in running:
                process.terminate()
            until = time.monotonic() + seconds
            for process in running:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, until - time.monotonic()))
                _kill_group(process)
                process.wait()
        for child in self._children:
            _forget(child)
        self._children.clear()

    def _listen(self, child: Child, process: subprocess.Popen[bytes], now: float, *, late: bool) -> None:
        """Report a child that has been silent for too long, and end it once it may be ended."""
        if child.silent_seconds is None or child.pipe is None:
            return
        with contextlib.suppress(BlockingIOError):
            if os.read(child.pipe, 65536):
                child.heard_at, child.is_reported = now, False
        if child.heard_at is None:  # it is still starting
            return
        if late:
            child.heard_at = now
        silent = now - child.heard_at
        if silent <= child.silent_seconds:
            return
        ends = child.may_end()
        if not child.is_reported:
            child.is_reported = True
            what = (
                "It is ended, and started again." if ends else "It is ended, and started again, once no run of it acts."
            )
            words = f"{child.name} stands still: it has given no sign of life for {silent:.0f} s. {what}"
            log.warning("%s", words)
            self._report(f"{child.name} stands still", words)
        if ends:
            _kill_group(process)

    def _spawn(self, child: Child) -> None:
        _forget(child)
        env, theirs = child.env, None
        if child.silent_seconds is not None:
            child.pipe, theirs = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK) if hasattr(os, "pipe2") else os.pipe()
            os.set_blocking(child.pipe, False)
            env = env | {liveness.VARIABLE: str(theirs)}
        try:
            with appended(self._log_of(child)) as written:
                child.process = subprocess.Popen(
                    parent_death.command(child.argv),
                    env=env,
                    cwd=self._folder,  # Prefect reads .env, prefect.toml and pyproject.toml of where it is started
                    stdin=subprocess.DEVNULL,
                    stdout=written,
                    stderr=written,
                    process_group=0,
                    pass_fds=[] if theirs is None else [theirs],
                )
        finally:
            if theirs is not None:
                os.close(theirs)
        child.started_at = time.monotonic()

    def _log_of(self, child: Child) -> Path:
        return self._logs / f"{child.name}.log"


def _forget(child: Child) -> None:
    if child.pipe is not None:
        os.close(child.pipe)
    child.pipe, child.heard_at, child.is_reported = None, None, False


def appended(path: Path) -> IO[bytes]:
    """Open a file to append: private to this user, whatever the umask; never through a symlink."""
    how = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, how, 0o600), "ab")


def _kill_group(head: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody left, or on macOS only zombies
        os.killpg(head.pid, signal.SIGKILL)


def _keep_short(path: Path) -> None:
    """Rotate a long log. Its writers append, so they continue at the beginning; a line written meanwhile may be lost."""
    with contextlib.suppress(OSError):  # a full disk: the next look tries again
        if path.stat().st_size > _LOG_BYTES:
            with path.open("rb") as grown, appended(path.with_suffix(".log.1")) as older:
                older.truncate(0)
                shutil.copyfileobj(grown, older)
            os.truncate(path, 0)
