"""A machine as somebody has it before Paramedic knows of it: systemd, an OpenSSH server, sudo, and a unit that serves HTTP.

Its /etc and its homes are its own, and end with it: what a page says is typed there changes nothing of this machine's.
"""

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from network_stage import Machine, entered
from newcomer import SHOP, answers
from systemd_container import PidOne
from systemd_units import systemd
from waiting import until

#: Its address, and the port of what its unit answers at `/health`.
ADDRESS, HEALTH = "10.0.0.7", 8080

#: It has host keys of its own, and makes homes in the folder of the test: Python may be in those of this machine.
STAGE = """
mkdir "$folder/etc" "$folder/home"
mount -t tmpfs -o mode=755 tmpfs "$folder/etc"
cp -a /etc/. "$folder/etc"
mount --move "$folder/etc" /etc
rm -f /etc/ssh/ssh_host_* /etc/sudoers.d/paramedic
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
sed -i '/^#* *HOME=/d' /etc/default/useradd
echo "HOME=$folder/home" >> /etc/default/useradd
[ ! -d /var/mail ] || mount -t tmpfs tmpfs /var/mail
"""

#: But for these it is as sshd(8) has it. PAM is not to touch this machine; without it a user with no password is locked out.
SSHD = f"""
ListenAddress {ADDRESS}
PidFile none
UsePAM no
PasswordAuthentication no
LogLevel VERBOSE
"""

UNITS = {
    "ssh": "[Service]\nExecStart={sshd} -D -e -f {folder}/sshd_config\nRuntimeDirectory=sshd\nStandardError=journal\n",
    "tracking-api": "[Service]\nExecStart={python} {folder}/shop.py {port}\n",
}


@dataclass(frozen=True)
class FreshHost:
    """The running machine."""

    systemd: PidOne
    machine: Machine

    def types(self, commands: str) -> str:
        """What root's shell there answers, in which each command ends well."""
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        with entered(self.machine):
            done = self.systemd.run("env", path, "HOME=/root", "sh", "-ec", commands)
        assert done.returncode == 0, f"{commands}\n{done.stdout}{done.stderr}{self.log()}"
        return done.stdout

    def answers(self) -> bool:
        return answers(f"http://{ADDRESS}:{HEALTH}/health")

    def log(self) -> str:
        """The end of what its sshd has said."""
        return self.systemd.run("journalctl", "--no-pager", "-n", "20", "-u", "ssh").stdout


def _listens() -> bool:
    with suppress(OSError), socket.create_connection((ADDRESS, 22), 1):
        return True
    return False


@contextmanager
def fresh_host(require: Callable[[str], str], machine: Machine) -> Iterator[FreshHost]:
    """It, on a machine of a network with its address; asked from another one there."""
    sshd = require("sshd")
    for program in ("sudo", "useradd", "ssh-keygen", "ssh-keyscan"):
        require(program)
    with ExitStack() as inside:
        with entered(machine):
            running = inside.enter_context(systemd(require, stage=STAGE))
        host = FreshHost(running, machine)
        (running.folder / "sshd_config").write_text(SSHD)
        (running.folder / "shop.py").write_text(SHOP.replace("127.0.0.1", ADDRESS))
        words = {"sshd": sshd, "python": sys.executable, "folder": running.folder, "port": HEALTH}
        for name, text in UNITS.items():
            running.unit(f"{name}.service", text.format(**words))
        host.types("chgrp -R systemd-journal /run/log/journal")  # systemd-tmpfiles does at a boot
        host.types("systemctl start ssh tracking-api")
        until("its sshd listens", _listens, 30)
        until("its unit answers", host.answers, 30)
        yield host


def types(commands: str, folder: Path | None = None) -> str:
    """What a shell of this machine answers, in which each command ends well."""
    done = subprocess.run(["sh", "-ec", commands], check=False, capture_output=True, text=True, timeout=120, cwd=folder)
    assert done.returncode == 0, f"{commands}\n{done.stdout}{done.stderr}"
    return done.stdout
