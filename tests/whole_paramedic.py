"""A whole Paramedic: `paramedic up` or `paramedic demo` with all its processes, which the tests of one file share."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from paramedic.demo.world import free_port

PARAMEDIC = str(Path(sys.executable).parent / "paramedic")

#: `paramedic` whose `up` says sooner what it waits for. Between SIGUSR1 and SIGUSR2 it takes a child for one that stands still
#: after 3 s, not 60 s.
_SOONER = """
import gc, signal
from paramedic.cli import main, up
from paramedic.stack import stack
from paramedic.stack.children import Child
def silent(seconds):
    for child in [one for one in gc.get_objects() if isinstance(one, Child)]:
        child.silent_seconds = seconds
signal.signal(signal.SIGUSR1, lambda *_: silent(3.0))
signal.signal(signal.SIGUSR2, lambda *_: silent(stack._SILENT_SECONDS))
up._PATIENCE_SECONDS = up._CHANGED_SECONDS = 1
main()
"""
IMPATIENT = [sys.executable, "-Pc", _SOONER]

#: `paramedic` whose `demo` has a round of its checks begun twice as often: the first story waits for one.
_OFTEN = """
import os
from paramedic.cli import main
from paramedic.demo import run
settings_of = run.load_settings
def often():
    os.environ["PARAMEDIC_CHECKS_EVERY"] = "10s"
    return settings_of()
run.load_settings = often
main()
"""
OFTEN = [sys.executable, "-Pc", _OFTEN]

#: What somebody may have left in the folder that it is started in: modules of the standard library, settings of Prefect's.
EVIL = "import pathlib; pathlib.Path(__file__).with_suffix('.ran').touch(); raise SystemExit('evil')\n"


def plant(folder: Path) -> None:
    for name in ("ctypes", "json", "asyncio", "sqlite3", "uvicorn", "prefect", "paramedic", "sitecustomize", "yaml"):
        (folder / f"{name}.py").write_text(EVIL)
    (folder / ".env").write_text("PREFECT_SERVER_API_BASE_PATH=/evil\n")
    (folder / "prefect.toml").write_text('[server.api]\nbase_path = "/evil"\n')


def until(holds: Callable[[], Any], what: str = "it", seconds: float = 180) -> Any:
    """What it finds, once it finds something."""
    ends = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < ends, f"{what} never came"
        time.sleep(0.1)
    return found


class Paramedic:
    """One that was started in the folder, and its output there."""

    def __init__(self, folder: Path, *argv: str, command: list[str] | None = None, **env: str) -> None:
        ports = {"PARAMEDIC_PORT": str(free_port()), "PREFECT_SERVER_API_PORT": str(free_port())}
        theirs = {name: value for name, value in os.environ.items() if not name.startswith(("PARAMEDIC_", "PREFECT_"))}
        self.folder = folder
        self.env = theirs | ports | env
        self.output = folder / "output"
        with os.fdopen(os.open(self.output, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600), "a") as output:
            self.process = subprocess.Popen(
                [*(command or [PARAMEDIC]), *argv], env=self.env, stdout=output, stderr=output, cwd=folder
            )

    @property
    def output_text(self) -> str:
        return self.output.read_text()

    def says(self, word: str, seconds: float = 300) -> str:
        """Its whole output, once this word is in it."""
        until(lambda: word in self.output_text or self.process.poll() is not None, word, seconds)
        assert word in self.output_text, f"it ended without saying {word!r}:\n{self.output_text}"
        return self.output_text

    def family(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children(recursive=True)
        return []

    def children(self) -> dict[str, psutil.Process]:
        """Its own children by their module, such as `paramedic.gateway`."""
        found = {}
        for child in psutil.Process(self.process.pid).children():
            with contextlib.suppress(psutil.Error, IndexError):  # it may just be dying, or not be itself yet
                found[child.cmdline()[2]] = child
        return found

    def restarted(self, before: dict[str, psutil.Process]) -> bool:
        """Whether there is another process for each of these children."""
        now = self.children()
        return all(name in now and now[name].pid != child.pid for name, child in before.items())

    def ends(self, number: signal.Signals) -> int:
        """How it ends by the signal; none of its processes is left."""
        family = self.family()
        self.process.send_signal(number)
        code = self.process.wait(30)
        all_gone(family)
        return code

    def kill(self) -> None:
        """However the tests went."""
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def running(folder: Path, *argv: str, command: list[str] | None = None, **env: str) -> Iterator[Paramedic]:
    """Started; ended at the end at the latest."""
    paramedic = Paramedic(folder, *argv, command=command, **env)
    try:
        yield paramedic
    finally:
        paramedic.kill()


def all_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert [(process.pid, process.cmdline()) for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []
