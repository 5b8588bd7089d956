"""A real systemd that touches nothing of the machine's: pid 1 of namespaces of its own, with units of the test's alone."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

#: Before systemd starts, what it could change of the machine is out of its reach. Debian's own units never run there.
BEGIN = """
set -eu
folder=$1
mount --make-rprivate /
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount --bind /etc /etc
mount -o remount,bind,ro /etc
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/log
mount -t tmpfs tmpfs /sys/fs/cgroup
mkdir /sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
mount --bind "$folder/console" /dev/console
[ ! -e "$folder/rules.d" ] || mount --bind "$folder/rules.d" /etc/polkit-1/rules.d
units=$folder/units
[ ! -e "$folder/stage.sh" ] || . "$folder/stage.sh"
exec env -i PATH="$PATH" container=test SYSTEMD_UNIT_PATH="$units" "$2" --system --log-target=console --unit=basic.target
"""

UNITS = {
    "sysinit.target": "[Unit]\nDefaultDependencies=no\n",
    "shutdown.target": "[Unit]\nDefaultDependencies=no\n",
    "basic.target": "[Unit]\nDefaultDependencies=no\nWants=systemd-journald.service dbus.socket\n",
    "systemd-journald.socket": """
[Unit]
DefaultDependencies=no
[Socket]
ListenDatagram=/run/systemd/journal/socket
ListenStream=/run/systemd/journal/stdout
PassCredentials=yes
""",
    "systemd-journald.service": """
[Unit]
DefaultDependencies=no
Requires=systemd-journald.socket
After=systemd-journald.socket
[Service]
ExecStart={journald}
Type=notify
StandardOutput=null
RuntimeDirectory=systemd/journal
RuntimeDirectoryPreserve=yes
""",
    "dbus.socket": "[Unit]\nDefaultDependencies=no\n[Socket]\nListenStream=/run/dbus/system_bus_socket\n",
    "dbus.service": """
[Unit]
DefaultDependencies=no
Requires=dbus.socket
[Service]
ExecStart=/usr/bin/dbus-daemon --system --address=systemd: --nofork --nopidfile --systemd-activation
Type=notify
NotifyAccess=main
""",
    "polkit.service": """
[Unit]
DefaultDependencies=no
[Service]
ExecStart=/usr/lib/polkit-1/polkitd --no-debug
Type=dbus
BusName=org.freedesktop.PolicyKit1
""",
}

NAMESPACES = ("--pid", "--mount", "--uts", "--ipc", "--cgroup")


class CannotRun(Exception):
    """This machine gives no such systemd, and says why."""


class PidOne:
    """The running systemd. `via` stands before a command that is to reach it.

    A folder `rules.d` in its folder gives it polkit, with these rules; a script `stage.sh` mounts what else it has of its own,
    and may name more folders of units in `$units`.
    """

    def __init__(self, require: Callable[[str], str], folder: Path) -> None:
        for program in ("systemctl", "journalctl", "nsenter", "dbus-daemon", "mount", "timeout"):
            require(program)
        self.folder = folder
        (folder / "units").mkdir(exist_ok=True)
        (folder / "console").touch()
        with_polkit = (folder / "rules.d").exists()
        for name, text in UNITS.items():
            if name == "polkit.service" and not with_polkit:
                continue
            (folder / "units" / name).write_text(text.replace("{journald}", "/lib/systemd/systemd-journald"))
        self._outside = subprocess.Popen(
            [
                *(require("setpriv"), "--pdeathsig", "KILL"),  # whatever ends the test ends it too
                *(require("unshare"), *NAMESPACES, "--fork", "--kill-child", "--mount-proc"),
                *("sh", "-c", BEGIN, "begin", str(folder), "/lib/systemd/systemd"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        until = time.monotonic() + 60
        while not self._up():
            if self._outside.poll() is not None:
                raise CannotRun(f"no systemd can be run here: {(self._outside.communicate()[1]).strip()}")
            if time.monotonic() > until:
                self.end()
                raise CannotRun(f"systemd did not come up: {(folder / 'console').read_text()}")
            time.sleep(0.05)

    def _up(self) -> bool:
        inside = psutil.Process(self._outside.pid).children() if self._outside.poll() is None else []
        if not inside:
            return False
        self.pid = inside[0].pid
        self.via = ("nsenter", "--target", str(self.pid), *NAMESPACES, "--")
        return self.run("systemctl", "is-active", "--quiet", "basic.target", "systemd-journald.service").returncode == 0

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self.via, *command], check=False, capture_output=True, text=True, timeout=60)

    def unit(self, name: str, text: str) -> None:
        """Write a unit, and have systemd read it."""
        (self.folder / "units" / name).write_text(f"[Unit]\nDefaultDependencies=no\n{text}")
        assert self.run("systemctl", "daemon-reload").returncode == 0

    def end(self) -> None:
        self._outside.kill()
        self._outside.wait()
        assert self._outside.stderr is not None
        self._outside.stderr.close()
