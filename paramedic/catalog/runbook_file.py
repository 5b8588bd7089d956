"""The runbook file: YAML front matter and prose, parsed with every problem at its line."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, cast

from pydantic import BaseModel

from paramedic.catalog import target_kinds
from paramedic.catalog.front_matter import Front, TargetWords, front
from paramedic.catalog.runbook import (
    Runbook,
    Verify,
)
from paramedic.remediation import guardrail_rules
from paramedic.remediation.guardrail import Surroundings
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.text import markdown
from paramedic.text.model_words import At
from paramedic.text.yaml_document import (
    BadDocument,
    Draft,
    Problem,
    json_schema,
    place,
    read_draft,
)


def schema() -> dict[str, Any]:
    """The JSON Schema of the front matter, for editors; `parse` checks more than it."""
    return json_schema(front(), "A runbook of Paramedic")


def place_of(text: str, *at: str | int) -> tuple[int, int]:
    """Line and column of a key in a runbook that `parse` accepted, or of its nearest parent."""
    lines = text.split("\n")
    return place("\n".join(lines[1 : _end(lines)]), at, first_line=2)


def _end(lines: Sequence[str]) -> int:
    """The index of the line that ends the front matter, counted from 0."""
    return next(number for number, line in enumerate(lines[1:], 1) if line.strip() == "---")


def has_front_matter(text: str) -> bool:
    """Whether the text begins as a runbook does: a line `---`, and another one that ends what is between them."""
    first, *rest = text.split("\n")
    return first.strip() == "---" and "---" in (line.strip() for line in rest)


def service_of(text: str) -> str | None:
    """The service in the front matter of a runbook that cannot be used; None where no single line of it tells."""
    lines = text.split("\n")
    written = [line.removeprefix("service:") for line in lines[1 : _end(lines)] if line.startswith("service:")]
    if len(written) != 1 or not written[0].startswith((" ", "\t")):
        return None
    name = written[0].partition(" #")[0].strip()
    if len(name) > 1 and name[0] == name[-1] and name[0] in "\"'":
        name = name[1:-1]
    return name if name[:1].isalnum() else None


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
    if not has_front_matter(text):
        raise BadRunbook([Problem(file, 1, 1, "no front matter", "begin with a line `---`, keys, and a line `---`")])
    end = _end(lines)
    prose = "\n".join(lines[end + 1 :])
    problems = _headings_missing(text, file, end + 2)
    try:
        draft = read_draft("\n".join(lines[1:end]), file, front(), first_line=2, stand_ins=_stand_ins)
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


def _disagreements(draft: Draft[Front], written: Front) -> Iterator[Problem]:
    """What is wrong between parts that are right by themselves."""
    checks = [(number, check.build()) for number, check in enumerate(written.when) if check.check is not None]
    names = [check.name for _, check in checks]
    for at, (number, check) in enumerate(checks):
        if check.name in names[:at]:
            where: At = ("when", number)
            yield draft.problem(where, f"{draft.name(where)}: two checks are called {check.name}; give one a `name`")
    known = sorted({threshold.metric for _, check in checks for threshold in check.thresholds})
    for number, metric in enumerate(written.with_.verify.check):
        if metric not in known and draft.is_sound("when"):
            allowed = f"allowed: {', '.join(known)}" if known else "there is no `check` under `when`"
            what = f"with.verify.check: no check under `when` measures {metric!r:.80}"
            yield draft.problem(("with", "verify", "check", number), what, allowed)
    around = Surroundings(written.service, tuple(written.with_.remedies))
    for misfit in guardrail_rules.misfits(_asked(written), around):
        if draft.is_sound("with", "remedies"):
            key: At = ("guardrails", *misfit.at)
            yield draft.problem(key, f"{'.'.join(map(str, key))}: {misfit.what}", misfit.allowed)


def _asked(front: Front) -> dict[str, Any]:
    """What the author asks of the guardrails, by their keys."""
    return {key: value for key, value in cast("BaseModel", front.guardrails) if value is not None}


def _made(front: Front, text: str, prose: str) -> Runbook:
    work, asked = front.with_, _asked(front)
    return Runbook(
        name=front.runbook,
        service=front.service,
        version=hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
        text=text,
        matchers=tuple(trigger.alert for trigger in front.when if trigger.alert is not None),
        mode=front.mode,
        playbook=front.playbook,
        target=cast("TargetWords", work.target).template(),
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
