"""All that must hold before a remedy may act, in the order of asking. Pure: `paramedic.store.guardrail_facts` has the queries.

To add one, write it here as a `Guardrail` in `RULES`, and its query there: runbooks, their JSON Schema, lint, the dry run, the
intent, the trail and the documentation ask this list.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Annotated, Any, Optional, Self

from pydantic import Field, TypeAdapter

from paramedic.alerts.alert import Severity
from paramedic.remediation import guardrail_judgements as judgements
from paramedic.remediation.breaker import BREAKER_RULE, FLEET_RULE
from paramedic.remediation.dependency import DEPENDENCY_RULE
from paramedic.remediation.guardrail import (
    AGAIN_KEY,
    APPROVAL_KEY,
    AT_ONCE_KEY,
    OUT_OF_HOURS,
    About,
    Asking,
    AtOnce,
    Case,
    Guardrail,
    Misfit,
    Refusal,
    Surroundings,
    Written,
    WrittenBudget,
)
from paramedic.remediation.hours import FREEZE_RULE, HOURS_KEY, HOURS_RULE
from paramedic.remediation.parts import PARTS_RULE
from paramedic.remediation.quorum import QUORUM, QUORUM_RULE
from paramedic.remediation.remedy import Remedy
from paramedic.remediation.site_limits import DEFAULTS, SiteLimits
from paramedic.remediation.storm import STORM_RULE
from paramedic.text.units import duration

#: By which an author allows a remedy again after a cure of the same incident that did not last.
AGAIN = AGAIN_KEY.key

#: The guardrail that a person can answer.
APPROVAL = APPROVAL_KEY.key


@dataclass(frozen=True, slots=True)
class Guardrails:
    """What is asked of a change, from the runbook's YAML to the judgement: its mode, and the author's words by their key."""

    mode: str
    asked: Mapping[str, Any] = field(default_factory=dict, hash=False)
    withdrawn: str | None = None  # why the runbook no longer allows this change at all
    site: SiteLimits = DEFAULTS  # what the settings ask
    asks_anyway: Severity | None = None  # from which severity on a person must approve it, whatever the author asks

    @classmethod
    def nothing(cls, why: str) -> Self:
        """The guardrails of a runbook that allows nothing any more."""
        return cls("observe", withdrawn=why)

    def of(self, remedy: Remedy) -> "Guardrails":
        """What is asked where this remedy is applied."""
        written = {key.key: key for key in _written()}
        narrowed = {key: written[key].of(value, remedy) for key, value in self.asked.items()}
        return replace(self, asked={key: value for key, value in narrowed.items() if value is not None})

    @property
    def allows_again(self) -> bool:
        """Whether a remedy may be repeated after a cure of the same incident that did not last."""
        return self.asked.get(AGAIN, False) is True

    @property
    def asks_from(self) -> Severity | None:
        """Of one remedy: from which severity on a person must approve it; None: it needs nobody."""
        if self.mode == "ask" or self.asks_anyway is not None:
            return self.asks_anyway or Severity.WARNING
        found = self.asked.get(APPROVAL)
        return found if isinstance(found, Severity) else None

    @property
    def asking(self) -> Asking | None:
        """Of one remedy: when a person must approve it; None: never."""
        outside = self.asked[HOURS_KEY.key] if self._asks_out_of_hours else ()
        return Asking(self.asks_from, outside) if outside or self.asks_from is not None else None

    @property
    def _asks_out_of_hours(self) -> bool:
        return self.asked.get(APPROVAL) == OUT_OF_HOURS and HOURS_KEY.key in self.asked

    def asking_from(self, severity: Severity) -> "Guardrails":
        """The same, and a person must approve it from this severity on."""
        return replace(self, asks_anyway=severity)

    def value(self, rule: Guardrail) -> Any:
        """What is asked of the rule; None where it is not asked for, or asks for no word."""
        if rule.written is None:
            return None if rule.of_site is None else rule.of_site(self.site)
        if rule.name == APPROVAL:
            return self.asking
        if rule.written is HOURS_KEY and self._asks_out_of_hours:
            return None  # a person is asked instead
        return self.asked.get(rule.written.key)

    @property
    def counts_healthy(self) -> bool:
        """Whether the service's other targets must be looked at before the change."""
        at_once: AtOnce | None = self.asked.get(AT_ONCE_KEY.key)
        return QUORUM in self.asked or (at_once is not None and at_once.counts_healthy)

    def rules(self) -> list[Guardrail]:
        """Those that are asked: the ones that always hold, and the author's."""
        return [rule for rule in RULES if rule.written is None or self.value(rule) is not None]


def judge(case: Case, seen: Mapping[str, Any], guardrails: Guardrails) -> Refusal | None:
    """None if every guardrail agrees, else the first refusal; `seen` is what the store's queries say, by name."""
    case = replace(case, mode=guardrails.mode, withdrawn=guardrails.withdrawn)
    for rule in guardrails.rules():
        no = rule.no(case, seen.get(rule.name), guardrails.value(rule))
        if no is not None:
            return Refusal(rule.name, no.reason, no.by_hand)
    return None


def agreed(case: Case, seen: Mapping[str, Any], guardrails: Guardrails) -> list[str]:
    """The guardrails that allowed a change, with their numbers, for the trail."""
    case = replace(case, mode=guardrails.mode, withdrawn=guardrails.withdrawn)
    return [
        f"{rule.name}: {rule.yes(case, seen.get(rule.name), guardrails.value(rule))}"
        for rule in guardrails.rules()
        if rule.yes is not None
    ]


def keys() -> dict[str, Any]:
    """The fields of the front matter's `guardrails`: by key, its type, and what it is where it is not written."""
    return {
        rule.written.key: (
            Optional[rule.written.type] if rule.written.nothing is None else rule.written.type,  # noqa: UP045
            Field(
                default=rule.written.nothing, description=f"{rule.about.reads}; write {_shown(rule.written.example)}"
            ),
        )
        for rule in RULES
        if rule.written is not None
    }


def _shown(example: Any) -> str:
    return example if isinstance(example, str) else str(example).replace("'", "")


def examples() -> dict[str, Any]:
    """What an author asks who writes the example of each."""
    return {key.key: TypeAdapter[Any](key.type).validate_python(key.example) for key in _written()}


def _written() -> list[Written]:
    return [rule.written for rule in RULES if rule.written is not None]


def misfits(asked: Mapping[str, Any], around: Surroundings) -> list[Misfit]:
    """Every value of the author's, by its key, that disagrees with the rest of the runbook or with services.yaml."""
    around = replace(around, beside=frozenset(asked))
    return [misfit for key in _written() if key.key in asked for misfit in key.misfits(asked[key.key], around)]


# --- the rules --------------------------------------------------------------------------------------------------------


_Cooldown = Annotated[timedelta, duration("0s", "365d")]


#: In the order of asking: what protects most comes first, and nobody is asked about what could not be done anyway.
RULES: tuple[Guardrail, ...] = (
    Guardrail(
        "kill switch",
        judgements.paused,
        About(
            "the pauses: of everything, of this service, of this runbook, of a service that has a part of the target, or `mass`, "
            "which the checks write while too much is broken at once",
            "which pauses, by whom, since when and why",
            "`paramedic resume`, with `--service NAME`, `--runbook NAME` or `--mass`: the refusal names the command",
        ),
        yes=lambda *_: "off",
    ),
    Guardrail(
        "maintenance",
        judgements.in_maintenance,
        About(
            "the windows of the service, of the target and of its parts",
            "which one, until when, by whom and why",
            "`paramedic maintenance end NUMBER`",
        ),
        yes=lambda *_: "none",
    ),
    DEPENDENCY_RULE,
    Guardrail(
        "incident",
        judgements.not_working,
        About(
            "its state",
            "a person has it, or it has ended",
            "the person goes on; `paramedic incident resolve INC-7` ends it",
        ),
    ),
    Guardrail(
        "claim",
        judgements.not_held,
        About(
            "the target's only claim, its token and its lease; the incident's current attempt",
            "it was lost, ran out, or a later attempt has the incident",
            "nothing: the later attempt, or the person, has it",
        ),
        yes=lambda *_: "ours",
    ),
    Guardrail(
        "open act",
        judgements.unsettled,
        About(
            "acts on this target without an outcome, of whichever incident",
            "which act, since when",
            "look at the target, then `paramedic incident resolve` that incident: your word decides the act",
        ),
    ),
    Guardrail(
        "grant",
        judgements.not_granted,
        About(
            "the one permission for this remedy of this incident",
            "when the incident had this remedy before, and what came of it: it did not last, did not help, failed; or the "
            "permission is revoked",
            "act by the runbook's Mitigation, which is in the page; write `again: true` to allow it from now on",
        ),
        yes=lambda *_: "open",
    ),
    Guardrail(
        "runbook",
        judgements.withdrawn,
        About(
            "the runbook's file and services.yaml as they are at this moment",
            "the runbook is gone, cannot be used, no longer wants the alert, or names this target, playbook or remedy no "
            "more; services.yaml means another thing by the target; either file, or oncall.yaml, cannot be read",
            "look what was changed, and why; act by the Mitigation",
        ),
    ),
    Guardrail(
        "mode",
        judgements.observing,
        About(
            "the runbook's `mode`",
            "it was lowered to observe meanwhile; one that observes from the beginning proposes, and asks for nothing",
            "act by the Mitigation; write `mode: act` once you trust it",
        ),
        yes=lambda case, *_: case.mode,
    ),
    FLEET_RULE,
    BREAKER_RULE,
    STORM_RULE,
    FREEZE_RULE,
    HOURS_RULE,
    Guardrail(
        AGAIN_KEY.key,
        judgements.not_repeated,
        About(
            "acts of this incident by the same remedy that were verified well, and did not last",
            "`restarted 10m ago, it did not last: a second restart is a person's`",
            "act by the Mitigation; `again: true` allows it from now on, within `budget` and `cooldown`",
        ),
        yes=judgements.repeated,
        written=AGAIN_KEY,
    ),
    Guardrail(
        "cooldown",
        judgements.too_soon,
        About(
            "the last act on this target",
            "when that was, and until when the cooldown lasts",
            "a second change this soon needs a person",
        ),
        yes=judgements.rested,
        written=Written("cooldown", _Cooldown, "10m"),
    ),
    Guardrail(
        "budget",
        judgements.spent_on_target,
        About(
            "acts on this target in the time that the budget names",
            "`2 of 2 acts on web-1/api within 1h`, and when the next is free",
            "what needs so many needs a person",
        ),
        yes=judgements.left,
        written=Written("budget", WrittenBudget, "3 per hour"),
    ),
    Guardrail(
        "service budget",
        judgements.spent_on_service,
        About("acts on every target of the service, those still open too", "the same, of the service", "the same"),
        yes=judgements.left,
        written=Written("service_budget", WrittenBudget, "5 per hour"),
    ),
    QUORUM_RULE,
    Guardrail(
        "at once",
        judgements.too_many,
        About(
            "other targets of the service with an act that is open or not verified well, until their incident has ended, on "
            "them, on a part of them or on what they are a part of; and, where more than one may be, which of the others are "
            "seen healthy",
            "how many, which, and how many may be: of what is healthy the share that `at_once` says, and one at least",
            "wait until those are well; a person who resolves their incidents frees the place",
        ),
        yes=judgements.spread,
        written=AT_ONCE_KEY,
    ),
    PARTS_RULE,
    Guardrail(
        APPROVAL,
        judgements.unapproved,
        About(
            "`mode: ask`, `guardrails.approval`, outside of `guardrails.hours` where it says `out-of-hours`, and the mark of a "
            "release that would be crossed; the answer, for which instance of the target it was given, and for what of the "
            "incident's alerts",
            "nobody was asked, has answered yet or in time; who denied it; the target has changed since, or the alerts "
            "name more",
            "answer by link, in the Prefect UI or with `paramedic incident approve` while it waits "
            "([approvals](approvals.md)); then by hand",
        ),
        written=APPROVAL_KEY,
    ),
)
