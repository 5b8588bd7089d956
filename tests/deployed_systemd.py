"""A real systemd on a machine of its own, on which Paramedic is installed by the commands of docs/production.md.

Its /etc is a copy, its /opt, /srv, /var/lib and units are the namespaces' own: nothing of the machine's is touched.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
from production_page import changed
from required import missing
from systemd_container import CannotRun, PidOne
from waiting import until

from paramedic.settings import ROOT

#: The user `paramedic`, whom the machine does not have.
UID = 64210

#: What a test machine has in place of what the page installs from elsewhere, and a user that the tests know by its number.
GIVEN = {
    "git clone URL /opt/paramedic && make -C /opt/paramedic .venv/ready": "test -x /opt/paramedic/.venv/bin/paramedic",
    "useradd --system": f"useradd --system --uid {UID}",
}

#: What the page's commands fetch for an upgrade: a test has one version.
FETCHES = (
    "git -C /opt/paramedic fetch --tags && git -C /opt/paramedic checkout VERSION && make -C /opt/paramedic .venv/ready"
)

STAGE = """
mkdir /run/etc
cp -a /etc/. /run/etc
mount --bind /run/etc /etc
rm -rf /etc/systemd/system
mkdir -p /etc/systemd/system /etc/polkit-1/rules.d
units="$folder/units:/etc/systemd/system"
mount -t tmpfs -o mode=755 tmpfs /opt
mkdir /opt/paramedic /opt/python /opt/packages
mount --bind {root} /opt/paramedic
mount --bind {python} /opt/python
mount --bind {packages} /opt/packages
mount --bind "$folder/venv" /opt/paramedic/.venv
for own in /var/lib /var/cache; do mount -t tmpfs -o mode=755 tmpfs $own; done
mount --bind "$folder/srv" /srv
echo /opt/python/lib > /etc/ld.so.conf.d/python.conf
ldconfig
mount --make-rshared /  # as systemd has it on a machine: credentials come by a mount that it makes elsewhere
"""


class Machine:
    """A systemd with a file system of its own, on which the page's commands are played."""

    def __init__(self, systemd: PidOne) -> None:
        self.systemd = systemd
        self.root = Path(f"/proc/{systemd.pid}/root")
        self.srv = systemd.folder / "srv"  # seen from outside by its own path: SQLite does not follow the other one

    def plays(self, block: str, replaced: Mapping[str, str] | None = None, *, seconds: float = 400) -> str:
        """The page's commands, as root; what they print. The first one that fails fails the test."""
        script = changed(block, replaced or {})
        clean = ("env", "-i", f"PATH={os.environ['PATH']}", "HOME=/root", "LANG=C.UTF-8")
        command = [*self.systemd.via, *clean, "bash", "-euo", "pipefail", "-c", f"cd /\n{script}"]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=seconds)
        if done.returncode != 0:
            journal = self.systemd.run("journalctl", "--no-pager", "--no-hostname", "_TRANSPORT=stdout").stdout
            raise AssertionError(f"{script}\n{done.stdout[-1000:]}\n{done.stderr[-2000:]}\n{journal[-5000:]}")
        return done.stdout

    def shows(self, unit: str, name: str) -> str:
        return self.systemd.run("systemctl", "show", "--value", f"--property={name}", unit).stdout.strip()

    def log(self, unit: str) -> str:
        return self.systemd.run("journalctl", "--no-pager", "-u", unit).stdout[-4000:]

    def process(self, unit: str) -> psutil.Process:
        """The main process of the unit."""
        inside = self.shows(unit, "MainPID")
        for process in psutil.Process(self.systemd.pid).children(recursive=True):
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{process.pid}/status").read_text()
                if re.search(rf"^NSpid:.*\t{inside}$", status, re.MULTILINE):
                    return process
        raise AssertionError(f"no process of {unit} runs:\n{self.log(unit)}")


@contextlib.contextmanager
def machine(require: Callable[[str], str]) -> Iterator[Machine]:
    """One that has the checkout and its packages, and nothing else of what the page installs."""
    if Path(sys.prefix) != ROOT / ".venv":
        missing(f"Python runs from {sys.prefix}, and not from the checkout's .venv")
    for program in ("useradd", "runuser", "ldconfig"):
        require(program)
    folder = Path(tempfile.mkdtemp(prefix="sd"))
    folder.chmod(0o755)
    stage = STAGE.format(root=ROOT, python=sys.base_prefix, packages=sysconfig.get_path("purelib"))
    (folder / "stage.sh").write_text(stage)
    _venv(folder / "venv")
    (folder / "srv").mkdir(mode=0o755)
    try:
        systemd = PidOne(require, folder)
    except CannotRun as no:
        shutil.rmtree(folder)
        missing(str(no))
    try:
        yield Machine(systemd)
    finally:
        systemd.end()
        until("nothing writes there any more", lambda: _removed(folder))


def _removed(folder: Path) -> bool:
    shutil.rmtree(folder, ignore_errors=True)  # what has just been ended may still be writing
    return not folder.exists()


def _venv(venv: Path) -> None:
    """An environment at /opt/paramedic/.venv, which finds our packages, and a Python that every user may run."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = venv / "lib" / version / "site-packages"
    site.mkdir(parents=True)
    (site / "paths.pth").write_text("/opt/paramedic\n/opt/packages\n")
    (venv / "bin").mkdir()
    (venv / "bin" / "python").symlink_to(f"/opt/python/bin/{version}")
    (venv / "pyvenv.cfg").write_text("home = /opt/python/bin\ninclude-system-site-packages = false\n")
    for name, main in {
        "paramedic": "from paramedic.cli import main",
        "prefect": "from prefect.cli import app as main",
    }.items():
        command = venv / "bin" / name
        command.write_text(f"#!/opt/paramedic/.venv/bin/python\nimport sys\n{main}\nsys.exit(main())\n")
        command.chmod(0o755)


def may_do_little(main: psutil.Process, unit: str, writable: str) -> None:
    """What the kernel says of each process of the unit, and what it lets the main one see of the file system."""
    uids = set()
    for process in (main, *main.children(recursive=True)):
        status = dict(re.findall(r"^(\w+):\s+(.*)$", Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE))
        assert {status[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {"0" * 16}, unit
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2"), unit
        uids.add(status["Uid"].split()[0])
    assert len(uids) == 1, unit
    assert "0" not in uids, unit
    mounts = [line.split() for line in Path(f"/proc/{main.pid}/mountinfo").read_text().splitlines()]
    found = {mount[4] for mount in mounts if "rw" in mount[5].split(",")}
    assert writable in found, unit
    assert not {"/", "/srv", "/srv/paramedic", "/opt", "/opt/paramedic", "/etc", "/var/lib"} & found, unit
    assert not os.listdir(f"/proc/{main.pid}/root/root"), unit  # noqa: PTH208 - nothing of anybody's home
