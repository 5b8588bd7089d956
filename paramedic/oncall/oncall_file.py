"""Parses oncall.yaml."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from whenever import Instant, PlainDateTime

from paramedic.alerts.alert import Severity
from paramedic.oncall.contact import ContactMethod, WrittenContactMethod, parse_contact_method
from paramedic.oncall.escalation import ONCALL, Policy, Step
from paramedic.oncall.on_call import Oncall
from paramedic.oncall.rotation import Person, Rotation
from paramedic.text.local_span import known_zone
from paramedic.text.model_words import At
from paramedic.text.nearest import nearest
from paramedic.text.units import duration, within_reach
from paramedic.text.yaml_document import BadDocument, Draft, Problem, json_schema, read_draft


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", defer_build=True)  # built as parts of the file


_Zone = Annotated[str, Field(pattern=r"^[A-Za-z0-9_+/-]+$"), AfterValidator(known_zone)]

#: Names stand in messages and in keys of the store's tables, which hold so much.
_Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]


def _mailbox(text: str) -> str:
    parse_contact_method(f"email:{text}")
    return text


class _Person(_Strict):
    name: _Name = Field(description="their name, for messages")
    email: Annotated[str, Field(json_schema_extra={"pattern": "@"}), AfterValidator(_mailbox)] | None = Field(
        default=None, description="their mail address: short for `ways` with this one alone"
    )
    ways: list[WrittenContactMethod] = Field(
        default=[], description="how they are reached, in the order in which it is tried: email:ada@example.org"
    )
    zone: _Zone | None = Field(
        default=None, description="the time zone in which they read times; without one, the rotation's"
    )

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


#: Turns begin at a whole minute of the rotation's own zone.
_STARTS = r"(\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2})(?::00)?"


def _starts(text: str, info: ValidationInfo) -> str:
    """The local time, as `2026-01-05 09:00`."""
    if (found := re.fullmatch(_STARTS, text)) is None:
        raise ValueError(f"{text!r:.80} is not a local time; write {_local(text, info.data.get('zone'))}")
    local = f"{found[1]} {found[2]}"
    try:
        within_reach(PlainDateTime.parse_iso(local.replace(" ", "T")).to_stdlib())
    except ValueError as error:
        raise ValueError(f"{text!r:.80}: {error}; write 2026-01-05 09:00") from error
    return local


def _local(text: str, zone: str | None) -> str:
    """What to write for a moment with an offset: the local time of the zone. An example, where it is no such moment."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return "2026-01-05 09:00, without seconds and offset: `zone` says the zone"
    if at.tzinfo is None or zone is None:
        return f"{at:%Y-%m-%d %H:%M}, without seconds and offset: `zone` says the zone"
    return f"{Instant(at).to_tz(zone).to_plain().to_stdlib():%Y-%m-%d %H:%M}, which is this moment in {zone}"


class _Rotation(_Strict):
    zone: _Zone = Field(description="the time zone in which turns change: Europe/Berlin")
    starts: Annotated[str, AfterValidator(_starts), WithJsonSchema({"type": "string", "pattern": f"^{_STARTS}$"})] = (
        Field(description="when the first turn begins, in local time without an offset: 2026-01-05 09:00")
    )
    every: Annotated[timedelta, BeforeValidator(_turn, json_schema_input_type=Literal["1 day", "1 week"])] = Field(
        description="how long a turn is"
    )
    people: list[_Name] = Field(min_length=1, description="who takes turns, in this order")


class _Step(_Strict):
    tell: _Name = Field(description="oncall, or one of the people")
    after: Annotated[timedelta, duration("0s", "7d")] = Field(
        default=timedelta(0), description="how long after the step before, the first after the hand-over: 10m"
    )


class _Policy(_Strict):
    """A policy as written: `rungs` for both severities, or `critical` and `warning`, one each."""

    rungs: list[_Step] | None = Field(default=None, min_length=1, description="the steps, for both severities")
    critical: list[_Step] | None = Field(default=None, min_length=1, description="the steps for critical incidents")
    warning: list[_Step] | None = Field(default=None, min_length=1, description="the steps for warnings")
    repeat: Annotated[timedelta, duration("1s", "7d")] = Field(
        default=timedelta(minutes=30), description="how often the last step is taken again: 30m"
    )
    acknowledged_for: Annotated[timedelta, duration("1s", "30d")] = Field(
        default=timedelta(hours=4), description="how long an acknowledgement stops the pages: 4h"
    )

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
    model_config = ConfigDict(defer_build=False)
    people: dict[_Name, _Person] = Field(min_length=1, description="everybody who can be paged, by a short name")
    rotation: _Rotation = Field(description="who is on call, and when it changes")
    policies: dict[_Name, _Policy] = Field(
        description="who is told, and who next; `default` serves alerts that no runbook wants"
    )


def schema() -> dict[str, Any]:
    """The JSON Schema of oncall.yaml, for editors; `parse_oncall` checks more than it."""
    return json_schema(_File, "The oncall.yaml of Paramedic")


#: What stands in for required parts that are wrong, so that the others can be checked.
_STAND_INS: dict[At, Any] = {
    ("people",): {"nobody": {"name": "Nobody"}},
    ("rotation", "zone"): "UTC",
    ("rotation", "starts"): "2026-01-05 09:00",
    ("rotation", "every"): "1 day",
    ("rotation", "people"): ["nobody"],
    ("rotation",): {"zone": "UTC", "starts": "2026-01-05 09:00", "every": "1 day", "people": ["nobody"]},
    ("policies",): {},
}


def parse_oncall(text: str, file: str) -> Oncall:
    """oncall.yaml, parsed. Raises BadDocument with every problem, unreachable people among them."""
    draft = read_draft(text, file, _File, stand_ins=lambda: _STAND_INS)
    problems = [*draft.problems, *_disagreements(draft)]
    if problems or draft.value is None:
        raise BadDocument(sorted(problems, key=lambda problem: (problem.line, problem.column)))
    written = draft.value
    return Oncall(
        people={
            key: Person(key, person.name, person.contact_methods(), person.zone or written.rotation.zone)
            for key, person in written.people.items()
        },
        rotation=Rotation(
            written.rotation.zone, written.rotation.starts, written.rotation.every, tuple(written.rotation.people)
        ),
        policies={
            name: {severity: _policy(name, policy, severity) for severity in Severity}
            for name, policy in written.policies.items()
        },
    )


def _disagreements(draft: Draft[_File]) -> Iterator[Problem]:
    """What is wrong between parts that are right by themselves."""
    written = draft.value
    if written is None:
        return
    people = draft.keys("people")
    for at, person in _named(written):
        if person not in people and draft.is_sound(*at):
            hint = nearest(person, people, "there are:")
            yield draft.problem(at, f"{draft.name(at)} names {person}, who is not among the people", hint)
    policies = draft.keys("policies")
    if "default" not in policies and (policies or draft.is_sound("policies")):
        yield draft.problem(("policies",), "there is no policy `default`", "it serves alerts that no runbook wants")
    if draft.is_sound("people") and not any(person.contact_methods() for person in written.people.values()):
        yield draft.problem(("people",), "nobody has an address: no page could leave", "give people `ways`")


def _policy(name: str, written: _Policy, severity: Severity) -> Policy:
    steps = tuple(Step(step.tell, step.after) for step in written.of(severity))
    return Policy(name, steps, written.repeat, written.acknowledged_for)


def _named(written: _File) -> Iterator[tuple[At, str]]:
    """Every mention of a person, with its place."""
    for number, person in enumerate(written.rotation.people):
        yield ("rotation", "people", number), person
    for name, policy in written.policies.items():
        for key in ("rungs", "critical", "warning"):
            for number, step in enumerate(getattr(policy, key) or []):
                if step.tell != ONCALL:
                    yield ("policies", name, key, number, "tell"), step.tell
