"""A machine whose boot id and systemctl are the test's, for a real SSH server: no real one is rebooted."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ssh_servers import Sshd, running
from whole_machine import FIRST, SECOND

from paramedic.transports import ssh_connection

#: In namespaces of the server's own: what it runs has the test's boot id and systemctl, and nobody else has.
STAGE = """
set -e
mkdir -p /run/sshd
mount --bind "$0/boot_id" /proc/sys/kernel/random/boot_id
mount --bind "$0/systemctl" "$(command -v systemctl)"
exec "$@"
"""

#: A reboot takes until the test lets the machine come back: until then it is only on its way.
SYSTEMCTL = """#!/bin/sh
f='{folder}'
echo "$*" >> "$f/asked"
case "$*" in
*is-system-running*) cat "$f/system";;
*show*) cat "$f/units";;
*reboot*) [ ! -e "$f/no" ] || {{ echo 'Call to Reboot failed: Access denied' >&2; exit 1; }}
echo stopping > "$f/system"; echo >> "$f/reboots"; [ ! -e "$f/hangs" ] || exec sleep 300;;
esac
"""


class Stage:
    """The machine: what its systemctl says, and its boot."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "boot_id").touch()
        (folder / "systemctl").write_text(SYSTEMCTL.format(folder=folder))
        (folder / "systemctl").chmod(0o755)
        self.reset()

    def reset(self) -> None:
        for name in ("no", "hangs", "reboots", "asked"):
            (self.folder / name).unlink(missing_ok=True)
        self.is_now(FIRST, "running")

    def is_now(self, boot: str, system: str, app: str = "active running") -> None:
        active, sub = app.split()
        units = f"Id=app.service\nActiveState={active}\nSubState={sub}\nUnitFileState=enabled\n"
        for name, text in (("boot_id", boot), ("system", system), ("units", units)):
            (self.folder / name).write_text(f"{text}\n")  # in place: it is mounted

    def reboots(self) -> int:
        file = self.folder / "reboots"
        return len(file.read_text().splitlines()) if file.exists() else 0

    def told_to_reboot(self) -> bool:
        return self.reboots() > 0

    def looks(self) -> int:
        """How often its systemctl was asked for something."""
        file = self.folder / "asked"
        return len(file.read_text().splitlines()) if file.exists() else 0

    @contextmanager
    def comes_back(self, app: str, *, looks: int = 0) -> Iterator[None]:
        """Once it is told to reboot, and was looked at so often, it is in another boot, with the service so."""
        over = threading.Event()

        def boots() -> None:
            while not (self.told_to_reboot() and self.looks() >= looks):
                if over.wait(0.02):
                    return
            self.is_now(SECOND, "running", app)

        outside = threading.Thread(target=boots)
        outside.start()
        try:
            yield
        finally:
            over.set()
            outside.join()


@contextmanager
def server_of(require: Callable[[str], str], stage: Stage) -> Iterator[Sshd]:
    """A server whose commands run on the machine."""
    require("systemctl")
    around = (require("unshare"), "--mount", "sh", "-c", f"mount -t tmpfs tmpfs /run\n{STAGE}", str(stage.folder))
    with running(require, inside=around) as server:
        yield server


@pytest.fixture(scope="module")
def away(require: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, Sshd]]:
    """A machine for the tests of a module, and the server that leads to it; `reset` makes it as it was at first."""
    folder = tmp_path_factory.mktemp("boot")
    folder.chmod(0o755)
    machine = Stage(folder)
    with server_of(require, machine) as server:
        yield machine, server
    ssh_connection.close_all()
