"""What the target's process has open, and how near it is to its limit: a leak shows by its count."""

import re

from paramedic.errors import PermanentError
from paramedic.kinds.evidence import PTRACE, Gathered, Of, Scene, table

ABOUT = "files, sockets and pipes that the process has open, the most often opened first, against its limit"
OF = Of.PROCESS

_SHOWN = 100

# Sockets and pipes are counted by their kind: each has a number of its own. A link is read and never followed: behind it may be
# a file server that is dead.
_SCRIPT = """
part limit; grep '^Max open files' "/proc/$1/limits"
part counted; find "/proc/$1/fd" -maxdepth 1 -type l -printf x | wc -c
part files
find "/proc/$1/fd" -maxdepth 1 -type l -printf '%l\\n' 2>/dev/null |
sed 's/^\\(socket\\|pipe\\|net\\|mnt\\):\\[[0-9]*\\]$/\\1/' | sort | uniq -c | sort -rn | head -n "$2"
"""


def gather(scene: Scene) -> Gathered:
    """One look. Raises PermanentError where the process is gone, or its files are not for this user."""
    pid = scene.process_id()
    printed = scene.shell(_SCRIPT, str(pid), str(_SHOWN))
    limit, counted = _limit(printed.part("limit")), printed.part("counted").strip()
    if not limit:
        raise PermanentError(f"process {pid} is gone, or /proc does not show it to this user")
    if printed.not_permitted and counted == "0":
        raise PermanentError(f"not permitted; needs {PTRACE}")
    unseen = () if printed.whole else ("not all of them: they were not counted to their end in time",)
    return Gathered(told(pid, int(counted or 0), limit, printed.part("files")), unseen)


def told(pid: int, count: int, limit: str, files: str) -> str:
    """The files in words, from lines of `uniq -c`."""
    share = f" ({count / int(limit):.0%})" if limit.isdigit() and int(limit) else ""
    rows = [line.split(maxsplit=1) for line in files.splitlines() if line.strip()]
    rows = [row for row in rows if len(row) == 2]
    shown = sum(int(number) for number, _ in rows if number.isdigit())
    lines = [
        f"process {pid} has {count:,} open, of at most {limit}{share}",
        "",
        table([("times", "what"), *rows], right=(0,)),
    ]
    if shown < count:
        lines.append(f"… and {count - shown:,} others")
    return "\n".join(lines)


def _limit(line: str) -> str:
    found = re.search(r"^Max open files\s+(\d+|unlimited)", line)
    return found[1] if found else ""
