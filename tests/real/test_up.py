"""`paramedic up` and the demo: nothing is left behind, whoever is killed."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from paramedic.demo.world import free_port

pytestmark = [pytest.mark.real, pytest.mark.timeout(500)]

PARAMEDIC = str(Path(sys.executable).parent / "paramedic")


def _start(folder: Path, *argv: str, **env: str) -> subprocess.Popen[str]:
    ports = {"PARAMEDIC_PORT": str(free_port()), "PREFECT_SERVER_API_PORT": str(free_port())}
    return subprocess.Popen(
        [PARAMEDIC, *argv],
        env=dict(os.environ) | ports | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
    )


def _says(process: subprocess.Popen[str], word: str) -> str:
    said = ""
    assert process.stdout is not None
    for line in process.stdout:
        said += line
        if word in line:
            return said
    pytest.fail(f"it ended without saying {word!r}:\n{said}")


def _family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def _until(what: str, holds: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, what
        time.sleep(0.1)


def _all_gone(family: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(family, timeout=10)
    assert [(one.pid, one.cmdline()) for one in alive if one.status() != psutil.STATUS_ZOMBIE] == []


#: What somebody may have left in the folder that `up` is started in: modules of the standard library, settings of Prefect's.
EVIL = "import pathlib; pathlib.Path(__file__).with_suffix('.ran').touch(); raise SystemExit('evil')\n"


def _plant(folder: Path) -> None:
    for name in ("ctypes", "json", "asyncio", "sqlite3", "uvicorn", "prefect", "paramedic", "sitecustomize", "yaml"):
        (folder / f"{name}.py").write_text(EVIL)
    (folder / ".env").write_text("PREFECT_SERVER_API_BASE_PATH=/evil\n")
    (folder / "prefect.toml").write_text('[server.api]\nbase_path = "/evil"\n')


@pytest.fixture
def up(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    _plant(tmp_path)
    process = _start(tmp_path, "up", "--data", _folder(tmp_path))
    try:
        _says(process, "logs")
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        assert not list(tmp_path.glob("*.ran")), "no process imports from there"


def _folder(tmp_path: Path) -> str:
    data = tmp_path / "data"
    data.mkdir()
    return str(data)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_however_up_ends_no_process_is_left(up: subprocess.Popen[str], number: signal.Signals) -> None:
    _until("server, gateway, dispatch, watchdog, responder and two warm processes", lambda: len(_family(up)) >= 7)
    family = _family(up)
    up.send_signal(number)
    assert up.wait(10) == (-signal.SIGKILL if number is signal.SIGKILL else 0)
    _all_gone(family)


def test_a_child_that_is_killed_comes_back_and_leaves_nothing(up: subprocess.Popen[str]) -> None:
    def children() -> dict[str, psutil.Process]:
        found = {}
        for one in psutil.Process(up.pid).children():
            with contextlib.suppress(psutil.Error, IndexError):  # it may just be dying, or not be itself yet
                found[one.cmdline()[2]] = one
        return found

    def child(name: str, *, not_pid: int = 0) -> psutil.Process:
        met: list[psutil.Process] = []

        def there() -> bool:
            found = children().get(name)
            if found is not None and found.pid != not_pid:
                met.append(found)
            return bool(met)

        _until(f"{name} is there", there)
        return met[0]

    for name in (
        "paramedic.gateway",
        "paramedic.dispatch",
        "paramedic.watchdog",
        "paramedic.responder",
        "paramedic.stack.serve_prefect",
    ):
        victim = child(name)
        below = victim.children(recursive=True)
        victim.kill()
        _all_gone(below)
        child(name, not_pid=victim.pid)


def test_a_port_that_is_asked_for_and_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        process = _start(tmp_path, "up", "--data", _folder(tmp_path), PARAMEDIC_PORT=port)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"port {port}" in said
    assert "PARAMEDIC_PORT" in said


def test_up_says_where_people_are_told_by_mail_and_none_can_leave(up: subprocess.Popen[str]) -> None:
    assert "PARAMEDIC_SMTP_URL" in _says(up, "none can leave")


def test_two_on_one_folder_are_refused(up: subprocess.Popen[str], tmp_path: Path) -> None:
    process = _start(tmp_path, "up", "--data", str(tmp_path / "data"), PARAMEDIC_PORT=str(free_port()))
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "another `paramedic up`" in said


def test_the_demo_does_what_it_says(tmp_path: Path) -> None:
    process = _start(tmp_path, "demo", "--json", "told.json", "--data", "kept")
    family: list[psutil.Process] = []
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        family = _family(process) or family if process.poll() is None else family
    assert process.wait(30) == 0, said
    process.stdout.close()
    _all_gone(family)
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["ok"] is True
    assert told["trail"]["verified"] is True
    assert [(one["name"], one["outcome"]) for one in told["scenarios"]] == [
        ("hang", "remediated"),
        ("leak", "remediated"),
        ("bad-release", "remediated"),
        ("beyond-help", "handed_over"),
    ]
    assert all(len(one["flow_runs"]) == 1 for one in told["scenarios"])
    for command in (["audit", "verify"], ["incident", "show", "INC-1"]):
        done = subprocess.run([PARAMEDIC, *command, "--data", "kept"], cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
