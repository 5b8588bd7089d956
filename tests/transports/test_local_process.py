"""Processes of this machine, real ones."""

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta

import psutil
import pytest

from paramedic.errors import PermanentError
from paramedic.transports.local_process import CMDLINE_LIMIT, alive, resident_memory, tree, used

PARENT = """
import subprocess, sys
grow = "import time; print(flush=True); held = bytearray(30_000_000); time.sleep(60)"
child = subprocess.Popen([sys.executable, "-c", grow])
print(child.pid, flush=True)
child.wait()
"""


@pytest.fixture
def family() -> Iterator[tuple[int, int]]:
    argument = "a\x1b[2Jb\n" + "x" * 2000
    parent = subprocess.Popen([sys.executable, "-c", PARENT, argument], stdout=subprocess.PIPE, text=True)
    lines = sorted((parent.stdout.readline().strip(), parent.stdout.readline().strip()))
    child = int(lines[-1])
    yield parent.pid, child
    psutil.Process(child).kill()
    parent.wait()
    parent.stdout.close()


def test_memory_is_told_in_bytes(family: tuple[int, int]) -> None:
    until = time.monotonic() + 10
    while resident_memory(family[1]) < 30_000_000 and time.monotonic() < until:
        time.sleep(0.01)
    assert 30_000_000 < resident_memory(family[1]) < 100_000_000


def test_a_tree_has_the_process_first_and_then_its_children(family: tuple[int, int]) -> None:
    parent, child = family
    rows = tree(parent, timedelta(milliseconds=10))
    assert [row.pid for row in rows] == [parent, child]
    assert [row.ppid for row in rows] == [os.getpid(), parent]
    assert all(row.rss > 0 and row.started_at > 1e9 and row.name and row.status for row in rows)


def test_a_command_line_is_data_and_bounded(family: tuple[int, int]) -> None:
    row = tree(family[0], timedelta(0))[0]
    assert "a\\x1b[2Jb" in row.cmdline
    assert row.cmdline.isprintable()
    assert len(row.cmdline) == CMDLINE_LIMIT


def test_cpu_is_that_of_now() -> None:
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        assert tree(busy.pid, timedelta(milliseconds=300))[0].cpu_percent > 5
    finally:
        busy.kill()
        busy.wait()


def test_alive_means_the_same_life(family: tuple[int, int]) -> None:
    started = psutil.Process(family[0]).create_time()
    assert alive(family[0], started)
    assert alive(family[0], float(int(started)))
    assert not alive(family[0], started - 10)


def test_the_tree_is_whole_though_the_clock_is_set_back_while_it_is_read(
    family: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    booted = itertools.count(psutil.boot_time(), -3600)
    monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: next(booted))
    rows = tree(family[0], timedelta(milliseconds=1))
    assert [row.pid for row in rows] == [family[0], family[1]]


def test_a_zombie_is_not_alive_and_a_gone_process_is_useless_to_look_at() -> None:
    brief = subprocess.Popen([sys.executable, "-c", "pass"])
    process = psutil.Process(brief.pid)
    started = process.create_time()
    os.waitid(os.P_PID, brief.pid, os.WEXITED | os.WNOWAIT)
    assert process.status() == psutil.STATUS_ZOMBIE
    assert not alive(brief.pid, started)
    brief.wait()
    assert not alive(brief.pid, started)
    for look in (resident_memory, tree):
        with pytest.raises(PermanentError, match="is gone"):
            look(brief.pid)


def test_a_number_that_is_no_pid_is_useless() -> None:
    assert not alive(-1, 0.0)
    with pytest.raises(PermanentError):
        resident_memory(-1)


def test_what_a_process_uses_is_told_of_the_machine_and_of_one_core(family: tuple[int, int]) -> None:
    seen = used(family[1], timedelta(milliseconds=20))
    assert seen.rss > 1_000_000
    assert seen.memory_percent == pytest.approx(100 * seen.rss / psutil.virtual_memory().total, abs=1)
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        assert used(busy.pid, timedelta(milliseconds=300)).cpu_percent > 5
    finally:
        busy.kill()
        busy.wait()
    with pytest.raises(PermanentError, match="is gone"):
        used(busy.pid)
