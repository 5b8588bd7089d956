"""A real sshd that asks for passwords in a network of its own, those who try them, and the log that it writes by syslog.

In place of rsyslog stands a thread: it writes what comes to /dev/log of that sshd as rsyslog's traditional format has it.
"""

import re
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import paramiko
from network_stage import Machine, Network, entered, network
from ssh_servers import make_key
from waiting import until

WEB, ATTACKER, FRIEND = "203.0.113.1", "203.0.113.7", "203.0.113.8"
WEB6, ATTACKER6 = "2001:db8:1:2::1", "2001:db8:1:2::7"

PORT = 2222

CONFIG = """
Port {port}
HostKey {folder}/host_key
PidFile none
UsePAM no
PasswordAuthentication yes
KbdInteractiveAuthentication no
PubkeyAuthentication no
PermitRootLogin yes
MaxStartups 1000
"""

#: What it writes by syslog(3) comes to us, and to nobody else on this machine.
BEGIN = """
set -e
mount -t tmpfs tmpfs /run
mkdir /run/sshd "$1/dev"
mount -t tmpfs tmpfs "$1/dev"
cp -a /dev/null /dev/zero /dev/random /dev/urandom /dev/tty "$1/dev"
ln -s "$1/devlog" "$1/dev/log"
mount --rbind "$1/dev" /dev
exec "$2" -D -f "$1/sshd_config"
"""


class AttackedSshd:
    """The server on `web`; `log` is what is written of it."""

    def __init__(self, require: Callable[[str], str], net: Network) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="attacked"))
        self.folder.chmod(0o755)
        self.log = self.folder / "auth.log"
        self.log.touch()
        self.web = net.machine("web", f"{WEB}/24")
        self.attacker = net.machine("attacker", f"{ATTACKER}/24")
        self.friend = net.machine("friend", f"{FRIEND}/24")
        for machine, address in ((self.web, WEB6), (self.attacker, ATTACKER6)):
            made = machine.run("ip", "address", "add", f"{address}/64", "dev", "eth0", "nodad")
            assert made.returncode == 0, made.stderr
        make_key(self.folder / "host_key")
        (self.folder / "sshd_config").write_text(CONFIG.format(port=PORT, folder=self.folder))
        self._syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._syslog.bind(str(self.folder / "devlog"))
        self._writer = threading.Thread(target=self._written, daemon=True)
        self._writer.start()
        guard = (require("setpriv"), "--pdeathsig", "KILL")
        inside = (*self.web.via, "unshare", "--mount", "sh", "-c", BEGIN, "sh", str(self.folder), require("sshd"))
        self.process = subprocess.Popen([*guard, *inside], stdin=subprocess.DEVNULL)
        until("the attacked server listens", lambda: self.answers(self.friend), 30)

    def _written(self) -> None:
        with self.log.open("a", buffering=1) as log:
            while datagram := self._syslog.recv(65_536):
                text = re.sub(r"^<\d+>", "", datagram.decode(errors="replace")).rstrip("\n\0")
                stamp, rest = text[:15], text[16:]
                log.write(f"{stamp} web {rest}\n")

    def tries(self, machine: Machine, times: int, *, user: str = "root", to: str = WEB) -> None:
        """So many wrong passwords from this machine, each by a connection of its own."""
        for _ in range(times):
            with self._connected(machine, to) as transport, suppress(paramiko.AuthenticationException):
                transport.auth_password(user, "wrong", fallback=False)

    def answers(self, machine: Machine, to: str = WEB) -> bool:
        """Whether it says its banner to this machine."""
        try:
            with entered(machine), socket.create_connection((to, PORT), 0.5) as connected:
                connected.settimeout(2)
                return connected.recv(4) == b"SSH-"
        except OSError:
            return False

    @contextmanager
    def _connected(self, machine: Machine, to: str) -> Iterator[paramiko.Transport]:
        with entered(machine):
            connected = socket.create_connection((to, PORT), 5)
        transport = paramiko.Transport(connected)
        try:
            transport.start_client(timeout=10)
            yield transport
        finally:
            transport.close()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        with suppress(OSError):
            self._syslog.shutdown(socket.SHUT_RDWR)
        self._writer.join(5)
        self._syslog.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def attacked(require: Callable[[str], str]) -> Iterator[AttackedSshd]:
    with network(require) as net:
        made = AttackedSshd(require, net)
        try:
            yield made
        finally:
            made.end()
