"""The front matter of a runbook: its keys, what each may be, and the words by which an editor explains it."""

from collections.abc import Iterator
from datetime import timedelta
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    ValidationInfo,
    create_model,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from paramedic.alerts import matcher
from paramedic.alerts.matcher import AlertMatcher
from paramedic.catalog import target_kinds
from paramedic.catalog.runbook import Mode, TargetTemplate
from paramedic.checks.check import CheckSpec, check_spec
from paramedic.oncall.contact import WrittenContactMethod
from paramedic.remediation import guardrail_rules
from paramedic.remediation.guardrail import Guardrail
from paramedic.remediation.observed_paging import Paging
from paramedic.remediation.remedy import RESTART, Remedy, Verb
from paramedic.text import template
from paramedic.text.model_words import At, LateShape, built
from paramedic.text.nearest import nearest
from paramedic.text.units import SizeBetween, between, duration
from paramedic.text.yaml_document import wrong

_DEPLOYED = between("1ms", "365d")
#: What can be carried out: a verification is one step of a playbook, which ends after an hour whatever it does.
_Stable = Annotated[timedelta, duration("1ms", "50m")]


_Within = Annotated[timedelta, duration("1ms", "50m")]


_Settle = Annotated[timedelta, duration("0s", "7d")]


_Memory = Annotated[int, SizeBetween(1000, 10**15).field()]


#: Names stand in keys of the store's tables, which hold so much.
_Name = Annotated[str, Field(min_length=1, max_length=200, json_schema_extra={"pattern": r"\S"})]


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
        case dict() if len(written) == 1 and (model := target_kinds.asked_of(name := next(iter(written)))):
            return Remedy(1, Verb.OFFERED, offered=name, asked=_asked(name, model, written[name]))
        case str() if written in target_kinds.remedies() and target_kinds.asked_of(written) is None:
            return Remedy(1, Verb.OFFERED, offered=written)
    offered = "".join(f"`{_form(name)}`, " for name in target_kinds.remedies() if name != "restart")
    raise ValueError(
        f"write `restart`, {offered}`rollback`, `rollback-if-deployed-within: 30m`, or `run: NAME` of a target's command"
    )


def _asked(name: str, model: type[BaseModel], written: Any) -> BaseModel:
    """What the runbook asks of a remedy beside its name. Raises ValueError, naming what is wrong."""
    try:
        return model.model_validate(written)
    except ValidationError as error:
        faults = (f"{'.'.join([name, *map(str, fault['loc'])])}: {fault['msg']}" for fault in error.errors())
        raise ValueError("; ".join(faults)) from None


def _form(name: str) -> str:
    """How the remedy of a kind is written."""
    return name if target_kinds.asked_of(name) is None else f"{name}: {{…}}"


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class _Strict(BaseModel):
    # Built once, as a part of what holds it; a model that is read by itself is built before anybody has it.
    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, defer_build=True)


_MATCHER = Annotated[str, Field(pattern=r"\S")]


class _When(CheckSpec):
    """`- alert: …`, or `- check: …` with the check's own keys."""

    alert: Annotated[AlertMatcher, BeforeValidator(_matcher, json_schema_input_type=_MATCHER)] | None = Field(
        default=None, description='an alert by its name and labels, as Alertmanager writes it: Name{label="value"}'
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> "_When":
        if (self.alert is None) == (self.check is None):
            raise ValueError("name either an `alert` or a `check`")
        if self.check is not None:
            self.build()
        elif strange := sorted(self.model_fields_set - {"alert"}):
            raise wrong("when", *(((key,), f"`{key}` belongs to a check, and this is an alert") for key in strange))
        return self


def _template(text: str) -> str:
    template.fields(text)
    return text


#: The name of a target or host, with `{label}` for what the alert says.
_Template = Annotated[_Name, Field(json_schema_extra={"pattern": template.PATTERN}), AfterValidator(_template)]


class TargetWords(_Strict):
    """The target's host; each kind of target adds its own key, for the target's name."""

    host: _Template = Field(
        description='the target\'s host, as services.yaml or an alert calls it: web-1, "{instance}"'
    )

    @model_validator(mode="after")
    def _one(self) -> "TargetWords":
        target_kinds.named(self)
        return self

    def template(self) -> TargetTemplate:
        return TargetTemplate(*target_kinds.named(self), self.host)


class _Target(LateShape):
    @classmethod
    def shape(cls) -> type[BaseModel]:
        return target_kinds.with_keys(TargetWords, _Template)

    @classmethod
    def shape_of(cls, written: object) -> type[BaseModel]:
        return target_kinds.with_keys_of(written, TargetWords, _Template)


def _evidence(name: str, beside: ValidationInfo) -> str:
    target = beside.data.get("target")  # None: it was wrong
    if target is not None and target_kinds.offers_evidence(target_kinds.named(target)[0], name):
        return name
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
    health: Literal["ok"] | None = Field(default=None, description="its health address in services.yaml answers 2xx")
    memory_below: _Memory | None = Field(default=None, description="its resident memory is below this: 150MB")
    check: Annotated[list[str], BeforeValidator(_one_or_many, json_schema_input_type=str | list[str])] = Field(
        default=[], description="metrics of the checks under `when` that are inside their bounds: latency_p95"
    )
    stable: _Stable = Field(description="how long every condition must hold without a break: 1m")
    within: _Within = Field(description="by when after the change it must have held so long: 5m")

    @model_validator(mode="after")
    def _sound(self) -> "_Verify":
        if faults := list(self._faults()):
            raise wrong("verify", *faults)
        return self

    def _faults(self) -> Iterator[tuple[At, str]]:
        if self.health is None and self.memory_below is None and not self.check:
            yield (), "name at least one condition: `health: ok`, `memory_below: 150MB` or `check: latency_p95`"
        if not timedelta(0) < self.stable < self.within:
            yield ("stable",), "`stable` is more than nothing and less than `within`"


_ABOUT = {"run": "the name of a command in services.yaml", "rollback-if-deployed-within": "only after a deploy"}


def _only(key: str, value: JsonSchemaValue) -> JsonSchemaValue:
    described = value | ({"description": _ABOUT[key]} if key in _ABOUT else {})
    return {"type": "object", "properties": {key: described}, "required": [key], "additionalProperties": False}


class _Written:
    """A word that some kind of target offers, `rollback`, or a mapping with what more it needs."""

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        named = [(name, target_kinds.asked_of(name)) for name in target_kinds.remedies()]
        words = {"type": "string", "enum": [*(name for name, model in named if model is None), "rollback"]}
        asked = {name: model.model_json_schema() for name, model in named if model is not None}
        longer = {"rollback-if-deployed-within": _DEPLOYED.json_schema(), "run": {"type": "string", "pattern": r"\S"}}
        return {"anyOf": [words, *(_only(key, value) for key, value in (longer | asked).items())]}


_Rung = Annotated[Remedy, BeforeValidator(_remedy), _Written]


class _With(_Strict):
    target: _Target = Field(
        description='what is acted on, one of services.yaml: {supervisord: shop, host: "{instance}"}'
    )
    remedies: list[_Rung] = Field(
        default=[RESTART],
        min_length=1,
        max_length=20,
        description="what is tried, in this order: restart, rollback, {run: NAME}; more than a restart is for restore-service",
    )
    evidence: list[Annotated[str, AfterValidator(_evidence), _Evidence]] = Field(
        default=[], description="what is gathered before the first change"
    )
    verify: _Verify = Field(description="the proof that it helped")


@lru_cache(maxsize=8)
def _guardrails(_of: tuple[Guardrail, ...]) -> type[_Strict]:
    """A key for each guardrail that an author can ask for."""
    return built(create_model("_Guardrails", __base__=_Strict, **guardrail_rules.keys()))


class _Guardrails(LateShape):
    @classmethod
    def shape(cls) -> type[BaseModel]:
        return _guardrails(guardrail_rules.RULES)


def _nothing_asked() -> Any:
    return _Guardrails.shape()()


class _Escalate(_Strict):
    policy: _Name = Field(description="a policy of oncall.yaml")


class _Observe(_Strict):
    page: Paging = Field(default=Paging.FIRST, description="who is paged about what it would have done")


_WHEN = "which alerts it wants, and what Paramedic measures itself: any of the list"


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    return text


class Front(_Strict):
    """The keys of a runbook."""

    runbook: Annotated[_Name, AfterValidator(_not_blank)] = Field(description="its name: the file's, without .md")
    service: Annotated[_Name, AfterValidator(_not_blank)] = Field(description="a service of services.yaml")
    when: list[_When] = Field(min_length=1, description=_WHEN)
    mode: Mode = Field(
        default=Mode.OBSERVE, description="observe: says what it would do; ask: asks a person first; act: does it"
    )
    playbook: _Name = Field(
        description="the flow that does the work: restart-service, restore-service, or one of your own"
    )
    with_: _With = Field(alias="with", description="what is done, to what, and how it is proven")
    guardrails: _Guardrails = Field(default_factory=_nothing_asked, description="how often and how much may be changed")
    settle: _Settle = Field(
        default=timedelta(minutes=10),
        description="how long an alert that began before a verified cure starts nothing: 10m",
    )
    escalate: _Escalate = Field(default=_Escalate(policy="default"), description="who is paged, by which policy")
    observe: _Observe = Field(default=_Observe(), description="what is told where it only observes")
    notify: list[WrittenContactMethod] = Field(
        default=[], description="channels that hear of an incident's opening, hand-over and end"
    )
    group: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")] = Field(
        default="default", description="its checks are run together with those of the same group"
    )


def front() -> type[Front]:
    """The model of the front matter, with the keys of the current probes."""
    return _front_with(check_spec(_When))


@lru_cache(maxsize=8)
def _front_with(when: type[_When]) -> type[Front]:
    made = create_model("Front", __base__=Front, when=(list[when], Field(min_length=1, description=_WHEN)))  # type: ignore[valid-type]
    return built(made)
