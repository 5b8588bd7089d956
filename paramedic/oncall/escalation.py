"""Escalation policies: who is paged, in what order and after how long, until an acknowledgement or a resolution."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from whenever import PlainDateTime, TimeZoneNotFoundError, ZonedDateTime

from paramedic.alerts.alert import Severity
from paramedic.oncall.contact import ContactMethod, parse_contact_method
from paramedic.oncall.rotation import Override, Person, Rotation
from paramedic.text.units import between, within_reach
from paramedic.text.yaml_document import BadDocument, Problem, read

#: The step that pages whoever has the shift.
ONCALL = "oncall"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a policy: whom to page, and how long after the step before."""

    tell: str
    after: timedelta


@dataclass(frozen=True, slots=True)
class Policy:
    """The steps for one severity, in order; the last one repeats until somebody acknowledges.

    An acknowledgement pauses the escalation for `acknowledged_for`, not for ever.
    """

    name: str
    steps: tuple[Step, ...]
    repeat: timedelta
    acknowledged_for: timedelta

    def step(self, number: int) -> Step:
        """The step of this number, counted from 0; beyond the last, the last again."""
        return self.steps[min(number, len(self.steps) - 1)]

    def wait_after(self, number: int) -> timedelta:
        """How long after step `number` the next one is due."""
        return self.steps[number + 1].after if number + 1 < len(self.steps) else self.repeat


@dataclass(frozen=True, slots=True)
class Oncall:
    """oncall.yaml: people, their rotation, and the escalation policies."""

    people: Mapping[str, Person]
    rotation: Rotation
    policies: Mapping[str, Mapping[Severity, Policy]]
    overrides: tuple[Override, ...] = ()  # the newest last; kept in the store, not in the file

    def policy(self, name: str, severity: Severity = Severity.CRITICAL) -> Policy:
        """The policy of this name for this severity; the default where it is gone: somebody is always paged."""
        return self.policies.get(name, self.policies["default"])[severity]

    def override(self, at: datetime) -> Override | None:
        """The override in force at this moment: the newest one whose person is in the file; None without one."""
        found = [
            override
            for override in self.overrides
            if override.begins <= at < override.ends and override.person in self.people
        ]
        return found[-1] if found else None

    def who(self, at: datetime) -> str | None:
        """The id of whoever is on call at this moment, or None."""
        override = self.override(at)
        return self.rotation.who(at) if override is None else override.person

    def person(self, tell: str, at: datetime) -> Person | None:
        """The person that `tell` of a step means at this moment; None if nobody."""
        found = self.who(at) if tell == ONCALL else tell
        return None if found is None else self.people.get(found)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


#: Names stand in messages and in keys of the store's tables, which hold so much.
_Name = Annotated[str, Field(min_length=1, max_length=200)]


class _Person(_Strict):
    name: _Name
    email: str | None = Field(default=None, pattern=r"^[^@\s<>,;]+@[^@\s<>,;]+$")
    ways: list[Annotated[ContactMethod, BeforeValidator(parse_contact_method)]] = []

    @model_validator(mode="after")
    def _in_one_order(self) -> Self:
        if self.email is not None and self.ways:
            raise ValueError('write `email` or `ways`, not both: `email: a@b` is short for `ways: ["email:a@b"]`')
        return self

    def contact_methods(self) -> tuple[ContactMethod, ...]:
        return tuple(self.ways) if self.email is None else (ContactMethod("email", self.email),)


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


class _Step(_Strict):
    tell: str
    after: Annotated[timedelta, BeforeValidator(between("0s", "7d"))] = timedelta(0)


class _Policy(_Strict):
    """A policy as written: `rungs` for both severities, or `critical` and `warning`, one each."""

    rungs: list[_Step] | None = Field(default=None, min_length=1)
    critical: list[_Step] | None = Field(default=None, min_length=1)
    warning: list[_Step] | None = Field(default=None, min_length=1)
    repeat: Annotated[timedelta, BeforeValidator(between("1s", "7d"))] = timedelta(minutes=30)
    acknowledged_for: Annotated[timedelta, BeforeValidator(between("1s", "30d"))] = timedelta(hours=4)

    @model_validator(mode="after")
    def _for_both(self) -> Self:
        if (self.rungs is None) != (self.critical is not None and self.warning is not None) or (
            self.rungs is not None and (self.critical is not None or self.warning is not None)
        ):
            raise ValueError(
                "write either `rungs`, for both severities, or `critical` and `warning`, each with its own"
            )
        return self

    def of(self, severity: Severity) -> list[_Step]:
        own = self.critical if severity is Severity.CRITICAL else self.warning
        return self.rungs or own or []


class _File(_Strict):
    people: dict[_Name, _Person] = Field(min_length=1)
    rotation: _Rotation
    policies: dict[_Name, _Policy]


def parse_oncall(text: str, file: str) -> Oncall:
    """oncall.yaml, parsed. Raises BadDocument with every problem, unreachable people among them."""
    written = read(text, file, _File)
    problems = [
        Problem(file, 1, 1, f"{where} names {person}, who is not among the people", ", ".join(written.people))
        for where, person in _named(written)
        if person not in written.people
    ]
    if "default" not in written.policies:
        problems.append(Problem(file, 1, 1, "there is no policy `default`", "it serves alerts that no runbook wants"))
    if not any(person.contact_methods() for person in written.people.values()):
        problems.append(Problem(file, 1, 1, "nobody has an address: no page could leave", "give people `ways`"))
    starts = written.rotation.starts[:16]
    try:
        ZonedDateTime.now(written.rotation.zone)
        within_reach(PlainDateTime.parse_iso(starts.replace(" ", "T")).to_stdlib())
    except TimeZoneNotFoundError:
        problems.append(
            Problem(file, 1, 1, f"rotation.zone: there is no zone {written.rotation.zone!r}", "Europe/Berlin")
        )
    except ValueError as error:
        problems.append(
            Problem(file, 1, 1, f"rotation.starts: {written.rotation.starts!r:.80}: {error}", "write 2026-01-05 09:00")
        )
    if problems:
        raise BadDocument(problems)
    return Oncall(
        people={key: Person(key, person.name, person.contact_methods()) for key, person in written.people.items()},
        rotation=Rotation(written.rotation.zone, starts, written.rotation.every, tuple(written.rotation.people)),
        policies={
            name: {severity: _policy(name, policy, severity) for severity in Severity}
            for name, policy in written.policies.items()
        },
    )


def _policy(name: str, written: _Policy, severity: Severity) -> Policy:
    steps = tuple(Step(step.tell, step.after) for step in written.of(severity))
    return Policy(name, steps, written.repeat, written.acknowledged_for)


def _named(written: _File) -> list[tuple[str, str]]:
    found = [("rotation.people", person) for person in written.rotation.people]
    for name, policy in written.policies.items():
        steps = [*(policy.rungs or []), *(policy.critical or []), *(policy.warning or [])]
        found += [(f"policies.{name}", step.tell) for step in steps if step.tell != ONCALL]
    return found
