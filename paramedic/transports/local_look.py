"""A look at the machine that Paramedic runs on: who we are here, and what may be done."""

import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from paramedic.machine.file_ownership import user

#: There while systemd is the machine's first process (sd_booted(3)).
_SYSTEMD = Path("/run/systemd/system")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look has shown."""

    user: str
    machine: str  # the name that it calls itself
    has: frozenset[str]  # root, systemd, python3, as of a host by SSH


def look() -> Seen:
    """One look; it changes nothing, and asks nobody."""
    there = {
        "root": os.geteuid() == 0,
        "systemd": _SYSTEMD.is_dir() and shutil.which("systemctl") is not None,
        "python3": shutil.which("python3") is not None,
    }
    return Seen(user(os.geteuid()), socket.gethostname(), frozenset(name for name, is_so in there.items() if is_so))
