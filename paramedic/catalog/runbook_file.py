"""The runbook file: YAML front matter and prose, parsed with every problem at its line."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from typing import Annotated, Any, Literal, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    TypeAdapter,
    create_model,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from paramedic.alerts import matcher
from paramedic.alerts.matcher import AlertMatcher
from paramedic.catalog import target_kinds
from paramedic.catalog.runbook import (
    Mode,
    Runbook,
    TargetTemplate,
    Verify,
)
from paramedic.checks.check import CheckSpec, check_spec
from paramedic.oncall.contact import WrittenContactMethod
from paramedic.remediation import guardrail_rules
from paramedic.remediation.guardrail import Guardrail, Surroundings
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.remediation.remedy import RESTART, Remedy, Verb
from paramedic.text.units import SizeBetween, between, duration
from paramedic.text.yaml_document import BadDocument, LateShape, Problem, json_schema, nearest, place, read

_DEPLOYED = between("1ms", "365d")
#: What can be carried out: a verification is one step of a playbook, which ends after an hour whatever it does.
_Stable = Annotated[timedelta, duration("1ms", "50m")]


_Within = Annotated[timedelta, duration("1ms", "50m")]


_Settle = Annotated[timedelta, duration("0s", "7d")]


_MEMORY = SizeBetween(1000, 10**15)


#: Names stand in keys of the store's tables, which hold so much.
_Name = Annotated[str, Field(min_length=1, max_length=200)]


def _matcher(text: Any) -> AlertMatcher:
    if not isinstance(text, str):
        raise ValueError('write Name{label="value"}')  # noqa: TRY004 - pydantic reports ValueError as a problem
    return matcher.parse(text)


def _remedy(written: Any) -> Remedy:
    """One rung of the ladder; its place in the list gives its number."""
    match written:
        case "restart":
            return RESTART
        case "rollback":
            return Remedy(1, Verb.ROLL_BACK)
        case {"rollback-if-deployed-within": within} if len(written) == 1:
            return Remedy(1, Verb.ROLL_BACK, deployed_within=_DEPLOYED(within))
        case {"run": str(command)} if len(written) == 1 and command.strip():
            return Remedy(1, Verb.RUN, command=command)
        case str() if written in target_kinds.remedies():
            return Remedy(1, Verb.OFFERED, offered=written)
    offered = "".join(f"`{name}`, " for name in target_kinds.remedies() if name != "restart")
    raise ValueError(
        f"write `restart`, {offered}`rollback`, `rollback-if-deployed-within: 30m`, or `run: NAME` of a target's command"
    )


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


class _When(CheckSpec):
    """`- alert: …`, or `- check: …` with the check's own keys."""

    alert: Annotated[AlertMatcher, BeforeValidator(_matcher, json_schema_input_type=str)] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "_When":
        if (self.alert is None) == (self.check is None):
            raise ValueError("name either an `alert` or a `check`")
        if self.check is not None:
            self.build()
        elif strange := self.model_fields_set - {"alert"}:
            raise ValueError(f"`{min(strange)}` belongs to a check, and this is an alert")
        return self


class _TargetWords(_Strict):
    """The target's host; each kind of target adds its own key, for the target's name."""

    host: _Name

    @model_validator(mode="after")
    def _one(self) -> "_TargetWords":
        target_kinds.named(self)
        return self

    def template(self) -> TargetTemplate:
        return TargetTemplate(*target_kinds.named(self), self.host)


class _Target(LateShape):
    @classmethod
    def shape(cls) -> type[BaseModel]:
        return target_kinds.with_keys(_TargetWords, _Name)


def _evidence(name: str) -> str:
    known = target_kinds.evidence()
    if name not in known:
        raise ValueError(f"no kind of target has the evidence {name!r:.80}; {nearest(name, known)}")
    return name


class _Evidence:
    """The name of a kind of evidence that some kind of target offers."""

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "enum": list(target_kinds.evidence())}


class _Verify(_Strict):
    health: Literal["ok"] | None = None
    memory_below: Annotated[int, BeforeValidator(_MEMORY, json_schema_input_type=str)] | None = None
    check: Annotated[list[str], BeforeValidator(_one_or_many, json_schema_input_type=str | list[str])] = []
    stable: _Stable
    within: _Within

    @model_validator(mode="after")
    def _sound(self) -> "_Verify":
        if self.health is None and self.memory_below is None and not self.check:
            raise ValueError("name at least one condition: `health: ok`, `memory_below: 150MB` or `check: latency_p95`")
        if not timedelta(0) < self.stable < self.within:
            raise ValueError("`stable` is more than nothing and less than `within`")
        return self


class _Written:
    """A word that some kind of target offers, `rollback`, or a mapping with what more it needs."""

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        words = {"type": "string", "enum": [*target_kinds.remedies(), "rollback"]}
        longer = TypeAdapter(dict[Literal["rollback-if-deployed-within", "run"], str]).json_schema()
        return {"anyOf": [words, longer]}


_Rung = Annotated[Remedy, BeforeValidator(_remedy), _Written]


class _With(_Strict):
    target: _Target
    remedies: list[_Rung] = Field(default=[RESTART], min_length=1, max_length=20)
    evidence: list[Annotated[str, AfterValidator(_evidence), _Evidence]] = []
    verify: _Verify


@lru_cache(maxsize=8)
def _guardrails(_of: tuple[Guardrail, ...]) -> type[_Strict]:
    """A key for each guardrail that an author can ask for."""
    return create_model("_Guardrails", __base__=_Strict, **guardrail_rules.keys())


class _Guardrails(LateShape):
    @classmethod
    def shape(cls) -> type[BaseModel]:
        return _guardrails(guardrail_rules.RULES)


def _nothing_asked() -> Any:
    return _Guardrails.shape()()


class _Escalate(_Strict):
    policy: str


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    return text


class _Front(_Strict):
    runbook: Annotated[_Name, AfterValidator(_not_blank)]
    service: Annotated[_Name, AfterValidator(_not_blank)]
    when: list[_When] = Field(min_length=1)
    mode: Mode = Mode.OBSERVE
    playbook: str
    with_: _With = Field(alias="with")
    guardrails: _Guardrails = Field(default_factory=_nothing_asked)
    settle: _Settle = timedelta(minutes=10)
    escalate: _Escalate = _Escalate(policy="default")
    notify: list[WrittenContactMethod] = []
    group: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")] = "default"

    @model_validator(mode="after")
    def _checks_fit(self) -> "_Front":
        checks = [check.build() for check in self.when if check.check is not None]
        names = [check.name for check in checks]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"when: two checks are called {twice}; give one a `name`")
        known = sorted({threshold.metric for check in checks for threshold in check.thresholds})
        if strange := [metric for metric in self.with_.verify.check if metric not in known]:
            allowed = f"allowed: {', '.join(known)}" if known else "there is no `check` under `when`"
            raise ValueError(f"with.verify.check: no check under `when` measures {strange[0]!r:.80}; {allowed}")
        return self


def _front() -> type[_Front]:
    """The model of the front matter, with the keys of the current probes."""
    return _front_with(check_spec(_When))


@lru_cache(maxsize=8)
def _front_with(when: type[_When]) -> type[_Front]:
    return create_model("_Front", __base__=_Front, when=(list[when], Field(min_length=1)))  # type: ignore[valid-type]


def schema() -> dict[str, Any]:
    """The JSON Schema of the front matter, for editors; `parse` checks more than it."""
    return json_schema(_front(), "A runbook of Paramedic")


def place_of(text: str, *at: str | int) -> tuple[int, int]:
    """Line and column of a key in a runbook that `parse` accepted, or of its nearest parent."""
    lines = text.split("\n")
    return place("\n".join(lines[1 : _end(lines)]), at, first_line=2)


def _end(lines: Sequence[str]) -> int:
    """The index of the line that ends the front matter, counted from 0."""
    return next(number for number, line in enumerate(lines[1:], 1) if line.strip() == "---")


def parse(text: str, file: str) -> Runbook:
    """The parsed runbook. Raises BadDocument with every problem at once."""
    lines = text.split("\n")
    if lines[0].strip() != "---" or "---" not in (line.strip() for line in lines[1:]):
        raise BadDocument([Problem(file, 1, 1, "no front matter", "begin with a line `---`, keys, and a line `---`")])
    end = _end(lines)
    front = read("\n".join(lines[1:end]), file, _front(), first_line=2)
    prose = "\n".join(lines[end + 1 :])
    problems = [*_headings_missing(prose, file, end + 2), *_misfits(front, text, file)]
    if problems:
        raise BadDocument(problems)
    return _made(front, text, prose)


def _headings_missing(prose: str, file: str, line: int) -> list[Problem]:
    return [
        Problem(file, line, 1, f"the prose has no {heading}", "a person on call looks for all four headings")
        for heading in ("Meaning", "Impact", "Diagnosis", "Mitigation")
        if not re.search(rf"(?m)^(#+ {heading}\b|\*\*{heading})", prose)
    ]


def _misfits(front: _Front, text: str, file: str) -> list[Problem]:
    """The guardrails that disagree with the rest of the runbook."""
    return [
        Problem(
            file,
            *place_of(text, "guardrails", *misfit.at),
            f"{'.'.join(['guardrails', *misfit.at])}: {misfit.what}",
            misfit.allowed,
        )
        for misfit in guardrail_rules.misfits(_asked(front), Surroundings(front.service, tuple(front.with_.remedies)))
    ]


def _asked(front: _Front) -> dict[str, Any]:
    """What the author asks of the guardrails, by their keys."""
    return {key: value for key, value in cast("BaseModel", front.guardrails) if value is not None}


def _made(front: _Front, text: str, prose: str) -> Runbook:
    work, asked = front.with_, _asked(front)
    return Runbook(
        name=front.runbook,
        service=front.service,
        version=hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
        text=text,
        matchers=tuple(trigger.alert for trigger in front.when if trigger.alert is not None),
        mode=front.mode,
        playbook=front.playbook,
        target=cast("_TargetWords", work.target).template(),
        evidence=tuple(work.evidence),
        remedies=tuple(replace(remedy, rung=rung) for rung, remedy in enumerate(work.remedies, 1)),
        verify=Verify(
            health=work.verify.health is not None,
            memory_below=work.verify.memory_below,
            stable=work.verify.stable,
            within=work.verify.within,
            metrics=tuple(work.verify.check),
        ),
        guardrails=Guardrails(front.mode, asked),
        settle=front.settle,
        policy=front.escalate.policy,
        prose=prose,
        checks=tuple(trigger.build() for trigger in front.when if trigger.check is not None),
        group=front.group,
        notify=tuple(dict.fromkeys(front.notify)),
    )
