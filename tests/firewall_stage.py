"""A real nftables in a network namespace of the test, with sets for addresses: nobody else's packets pass it."""

import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fake_service import Service
from required import missing

from paramedic.integrations.targets import blocklist as kind
from paramedic.kinds.asked import Asked, filled
from paramedic.kinds.transport import Transport
from paramedic.remediation.host import Host
from paramedic.remediation.target import Identity, Target

#: The host name of this machine, so that both ways lead to it.
HERE = "localhost"

NFT = Path("/usr/sbin/nft")

SETS = """
add table inet filter
add set inet filter blocked4 { type ipv4_addr; flags interval, timeout; }
add set inet filter blocked6 { type ipv6_addr; flags timeout; }
add set inet filter for_ever { type ipv4_addr; }
add chain inet filter input { type filter hook input priority 0; }
add rule inet filter input ip saddr @blocked4 drop
add rule inet filter input ip6 saddr @blocked6 drop
"""

#: What takes the place of nft for a server: the same, in the namespace. `nft` beside it is the real one.
WRAPPER = """#!/bin/sh
exec nsenter --net=/proc/{pid}/ns/net -- {folder}/nft "$@"
"""


class Stage:
    """The namespace; `via` stands before a command that is to be in it."""

    def __init__(self, require: Callable[[str], str]) -> None:
        nft = require("nft")
        for program in ("unshare", "nsenter", "ip"):
            require(program)
        if not NFT.exists():
            missing(f"nft is {nft} here, and not {NFT}")
        self.folder = Path(tempfile.mkdtemp(prefix="nft"))
        self.folder.chmod(0o755)
        ready = "ip link set lo up && echo up && exec sleep infinity"
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", ready], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != "up\n":
            missing(f"no network namespace can be made here: {self._holder.communicate()[1].strip()}")
        self.via = ("nsenter", f"--net=/proc/{self._holder.pid}/ns/net", "--")
        shutil.copy(NFT, self.folder / "nft")
        (self.folder / "wrapper").write_text(WRAPPER.format(pid=self._holder.pid, folder=self.folder))
        (self.folder / "wrapper").chmod(0o755)
        self.reset()

    #: For a server: its nft is the one of the namespace.
    @property
    def stage(self) -> str:
        return f'mount --bind "{self.folder}/wrapper" {NFT}; '

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self.via, *command], check=False, capture_output=True, text=True, timeout=30)

    def reset(self) -> None:
        assert self.run(str(NFT), "flush", "ruleset").returncode == 0
        made = self.run(str(NFT), SETS)
        if made.returncode:
            missing(f"nftables cannot be used here: {made.stderr.strip()}")

    def blocked(self, name: str = "blocked4") -> dict[str, int]:
        """The elements of the set, each with the seconds that it is left."""
        said = json.loads(self.run(str(NFT), "-j", "list", "set", "inet", "filter", name).stdout)
        [found] = [row["set"] for row in said["nftables"] if "set" in row]
        return {_written(row["elem"]["val"]): row["elem"]["expires"] for row in found.get("elem", ())}

    def pings(self, address: str) -> bool:
        """Whether a packet from this address of the namespace arrives."""
        code = (
            "import socket,sys\n"
            "one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); one.bind(('127.0.0.1', 0)); one.settimeout(0.3)\n"
            "two = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); two.bind((sys.argv[1], 0))\n"
            "two.sendto(b'x', one.getsockname())\n"
            "one.recv(1)\n"
        )
        return self.run("python3", "-c", code, address).returncode == 0

    @contextmanager
    def heals(self, service: Service, attacker: str) -> Iterator[None]:
        """The service answers 503 for as long as the attacker's packets come through."""
        service.status, over = 503, threading.Event()

        def looks() -> None:
            while not over.wait(0.05):
                if attacker in self.blocked():
                    service.status = 200

        watches = threading.Thread(target=looks)
        watches.start()
        try:
            yield
        finally:
            over.set()
            watches.join()

    def end(self) -> None:
        self._holder.kill()
        self._holder.communicate()
        shutil.rmtree(self.folder)


def _written(value: Any) -> str:
    return value if isinstance(value, str) else f"{value['prefix']['addr']}/{value['prefix']['len']}"


@contextmanager
def stage(require: Callable[[str], str]) -> Iterator[Stage]:
    if os.geteuid() != 0:
        missing("only root can make a network namespace")
    made = Stage(require)
    try:
        yield made
    finally:
        made.end()


def target(machine: Host | None = None, **more: Any) -> Target:
    named = {"name": "abusers", "table": "inet filter", "ipv4": "blocked4", "ipv6": "blocked6"} | more
    words = kind.Words.model_validate(named)
    host = HERE if machine is None else machine.name
    return Target(f"{host}/blocklist:abusers", "shop", host, "blocklist", "abusers", "", machine=machine, words=words)


def asked(*addresses: str, ours: frozenset[str] = frozenset(), **more: Any) -> Asked:
    words = kind.Block.model_validate({"address": "{client_ip}", "for": "1h"} | more)
    return Asked(words, filled(words, [{"client_ip": one} for one in addresses]), ours)


def judged(of: Target, there: Transport) -> Identity:
    return kind.Reader(of, there).identity()


def agree() -> None:
    """A last look that sees nothing wrong."""


@pytest.fixture(scope="module")
def firewall(require: Callable[[str], str]) -> Iterator[Stage]:
    """A stage for the tests of a module; `reset` makes it as it was at first."""
    with stage(require) as made:
        yield made
