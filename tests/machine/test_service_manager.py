"""What a service manager is told over its socket: a start that goes on, that it is over, life, and the end."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from paramedic.machine.service_manager import ServiceManager, inherited


class Listener:
    """The socket of a service manager."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self.socket.setblocking(False)

    def heard(self) -> list[str]:
        found = []
        while True:
            try:
                found.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return found


@pytest.fixture(params=["in a folder", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Listener]:
    address = f"@paramedic-test-{os.getpid()}" if request.param == "abstract" else str(tmp_path / "notify")
    made = Listener(address)
    yield made
    made.socket.close()


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_start_is_given_time_while_it_lives_and_then_the_watchdog_is_fed(listener: Listener) -> None:
    clock = Clock()
    manager = ServiceManager(listener.address, clock)
    manager.alive("waiting for the store")
    assert listener.heard() == ["STATUS=waiting for the store", "EXTEND_TIMEOUT_USEC=60000000"]
    clock.now += 0.9
    manager.alive("waiting for the store")
    assert listener.heard() == []  # neither the same words nor a sign of life too often
    clock.now += 0.2
    manager.alive("waiting for the store")
    assert listener.heard() == ["EXTEND_TIMEOUT_USEC=60000000"]
    manager.ready()
    manager.ready()
    assert listener.heard() == ["READY=1"]
    clock.now += 1
    manager.alive("everything has been ready")
    assert listener.heard() == ["STATUS=everything has been ready", "WATCHDOG=1"]
    manager.stopping()
    assert listener.heard() == ["STOPPING=1"]


def test_no_words_of_others_become_a_message(listener: Listener) -> None:
    ServiceManager(listener.address).alive("HTTP 503: \nREADY=1\nMAINPID=1\r\n\udcff" + "x" * 500)
    status, _ = listener.heard()
    assert "\n" not in status
    assert status.startswith("STATUS=HTTP 503: READY=1 MAINPID=1 ?x")
    assert len(status) < 250


def test_a_manager_that_does_not_listen_holds_nothing_up(listener: Listener, tmp_path: Path) -> None:
    for _ in range(2000):  # its queue is full long before
        ServiceManager(listener.address).alive("x")
    assert 0 < len(listener.heard()) < 4000
    listener.socket.close()
    for address in (listener.address, str(tmp_path / "nothing"), "/" + "x" * 300, None):
        manager = ServiceManager(address)
        manager.alive("x")
        manager.ready()
        manager.stopping()


def test_our_processes_do_not_inherit_it(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"NOTIFY_SOCKET": listener.address, "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}.items():
        monkeypatch.setenv(name, value)
    inherited().ready()
    assert listener.heard() == ["READY=1"]
    show = "import os; print([name for name in os.environ if name.startswith(('NOTIFY_', 'WATCHDOG_'))])"
    assert subprocess.check_output([sys.executable, "-c", show], text=True).strip() == "[]"
    inherited().ready()
    assert listener.heard() == []
