"""A runbook: which alerts it wants, which playbook works on which target, and within which guardrails. It holds no logic."""

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from paramedic import matcher
from paramedic.alert import Alert
from paramedic.document import BadDocument, Problem, read
from paramedic.duration import duration, size
from paramedic.matcher import AlertMatcher
from paramedic.remedy import RESTART, Remedy, Verb
from paramedic.services import Services
from paramedic.target import Target


class Mode(StrEnum):
    """How far the runbook may go."""

    OBSERVE = "observe"
    ACT = "act"


@dataclass(frozen=True, slots=True)
class TargetTemplate:
    """What is acted on; `{label}` stands for what the alert says, compared with services.yaml."""

    kind: str
    name: str
    host: str


@dataclass(frozen=True, slots=True)
class Verify:
    """What must hold, for `stable` on end, at the latest `within` after the change."""

    health: bool
    memory_below: int | None  # bytes
    stable: timedelta
    within: timedelta


@dataclass(frozen=True, slots=True)
class Budget:
    """So many changes within so much time."""

    count: int
    per: timedelta


@dataclass(frozen=True, slots=True)
class AtOnce:
    """On how many of the service's targets a change may be under way, of how many there are."""

    count: int
    of: int


@dataclass(frozen=True, slots=True)
class Guardrails:
    """What the author adds to the guardrails that always hold."""

    budget: Budget | None  # of one target
    cooldown: timedelta | None
    service_budget: Budget | None = None  # of all targets of the service
    at_once: AtOnce | None = None


@dataclass(frozen=True, slots=True)
class Runbook:
    """One runbook, as it was when it was read; `version` is the hash of its whole text."""

    name: str
    service: str
    version: str
    text: str
    matchers: tuple[AlertMatcher, ...]
    mode: Mode
    playbook: str
    target: TargetTemplate
    evidence: tuple[str, ...]
    remedies: tuple[Remedy, ...]
    verify: Verify
    guardrails: Guardrails
    settle: timedelta
    policy: str
    prose: str

    def wants(self, alert: Alert) -> bool:
        """Whether any of its matchers means this alert."""
        return any(one.wants(alert) for one in self.matchers)

    def locate(self, alert: Alert, services: Services) -> Target | str:
        """The listed target that the alert means, or in words why there is none. Labels are compared, never trusted."""
        try:
            name, host = _filled(self.target.name, alert), _filled(self.target.host, alert)
        except LookupError as error:
            return str(error.args[0])
        target = services.find(self.target.kind, name, host)
        if target is None:
            return f"services.yaml lists no {self.target.kind} {name!r:.80} on host {host!r:.80}"
        if target.service != self.service:
            return f"{target.id} belongs to service {target.service}, not {self.service}"
        return target


_FIELD = re.compile(r"\{([a-zA-Z_][a-zA-Z0-9_]*)\}")


def _filled(template: str, alert: Alert) -> str:
    def value(found: re.Match[str]) -> str:
        if found[1] not in alert.labels:
            raise LookupError(f"the alert has no label {found[1]}, which its target needs")
        return alert.labels[found[1]]

    return _FIELD.sub(value, template)


EVIDENCE = ("process-tree", "memory", "log-tail", "journal")

_Span = Annotated[timedelta, BeforeValidator(duration)]


def _matcher(text: Any) -> AlertMatcher:
    if not isinstance(text, str):
        raise ValueError('write Name{label="value"}')  # noqa: TRY004 - pydantic reports ValueError as a problem
    return matcher.parse(text)


def _budget(text: Any) -> Budget:
    said = re.fullmatch(r"(\d{1,6}) per (.{1,20})", text) if isinstance(text, str) else None
    if said is None:
        raise ValueError("write `3 per hour` or `2 per 30m`")
    words = {"hour": "1h", "day": "1d", "minute": "1m", "week": "1w"}
    budget = Budget(int(said[1]), duration(words.get(said[2], said[2])))
    if budget.count == 0 or not budget.per:
        raise ValueError("a budget of nothing allows nothing; write `mode: observe` for that")
    return budget


def _at_once(text: Any) -> AtOnce:
    said = re.fullmatch(r"(\d{1,6}) of (\d{1,6})", text) if isinstance(text, str) else None
    if said is None or not 1 <= int(said[1]) <= int(said[2]):
        raise ValueError("write `1 of 4`: so many of the service's targets, of so many that services.yaml lists")
    return AtOnce(int(said[1]), int(said[2]))


def _remedy(said: Any) -> Remedy:
    """One rung; which one it is, its place in the list says."""
    match said:
        case "restart":
            return RESTART
        case "rollback":
            return Remedy(1, Verb.ROLL_BACK)
        case {"rollback-if-deployed-within": within} if len(said) == 1:
            return Remedy(1, Verb.ROLL_BACK, deployed_within=duration(within))
        case {"run": str(command)} if len(said) == 1 and command.strip():
            return Remedy(1, Verb.RUN, command=command)
    raise ValueError(
        "write `restart`, `rollback`, `rollback-if-deployed-within: 30m`, or `run: NAME` of a target's command"
    )


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


class _When(_Strict):
    alert: Annotated[AlertMatcher, BeforeValidator(_matcher)]


class _Target(_Strict):
    supervisord: Annotated[str, Field(min_length=1)] | None = None
    systemd: Annotated[str, Field(min_length=1)] | None = None
    host: str = Field(min_length=1)

    @model_validator(mode="after")
    def _one(self) -> "_Target":
        if (self.supervisord is None) == (self.systemd is None):
            raise ValueError("name exactly one of `supervisord: PROGRAM` and `systemd: UNIT`")
        return self

    def template(self) -> TargetTemplate:
        if self.supervisord is not None:
            return TargetTemplate("supervisord", self.supervisord, self.host)
        return TargetTemplate("systemd", self.systemd or "", self.host)


class _Verify(_Strict):
    health: Literal["ok"] | None = None
    memory_below: Annotated[int, BeforeValidator(size)] | None = None
    stable: _Span
    within: _Span

    @model_validator(mode="after")
    def _sound(self) -> "_Verify":
        if self.health is None and self.memory_below is None:
            raise ValueError("name at least one condition: `health: ok` or `memory_below: 150MB`")
        if not timedelta(0) < self.stable < self.within:
            raise ValueError("`stable` is more than nothing and less than `within`")
        return self


class _With(_Strict):
    target: _Target
    remedies: list[Annotated[Remedy, BeforeValidator(_remedy)]] = Field(default=[RESTART], min_length=1, max_length=20)
    evidence: list[Literal["process-tree", "memory", "log-tail", "journal"]] = []
    verify: _Verify


class _Guardrails(_Strict):
    budget: Annotated[Budget, BeforeValidator(_budget)] | None = None
    service_budget: Annotated[Budget, BeforeValidator(_budget)] | None = None
    cooldown: _Span | None = None
    at_once: Annotated[AtOnce, BeforeValidator(_at_once)] | None = None


class _Escalate(_Strict):
    policy: str


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    return text


class _Front(_Strict):
    runbook: Annotated[str, AfterValidator(_not_blank)]
    service: Annotated[str, AfterValidator(_not_blank)]
    when: list[_When] = Field(min_length=1)
    mode: Mode = Mode.OBSERVE
    playbook: str
    with_: _With = Field(alias="with")
    guardrails: _Guardrails = _Guardrails()
    settle: _Span = timedelta(minutes=10)
    escalate: _Escalate = _Escalate(policy="default")


def parse(text: str, file: str) -> Runbook:
    """The runbook that the text is. Raises BadDocument with every problem at once."""
    lines = text.split("\n")
    if lines[0].strip() != "---" or "---" not in (line.strip() for line in lines[1:]):
        raise BadDocument([Problem(file, 1, 1, "no front matter", "begin with a line `---`, keys, and a line `---`")])
    end = next(number for number, line in enumerate(lines[1:], 1) if line.strip() == "---")
    front = read("\n".join(lines[1:end]), file, _Front, first_line=2)
    prose = "\n".join(lines[end + 1 :])
    problems = [
        Problem(file, end + 2, 1, f"the prose has no {heading}", "a person on call looks for all four headings")
        for heading in ("Meaning", "Impact", "Diagnosis", "Mitigation")
        if not re.search(rf"(?m)^(#+ {heading}\b|\*\*{heading})", prose)
    ]
    if problems:
        raise BadDocument(problems)
    work = front.with_
    limits = front.guardrails
    return Runbook(
        name=front.runbook,
        service=front.service,
        version=hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
        text=text,
        matchers=tuple(one.alert for one in front.when),
        mode=front.mode,
        playbook=front.playbook,
        target=work.target.template(),
        evidence=tuple(work.evidence),
        remedies=tuple(replace(remedy, rung=rung) for rung, remedy in enumerate(work.remedies, 1)),
        verify=Verify(work.verify.health is not None, work.verify.memory_below, work.verify.stable, work.verify.within),
        guardrails=Guardrails(limits.budget, limits.cooldown, limits.service_budget, limits.at_once),
        settle=front.settle,
        policy=front.escalate.policy,
        prose=prose,
    )
