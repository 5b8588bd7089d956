"""What a host itself knows of a change: a mark with the act's id, which the change leaves there and the next look reads."""

import re
from datetime import timedelta

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.transport import Mark, MarkState
from paramedic.machine.clock import boottime
from paramedic.transports.ssh_connection import SshConnection
from paramedic.transports.ssh_shell import answer, quoted

#: Where marks are kept: the user's own folder for what outlives a session (XDG Base Directory Specification).
FOLDER = 'd="${XDG_STATE_HOME:-$HOME/.local/state}/paramedic"'

#: Marks are kept for so many days, outputs of changes for one.
DAYS = 30

#: So long a look at a mark may take.
LOOK = timedelta(seconds=5)

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")

# Whoever makes the mark first, owns it: a look that finds none makes one, and the change, should it still come, ends there.
_LOOK = """
mkdir -p -m 700 "$d" || exit 3
m="$d/$1"
if (set -C; echo refused > "$m") 2>/dev/null; then echo refused; exit 0; fi
exec 8>>"$m" || exit 3
if flock -n 8; then cat "$m"; else echo running; fi
"""


def checked(act: str) -> str:
    """The act's id, which is part of a file's name. Raises ValueError where it cannot be one."""
    if not _ID.fullmatch(act):
        raise ValueError(f"{act!r:.80} is no id of an act")
    return act


def look(connection: SshConnection, act: str) -> Mark:
    """What became of the act there. One that never began cannot begin any more once this was asked.

    Raises TemporaryError or PermanentError where the host does not say.
    """
    script = f"{FOLDER}; set -- {quoted([checked(act)])}\n{_LOOK}"
    said = answer(connection, script, boottime() + LOOK.total_seconds()).decode(errors="replace")
    if not said:
        raise PermanentError(
            f"{connection.host.name} keeps no marks of changes: its user's state folder cannot be used"
        )
    lines = said.splitlines()
    if lines[0] == "running":
        return Mark(MarkState.RUNNING)
    if lines[0] == "refused":
        return Mark(MarkState.DID_NOT)
    ended = re.fullmatch(r"ended (\d{1,3})( limit)?", lines[-1])
    if ended is not None:
        return Mark(MarkState.HAPPENED, int(ended[1]), limited=ended[2] is not None)
    if not lines[0].startswith("begun "):
        raise TemporaryError(f"the mark of {act} on {connection.host.name} cannot be read")
    return Mark(MarkState.CUT)
