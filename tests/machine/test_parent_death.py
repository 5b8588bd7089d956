"""No process outlives the one that started it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from paramedic.machine.parent_death import command

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux's kernel ends children with their parent")

#: Starts itself once more, so deep as it is told, then stands; each generation appends its pid to the file.
FAMILY = """
import os, subprocess, sys, time
from paramedic.machine.parent_death import command

code, file, depth = sys.argv[1], sys.argv[2], int(sys.argv[3])
if depth:
    subprocess.Popen(command([sys.executable, "-c", code, code, file, str(depth - 1)]))
with open(file, "a") as all_of_us:
    all_of_us.write(f"{os.getpid()}\\n")
time.sleep(600)
"""


def _generations(file: Path, count: int) -> list[psutil.Process]:
    until = time.monotonic() + 60
    while not file.exists() or len(file.read_text().splitlines()) < count:
        assert time.monotonic() < until, "the family never was complete"
        time.sleep(0.02)
    return [psutil.Process(int(pid)) for pid in file.read_text().split()]


def test_a_kill_of_the_first_ends_all_generations(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    first = subprocess.Popen([sys.executable, "-c", FAMILY, FAMILY, str(file), "3"])
    family = _generations(file, 4)
    first.kill()
    first.wait()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []


def test_a_kill_in_the_middle_ends_those_below_and_spares_those_above(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    first = subprocess.Popen([sys.executable, "-c", FAMILY, FAMILY, str(file), "2"])
    family = _generations(file, 3)
    middle = next(process for process in family if process.ppid() == first.pid)
    below = next(process for process in family if process.ppid() == middle.pid)
    middle.kill()
    _, alive = psutil.wait_procs([below], timeout=10)
    assert alive == []
    assert first.poll() is None
    first.kill()
    first.wait()


def test_whoever_comes_too_late_to_hold_on_does_not_begin(tmp_path: Path) -> None:
    """The starter died between fork and the kernel's promise: nobody is left whose death could end us."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    mark = tmp_path / "began"
    argv = command([sys.executable, "-c", f"open({str(mark)!r}, 'w')"])
    late = subprocess.run([str(dead.pid) if part == str(os.getpid()) else part for part in argv], check=False)
    assert late.returncode == -signal.SIGKILL
    assert not mark.exists()


def test_a_foreign_program_keeps_its_arguments_its_pid_and_its_exit_code(tmp_path: Path) -> None:
    written = tmp_path / "said"
    argv = ["sh", "-c", 'printf "%s|" "$$" "$@" > "$0"; exit 7', str(written), "two words", "$HOME; -x"]
    process = subprocess.Popen(command(argv))
    assert process.wait(30) == 7
    assert written.read_text() == f"{process.pid}|two words|$HOME; -x|"
