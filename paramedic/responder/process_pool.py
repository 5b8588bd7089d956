"""The process pool of a responder: warm processes, forked from a fork server, one for each run; renewed when the code changes."""

import asyncio
import contextlib
import json
import logging
import math
import os
import signal
import socket
import time
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from paramedic.machine.backoff import Backoff
from paramedic.machine.file_stamps import Stamps, stamps
from paramedic.machine.parent_death import command, module
from paramedic.responder.fork_server import FORK

log = logging.getLogger(__name__)

#: A fork server that has not imported everything by then is given up.
_READY_SECONDS = 120.0

#: After a fork server that did not become ready the same code is tried again: it may have been slow or killed, not broken.
#: Less and less often, as each try costs seconds of CPU.
_BACKOFF = Backoff((30, 60, 120, 300))

#: Whether client and server suit each other, the responder has asked for all.
_VERSIONS_AGREE = {"PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false"}

#: New copies are made and prepare when no run has come for so long: the machine has something better to do before.
_REFILL_AFTER_SECONDS = 0.5


class PooledProcess:
    """One forked process: it waits for its run, runs it, and ends."""

    def __init__(self, fork_server: "_ForkServer", channel: socket.socket) -> None:
        self._fork_server = fork_server
        self._channel = channel
        self.pid: int | None = None
        self.code: int | None = None
        self.born = asyncio.Event()
        self._ended = asyncio.Event()

    def assign(self, order: dict[str, Any]) -> None:
        """Assign a run, or with an empty order end the process. One that has died already shows it by its exit."""
        with self._channel, contextlib.suppress(OSError):
            if order:
                self._channel.sendall(json.dumps(order).encode())

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it is alive."""
        self._fork_server.signal(self, number)

    async def wait(self) -> int:
        """Wait for its end; returns the exit code, negative for a signal."""
        await self._ended.wait()
        return -signal.SIGKILL if self.code is None else self.code

    def set_ended(self, code: int) -> None:
        """Record that it has ended."""
        self.code = code
        self.born.set()
        self._ended.set()
        self._channel.close()

    @property
    def alive(self) -> bool:
        """Whether it has not ended, as far as is known."""
        return not self._ended.is_set()


class _ForkServer:
    """The responder's side of one fork server."""

    def __init__(self, process: asyncio.subprocess.Process, channel: socket.socket) -> None:
        self._process = process
        self._channel = channel
        self.ready = asyncio.Event()
        self.dead = asyncio.Event()
        self._unborn: deque[PooledProcess] = deque()
        self._alive: dict[int, PooledProcess] = {}
        self._retired = False
        asyncio.get_running_loop().add_reader(channel, self._receive)

    @classmethod
    async def start(cls, env: dict[str, str]) -> "_ForkServer":
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *command(module("paramedic.responder.fork_server", str(theirs.fileno()))),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=env,
            )
        return cls(process, ours)

    def fork(self) -> PooledProcess:
        """Fork one more process. If the fork server is dead, it has ended already."""
        ours, theirs = socket.socketpair()
        process = PooledProcess(self, ours)
        with theirs:
            try:
                socket.send_fds(self._channel, [FORK], [theirs.fileno()])
            except OSError:
                process.set_ended(-signal.SIGKILL)
                return process
        self._unborn.append(process)
        return process

    def signal(self, process: PooledProcess, number: signal.Signals) -> None:
        if process.pid in self._alive:
            with contextlib.suppress(OSError):
                self._channel.send(f"kill {process.pid} {int(number)}".encode())

    def retire(self) -> None:
        """End it with its last process."""
        self._retired = True
        self._end_if_idle()

    def _end_if_idle(self) -> None:
        if self._retired and not self._alive and not self._unborn:
            self._close()

    def _receive(self) -> None:
        """Take one event of the fork server: it is ready, a process was born, a process has ended."""
        try:
            data = self._channel.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close()
            return
        event = json.loads(data)
        if "born" in event:
            process = self._unborn.popleft()
            process.pid = event["born"]
            process.born.set()
            self._alive[event["born"]] = process
        elif "ended" in event:
            self._alive.pop(event["ended"]).set_ended(event["code"])
            self._end_if_idle()
        else:
            self.ready.set()

    def _close(self) -> None:
        """Record that it is gone, and with it every process of it: each dies with its parent."""
        if self.dead.is_set():
            return
        self.dead.set()
        self.ready.set()
        asyncio.get_running_loop().remove_reader(self._channel)
        self._channel.close()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()  # one that hangs while it imports does not look at its channel
        for process in [*self._unborn, *self._alive.values()]:
            process.set_ended(-signal.SIGKILL)
        self._unborn.clear()
        self._alive.clear()


class ProcessPool:
    """Keeps the wanted number of warm processes, with the current code."""

    def __init__(self, wanted: int, folders: list[Path], env: Mapping[str, str] | None = None) -> None:
        """`folders` hold what the fork server imports and reads: when one of their files changes, it is replaced.

        `env` is added to its environment.
        """
        self._env = dict(env or {})
        self._wanted = wanted
        self._folders = folders
        self._fork_server: _ForkServer | None = None
        self._read: Stamps = frozenset()
        self._waiting: deque[PooledProcess] = deque()
        self._renewal: asyncio.Task[None] | None = None
        self._failures = 0  # in a row, with the code that was read last
        self._try_again_at = -math.inf
        self._taken_at = -_REFILL_AFTER_SECONDS

    async def start(self) -> None:
        """Start a fork server, if there is none. Raises RuntimeError where it cannot import what it must."""
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew())
        await asyncio.shield(self._renewal)
        if self._dead():
            raise RuntimeError("the fork server did not become ready; what it could not import is in the log")

    async def refresh(self) -> None:
        """Replace processes that died or are out of date; no run is dropped. Call it every second or two."""
        if self._renewal is not None and not self._renewal.done():
            return
        wanted = self._dead() or self._failures
        again = wanted and time.monotonic() >= self._try_again_at
        if again or await asyncio.to_thread(stamps, self._folders) != self._read:
            self._renewal = asyncio.create_task(self._renew())
        self._refill()

    async def take(self) -> PooledProcess:
        """A process for a run. If the fork server has died, waits for the next. Raises RuntimeError if there is none."""
        process = next((waiting for waiting in self._drain() if waiting.alive), None)
        if process is None:
            if self._dead():
                await self.start()
            process = self._fork()
        self._taken_at = time.monotonic()
        asyncio.get_running_loop().call_later(_REFILL_AFTER_SECONDS, self._refill)
        return process

    def warm(self) -> int:
        """The number of processes that wait for a run."""
        return sum(process.alive for process in tuple(self._waiting))

    def stop(self) -> None:
        """End the idle processes, and the fork server with the last one that has a run."""
        for process in self._drain():
            process.assign({})
        if self._fork_server is not None:
            self._fork_server.retire()

    def _drain(self) -> Iterator[PooledProcess]:
        while self._waiting:
            yield self._waiting.popleft()

    def _dead(self) -> bool:
        return self._fork_server is None or self._fork_server.dead.is_set()

    def _fork(self) -> PooledProcess:
        if self._fork_server is None:
            raise RuntimeError("there is no fork server")
        return self._fork_server.fork()

    def _refill(self) -> None:
        if time.monotonic() - self._taken_at < _REFILL_AFTER_SECONDS:
            return
        self._waiting = deque(process for process in self._waiting if process.alive)
        while len(self._waiting) < self._wanted and not self._dead():
            self._waiting.append(self._fork())

    async def _renew(self) -> None:
        """Start a fork server with the code as it is now; the one before goes on until the new one is ready."""
        read = await asyncio.to_thread(stamps, self._folders)
        fresh = await _ForkServer.start(_VERSIONS_AGREE | os.environ | _quick_tls() | self._env)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(fresh.ready.wait(), _READY_SECONDS)
        if read != self._read:
            self._read, self._failures = read, 0
        if fresh.dead.is_set() or not fresh.ready.is_set():
            pause = _BACKOFF.after(self._failures)
            log.error(
                "the code cannot be imported: runs go on with the code before it, if there is any; tried again in %.0f s",
                pause,
            )
            self._failures += 1
            self._try_again_at = time.monotonic() + pause
            fresh.retire()
            return
        self._failures, self._try_again_at = 0, -math.inf
        before, self._fork_server = self._fork_server, fresh
        for process in self._drain():
            process.assign({})
        if before is not None:
            why = "the fork server has died" if before.dead.is_set() else "the code has changed"
            log.info("%s: new runs use a new one, running ones end with the code that they began with", why)
            before.retire()
        self._refill()


def _quick_tls() -> dict[str, str]:
    """Where Prefect is plain HTTP, its clients need no authority, and reading all that there are takes each 30 ms."""
    plain = os.environ.get("PREFECT_API_URL", "").startswith("http:")
    if not plain or "PREFECT_API_SSL_CERT_FILE" in os.environ:
        return {}
    return {"PREFECT_API_SSL_CERT_FILE": str(Path(__file__).with_name("no_authority.pem"))}
