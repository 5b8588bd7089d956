"""Units of a real systemd that write a line at each start."""

import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest
from required import missing
from systemd_container import CannotRun, PidOne
from waiting import until

from paramedic.integrations.targets.systemd import Changer, Reader
from paramedic.machine.clock import boottime
from paramedic.remediation.target import Identity, Target
from paramedic.transports.local import Local


def starts_of(systemd: PidOne, unit: str, written: Path) -> int:
    """How often the unit was started; the line of the process that runs now is waited for: systemd has it before it writes."""
    runs = systemd.run("systemctl", "show", "--property=MainPID", "--value", unit).stdout.strip()
    until(f"the line of process {runs}", lambda: runs in {"", "0", *_lines(written)}, 30)
    return len(_lines(written))


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except FileNotFoundError:
        return []


class Units:
    """A running systemd with units that write a line at each start."""

    def __init__(self, systemd: PidOne) -> None:
        self.systemd = systemd
        self.via = systemd.via
        self._made: list[str] = []

    def make(self, name: str, *, start: str = "exec sleep infinity", more: str = "", top: str = "") -> Target:
        starts = self.systemd.folder / f"{name}.starts"
        script = self.systemd.folder / f"{name}.sh"
        script.write_text(f"#!/bin/sh\necho $$ >> {starts}\n{start}\n")
        script.chmod(0o755)
        self.systemd.unit(f"{name}.service", f"{top}\n[Service]\nExecStart={script}\n{more}\n")
        self._made.append(name)
        return target(f"{name}.service")

    def running(self, name: str, **more: str) -> Target:
        made = self.make(name, **more)
        started = self.systemd.run("systemctl", "start", made.name)
        assert started.returncode == 0, started.stderr
        self.starts(name)
        return made

    def starts(self, name: str) -> int:
        return starts_of(self.systemd, f"{name}.service", self.systemd.folder / f"{name}.starts")

    def identity(self, of: Target) -> Identity:
        return Reader(of, Local(self.via), timedelta(seconds=60)).identity()

    def changer(self, of: Target, within: timedelta = timedelta(seconds=60)) -> Changer:
        return Changer(of, Local(self.via), within)

    def comes_to(self, of: Target, well: Callable[[Identity], bool]) -> Identity:
        until = time.monotonic() + 60
        while not well(seen := self.identity(of)):
            assert time.monotonic() < until, f"{of.name} is {seen}"
            time.sleep(0.02)
        return seen

    def end(self) -> None:
        for name in self._made:
            self.systemd.run("systemctl", "kill", "--signal=KILL", f"{name}.service")
            self.systemd.run("systemctl", "stop", "--no-block", f"{name}.service")


@contextmanager
def systemd(require: Callable[[str], str], rule: str | None = None, stage: str | None = None) -> Iterator[PidOne]:
    """One with polkit and this rule, or with a script that mounts what it has of its own; ended at the end."""
    folder = Path(tempfile.mkdtemp(prefix="sd"))
    folder.chmod(0o755)
    if rule is not None:
        (folder / "rules.d").mkdir()
        (folder / "rules.d" / "50-paramedic.rules").write_text(rule)
    if stage is not None:
        (folder / "stage.sh").write_text(stage)
    try:
        running = PidOne(require, folder)
    except CannotRun as no:
        shutil.rmtree(folder)
        missing(str(no))
    try:
        yield running
    finally:
        running.end()
        shutil.rmtree(folder)


def target(name: str, host: str = "elsewhere") -> Target:
    return Target(f"{host}/{name}", "tracking", host, "systemd", name, "")


def agree() -> None:
    """A last look that sees nothing wrong."""


def later(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> None:
    """For this module ten minutes pass at once."""
    now = boottime()
    monkeypatch.setattr(module, "boottime", lambda: now + 600)


def rule_of(file: str) -> str:
    """The polkit rule about units that the file is, or that the page shows."""
    text = (Path(__file__).parents[1] / file).read_text()
    rules = re.findall(r"```js\n(.*?)```", text, re.DOTALL) if file.endswith(".md") else [text]
    [rule] = [each for each in rules if "manage-units" in each]
    return str(rule)
