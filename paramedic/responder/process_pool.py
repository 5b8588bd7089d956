"""The warm processes of one responder: copies of a template that wait, one for each run, made anew when the code changes."""

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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from paramedic.machine.file_stamps import Stamps, stamps
from paramedic.machine.parent_death import command, module
from paramedic.responder.fork_server import FORK

log = logging.getLogger(__name__)

#: A template that has not imported everything by then is given up.
_READY_SECONDS = 120.0

#: After a template that did not become ready the same code is tried again: it may have been slow or killed, and not broken.
_TRY_AGAIN_SECONDS = 30.0


class WarmProcess:
    """One copy: it waits for its run, runs it, and ends."""

    def __init__(self, template: "_Template", channel: socket.socket) -> None:
        self._template = template
        self._channel = channel
        self.pid: int | None = None
        self.code: int | None = None
        self.born = asyncio.Event()
        self._ended = asyncio.Event()

    def tell(self, order: dict[str, Any]) -> None:
        """Give it its run, or nothing: then it goes home. One that has died says so by its end."""
        with self._channel, contextlib.suppress(OSError):
            if order:
                self._channel.sendall(json.dumps(order).encode())

    def signal(self, number: signal.Signals) -> None:
        """Signal it, if it is alive."""
        self._template.signal(self, number)

    async def wait(self) -> int:
        """Its exit code; negative: by which signal."""
        await self._ended.wait()
        return -signal.SIGKILL if self.code is None else self.code

    def over(self, code: int) -> None:
        """It has ended."""
        self.code = code
        self.born.set()
        self._ended.set()
        self._channel.close()

    @property
    def alive(self) -> bool:
        """Whether it has not ended, as far as is known."""
        return not self._ended.is_set()


class _Template:
    """The responder's end of one template."""

    def __init__(self, process: asyncio.subprocess.Process, channel: socket.socket) -> None:
        self._process = process
        self._channel = channel
        self.ready = asyncio.Event()
        self.dead = asyncio.Event()
        self._unborn: deque[WarmProcess] = deque()
        self._alive: dict[int, WarmProcess] = {}
        self._retired = False
        asyncio.get_running_loop().add_reader(channel, self._hear)

    @classmethod
    async def start(cls, env: dict[str, str]) -> "_Template":
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

    def fork(self) -> WarmProcess:
        """One more copy. Where the template is dead, it has ended already."""
        ours, theirs = socket.socketpair()
        one = WarmProcess(self, ours)
        with theirs:
            try:
                socket.send_fds(self._channel, [FORK], [theirs.fileno()])
            except OSError:
                one.over(-signal.SIGKILL)
                return one
        self._unborn.append(one)
        return one

    def signal(self, process: WarmProcess, number: signal.Signals) -> None:
        if process.pid in self._alive:
            with contextlib.suppress(OSError):
                self._channel.send(f"kill {process.pid} {int(number)}".encode())

    def retire(self) -> None:
        """End with the last copy."""
        self._retired = True
        self._end_if_idle()

    def _end_if_idle(self) -> None:
        if self._retired and not self._alive and not self._unborn:
            self._close()

    def _hear(self) -> None:
        try:
            said = self._channel.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if not said:
            self._close()
            return
        what = json.loads(said)
        if "born" in what:
            one = self._unborn.popleft()
            one.pid = what["born"]
            one.born.set()
            self._alive[what["born"]] = one
        elif "ended" in what:
            self._alive.pop(what["ended"]).over(what["code"])
            self._end_if_idle()
        else:
            self.ready.set()

    def _close(self) -> None:
        """It is gone, and with it every copy: each hangs on its lifeline."""
        if self.dead.is_set():
            return
        self.dead.set()
        self.ready.set()
        asyncio.get_running_loop().remove_reader(self._channel)
        self._channel.close()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()  # one that hangs while it imports does not look at its channel
        for one in [*self._unborn, *self._alive.values()]:
            one.over(-signal.SIGKILL)
        self._unborn.clear()
        self._alive.clear()


class Warm:
    """As many warm processes as are wanted, always with the code as it is now."""

    def __init__(self, wanted: int, folders: list[Path]) -> None:
        """`folders` hold what the template imports and reads: where one of their files changes, there is a new template."""
        self._wanted = wanted
        self._folders = folders
        self._template: _Template | None = None
        self._read: Stamps = frozenset()
        self._waiting: deque[WarmProcess] = deque()
        self._renewal: asyncio.Task[None] | None = None
        self._try_again_at = math.inf
        self._taken_at = -_REFILL_AFTER_SECONDS

    async def start(self) -> None:
        """A template, where there is none. Raises RuntimeError where it cannot import what it must."""
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew())
        await asyncio.shield(self._renewal)
        if self._dead():
            raise RuntimeError("the template did not become ready; what it could not import is in the log")

    async def keep(self) -> None:
        """Replace what has died or is out of date; no run is dropped for it. To be called every second or two."""
        if self._renewal is not None and not self._renewal.done():
            return
        again = time.monotonic() >= self._try_again_at
        if again or self._dead() or await asyncio.to_thread(stamps, self._folders) != self._read:
            self._renewal = asyncio.create_task(self._renew())
        self._refill()

    async def take(self) -> WarmProcess:
        """One for a run. Where the template has died, the next one is waited for. Raises RuntimeError if it does not come."""
        process = next((one for one in self._drain() if one.alive), None)
        if process is None:
            if self._dead():
                await self.start()
            process = self._fork()
        self._taken_at = time.monotonic()
        asyncio.get_running_loop().call_later(_REFILL_AFTER_SECONDS, self._refill)
        return process

    def stop(self) -> None:
        """Idle processes go home, and the template with the last that has a run."""
        for one in self._drain():
            one.tell({})
        if self._template is not None:
            self._template.retire()

    def _drain(self) -> Iterator[WarmProcess]:
        while self._waiting:
            yield self._waiting.popleft()

    def _dead(self) -> bool:
        return self._template is None or self._template.dead.is_set()

    def _fork(self) -> WarmProcess:
        if self._template is None:
            raise RuntimeError("there is no template")
        return self._template.fork()

    def _refill(self) -> None:
        if time.monotonic() - self._taken_at < _REFILL_AFTER_SECONDS:
            return
        self._waiting = deque(one for one in self._waiting if one.alive)
        while len(self._waiting) < self._wanted and not self._dead():
            self._waiting.append(self._fork())

    async def _renew(self) -> None:
        read = await asyncio.to_thread(stamps, self._folders)
        fresh = await _Template.start(_VERSIONS_AGREE | os.environ | _quick_tls())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(fresh.ready.wait(), _READY_SECONDS)
        self._read = read
        if fresh.dead.is_set() or not fresh.ready.is_set():
            log.error("the code cannot be imported: runs go on with what was there before, if anything")
            self._try_again_at = time.monotonic() + _TRY_AGAIN_SECONDS
            fresh.retire()
            return
        self._try_again_at = math.inf
        before, self._template = self._template, fresh
        for one in self._drain():
            one.tell({})
        if before is not None:
            why = "the template has died" if before.dead.is_set() else "the code has changed"
            log.info("%s: new runs have a new one, those at work end with what they began with", why)
            before.retire()
        self._refill()


#: Whether client and server suit each other, the responder has asked for all.
_VERSIONS_AGREE = {"PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false"}

#: New copies are made and prepare when no run has come for so long: the machine has something better to do before.
_REFILL_AFTER_SECONDS = 0.5


def _quick_tls() -> dict[str, str]:
    """Where Prefect is plain HTTP, its clients need no authority, and reading all that there are takes each 30 ms."""
    plain = os.environ.get("PREFECT_API_URL", "").startswith("http:")
    if not plain or "PREFECT_API_SSL_CERT_FILE" in os.environ:
        return {}
    return {"PREFECT_API_SSL_CERT_FILE": str(Path(__file__).with_name("no_authority.pem"))}
