"""Whom to tell, in what order and after how long. It ends only at an acknowledgement or a resolution."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from whenever import PlainDateTime, TimeZoneNotFoundError, ZonedDateTime

from paramedic.document import BadDocument, Problem, read
from paramedic.duration import duration
from paramedic.rotation import Person, Rotation

#: A rung that tells whoever has the shift.
ONCALL = "oncall"


@dataclass(frozen=True, slots=True)
class Rung:
    """One step: whom to tell, how long after the rung before."""

    tell: str
    after: timedelta


@dataclass(frozen=True, slots=True)
class Policy:
    """The rungs in their order; the last one repeats until somebody acknowledges."""

    name: str
    rungs: tuple[Rung, ...]
    repeat: timedelta

    def rung(self, number: int) -> Rung:
        """The rung of this number, counted from 0; beyond the last, the last again."""
        return self.rungs[min(number, len(self.rungs) - 1)]

    def wait_after(self, number: int) -> timedelta:
        """How long after rung `number` the next one is due."""
        return self.rungs[number + 1].after if number + 1 < len(self.rungs) else self.repeat


@dataclass(frozen=True, slots=True)
class Oncall:
    """oncall.yaml: people, their turns, and the policies."""

    people: Mapping[str, Person]
    rotation: Rotation
    policies: Mapping[str, Policy]

    def policy(self, name: str) -> Policy:
        """The policy of this name; the default where it is gone: somebody is always told."""
        return self.policies.get(name, self.policies["default"])

    def person(self, tell: str, at: datetime) -> Person | None:
        """Whom a rung means at this moment."""
        found = self.rotation.who(at) if tell == ONCALL else tell
        return None if found is None else self.people.get(found)


_Span = Annotated[timedelta, BeforeValidator(duration)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Person(_Strict):
    name: str
    email: str | None = Field(default=None, pattern=r"^[^@\s<>,;]+@[^@\s<>,;]+$")


def _turn(text: object) -> object:
    words = {"1 day": timedelta(days=1), "1 week": timedelta(weeks=1)}
    if not isinstance(text, str) or text not in words:
        raise ValueError(f"write one of {', '.join(words)}")
    return words[text]


class _Rotation(_Strict):
    zone: str
    starts: Annotated[str, BeforeValidator(str)]
    every: Annotated[timedelta, BeforeValidator(_turn)]
    people: list[str] = Field(min_length=1)


class _Rung(_Strict):
    tell: str
    after: _Span = timedelta(0)


class _Policy(_Strict):
    rungs: list[_Rung] = Field(min_length=1)
    repeat: _Span = timedelta(minutes=30)


class _File(_Strict):
    people: dict[str, _Person] = Field(min_length=1)
    rotation: _Rotation
    policies: dict[str, _Policy]


def parse_oncall(text: str, file: str) -> Oncall:
    """What oncall.yaml says. Raises BadDocument with every problem, unreachable people among them."""
    said = read(text, file, _File)
    problems = [
        Problem(file, 1, 1, f"{where} names {person}, who is not among the people", ", ".join(said.people))
        for where, person in _named(said)
        if person not in said.people
    ]
    if "default" not in said.policies:
        problems.append(Problem(file, 1, 1, "there is no policy `default`", "it serves alerts that no runbook wants"))
    if not any(person.email for person in said.people.values()):
        problems.append(Problem(file, 1, 1, "nobody has an address: no page could leave", "give people an `email`"))
    starts = said.rotation.starts[:16]
    try:
        ZonedDateTime.now(said.rotation.zone)
        PlainDateTime.parse_iso(starts.replace(" ", "T"))
    except TimeZoneNotFoundError:
        problems.append(Problem(file, 1, 1, f"rotation.zone: there is no zone {said.rotation.zone!r}", "Europe/Berlin"))
    except ValueError:
        problems.append(Problem(file, 1, 1, f"rotation.starts: {said.rotation.starts!r}", "write 2026-01-05 09:00"))
    if problems:
        raise BadDocument(problems)
    return Oncall(
        people={key: Person(key, one.name, one.email) for key, one in said.people.items()},
        rotation=Rotation(said.rotation.zone, starts, said.rotation.every, tuple(said.rotation.people)),
        policies={
            name: Policy(name, tuple(Rung(rung.tell, rung.after) for rung in one.rungs), one.repeat)
            for name, one in said.policies.items()
        },
    )


def _named(said: _File) -> list[tuple[str, str]]:
    found = [("rotation.people", person) for person in said.rotation.people]
    for name, policy in said.policies.items():
        found += [(f"policies.{name}", rung.tell) for rung in policy.rungs if rung.tell != ONCALL]
    return found
