"""systemd units, by systemctl and journalctl on the target's machine."""

import re
from functools import partial
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from paramedic.kinds import process_target
from paramedic.kinds.evidence import ByDeadline, Gathered, time_left
from paramedic.kinds.transport import Transport
from paramedic.processes.unit import Reader, running
from paramedic.processes.unit_change import Changer
from paramedic.remediation.target import Target

__all__ = [
    "EVIDENCE",
    "ID_WITHOUT_KIND",
    "LABEL",
    "REMEDIES",
    "Changer",
    "Reader",
    "Words",
    "address_of",
    "forbidden",
    "log_lines",
    "name_of",
    "process_id",
    "process_use",
    "resident_memory",
    "restarted",
    "running",
]

LABEL = "unit"
REMEDIES = ("restart", "reload")
ID_WITHOUT_KIND = True

_UNIT = r"[A-Za-z0-9_][A-Za-z0-9:_.\\@-]{0,240}\.service"


def _unit(name: str) -> str:
    if not re.fullmatch(_UNIT, name):
        raise ValueError("write a unit's whole name, NAME.service: no other kind of unit has a process")
    return name


#: `systemd: UNIT` in services.yaml.
Words = Annotated[str, AfterValidator(_unit), WithJsonSchema({"type": "string", "pattern": f"^{_UNIT}$"})]


def name_of(words: str) -> str:
    """The unit's full name."""
    return words


def address_of(_words: str) -> str:
    """Nothing: the unit is found by its name alone."""
    return ""


def forbidden(target: Target, transport: Transport, remedy: str) -> str | None:
    """Why this user may not restart or reload the unit, and what grants it. Raises TemporaryError or PermanentError."""
    return Reader(target, transport).forbidden(remedy)


def _owned(target: Target, pid: int, transport: Transport) -> bool:
    """Whether systemd, which is only ever asked on the target's own machine, names it as the unit's main process now."""
    return process_target.process_of(Reader(target, transport).identity())[0] == pid


#: Of the time that is left for the lines: the rest is for what is missing of them.
_LINES_SHARE = 0.75


def _journal(target: Target, transport: Transport, deadline: float) -> Gathered:
    return Reader(target, transport, time_left(deadline)).journal()


EVIDENCE = {
    **process_target.evidence(lambda target, transport, within: Reader(target, transport, within).identity(), _owned),
    "journal": ByDeadline(_journal, from_beginning=False),
}
restarted = process_target.restarted


def log_lines(target: Target, transport: Transport, lines: int, since: float, deadline: float) -> Gathered:
    """The unit's journal since then (seconds since the epoch). Raises TemporaryError or PermanentError."""
    return Reader(target, transport, time_left(deadline) * _LINES_SHARE).log_lines(lines, since)


resident_memory = partial(process_target.memory_of, owned=_owned)
process_id = partial(process_target.process_id, owned=_owned)
process_use = partial(process_target.use_of, owned=_owned)
