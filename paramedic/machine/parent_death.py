"""Parent death: no process outlives the one that started it; a SIGKILL of any parent ends its children, and theirs."""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


#: Set by `paramedic up` for its children: runs that they start die with them, whichever worker started them.
VARIABLE = "PARAMEDIC_DIE_WITH_PARENT"


#: Asks a run's process to stop what it reads, because an operator cancels the run. Who changes something goes on.
STOP_READING = signal.SIGUSR1


def die_with_parent(parent: int | None = None) -> None:
    """From now on this process is killed when its parent dies.

    `parent` is the pid of the process that started us, if known: if it is dead already, this one is killed at once. On Linux the
    kernel does it, when the *thread* that started us ends: start children from a thread that lives as long as its
    process. Elsewhere a thread of our own looks once a second.
    """
    if parent is None:
        parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before we asked
            os.kill(os.getpid(), signal.SIGKILL)
    else:
        threading.Thread(target=_watch, args=(parent,), name="parent-death", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGKILL)


def command(argv: Sequence[str]) -> list[str]:
    """The command line that runs the program so that it dies with this process, which must be the one to start it.

    On Linux the kernel keeps the promise across exec, though not for a program that changes its user (setuid, file
    capabilities). Elsewhere exec ends the thread that looks: there the promise holds for our own processes only.
    """
    return module("paramedic.machine.parent_death", str(os.getpid()), *argv)


def module(name: str, *arguments: str) -> list[str]:
    """The command line of one of our modules: nothing in the current folder is imported (`-P`)."""
    return [sys.executable, "-Pm", name, *arguments]


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - replacing ourselves is the point
