"""The commands by which systemd is asked about a unit, and given a job for it; and what they answer."""

import re

from paramedic.kinds import unit_journal
from paramedic.kinds.transport import Ended
from paramedic.text.sanitize import one_line

#: What systemctl and journalctl say is parsed: one language, one time zone, whoever runs them and wherever.
SPOKEN = ("env", "LC_ALL=C", "TZ=UTC", "SYSTEMD_COLORS=0")

_ASKED = (
    "Id",
    "LoadState",
    "LoadError",
    "ActiveState",
    "SubState",
    "Job",
    "MainPID",
    "ExecMainStartTimestamp",
    "InvocationID",
    "AllowIsolate",
    "CanReload",
    "ReloadResult",
    "StateChangeTimestampMonotonic",
)

#: Exit codes of systemctl (LSB, systemctl(1)): no right to do it, not loaded.
SAID_NO = (4, 5)

#: systemctl's words for a job that was not taken, or that ended badly. After any others the outcome is open.
_FAILED = re.compile(
    r"^Job for \S+ (failed|canceled|timed out)"
    r"|Access denied|authentication required|is masked|not found|is destructive|is not loaded properly"
    r"|is not active, cannot reload|is not applicable for unit"
    r"|Failed to connect to bus|not been booted with systemd",
    re.MULTILINE,
)

#: systemd's words for `never_done` once all rights were found well, and for a right that is missing.
WOULD_HAVE = "only valid for start"
NO_RIGHT = re.compile(r"Access denied|[Aa]uthentication (is )?required")

#: The methods of systemd's manager, by the verb that polkit is asked about.
_METHODS = {"restart": "RestartUnit", "reload": "ReloadUnit"}


def show(unit: str) -> tuple[str, ...]:
    """The command that shows the unit's properties as `key=value` lines."""
    return (*SPOKEN, "systemctl", "show", "--no-pager", f"--property={','.join(_ASKED)}", "--", unit)


def job(verb: str, unit: str) -> tuple[str, ...]:
    """The command that restarts or reloads the unit as one job, and waits for it; it does not replace another job."""
    return (*SPOKEN, "systemctl", verb, "--job-mode=fail", "--no-pager", "--no-ask-password", "--", unit)


def never_done(verb: str, unit: str) -> tuple[str, ...]:
    """The call that a job is, in a mode in which systemd never does it: who may give the job is judged before the mode.

    `isolate` is for starts. systemd has refused any other job in that mode for as long as the mode exists (manager_add_job,
    since 2010), after it has asked polkit about this unit and this verb, which polkit tells nobody else but root. A unit
    without `AllowIsolate=`, as services are, is refused for that as well. Not by systemctl: a substitute in a container may
    ignore the mode.
    """
    manager = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
    quietly = ("--system", "--no-pager", "--allow-interactive-authorization=no")
    return (*SPOKEN, "busctl", *quietly, "call", *manager, _METHODS[verb], "ss", unit, "isolate")


def journal(unit: str, lines: int) -> tuple[str, ...]:
    """The command that shows the unit's last lines in the journal, oldest first."""
    return (*SPOKEN, *unit_journal.lines_of(unit, lines, form="short-iso"))


def is_refusal(ended: Ended) -> bool:
    """Whether systemd did not take the job, or says that it ended badly; else a code other than 0 leaves the outcome open."""
    return ended.code in SAID_NO or _FAILED.search(ended.errors) is not None


def words(ended: Ended) -> str:
    """The end of what it said, on one line."""
    output = one_line(ended.errors or ended.output)[-500:]
    return output or f"systemctl ended with {ended.code}"
