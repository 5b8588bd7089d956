"""Real OpenSSH servers on loopback ports, each with its own keys, and a relay before one that cuts and holds up."""

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from required import missing
from waiting import soon, until

from paramedic.demo.world import free_port
from paramedic.remediation.host import Host, SshAccess
from paramedic.transports.ssh import Ssh

CONFIG = """
ListenAddress {address}
Port {port}
HostKey {folder}/host_key
PidFile none
AuthorizedKeysFile {folder}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
MaxStartups 1000
LogLevel VERBOSE
SetEnv XDG_STATE_HOME={folder}/state
"""

#: Root's server needs a folder of its own in /run, and its users a plain shell and a home of their own: what a login shell reads
#: on this machine is none of a test's. It gets a /run and an /etc/passwd that nobody else sees; on a machine of the test's own,
#: whose /run is needed, only the latter.
OWN_RUN = "mount -t tmpfs tmpfs /run"
AS_ROOT = """
mkdir -p /run/sshd
mount --bind "$0/passwd" /etc/passwd
exec "$@"
"""


def make_key(file: Path, kind: str = "ed25519", *more: str) -> str:
    """A new key pair; its public line."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(file), *more], check=True, stdin=subprocess.DEVNULL
    )
    return file.with_name(f"{file.name}.pub").read_text().strip()


class Sshd:
    """A running server. Its user's key is `key`; `known_hosts` lists its host key."""

    def __init__(
        self,
        require: Callable[[str], str],
        *,
        address: str = "127.0.0.1",
        more: str = "",
        around: Sequence[str] | None = None,
        inside: Sequence[str] = (),
    ) -> None:
        """`more`: lines of its configuration; `around`: what it is started by, to be in namespaces of its own;
        `inside`: what stands before a command that is to reach a machine of the test's own.
        """
        program, _ = require("sshd"), require("ssh-keygen")
        self.folder = Path(tempfile.mkdtemp(prefix="sshd"))
        self.folder.chmod(0o755)
        self.address, self.port, self.user = address, free_port(), getpass.getuser()
        self.public = make_key(self.folder / "host_key")
        (self.folder / "authorized_keys").write_text(make_key(self.folder / "key") + "\n")
        self.known_hosts = self.folder / "known_hosts"
        self.known_hosts.write_text(f"[{address}]:{self.port} {self.public}\n")
        config = self.folder / "sshd_config"
        config.write_text(more + CONFIG.format(address=address, port=self.port, folder=self.folder))
        if around is None:
            around = self._as_root(inside) if os.geteuid() == 0 else inside
        self._log = (self.folder / "log").open("wb")
        guard = (require("setpriv"), "--pdeathsig", "KILL") if shutil.which("setpriv") else ()
        self.process = subprocess.Popen(
            [*guard, *around, program, "-D", "-e", "-f", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        until("the SSH server listens", self._listens, 30)

    def _as_root(self, inside: Sequence[str]) -> tuple[str, ...]:
        (self.folder / "home").mkdir()
        others = [line for line in Path("/etc/passwd").read_text().splitlines() if not line.startswith("root:")]
        root = f"root:x:0:0:root:{self.folder}/home:/bin/sh"
        (self.folder / "passwd").write_text("\n".join([root, *others, ""]))
        script = AS_ROOT if inside else f"{OWN_RUN}\n{AS_ROOT}"
        return (*inside, "unshare", "--mount", "sh", "-c", f"set -e\n{script}", str(self.folder))

    def _listens(self) -> bool:
        if self.process.poll() is not None:
            missing(f"no SSH server can be run here: {self.log()[-500:]}")
        with suppress(OSError), socket.create_connection((self.address, self.port), 1):
            return True
        return False

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def host(self, name: str = "web-7", **other: object) -> Host:
        """How it is reached, but for what is given."""
        access = SshAccess(
            self.address, self.user, self.port, key=str(self.folder / "key"), known_hosts=str(self.known_hosts)
        )
        return Host(name, replace(access, **other))  # type: ignore[arg-type]

    def transport(self, **other: object) -> Ssh:
        return Ssh(self.host(**other))

    def through(self, relay: "Relay", name: str = "web-7", **other: object) -> Host:
        """It, behind the relay."""
        self.known_hosts.write_text(
            "".join(f"[{self.address}]:{port} {self.public}\n" for port in (self.port, relay.port))
        )
        return self.host(name, port=relay.port, **other)

    def marks(self) -> list[Path]:
        return sorted((self.folder / "state" / "paramedic").glob("*"))

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Relay:
    """A TCP way to a server that can be cut, and held up: then nothing passes, and nobody is told."""

    def __init__(self, to: tuple[str, int], address: str = "127.0.0.1") -> None:
        """It listens at this address of the machine, at any port."""
        self._to = to
        self._flows = threading.Event()
        self._flows.set()
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self.connections = 0
        self._listener = socket.create_server((address, 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End every connection that there is; new ones are taken. What was sent before is passed on, unless it is held up."""
        with self._lock:
            there, self._open = self._open, []
        ends, how = (there[::2], socket.SHUT_RD) if self._flows.is_set() else (there, socket.SHUT_RDWR)
        for one in ends:  # of a client alone: its last bytes are read, and then both of its connection are shut
            with suppress(OSError):
                one.shutdown(how)

    def hold(self) -> None:
        self._flows.clear()

    def let_go(self) -> None:
        self._flows.set()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        self.let_go()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._to)
                for one in (client, server):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._open += [client, server]
                    self.connections += 1
                for one, two in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=(one, two), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                self._flows.wait()
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@contextmanager
def relay(to: Sshd) -> Iterator[Relay]:
    made = Relay((to.address, to.port))
    try:
        yield made
    finally:
        made.close()


@contextmanager
def running(require: Callable[[str], str], **how: object) -> Iterator[Sshd]:
    server = Sshd(require, **how)  # type: ignore[arg-type]
    try:
        yield server
    finally:
        server.end()


def said(host: Host, *words: str) -> str:
    """What `echo` says there, by a transport of its own."""
    return Ssh(host).run(["echo", *words], soon()).output.strip()
