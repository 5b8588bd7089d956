"""Machines of a network of their own, each with its addresses, links that can be cut, and no way to this machine.

Each is a network namespace, one more has their switches: a bridge for each network. None has a name that outlives the test.
"""

import ctypes
import ipaddress
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from required import missing

#: setns(2): of a network alone.
_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass
class Machine:
    """A namespace; `via` stands before a command that is to be in it."""

    name: str
    process: subprocess.Popen[str]
    ports: list[str] = field(default_factory=list)  # what the switches call its links

    @property
    def net(self) -> str:
        return f"/proc/{self.process.pid}/ns/net"

    @property
    def via(self) -> tuple[str, ...]:
        return ("nsenter", f"--net={self.net}", "--")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self.via, *command], check=False, capture_output=True, text=True, timeout=30)


class Network:
    """The machines that it was given, and their switches."""

    def __init__(self, require: Callable[[str], str]) -> None:
        if os.geteuid() != 0:
            missing("only root can make a network namespace")
        for program in ("unshare", "nsenter", "ip", "setpriv"):
            require(program)
        self.machines: dict[str, Machine] = {}
        self._ends = ExitStack()
        try:
            self._switches = self._made("switches")
        except BaseException:
            self.end()
            raise

    def machine(self, name: str, *addresses: str) -> Machine:
        """A further one, with a link for each address, such as `10.0.0.7/24`: it is in that network and no other."""
        made = self.machines[name] = self._made(name)
        for number, address in enumerate(addresses):
            switch = self._switch(str(ipaddress.ip_interface(address).network))
            port, link = f"p{len(self.machines)}-{number}", f"eth{number}"
            peer = ("peer", "name", link, "netns", str(made.process.pid))
            self._sets(self._switches, "link", "add", port, "type", "veth", *peer)
            self._sets(self._switches, "link", "set", port, "master", switch, "up")
            self._sets(made, "address", "add", address, "dev", link)
            self._sets(made, "link", "set", link, "up")
            made.ports.append(port)
        return made

    def cut(self, machine: Machine) -> None:
        """Nothing passes to it or from it, and nobody is told."""
        subprocess.run(self.link(machine, "down"), check=True)

    def mend(self, machine: Machine) -> None:
        """It is reached again."""
        subprocess.run(self.link(machine, "up"), check=True)

    def link(self, machine: Machine, state: str) -> tuple[str, ...]:
        """The command that has all of its links so: `down` or `up`."""
        script = 'state=$1; shift; for port; do ip link set "$port" "$state"; done'
        return (*self._switches.via, "sh", "-ec", script, "link", state, *machine.ports)

    def end(self) -> None:
        self._ends.close()

    def _switch(self, network: str) -> str:
        name = "br-" + network.partition("/")[0].replace(".", "")
        if self._switches.run("ip", "link", "show", name).returncode != 0:
            self._sets(self._switches, "link", "add", name, "type", "bridge", "forward_delay", "0")
            self._sets(self._switches, "link", "set", name, "up")
        return name

    @staticmethod
    def _sets(machine: Machine, *words: str) -> None:
        done = machine.run("ip", *words)
        if done.returncode != 0:
            missing(f"no network can be made here: ip {' '.join(words)}: {done.stderr.strip()}")

    def _made(self, name: str) -> Machine:
        ready = "ip link set lo up && echo up && exec sleep infinity"
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sh", "-c", ready],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._ends.callback(_ended, process)
        assert process.stdout is not None
        if process.stdout.readline() != "up\n":
            missing(f"no network namespace can be made here: {process.communicate()[1].strip()}")
        return Machine(name, process)


def _ended(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


@contextmanager
def network(require: Callable[[str], str]) -> Iterator[Network]:
    made = Network(require)
    try:
        yield made
    finally:
        made.end()


@contextmanager
def entered(machine: Machine) -> Iterator[None]:
    """This thread is there, with what it starts meanwhile: threads, programs and sockets."""
    with Path("/proc/thread-self/ns/net").open("rb") as before, Path(machine.net).open("rb") as there:
        _enter(there.fileno())
        try:
            yield
        finally:
            _enter(before.fileno())


def _enter(namespace: int) -> None:
    if _LIBC.setns(namespace, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
