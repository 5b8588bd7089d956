"""Withdrawal: the runbook or services.yaml no longer allows a change that it allowed when the incident began. Pure.

At the act two versions of the runbook must agree, the incident's own and today's: each judges by its own mode and guardrails
(`paramedic.store.intents`), and what is not a number is compared here. `RULES` gives the rule for every key.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from paramedic.alerts.alert import Alert
from paramedic.catalog.runbook import Runbook, Verify
from paramedic.catalog.services import Services
from paramedic.checks.check import SOURCE, Check
from paramedic.machine.clock import spoken
from paramedic.remediation import guardrail_rules
from paramedic.remediation.remedy import Remedy
from paramedic.remediation.target import Target

#: What becomes of each key of the front matter where today's runbook differs from the incident's own:
#: `both` must agree, each by its own value; `same`: a change withdraws it; `still`: today's must still cover this alert,
#: target and remedy; `proof`: the target is well only by the conditions of both; `own`: no permission, so the incident's
#: version counts to its end.
RULES = {
    "runbook": "same",
    "service": "same",
    "playbook": "same",
    "when": "still",
    "with.target": "still",
    "with.remedies": "still",
    "with.verify": "proof",
    "with.evidence": "own",
    "mode": "both",
    **{f"guardrails.{key}": "both" for key in guardrail_rules.keys()},  # noqa: SIM118 - a function's
    "settle": "own",
    "escalate": "own",
    "observe": "own",
    "notify": "own",
    "group": "own",
}


def withdrawn(
    then: Runbook, now: Runbook, remedy: Remedy, *, alerts: Sequence[Alert], target: Target, services: Services
) -> str | None:
    """Why today's runbook and services no longer allow this remedy of this target, in words; None where they do.

    `then` is the incident's own runbook, `remedy` one of its ladder; `alerts` are the incident's.
    """
    return (
        _renamed(then, now)
        or _unlisted(target, remedy, services)
        or _off_the_ladder(remedy, now)
        or _unwanted(then, now, alerts, target, services)
    )


def _renamed(then: Runbook, now: Runbook) -> str | None:
    pairs = (("runbook", then.name, now.name), ("service", then.service, now.service))
    for key, before, after in (*pairs, ("playbook", then.playbook, now.playbook)):
        if before != after:
            return f"`{key}` was {before} when the incident began, and is {after} now"
    return None


def _unlisted(target: Target, remedy: Remedy, services: Services) -> str | None:
    """Why the target, or the command to run, is no longer the same in services.yaml; None where it is."""
    listed = services.by_id(target.id)
    if listed is None:
        return f"services.yaml no longer lists {target.id}"
    for what in ("service", "host", "kind", "name", "address", "releases", "machine"):
        before, after = getattr(target, what), getattr(listed, what)
        if before != after:
            return f"services.yaml says of {target.id} another {what} than when the run began: {after or 'none'}"
    if listed.words != target.words:
        return f"services.yaml says of {target.id} something else than when the run began"
    if remedy.command is not None and listed.commands.get(remedy.command) != target.commands.get(remedy.command):
        return f"services.yaml declares another command {remedy.command!r} for {target.id} than when the run began"
    return None


def _off_the_ladder(remedy: Remedy, now: Runbook) -> str | None:
    """Why the remedy is no longer one of the runbook's; None while it is."""
    same = [candidate for candidate in now.remedies if _what(candidate) == _what(remedy)]
    if not same:
        return f"`with.remedies` no longer names {remedy.name}{' as it did' if remedy.asked is not None else ''}"
    if any(_covers(candidate, remedy) for candidate in same):
        return None
    within = max(candidate.deployed_within for candidate in same if candidate.deployed_within is not None)
    return f"`with.remedies` now allows {remedy.verb} only within {spoken(within)} of a deployment"


def _what(remedy: Remedy) -> tuple[Any, ...]:
    return remedy.verb, remedy.command, remedy.offered, remedy.asked


def _covers(today: Remedy, remedy: Remedy) -> bool:
    """Whether today's remedy covers the earlier one: a roll-back with a narrower condition does not cover a wider one."""
    if today.deployed_within is None:
        return True
    return remedy.deployed_within is not None and remedy.deployed_within <= today.deployed_within


def _unwanted(then: Runbook, now: Runbook, alerts: Sequence[Alert], target: Target, services: Services) -> str | None:
    """Why the runbook as it is now would not have had this incident; None if it would."""
    if (then.matchers, then.checks, then.target) == (now.matchers, now.checks, now.target):
        return None  # and services.yaml, by which `with.target` is read, was compared
    if not any(_wants(now, alert) for alert in alerts):
        return "`when` no longer wants the incident's alerts"
    if not any(_wants(now, alert) and _located(now, alert, services) == target.id for alert in alerts):
        return f"`with.target` no longer means {target.id} for the incident's alerts"
    return None


def _located(now: Runbook, alert: Alert, services: Services) -> str | None:
    found = now.locate(alert, services)
    return found.id if isinstance(found, Target) else None


def _wants(runbook: Runbook, alert: Alert) -> bool:
    """As `Runbook.wants`; for a check's alert the check and its metric must still exist."""
    if not runbook.wants(alert):
        return False
    if alert.source != SOURCE:
        return True
    check, metric = alert.labels.get("check"), alert.labels.get("metric")
    return any(
        check_now.name == check and any(t.metric == metric for t in check_now.thresholds)
        for check_now in runbook.checks
    )


def proof_of_both(then: Runbook, now: Runbook) -> Runbook:
    """The incident's own runbook, with a verification that requires those of both versions."""
    if (then.verify, then.checks) == (now.verify, now.checks):
        return then
    todays = tuple(_renamed_check(check, then.checks) for check in now.checks if check not in then.checks)
    return replace(then, verify=stricter(then.verify, now.verify), checks=then.checks + todays)


def stricter(first: Verify, second: Verify) -> Verify:
    """Every condition of both, held for the longer of both times, within the shorter."""
    limits = [limit for limit in (first.memory_below, second.memory_below) if limit is not None]
    return Verify(
        health=first.health or second.health,
        memory_below=min(limits, default=None),
        stable=max(first.stable, second.stable),
        within=min(first.within, second.within),
        metrics=tuple(dict.fromkeys(first.metrics + second.metrics)),
    )


def _renamed_check(check: Check, others: Sequence[Check]) -> Check:
    """The check, renamed if needed: samples are kept by name, and two different checks of one name must not share them."""
    return (
        replace(check, name=f"{check.name} (as it is now)") if check.name in {other.name for other in others} else check
    )
