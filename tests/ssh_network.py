"""Hosts in a network of their own: one well, one that hangs, refuses, has another key, is behind a jump host, loses its link.

Each has an address of its own, and each but the one that refuses an OpenSSH server.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from network_stage import Machine, Network, entered, network
from newcomer import SHOP, answers
from ssh_servers import Sshd, make_key, running
from systemd_container import PidOne
from systemd_units import starts_of, systemd
from waiting import until

from paramedic.remediation.host import Host
from paramedic.transports import ssh_connection

Answer = TypeVar("Answer")

HERE = "10.0.0.1"
ADDRESSES = {
    "web-1": ("10.0.0.11/24",),  # well
    "web-2": ("10.0.0.12/24",),  # its sshd hangs: it is reached, and says nothing
    "web-3": ("10.0.0.13/24",),  # refuses: nobody listens
    "web-4": ("10.0.0.14/24",),  # another host key than the listed one
    "web-5": ("10.0.0.15/24",),  # its link is cut; it has a systemd
    "bastion": ("10.0.0.16/24", "10.0.1.16/24"),  # leads to
    "db-1": ("10.0.1.17/24",),  # which is in no network of ours
}

HEALTH = 8080

UNIT = """
[Service]
ExecStart=/bin/sh -c 'echo $$$$ >> {folder}/starts; exec {python} {folder}/shop.py {port}'
"""


@dataclass
class Hosts:
    """The hosts by their names; this thread is on a machine that has the first network alone."""

    net: Network
    servers: dict[str, Sshd]
    systemd: PidOne  # of web-5

    def host(self, name: str) -> Host:
        """How it is reached."""
        if name == "web-3":
            return self.servers["web-1"].host(name, address=_address(name))
        return self.servers[name].host(name, **({"jump": self.host("bastion")} if name == "db-1" else {}))

    def asked_within(self, name: str, asks: Callable[[Host], Answer]) -> Answer:
        """What is found by a connection of its own, which begins on the host itself and needs no link."""
        with entered(self.machine(name)):
            return asks(self.servers[name].host(f"{name} within"))

    def machine(self, name: str) -> Machine:
        return self.net.machines[name]

    @contextmanager
    def cut(self, name: str) -> Iterator[None]:
        """Its links are down, as if its cables were drawn: nobody is told of it."""
        self.net.cut(self.machine(name))
        try:
            yield
        finally:
            self.mend(name)

    def mend(self, name: str) -> None:
        """Its links are up again."""
        self.net.mend(self.machine(name))

    def starts(self) -> int:
        """How often the unit `app` of web-5 was started."""
        return starts_of(self.systemd, "app.service", self.systemd.folder / "starts")


def _address(name: str) -> str:
    return ADDRESSES[name][0].partition("/")[0]


@contextmanager
def ssh_hosts(require: Callable[[str], str], folder: Path) -> Iterator[Hosts]:
    with network(require) as net, ExitStack() as ends:
        here = net.machine("here", f"{HERE}/24")
        machines = {name: net.machine(name, *addresses) for name, addresses in ADDRESSES.items()}
        servers = {}
        with entered(machines["web-5"]):
            pid_one = ends.enter_context(systemd(require))
        for name, machine in machines.items():
            if name == "web-3":
                continue
            with entered(machine):
                inside = pid_one.via if name == "web-5" else ()
                servers[name] = ends.enter_context(running(require, address=_address(name), inside=inside))
        listed = servers["web-4"].known_hosts
        listed.write_text(listed.read_text().replace(servers["web-4"].public, make_key(folder / "another")))
        os.kill(servers["web-2"].process.pid, signal.SIGSTOP)
        ends.enter_context(entered(here))
        yield Hosts(net, servers, pid_one)
        ssh_connection.close_all()


def unit(hosts: Hosts) -> str:
    """Start the unit `app` of web-5; the address at which it answers `/health` by 200 until it is told to `/break`."""
    one, address = hosts.systemd, _address("web-5")
    (one.folder / "starts").unlink(missing_ok=True)
    (one.folder / "shop.py").write_text(SHOP.replace("127.0.0.1", address))
    one.unit("app.service", UNIT.format(folder=one.folder, python=sys.executable, port=HEALTH))
    with entered(hosts.machine("web-5")):
        assert one.run("systemctl", "restart", "app.service").returncode == 0
    until("it answers", lambda: answers(f"http://{address}:{HEALTH}/health"), 30)
    return f"http://{address}:{HEALTH}"
