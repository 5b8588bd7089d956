"""The runbook file: YAML front matter and prose, parsed with every problem at its line."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple, cast

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
from paramedic.remediation.proposal import Paging
from paramedic.remediation.remedy import RESTART, Remedy, Verb
from paramedic.text import markdown, template
from paramedic.text.units import SizeBetween, between, duration
from paramedic.text.yaml_document import (
    At,
    BadDocument,
    Draft,
    LateShape,
    Problem,
    json_schema,
    nearest,
    place,
    read_draft,
)

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


def _template(text: str) -> str:
    template.fields(text)
    return text


#: The name of a target or host, with `{label}` for what the alert says.
_Template = Annotated[_Name, AfterValidator(_template)]


class _TargetWords(_Strict):
    """The target's host; each kind of target adds its own key, for the target's name."""

    host: _Template

    @model_validator(mode="after")
    def _one(self) -> "_TargetWords":
        target_kinds.named(self)
        return self

    def template(self) -> TargetTemplate:
        return TargetTemplate(*target_kinds.named(self), self.host)


class _Target(LateShape):
    @classmethod
    def shape(cls) -> type[BaseModel]:
        return target_kinds.with_keys(_TargetWords, _Template)


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


class _Observe(_Strict):
    page: Paging = Paging.FIRST


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
    observe: _Observe = _Observe()
    notify: list[WrittenContactMethod] = []
    group: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")] = "default"


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


class BadRunbook(BadDocument):
    """The runbook cannot be used. `rest`: what of it could be read, to be compared with the other files."""

    def __init__(self, problems: Sequence[Problem], rest: "Rest | None" = None) -> None:
        super().__init__(problems)
        self.rest = rest

    def again(self) -> "BadRunbook":
        """The same, as another exception."""
        return BadRunbook(self.problems, self.rest)


class Rest(NamedTuple):
    """A runbook as far as it could be read."""

    runbook: Runbook
    draft: Draft[Any]


#: What stands in for required parts that are wrong, so that the others can be checked.
_STAND_INS: dict[At, Any] = {
    ("runbook",): "r",
    ("service",): "s",
    ("when",): [{"alert": "A"}],
    ("playbook",): "p",
    ("with",): {"target": {}, "verify": {}},
    ("with", "target", "host"): "h",
    ("with", "verify", "stable"): "1ms",
    ("with", "verify", "within"): "50m",
    ("with", "verify"): {"health": "ok", "stable": "1m", "within": "5m"},
}


def parse(text: str, file: str) -> Runbook:
    """The parsed runbook. Raises BadRunbook with every problem at once."""
    lines = text.split("\n")
    if lines[0].strip() != "---" or "---" not in (line.strip() for line in lines[1:]):
        raise BadRunbook([Problem(file, 1, 1, "no front matter", "begin with a line `---`, keys, and a line `---`")])
    end = _end(lines)
    prose = "\n".join(lines[end + 1 :])
    problems = _headings_missing(text, file, end + 2)
    try:
        draft = read_draft("\n".join(lines[1:end]), file, _front(), first_line=2, stand_ins=_stand_ins())
    except BadDocument as error:
        raise BadRunbook([*error.problems, *problems]) from error
    if draft.value is None:
        raise BadRunbook([*draft.problems, *problems])
    problems = [*draft.problems, *_disagreements(draft, draft.value), *problems]
    made = _made(draft.value, text, prose)
    if problems:
        raise BadRunbook(problems, Rest(made, draft))
    return made


def _stand_ins() -> dict[At, Any]:
    kind = next(iter(target_kinds.usable()), "")
    return _STAND_INS | {("with", "target"): {kind: "t", "host": "h"}}


def _headings_missing(text: str, file: str, line: int) -> list[Problem]:
    there = {part.heading for part in markdown.parts(text)}
    return [
        Problem(file, line, 1, f"the prose has no {heading}", "a person on call looks for all four headings")
        for heading in markdown.HEADINGS
        if heading not in there
    ]


def _disagreements(draft: Draft[_Front], front: _Front) -> Iterator[Problem]:
    """What is wrong between parts that are right by themselves."""
    checks = [(number, check.build()) for number, check in enumerate(front.when) if check.check is not None]
    names = [check.name for _, check in checks]
    for at, (number, check) in enumerate(checks):
        if check.name in names[:at]:
            what = f"when.{number}: two checks are called {check.name}; give one a `name`"
            yield draft.problem(("when", number), what)
    known = sorted({threshold.metric for _, check in checks for threshold in check.thresholds})
    for number, metric in enumerate(front.with_.verify.check):
        if metric not in known and draft.is_sound("when"):
            allowed = f"allowed: {', '.join(known)}" if known else "there is no `check` under `when`"
            what = f"with.verify.check: no check under `when` measures {metric!r:.80}"
            yield draft.problem(("with", "verify", "check", number), what, allowed)
    around = Surroundings(front.service, tuple(front.with_.remedies))
    for misfit in guardrail_rules.misfits(_asked(front), around):
        if draft.is_sound("with", "remedies"):
            key: At = ("guardrails", *misfit.at)
            yield draft.problem(key, f"{'.'.join(map(str, key))}: {misfit.what}", misfit.allowed)


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
        observed_paging=front.observe.page,
        prose=prose,
        checks=tuple(trigger.build() for trigger in front.when if trigger.check is not None),
        group=front.group,
        notify=tuple(dict.fromkeys(front.notify)),
    )
