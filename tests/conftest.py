"""What every test may ask for: a real program, or a reason why it is not here."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bytecode_kept  # noqa: F401 - first: what is imported from here on is kept
import hypothesis
import pytest
from forms import form, summary
from mail_server import Postbox
from prefect_server import Prefect
from required import missing
from webhook_receiver import Hooks
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

from paramedic.demo.world import free_port

pytest_plugins = ["databases", "held_transactions"]

#: How long one example takes says something about the machine, and nothing about the code.
hypothesis.settings.register_profile("paramedic", deadline=None)
hypothesis.settings.load_profile("paramedic")

#: Where Debian keeps servers that are not on everybody's PATH.
PLACES = ("/usr/sbin", *(str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)))


#: `make quick` plays only what decides in this process: no room whose tests start a program, a server or a network client.
_STARTS_PROGRAMS = {
    "cli",
    "demo",
    "dispatch",
    "gateway",
    "integrations",
    "kill",
    "real",
    "responder",
    "stack",
    "transports",
} | {
    "kubernetes/test_gitops.py",
    "kubernetes/test_gitops_open.py",
    "machine/test_parent_death.py",
    "upkeep",
    "watchdog",
    "test_benchmarks.py",
    "test_bounds.py",
    "test_contracts.py",
    "test_transactions_are_short.py",
}

#: And no test with one of these fixtures, or on a database that is a server.
_SERVERS = {"hooks", "postbox", "prefect", "require", "service", "sshd"}

_LEFT_OUT = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--quick`: only the tests that start no server."""
    parser.addoption("--quick", action="store_true", help="only the tests that start no server and no program")


def pytest_configure(config: pytest.Config) -> None:
    """With `--quick`, few examples of each property test: set before the tests are imported."""
    if config.getoption("quick"):
        os.environ["QUICK_TESTS"] = "1"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `--quick`, a room that starts programs is not even imported: that would take longer than its share of tests."""
    tests = Path(__file__).parent
    if config.getoption("quick") and collection_path.is_relative_to(tests):
        return str(collection_path.relative_to(tests)) in _STARTS_PROGRAMS or None
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what `--quick` does not play, and what is not in the form that was asked for."""
    if config.getoption("quick"):
        items[:] = [item for item in items if _is_quick(item)]
    left_out = {
        item: markers for item in items if not form().plays(markers := {mark.name for mark in item.iter_markers()})
    }
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=list(left_out))
    config.stash[_LEFT_OUT] = summary(left_out.values())


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of xdist hands what it has left out to whoever prints it."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash.get(_LEFT_OUT, "")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: WorkerController) -> None:
    """Every worker has left out the same."""
    node.config.stash[_LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", "")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was left out, and which command plays it."""
    if left_out := config.stash.get(_LEFT_OUT, ""):
        terminalreporter.write_line(left_out)


def _is_quick(item: pytest.Item) -> bool:
    fixtures = set(getattr(item, "fixturenames", ()))
    return not fixtures & _SERVERS and "[postgresql" not in item.nodeid


class ByRoomOrFile(LoadFileScheduling):
    """Sends the files of a room that share a responder to one worker of xdist, every other file as a whole to any."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        room = file.rpartition("/")[0]
        return room if room.endswith("tests/responder") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    """xdist asks for it."""
    return ByRoomOrFile(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def require() -> Callable[[str], str]:
    """`require("postgres")` gives the program's path; without it the test skips, or fails where REQUIRE_REAL_SERVERS=1."""

    def find(program: str) -> str:
        import sys

        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", ""), *PLACES])
        found = shutil.which(program, path=path)
        return found or missing(f"this machine has no {program}")

    return find


@pytest.fixture
def as_root() -> None:
    """The test needs to be root: to become another user, or to give a file to one."""
    if os.geteuid() != 0:
        missing("only root can act as another user")


@pytest.fixture
def small_disk(require: Callable[[str], str], tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    place = tmp_path / "small"
    place.mkdir()
    mount = [require("mount"), "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    mounted = subprocess.run(mount, check=False, capture_output=True, text=True)
    if mounted.returncode != 0:
        missing(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run([require("umount"), "-l", str(place)], check=True)


@pytest.fixture
def fill(small_disk: Path) -> Callable[[], Path]:
    """`fill()` leaves no byte on the small disk; gives the file that has them all."""

    def filled() -> Path:
        ballast = small_disk / "ballast"
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * 4096)
        return ballast

    return filled


@pytest.fixture(scope="module")
def sshd(require: Callable[[str], str]) -> Iterator[Any]:
    """An OpenSSH server for the tests of one module (`ssh_servers.Sshd`)."""
    from ssh_servers import running  # paramiko: only who asks for it pays

    with running(require) as server:
        yield server


@pytest.fixture
def postbox() -> Iterator[Postbox]:
    """A mail server, open."""
    with Postbox() as box:
        yield box


@pytest.fixture
def hooks() -> Iterator[Hooks]:
    """A server that takes webhooks."""
    hooks = Hooks()
    yield hooks
    hooks.close()


@pytest.fixture
def _nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of whoever runs the tests, and a folder without a file of settings."""
    for name in list(os.environ):
        if name.upper().startswith("PARAMEDIC_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prefect]:
    """A real Prefect server, empty at the start of the session."""
    server = Prefect(tmp_path_factory.mktemp("prefect"), free_port())
    server.start()
    yield server
    server.stop()
