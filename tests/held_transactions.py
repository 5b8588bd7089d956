"""Holds for every test: inside a transaction of the store nothing else is waited for, whichever library would do it."""

import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from paramedic.kinds import registry
from paramedic.kinds.registry import Room
from paramedic.machine.open_transaction import Kind, strongest
from paramedic.store.table_facts import declared

#: What Python itself reports about (`sys.addaudithook`), and which transaction must not be open then. A snapshot may be
#: written to a file while it is read: it keeps nobody waiting.
_FORBIDDEN = {
    "socket.connect": Kind.READ,
    "socket.bind": Kind.READ,
    "socket.sendto": Kind.READ,
    "socket.getaddrinfo": Kind.READ,
    "subprocess.Popen": Kind.READ,
    "os.posix_spawn": Kind.READ,
    "os.fork": Kind.READ,
    "time.sleep": Kind.READ,
    "open": Kind.WRITE,
    "os.listdir": Kind.WRITE,
    "os.scandir": Kind.WRITE,
    "os.rename": Kind.WRITE,
    "os.remove": Kind.WRITE,
    "os.mkdir": Kind.WRITE,
    "glob.glob": Kind.WRITE,
}

#: Read once in a process, whenever that is first needed: modules, time zones, and what a traceback shows.
_ONCE = (".py", ".pyc", ".so", "tzdata.zi", "/zoneinfo")

# Every process of ours has found the kinds of targets when it has read services.yaml: no target is known before.
registry.current().usable(Room.TARGETS)
# The watchdog and a restore read the store's modules before their transaction begins.
declared()

_TESTS = str(Path(__file__).parent)
_STORE = str(Path(__file__).parents[1] / "paramedic" / "store" / "__init__.py")
_OURS = tuple(str(Path(__file__).parents[1] / room) for room in ("paramedic", "tasks", "flows", "tests"))

_found: list[str] = []
_busy = threading.local()


def _hook(event: str, args: tuple[object, ...]) -> None:
    least = _FORBIDDEN.get(event)
    if least is None or getattr(_busy, "now", False):
        return
    held = strongest()
    if held is None or held < least or _is_read_once(event, args):
        return
    _busy.now = True
    try:
        ours = [frame for frame in traceback.extract_stack() if frame.filename.startswith(_OURS)][:-1]
        by = ours[-1].filename if ours else _TESTS
        if not by.startswith(
            (_TESTS, _STORE)
        ):  # what a test does there, and how the store is opened, is their business
            called = "".join(traceback.format_list(ours[-6:]))
            _found.append(f"{event}{args[:2]!r:.200} inside a {held.name} transaction at\n{called}")
    finally:
        _busy.now = False


def _is_read_once(event: str, args: tuple[object, ...]) -> bool:
    if event == "open":
        name = str(args[0])
        return name.endswith(_ONCE) or "/zoneinfo/" in name
    return event in ("os.listdir", "os.scandir") and any(str(args[0]).startswith(path) for path in sys.path if path)


sys.addaudithook(_hook)


@pytest.fixture(autouse=True)
def _transactions_wait_for_nothing_else() -> Iterator[None]:
    """Fails the test in which a target, a disk or the network was touched inside a transaction of the store."""
    _found.clear()
    yield
    found, _found[:] = list(_found), []
    assert not found, "\n".join(found)
