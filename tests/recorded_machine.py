"""The machine that every target is on, and the network around it: they do what they are asked, and keep what that was."""

import json
import socket
import sys
import xmlrpc.client
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, Self

import pytest

from paramedic.doors import changing, reading
from paramedic.errors import TemporaryError
from paramedic.integrations.probes import host, tls
from paramedic.kinds.probing import Question
from paramedic.kinds.transport import Ended, TcpPort, UnixSocket
from paramedic.processes import going_on
from paramedic.remediation.health import Sight
from paramedic.transports import dns_question, http_probe, json_question


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
        self._begins = self.time

    def now(self) -> datetime:
        return self.time

    def steady(self) -> float:
        return 1000 + (self.time - self._begins).total_seconds()

    def advance(self, by: timedelta) -> None:
        self.time += by


class Machine:
    """A supervisord, a systemd, processes, files and programs. `failing`: the addresses that answer with an
    error (`error:URL`), or too late (`slow:URL`)."""

    machine = "here"

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.processes = self
        self.forget()

    def forget(self) -> None:
        """Be a new one."""
        self.instance = 1
        self.failing: set[str] = set()
        self.resident = 0
        self.deployed_ago = timedelta(0)
        self.current = "r2"
        self.asked: list[tuple[Any, ...]] = []
        self.changes: list[tuple[Any, ...]] = []
        self.changed: Callable[[], None] = lambda: None

    def change(self, *what: Any) -> None:
        self.changes.append(what)
        self.changed()

    def told(self, word: str) -> list[Any]:
        """What was asked with this word."""
        return [one[1] if len(one) == 2 else one[1:] for one in self.asked if one[0] == word]

    # --- the face of a transport

    def leads_to(self, host: str) -> bool:
        self.asked.append(("host", host))
        return True

    def run(self, arguments: Sequence[str], deadline: float) -> Ended:
        self.asked.append(("program", tuple(arguments)))
        return Ended(0, self._shown(arguments[-1]) if "show" in arguments else "a line of the journal", "")

    def _shown(self, unit: str) -> str:
        properties = {
            "Id": unit,
            "LoadState": "loaded",
            "ActiveState": "active",
            "SubState": "running",
            "Job": "",
            "MainPID": 4000 + self.instance,
            "InvocationID": f"{self.instance:032x}",
            "CanReload": "yes",
            "StateChangeTimestampMonotonic": 1000 + len(self.changes),
        }
        return "\n".join(f"{name}={value}" for name, value in properties.items())

    def command(
        self,
        arguments: Sequence[str],
        *,
        cwd: str | None = None,
        environment: Mapping[str, str] | None = None,
        killed_after: timedelta | None = None,
        limit: timedelta | None = None,
    ) -> "Program":
        assert killed_after or limit, "the machine itself ends it"
        return Program(self, tuple(arguments), cwd, dict(environment or {}), killed_after)

    def connect(self, to: UnixSocket | TcpPort, deadline: float, *, outlives_us: bool = False) -> "Supervisord":
        address = f"unix://{to.path}" if isinstance(to, UnixSocket) else f"http://{to.host}:{to.port}"
        self.asked.append(("connect", address))
        return Supervisord(self)

    @contextmanager
    def folder(self, path: str) -> Iterator["Releases"]:
        self.asked.append(("folder", path))
        yield Releases(self, path)

    def tail(self, path: str, max_bytes: int = 16_384, max_lines: int = 100) -> str:
        self.asked.append(("tail", path))
        return "the last line"

    # --- its processes

    def memory(self, pid: int) -> int:
        self.asked.append(("memory", pid))
        return self.resident

    def use(self, pid: int) -> Any:
        return SimpleNamespace(cpu_percent=1.0, rss=self.resident, memory_percent=1.0)

    def tree(self, pid: int) -> Sequence[Any]:
        self.asked.append(("tree", pid))
        return []

    def alive(self, pid: int, started_at: float) -> bool:
        return True

    def row(self, pid: int) -> Any:
        return None


class Program:
    """One program of the machine."""

    def __init__(self, machine: Machine, *how: Any) -> None:
        self._machine = machine
        self._arguments, self._cwd, self._environment, self._killed_after = how

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def start(self) -> None:
        self._begun = self._machine.clock.steady()

    def end(self, deadline: float) -> Ended:
        machine, arguments = self._machine, self._arguments
        if "systemctl" in arguments:
            verb = arguments[arguments.index("systemctl") + 1]
            machine.instance += verb == "restart"  # what is reloaded goes on
            machine.change(verb, arguments[-1])
        else:
            machine.instance += 1
            within = timedelta(seconds=round(deadline - self._begun, 6))
            machine.change("run", arguments, self._cwd, self._environment, within, self._killed_after)
        return Ended(0, "", "")


class Supervisord:
    """One connection to a supervisord, as XML-RPC has it."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._answer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def outlive_us(self) -> None:
        pass

    def send(self, data: bytes, deadline: float) -> None:
        params, method = xmlrpc.client.loads(data.partition(b"\r\n\r\n")[2])
        if method == "system.multicall":
            [calls] = params
            self._machine.instance += 1
            self._machine.change("restart", *{call["params"][0] for call in calls})  # type: ignore[index]
            answer: Any = [True, True, self._info()]
        elif method == "supervisor.signalProcess":
            self._machine.change("reload", *params)
            answer = True
        else:
            self._machine.asked.append(("supervisord", params))
            answer = self._info()
        body = xmlrpc.client.dumps((answer,), methodresponse=True).encode()
        self._answer = b"HTTP/1.0 200 OK\r\n\r\n" + body

    def _info(self) -> dict[str, Any]:
        return {
            "pid": 4000 + self._machine.instance,
            "start": 1_769_000_000 + self._machine.instance,
            "statename": "RUNNING",
        }

    def receive(self, deadline: float) -> bytes:
        answer, self._answer = self._answer, b""
        return answer


class Releases:
    """A folder with the release r2, deployed a while ago, and r1 before it."""

    def __init__(self, machine: Machine, path: str) -> None:
        self._machine, self._path = machine, path

    def read(self, name: str, limit: int) -> bytes:
        at = (self._machine.clock.time - self._machine.deployed_ago).isoformat()
        lines = [
            {"what": "deployed", "release": "r1", "at": "2020-01-01T00:00:00Z", "reversible": True},
            {"what": "healthy", "release": "r1"},
            {"what": "deployed", "release": "r2", "at": at, "reversible": True},
        ]
        return b"\n".join(json.dumps(line).encode() for line in lines)

    def entry(self, link: str, subfolder: str) -> str:
        return "r2"

    def link(self, name: str) -> str:
        return "releases/r2"

    def kind(self, name: str) -> str:
        return "folder"

    @contextmanager
    def locked(self, name: str) -> Iterator[Any]:
        yield SimpleNamespace(append=lambda _line: None, take_back=lambda: None, sync=lambda: None)

    def symlink(self, leads_to: str, name: str) -> None:
        self._leads_to = leads_to

    def rename(self, name: str, to: str) -> None:
        self._machine.change("rollback", self._path)

    def unlink(self, name: str) -> None:
        pass

    def sync(self) -> None:
        pass


class Network:
    """Everything outside of the machine: it answers, or fails where `machine.failing` has the address."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.asked: list[tuple[Any, ...]] = []

    def get(self, url: str, timeout: timedelta, *_: Any) -> http_probe.Probe:
        self.asked.append((url, timeout))
        fails = f"error:{url}" in self._machine.failing
        took_ms = 1e9 if f"slow:{url}" in self._machine.failing else 0.001
        return http_probe.Probe(Sight.FAILING if fails else Sight.WELL, 500 if fails else 200, took_ms, "an answer")

    def used(self, question: Question) -> dict[str, float]:
        self.asked.append((question.where,))
        return dict.fromkeys(("cpu", "memory", "memory_percent", "disk", "inodes", "load", "open_files"), 1.0)

    def json(self, url: str, timeout: timedelta, **_: Any) -> Any:
        self.asked.append((url, timeout))
        raise TemporaryError("nothing is said")

    def name(self, name: str, _record: str, _server: object, timeout: timedelta, **_: Any) -> Any:
        self.asked.append((f"dns://{name.rstrip('.')}", timeout))
        raise TemporaryError("nothing is said")

    def connect(self, address: tuple[str, int], timeout: float, *_: Any, **__: Any) -> Any:
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        self.asked.append((f"tcp://{host}:{address[1]}", timedelta(seconds=timeout)))
        raise ConnectionRefusedError

    def chain(self, host: str, port: int, timeout: timedelta) -> Any:
        host = f"[{host}]" if ":" in host else host
        self.asked.append((f"tls://{host}:{port}", timeout))
        raise TemporaryError("nothing is shown")


def in_place(patch: pytest.MonkeyPatch, clock: Clock) -> tuple[Machine, Network]:
    """The machine and the network, in the place of the real ones; and the clock, for whoever has asked for one by name."""
    machine = Machine(clock)
    network = Network(machine)
    for door in (reading, changing):
        patch.setattr(door, "transport", lambda _target, _act=None: machine)
    patch.setattr(going_on, "LOOKED_AT_SECONDS", 0.0)  # by a clock that stands still a second is never over
    patch.setattr(http_probe, "probe", network.get)
    patch.setattr(json_question, "ask", network.json)
    patch.setattr(dns_question, "ask", network.name)
    patch.setattr(dns_question, "resolvers", lambda: [("127.0.0.1", 53)])
    patch.setattr(socket, "create_connection", network.connect)
    patch.setattr(tls, "shown_chain", network.chain)
    patch.setattr(host, "used", network.used)
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in ("paramedic", "tasks"):
            for word, instead in (("utc_now", clock.now), ("boottime", clock.steady)):
                if hasattr(module, word):
                    patch.setattr(module, word, instead)
    return machine, network
