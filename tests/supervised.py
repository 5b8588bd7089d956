"""A real supervisord of a test's own, whose programs write down every start."""

import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from paramedic.errors import TemporaryError
from paramedic.integrations.targets.supervisord import Reader, Words
from paramedic.remediation.target import Identity, Target
from paramedic.transports.local import Local

#: Appends a line at each start, and at each SIGUSR1; needs half a second to stop; a broken one ends at once until it is mended.
PROGRAM = """
import os, signal, sys, time
folder, name = sys.argv[1:3]
def reload(*_):
    with open(f"{folder}/{name}.reloads", "a") as reloads:
        reloads.write(f"{os.getpid()}\\n")
signal.signal(signal.SIGUSR1, reload)  # and SIGHUP it does not handle
with open(f"{folder}/{name}.starts", "a") as starts:
    starts.write(f"{os.getpid()}\\n")
if "broken" in name and not os.path.exists(f"{folder}/{name}.mended"):
    sys.exit(1)
def stop(*_):
    time.sleep(0.5)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
while True:
    time.sleep(60)
"""

CONFIGURATION = """
[unix_http_server]
file={folder}/s
[inet_http_server]
port=127.0.0.1:{port}
username=look
password=p@ss
[supervisord]
logfile={folder}/log
pidfile={folder}/pid
identifier=test
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""

_PROGRAM = """
[program:{name}]
command={python} {folder}/program.py {folder} {name}
startsecs={startsecs}
"""

#: Programs that are not simply well, and what is said of them besides. Their start is believed after a second, a broken
#: one's after five, which are enough to end in on a busy machine; an app's at once.
OTHERS = {
    "settles": "",
    "stopped": "autostart=false",
    "broken-for-good": "startretries=0",
    "broken-and-mended": "startretries=0",
    "broken-and-tried": "startretries=100",
}


class Supervised:
    """A running supervisord with some programs that are well, and what its programs wrote. `app` is the one to work with."""

    def __init__(self, program: str, folder: Path, *, apps: int) -> None:
        self.folder = folder
        self.apps = [f"app-{number}" for number in range(apps)]
        self.app = self.apps[0]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        (folder / "program.py").write_text(PROGRAM)
        written = [CONFIGURATION.format(folder=folder, port=self.port)]
        for name in (*self.apps, *OTHERS):
            startsecs = 5 if "broken" in name else int(name in OTHERS)
            program_of = _PROGRAM.format(name=name, folder=folder, python=sys.executable, startsecs=startsecs)
            written += [program_of, OTHERS.get(name, "")]
        (folder / "conf").write_text("".join(written))
        self.process = subprocess.Popen(
            [program, "-n", "-c", str(folder / "conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def target(self, name: str = "", address: str = "", *, reload: str | None = None) -> Target:
        name, address = name or self.app, address or f"unix://{self.folder}/s"
        words = Words.model_validate({"program": name, "address": address, "reload": reload})
        return Target(f"here/{name}", "tracking", "here", "supervisord", name, address, words=words)

    def reloads(self) -> int:
        file = self.folder / f"{self.app}.reloads"
        return len(file.read_text().splitlines()) if file.exists() else 0

    def identity(self, name: str = "") -> Identity:
        return Reader(self.target(name), Local()).identity()

    def starts(self, name: str = "") -> int:
        return len(self._started(name))

    def _started(self, name: str) -> list[str]:
        """The pids that have written down their start."""
        try:
            return (self.folder / f"{name or self.app}.starts").read_text().splitlines()
        except FileNotFoundError:
            return []

    def comes_to(self, state: str, name: str = "", *, but: int | None = None) -> Identity:
        """Wait until the program is in this state, in another life than the pid `but`; one that runs has written its start."""
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                seen = self.identity(name)
            except TemporaryError:
                seen = None
            if seen and seen.state == state and (but is None or seen.instance["pid"] != but):
                has_begun = state != "RUNNING" or str(seen.instance["pid"]) in self._started(name)
                if has_begun:
                    return seen
            time.sleep(0.02)
        pytest.fail(f"{name or self.app} never came to {state}: {(self.folder / 'log').read_text()}")

    def end(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        children = psutil.Process(self.process.pid).children() if self.process.poll() is None else []
        self.process.kill()
        self.process.wait()
        for child in children:
            with suppress(psutil.NoSuchProcess):  # it may have ended with its supervisord
                child.kill()


@contextmanager
def supervising(program: str, *, apps: int) -> Iterator[Supervised]:
    folder = Path(tempfile.mkdtemp(prefix="sv"))  # a socket's path has little room
    running = Supervised(program, folder, apps=apps)
    try:
        running.comes_to("RUNNING")
        yield running
    finally:
        running.end()
        shutil.rmtree(folder)
