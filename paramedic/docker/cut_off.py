"""What a roll-back of a container that was cut off in the middle has left, and how a person goes on from there."""

import shlex
from collections.abc import Mapping
from typing import Any

from paramedic.docker import spec
from paramedic.docker.answers import mapping
from paramedic.docker.look import BESIDE, Reader, again
from paramedic.kinds.transport import Mark, MarkState, Transport
from paramedic.remediation.target import Target
from paramedic.text.sanitize import one_line

_NEVER_STARTED = ("created", "configured", "initialized")


def mark(target: Target, transport: Transport, act: str) -> Mark | None:
    """How far the roll-back with this id came, by the container that it has made; None where it has made none, or that runs.

    Of a restart nothing is left. Raises TemporaryError or PermanentError.
    """
    rows = Reader(target, transport).listed()
    made = next((row for row in rows if act and mapping(row.get("Labels")).get(spec.ACT) == act), None)
    if made is None:
        return None
    labels = mapping(made.get("Labels"))
    old = next((row for row in rows if row.get("Id") == labels.get(spec.REPLACED)), None)
    where = _where(target.name, made, old, str(labels.get(spec.POLICY)))
    return None if where is None else Mark(MarkState.CUT, where=where)


def _where(name: str, made: Mapping[str, Any], old: Mapping[str, Any] | None, policy: str) -> str | None:
    """What there is, in words, with the commands; None where the new one took its place, or neither tells."""
    quoted, new, state = shlex.quote(name), _name(made), str(made.get("State"))
    if new == name and state in _NEVER_STARTED:
        return f"{name} is the one that the roll-back made, and was not started: `docker start {quoted}`"
    if (
        new != f"{name}{BESIDE}new" or old is None or _name(old) != name
    ):  # where none has the name, each look tells the rest
        return None
    spare = f"{new}, made for it, was never started"
    if old.get("State") == "running":
        return f"{name} is the container that ran before; {spare}"
    return f"{name} was stopped for it, and not replaced: `docker start {quoted}`{again(name, policy)}; {spare}"


def _name(row: Mapping[str, Any]) -> str:
    return one_line(str(next(iter(row.get("Names") or ()), "")).removeprefix("/"))
