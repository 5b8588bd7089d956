"""One look at a host itself: is it reached, by which key, what may be done there, and how far is its clock from ours?"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from paramedic.errors import PermanentError, TemporaryError
from paramedic.machine.clock import boottime, utc_now
from paramedic.machine.clock_distance import ClockDistance
from paramedic.remediation.host import Host
from paramedic.text.sanitize import one_line
from paramedic.transports import ssh_mark
from paramedic.transports.ssh_connection import connection
from paramedic.transports.ssh_shell import answer, quoted

#: What the transport asks for on a host: coreutils, findutils, util-linux, grep and sed.
_PROGRAMS = (
    *("base64", "cat", "chmod", "date", "dd", "env", "find", "flock", "getconf", "grep", "head", "ls", "mktemp", "mv"),
    *("readlink", "rm", "sed", "setsid", "sleep", "stat", "sync", "tail", "timeout", "tr", "truncate", "wc"),
)

_LOOK = """
date +%s.%N
echo "user $(id -un)"; echo "machine $(uname -n)"
for p in $programs; do command -v "$p" >/dev/null || echo "missing $p"; done
dd if=/dev/null iflag=nofollow,skip_bytes,count_bytes,fullblock count=0 status=none 2>/dev/null || echo "missing GNU coreutils"
command -v python3 >/dev/null && echo "has python3"
systemctl is-system-running >/dev/null 2>&1; [ -d /run/systemd/system ] && command -v systemctl >/dev/null && echo "has systemd"
[ "$(id -u)" -eq 0 ] && echo "has root"
[ -z "$sudo" ] || { may=$(sudo -n -l 2>/dev/null) && echo "has sudo"; }
case $may in *user_command_timeouts*) echo "has sudo-limits";; esac
mkdir -p -m 700 "$d" 2>/dev/null && [ -w "$d" ] || echo "marks $d"
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look has shown of a host that was reached."""

    key: str  # which logged in, in words
    user: str
    machine: str  # the name that it calls itself
    apart: timedelta  # its clock less ours
    round_trip: timedelta  # of a command by the warm connection
    has: frozenset[str]  # root, sudo, sudo-limits (it ends what takes longer than we say), systemd, python3
    lacks: tuple[str, ...]  # what has to be mended there, in words


def look(host: Host, within: timedelta) -> Seen:
    """One look. Raises TemporaryError or PermanentError, and says why the host is not reached."""
    if host.ssh is None:
        raise PermanentError(f"{host.name} is this machine")
    deadline = boottime() + within.total_seconds()
    one = connection(host)
    key = one.login(deadline)
    sudo = "yes" if host.ssh.sudo else ""
    script = f"programs={quoted([' '.join(_PROGRAMS)])} sudo={quoted([sudo])}\n{ssh_mark.FOLDER}\n{_LOOK}"
    began, at = boottime(), utc_now()
    lines = answer(one, script, deadline).decode(errors="replace").splitlines()
    took = boottime() - began
    said: dict[str, list[str]] = {}
    for line in lines[1:]:
        word, _, value = line.partition(" ")
        said.setdefault(word, []).append(value)
    try:
        theirs, user, machine = float(lines[0]), said["user"][0], said["machine"][0]
    except (LookupError, ValueError) as error:
        raise TemporaryError(f"{host.name} does not answer as a Linux machine does") from error
    lacks = [f"it has no {name}" for name in said.get("missing", ())]
    lacks += [f"its user cannot write in {folder}" for folder in said.get("marks", ())]
    has = frozenset(said.get("has", ()))
    if sudo and not has & {"sudo", "root"}:
        lacks.append(f"its sudoers have no line with NOPASSWD for {user}")
    apart = timedelta(seconds=theirs - at.timestamp() - took / 2)
    return Seen(key, user, machine, apart, timedelta(seconds=took), has, tuple(lacks))


def clock_distance(host: Host, deadline: float) -> ClockDistance:
    """How far its clock is from ours, by one command on the warm connection. Raises TemporaryError or PermanentError."""
    one = connection(host)
    one.login(deadline)  # before the question: the time that a login takes would be doubt
    began, asked_at = boottime(), utc_now()
    said = answer(one, "date +%s.%N", deadline).decode(errors="replace").strip()
    took = timedelta(seconds=boottime() - began)
    try:
        theirs = datetime.fromtimestamp(float(said), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise TemporaryError(f"{host.name} does not tell its time: {one_line(said)[:80]!r}") from error
    return ClockDistance.of(theirs, asked_at, took)
