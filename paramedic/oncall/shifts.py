"""Shifts: who is on call from when to when, by the rotation and its overrides."""

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from paramedic.oncall.on_call import Oncall


@dataclass(frozen=True, slots=True)
class Shift:
    """One uninterrupted shift; `person` is None where nobody is on call. `by` set the override, if it is one."""

    begins: datetime
    ends: datetime
    person: str | None
    by: str | None


def shifts(oncall: Oncall, begins: datetime, ends: datetime) -> list[Shift]:
    """Every shift between two moments, without gaps or overlaps."""
    turns = {edge for override in oncall.overrides for edge in (override.begins, override.ends)}
    turns |= set(oncall.rotation.turns(begins, ends))
    edges = [begins, *sorted(turn for turn in turns if begins < turn < ends), ends]
    found: list[Shift] = []
    for start, end in pairwise(edges):
        override = oncall.override(start)
        person, by = (oncall.rotation.who(start), None) if override is None else (override.person, override.by)
        if found and (found[-1].person, found[-1].by) == (person, by):
            start = found.pop().begins  # noqa: PLW2901 - the same shift goes on
        found.append(Shift(start, end, person, by))
    return found


def uncovered(oncall: Oncall, shift: Shift) -> str | None:
    """Why a page to the person on call reaches nobody in this shift; None if it reaches somebody."""
    person = oncall.people.get(shift.person) if shift.person is not None else None
    if person is None:
        return "nobody is on call"
    return None if person.contact_methods else f"{person.id} has no way to be told"
