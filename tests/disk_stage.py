"""A small real file system with old files, mounts inside it and a folder outside: what a disk's remedy may meet."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from required import missing

from paramedic.integrations.targets import disk as kind
from paramedic.kinds.transport import Transport
from paramedic.remediation.host import Host
from paramedic.remediation.target import Target

DAY = 86_400
PIECE = 40_960  # bytes of a file: ten blocks

#: The host name of this machine, so that both ways lead to it.
HERE = "localhost"


class Stage:
    """`root`: a tmpfs of 4 MB; `logs`: its folder that may be cleaned, with mounts inside; `outside`: not of it."""

    def __init__(self, require: Callable[[str], str]) -> None:
        self._mount = require("mount")
        self.above = Path(tempfile.mkdtemp(prefix="disk"))
        self.above.chmod(0o755)
        self.root, self.outside = self.above / "data", self.above / "outside"
        self.logs, self.elsewhere = self.root / "logs", self.root / "elsewhere"
        self.root.mkdir()
        self.outside.mkdir()
        self._mounted: list[Path] = []
        self.mount("-t", "tmpfs", "-o", "size=4m", "tmpfs", self.root)
        for folder in (self.logs / "nested", self.logs / "bound", self.logs / "sub", self.elsewhere):
            folder.mkdir(parents=True)
        self.mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", self.logs / "nested")
        self.mount("--bind", self.elsewhere, self.logs / "bound")

    def mount(self, *how: object) -> None:
        done = subprocess.run([self._mount, *map(str, how)], check=False, capture_output=True, text=True)
        if done.returncode:
            missing(f"nothing can be mounted here: {done.stderr.strip()}")
        self._mounted.append(Path(str(how[-1])))

    def empty(self) -> None:
        """As it was at first."""
        if self.logs.is_symlink() or (self.logs.parent / "aside").exists():
            self.logs.unlink()
            (self.logs.parent / "aside").rename(self.logs)
        for folder in (self.logs, self.logs / "nested", self.elsewhere, self.logs / "sub", self.outside):
            if folder.is_symlink():
                folder.unlink()
            folder.mkdir(exist_ok=True)
            for entry in folder.iterdir():
                if entry.is_symlink() or entry.is_file():
                    entry.unlink()
        for folder in (self.logs, self.logs / "sub"):
            folder.chmod(0o755)

    def end(self) -> None:
        self.empty()
        for mounted in reversed(self._mounted):
            subprocess.run(["umount", str(mounted)], check=True)
        shutil.rmtree(self.above)


def old(path: Path, days: float = 3, size: int = PIECE) -> Path:
    """An old file."""
    path.write_bytes(b"x" * size)
    os.utime(path, (at := time.time() - days * DAY, at))
    return path


def filled(file: Path, days: float) -> Path:
    """A file of 1.5 MB that nothing was written to for so many days."""
    old(file, days)
    written_at = file.stat().st_mtime
    file.write_bytes(b"x" * 1_500_000)
    os.utime(file, (written_at, written_at))
    return file


@contextmanager
def stage(require: Callable[[str], str]) -> Iterator[Stage]:
    made = Stage(require)
    try:
        yield made
    finally:
        made.end()


def target(of: Stage, machine: Host | None = None, *, depth: int = 1, **more: Any) -> Target:
    clean = [{"path": str(of.logs), "names": ["*.gz", "app.log.*", "old-[0-9]?"], "older_than": "1d", "depth": depth}]
    words = kind.Words.model_validate({"mount": str(of.root), "free": "99.9%", "clean": clean} | more)
    host = HERE if machine is None else machine.name
    return Target(f"{host}/disk:{of.root}", "shop", host, "disk", str(of.root), "", machine=machine, words=words)


def changer(of: Target, there: Transport) -> kind.Changer:
    from datetime import timedelta

    return kind.Changer(of, there, timedelta(seconds=60))


def judged(of: Target, there: Transport) -> Any:
    return kind.Reader(of, there).identity()


def agree() -> None:
    """A last look that sees nothing wrong."""


@pytest.fixture(scope="module")
def tmpfs(require: Callable[[str], str]) -> Iterator[Stage]:
    """A stage for the tests of a module; `empty` makes it as it was at first."""
    with stage(require) as made:
        yield made
