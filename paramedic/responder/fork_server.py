"""The fork server: a process that has imported everything and only forks. Each run gets a warm copy.

It has one thread, no socket but the responder's, no HTTP client and no database: nothing that a fork would break.
A run's own process opens those after the fork (`paramedic.responder.engine`).
"""

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from paramedic.machine.parent_death import STOP_READING, die_with_parent
from paramedic.machine.readable import readable
from paramedic.settings import IMPORTED_FIRST
from paramedic.text.redaction import hush_logging

#: The responder's message, with a socket, for a new process that waits at the socket's other end.
FORK = b"fork"

_KILL = b"kill "

#: What Prefect, what it needs, and a look at a target import only when a flow runs.
_LATE = (
    "anyio._backends._asyncio",
    "cryptography.x509",
    "encodings.idna",
    "paramedic.transports.http_probe",
    "prefect._internal.observers",
    "prefect._internal.states",
    "prefect.concurrency._sync",
    "prefect.task_engine",
    "prefect.utilities.visualization",
    "psutil",
    "pycurl",
    "rich._emoji_codes",
    "sqlalchemy.dialects.postgresql",
    "sqlalchemy.dialects.sqlite",
    "xmlrpc.client",
)


def main(channel: socket.socket) -> socket.socket | None:
    """Fork on demand until the responder closes the channel.

    Returns in each forked process, with the socket for its run; and None in the fork server itself, at its end. Each
    process's birth and end is reported as one JSON object: `{"born": pid}`, `{"ended": pid, "code": code}`. `kill PID SIGNAL`
    signals a process that has not ended.
    """
    parent = os.getpid()
    ended, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    sources: list[Any] = [channel, ended]
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(STOP_READING, signal.SIG_IGN)  # until a playbook hears it
    alive: set[int] = set()
    _say(channel, ready=True)
    while True:
        ready = readable(sources)
        if ended in ready:
            os.read(ended, 65536)
            _reap(channel, alive)
        if channel not in ready:
            continue
        message, given = _received(channel)
        if not message:
            return None
        if message.startswith(_KILL):
            pid, number = map(int, message.removeprefix(_KILL).split())
            if pid in alive:  # not reaped yet: the number is still its own
                os.kill(pid, number)
            continue
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.close(ended)
            os.close(wake)
            channel.close()
            die_with_parent(parent)
            return socket.socket(fileno=given[0])
        alive.add(pid)
        os.close(given[0])
        _say(channel, born=pid)


def _received(channel: socket.socket) -> tuple[bytes, list[int]]:
    """The responder's message; empty where it is gone."""
    try:
        message, given, *_ = socket.recv_fds(channel, 256, 1)
    except ConnectionError:
        return b"", []
    return message, given


def _reap(channel: socket.socket, alive: set[int]) -> None:
    for pid in sorted(alive):
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            alive.discard(pid)
            _say(channel, ended=pid, code=os.waitstatus_to_exitcode(status))


def _say(channel: socket.socket, **what: int) -> None:
    with contextlib.suppress(ConnectionError):  # the responder is gone: the next look at the channel ends us
        channel.send(json.dumps(what).encode())


def preload() -> None:
    """Import what takes seconds, before a run waits for it. A flow that cannot be imported fails when it is run."""
    sys.path[:0] = IMPORTED_FIRST
    importlib.import_module("paramedic.responder.engine").run_start()
    for late in _LATE:
        with contextlib.suppress(ImportError):  # another version of Prefect has it elsewhere
            importlib.import_module(late)
    flows = importlib.import_module("flows")  # by name: the rooms above us are data here
    for module in sorted(found.name for found in pkgutil.iter_modules(flows.__path__)):
        try:
            importlib.import_module(f"flows.{module}")
        except Exception as error:  # noqa: BLE001 - somebody's flow: the others must run
            sys.stderr.write(f"flows/{module}.py cannot be imported: {type(error).__name__}: {error}\n")
    importlib.import_module("tasks.run_cache").read_ahead()
    for model in _models(BaseModel):
        if not model.__pydantic_complete__:  # Prefect leaves that for the first use, which would be each run's
            model.model_rebuild(raise_errors=False)
    threads = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if threads:
        raise RuntimeError(
            f"a fork would lose the threads {', '.join(threads)}: something started them while it was imported"
        )
    gc.collect()
    gc.freeze()  # what the collector does not touch stays one page for all


def _models(of: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for model in of.__subclasses__():
        yield model
        yield from _models(model)


if __name__ == "__main__":
    hush_logging()
    preload()
    mine = main(socket.socket(fileno=int(sys.argv[1])))
    if mine is not None:
        importlib.import_module("paramedic.responder.engine").serve(mine)
