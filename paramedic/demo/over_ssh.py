"""A story by SSH: a service hangs, and is restarted on its machine, which is this one, by an sshd of the demo's own."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from paramedic.demo.folder import runbook_of_hang
from paramedic.demo.story import Scenario, Stage, hung
from paramedic.demo.world import World, free_port
from paramedic.machine.parent_death import command

HOST, SERVICE = "web-5", "menu-api"

_CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
SetEnv XDG_STATE_HOME={folder}/state
"""

#: Root's server wants a folder in /run, which it gets where nobody else sees it.
_AS_ROOT = 'set -e; mount -t tmpfs tmpfs /run; mkdir -p /run/sshd; exec "$@"'

_SOON_SECONDS = 20


def missing() -> str | None:
    """What this machine lacks for it."""
    if _sshd() is None:
        return "this machine has no sshd (Debian: apt install openssh-server)"
    if shutil.which("ssh-keygen") is None:
        return "this machine has no ssh-keygen (Debian: apt install openssh-client)"
    return None


def _sshd() -> str | None:
    return shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")


class OverSsh:
    """A supervisord of its own with one service, and the SSH server that leads to it."""

    def __init__(self, folder: Path, world: World, port: int) -> None:
        self._world = world
        [self._service] = world.services
        files = f"key: {folder}/key, known_hosts: {folder}/known_hosts"
        access = f"address: 127.0.0.1, port: {port}, user: {getpass.getuser()}, {files}"
        self.hosts = f"  {HOST}: {{ssh: {{{access}}}}}\n"
        self.services = _there(world)
        self.runbooks: Mapping[str, str] = {
            f"{SERVICE}-hang.md": runbook_of_hang(SERVICE, f"supervisord: {SERVICE}, host: {HOST}")
        }

    def play(self, stage: Stage) -> Scenario:
        """The service there stops answering; one restart by SSH heals it."""
        stage.say(f"{SERVICE} on {HOST}, which is reached by SSH alone, stops answering")
        return hung(stage, self._service, Scenario("over-ssh"), f"{HOST}/{SERVICE}")


def _there(world: World) -> str:
    """Its service. Both machines are one here, which lint would see of a health address as it is usually written."""
    return world.services_yaml(SERVICE).removeprefix("services:\n").replace("http://127.0.0.1:", "http://127.1:")


@contextmanager
def started(folder: Path) -> Iterator[OverSsh]:
    """The server and the service. Raises TimeoutError, OSError or CalledProcessError where they cannot be started."""
    folder.mkdir(parents=True)
    port = free_port()
    for key in ("host_key", "key"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True, stdin=subprocess.DEVNULL
        )
    shutil.copy(folder / "key.pub", folder / "authorized_keys")
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {(folder / 'host_key.pub').read_text()}")
    (folder / "sshd_config").write_text(_CONFIG.format(port=port, folder=folder))
    program = [_sshd() or "sshd", "-D", "-e", "-f", str(folder / "sshd_config")]
    around = ["unshare", "--mount", "sh", "-c", _AS_ROOT, "sh"] if os.geteuid() == 0 else []
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command([*around, *program]), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _listens(server, port, folder / "log")
        with World(folder / "w", [(SERVICE, HOST, "")]) as world:
            yield OverSsh(folder, world, port)
    finally:
        server.terminate()
        server.wait()


def _listens(server: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    until = time.monotonic() + _SOON_SECONDS
    while time.monotonic() < until:
        if server.poll() is not None:
            raise OSError(f"sshd ended at once: {log.read_text(errors='replace')[-300:]}")
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise TimeoutError(f"sshd does not listen within {_SOON_SECONDS} s")
