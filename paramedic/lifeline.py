"""No process outlives the one that started it: a SIGKILL of any parent ends its children, and theirs."""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


#: Set by `paramedic up`: its runs die with it, whichever worker started them.
VARIABLE = "PARAMEDIC_LIFELINE"


def die_with_parent() -> None:
    """From now on this process is killed when its parent dies.

    On Linux by the kernel, when the *thread* that started us ends: start children from a thread that lives as long as
    its process. Elsewhere by a thread of our own that looks once a second.
    """
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died while we asked
            os.kill(os.getpid(), signal.SIGKILL)
    else:
        threading.Thread(target=_watch, args=(parent,), name="lifeline", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGKILL)


def command(argv: Sequence[str]) -> list[str]:
    """The same program, dying with whoever starts it: the kernel keeps the promise across exec."""
    return [sys.executable, "-m", "paramedic.lifeline", *argv]


if __name__ == "__main__":
    die_with_parent()
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - replacing ourselves is the point
