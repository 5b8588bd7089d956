"""Parses oncall.yaml."""

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from whenever import PlainDateTime, TimeZoneNotFoundError, ZonedDateTime

from paramedic.alerts.alert import Severity
from paramedic.oncall.contact import ContactMethod, WrittenContactMethod
from paramedic.oncall.escalation import ONCALL, Policy, Step
from paramedic.oncall.on_call import Oncall
from paramedic.oncall.rotation import Person, Rotation
from paramedic.text.units import duration, within_reach
from paramedic.text.yaml_document import BadDocument, Problem, json_schema, read


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _zone(name: str) -> str:
    try:
        ZonedDateTime.now(name)
    except (TimeZoneNotFoundError, ValueError) as error:
        raise ValueError(f"there is no zone {name!r:.80}; write one such as Europe/Berlin, or UTC") from error
    return name


_Zone = Annotated[str, AfterValidator(_zone)]

#: Names stand in messages and in keys of the store's tables, which hold so much.
_Name = Annotated[str, Field(min_length=1, max_length=200)]


class _Person(_Strict):
    name: _Name
    email: str | None = Field(default=None, pattern=r"^[^@\s<>,;]+@[^@\s<>,;]+$")
    ways: list[WrittenContactMethod] = []
    zone: _Zone | None = None  # in which they read times; without one, the rotation's

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
    zone: _Zone
    starts: Annotated[str, BeforeValidator(str, json_schema_input_type=str)]
    every: Annotated[timedelta, BeforeValidator(_turn, json_schema_input_type=Literal["1 day", "1 week"])]
    people: list[str] = Field(min_length=1)


class _Step(_Strict):
    tell: str
    after: Annotated[timedelta, duration("0s", "7d")] = timedelta(0)


class _Policy(_Strict):
    """A policy as written: `rungs` for both severities, or `critical` and `warning`, one each."""

    rungs: list[_Step] | None = Field(default=None, min_length=1)
    critical: list[_Step] | None = Field(default=None, min_length=1)
    warning: list[_Step] | None = Field(default=None, min_length=1)
    repeat: Annotated[timedelta, duration("1s", "7d")] = timedelta(minutes=30)
    acknowledged_for: Annotated[timedelta, duration("1s", "30d")] = timedelta(hours=4)

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


def schema() -> dict[str, Any]:
    """The JSON Schema of oncall.yaml, for editors; `parse_oncall` checks more than it."""
    return json_schema(_File, "The oncall.yaml of Paramedic")


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
        within_reach(PlainDateTime.parse_iso(starts.replace(" ", "T")).to_stdlib())
    except ValueError as error:
        problems.append(
            Problem(file, 1, 1, f"rotation.starts: {written.rotation.starts!r:.80}: {error}", "write 2026-01-05 09:00")
        )
    if problems:
        raise BadDocument(problems)
    return Oncall(
        people={
            key: Person(key, person.name, person.contact_methods(), person.zone or written.rotation.zone)
            for key, person in written.people.items()
        },
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
