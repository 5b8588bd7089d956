"""A container's first process takes the dead whose parents died before them, and none that somebody waits for."""

import subprocess
import sys

#: Inherits what its children leave behind, as the first process of a container does. Its clock is moved by hand.
INHERITS = """
import ctypes, os, subprocess, time
import psutil
from paramedic.machine.orphans import Orphans

ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
now = 0.0
orphans = Orphans(inherits=True, clock=lambda: now)
none = Orphans(clock=lambda: now)
orphan = int(subprocess.run(["sh", "-c", "sleep 0 >&- & echo $!"], capture_output=True, check=True).stdout)
ours, asked = subprocess.Popen(["false"]), subprocess.Popen(["false"])

def dead():
    return {each.pid for each in psutil.Process().children() if each.status() == psutil.STATUS_ZOMBIE}

while dead() != {orphan, ours.pid, asked.pid}:
    time.sleep(0.01)
for now in (6.0, 12.0):
    orphans.tick([ours.pid])
    none.tick([])
    assert orphan in dead(), "who has started it may still ask"
assert asked.wait() == 1
now = 18.0
none.tick([])
assert dead() == {orphan, ours.pid}
orphans.tick([ours.pid])
assert dead() == {ours.pid}
now = 24.0
orphans.tick([ours.pid])
assert ours.wait() == 1
print("well")
"""


def test_the_dead_are_taken_after_a_while_and_none_of_those_that_somebody_waits_for() -> None:
    done = subprocess.run([sys.executable, "-c", INHERITS], capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.returncode) == ("well\n", 0), done.stderr
