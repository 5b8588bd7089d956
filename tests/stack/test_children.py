"""What `up` does with its processes, shown on small ones: tests/real/ has the real ones."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from waiting import until

from paramedic.machine.backoff import Backoff
from paramedic.stack import children as children_module
from paramedic.stack.children import Child, Children

#: Writes `start` when it runs, waits for ever. With SIGTERM it writes `end` and goes.
POLITE = """
import os, pathlib, signal, sys, time
name, folder = sys.argv[1], pathlib.Path(sys.argv[2])
def tell(what):
    with (folder / "story").open("a") as story:
        story.write(f"{name} {what} {os.getpid()}\\n")
signal.signal(signal.SIGTERM, lambda *_: (tell("end"), sys.exit(0)))
tell("start")
while True:
    time.sleep(60)
"""

STUBBORN = POLITE.replace('(tell("end"), sys.exit(0))', "None")

#: Starts a process of its own that knows of no lifeline, then waits.
PARENT = POLITE.replace(
    'tell("start")',
    "import subprocess\n"
    'child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])\n'
    'tell(f"start with {child.pid} as")',
)

#: Starts a polite one with a lifeline to it, as the responder does with its runs.
RESPONDER = f"POLITE = {POLITE!r}\n" + POLITE.replace(
    'tell("start")',
    "import subprocess\n"
    "from paramedic.machine import parent_death as lifeline\n"
    'subprocess.Popen(lifeline.command([sys.executable, "-c", POLITE, "run", str(folder)]))\n'
    'tell("start")',
)

SICK = 'import sys; open(sys.argv[2] + "/story", "a").write("died\\n")'

#: What `up` is, with one child.
OUTER = """
import os, pathlib, sys, time
from paramedic.stack.children import Child, Children
folder = pathlib.Path(sys.argv[1])
children = Children(folder)
children.start(Child("inner", [sys.executable, "-c", sys.argv[2], "inner", str(folder)], dict(os.environ)))
while True:
    children.tick()
    time.sleep(0.05)
"""


def _child(folder: Path, name: str, code: str, *, serves: bool = False) -> Child:
    return Child(name, [sys.executable, "-c", code, name, str(folder)], dict(os.environ), serves=serves)


def _story(folder: Path) -> list[list[str]]:
    path = folder / "story"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def _gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    made = Children(tmp_path)
    yield made
    made.stop()


def test_a_child_that_is_killed_is_started_again_and_that_is_logged(
    children: Children, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    children.start(_child(tmp_path, "one", POLITE))
    until("it comes", lambda: len(_story(tmp_path)) == 1)
    first = children.pids()["one"]
    os.kill(first, signal.SIGKILL)
    with caplog.at_level(logging.WARNING):
        until("it comes", lambda: len(_story(tmp_path)) == 2, tick=children.tick)
    assert children.pids()["one"] not in (first, None)
    assert "one ended with -9; started again in" in caplog.text


def test_a_child_that_dies_at_once_is_started_ever_more_slowly(
    children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children_module, "_BACKOFF", Backoff((0.0, 0.1, 0.2)))
    children.start(_child(tmp_path, "sick", SICK))
    began = time.monotonic()
    until("it comes", lambda: len(_story(tmp_path)) == 3, tick=children.tick)
    assert time.monotonic() - began >= 0.1 + 0.2


def test_what_a_killed_child_leaves_behind_is_killed(children: Children, tmp_path: Path) -> None:
    children.start(_child(tmp_path, "one", PARENT))
    until("it comes", lambda: _story(tmp_path))
    grandchild = int(_story(tmp_path)[0][3])
    os.kill(children.pids()["one"], signal.SIGKILL)
    until("it comes", lambda: _gone(grandchild), tick=children.tick)


def test_stop_asks_first_and_ends_last_what_the_others_work_with(children: Children, tmp_path: Path) -> None:
    children.start(_child(tmp_path, "server", POLITE, serves=True))
    children.start(_child(tmp_path, "client", POLITE))
    until("it comes", lambda: len(_story(tmp_path)) == 2)
    children.stop()
    assert [line[:2] for line in _story(tmp_path)[2:]] == [["client", "end"], ["server", "end"]]


def test_stop_kills_what_does_not_listen_and_what_stands_still_within_ten_seconds(
    children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = children_module._STOP_SECONDS
    short = tuple(seconds / 10 for seconds in waits)
    monkeypatch.setattr(children_module, "_STOP_SECONDS", short)
    children.start(_child(tmp_path, "deaf", STUBBORN))
    children.start(_child(tmp_path, "still", PARENT))
    children.start(_child(tmp_path, "deaf-server", STUBBORN, serves=True))
    until("it comes", lambda: len(_story(tmp_path)) == 3)
    pids = [int(word) for line in _story(tmp_path) for word in line if word.isdigit()]
    os.kill(children.pids()["still"], signal.SIGSTOP)
    began = time.monotonic()
    children.stop()
    assert time.monotonic() - began - sum(short) < 10 - sum(waits)
    assert len(pids) == 4
    assert all(map(_gone, pids))


def test_ctrl_c_on_the_terminal_reaches_no_child_directly(children: Children, tmp_path: Path) -> None:
    children.start(_child(tmp_path, "one", POLITE))
    assert os.getpgid(children.pids()["one"]) != os.getpgid(0)


def test_when_up_is_killed_its_children_and_theirs_end(tmp_path: Path) -> None:
    outer = subprocess.Popen([sys.executable, "-c", OUTER, str(tmp_path), RESPONDER])
    try:
        until("it comes", lambda: len(_story(tmp_path)) == 2)  # the run itself has spoken: its lifeline is tied
        pids = [int(line[-1]) for line in _story(tmp_path)]
        assert not any(map(_gone, pids))
    finally:
        outer.kill()
        outer.wait()
    until("it comes", lambda: all(map(_gone, pids)), seconds=10)


def test_a_log_that_grew_too_long_is_kept_once_and_begins_anew(
    children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children_module, "_LOG_BYTES", 1000)
    monkeypatch.setattr(children_module, "_LOOK_AT_LOGS_SECONDS", 0.0)
    chatty = (
        "import itertools, time\nfor n in itertools.count(): print(f'line {n:0100}', flush=True); time.sleep(0.005)"
    )
    children.start(_child(tmp_path, "chatty", chatty))
    log, before = tmp_path / "chatty.log", tmp_path / "chatty.log.1"
    until("it comes", before.exists, tick=children.tick)
    assert before.stat().st_size > 1000
    until("it comes", lambda: log.read_bytes().count(b"\n") > 0)
    kept = before.read_bytes().splitlines()
    first = log.read_bytes().splitlines()[0]
    assert kept[0] < kept[-1] < first, "its writer goes on at the beginning, after what was kept"
