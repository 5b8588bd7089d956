"""What an author withdraws is withdrawn: at the act the incident's own runbook and today's must both allow the change."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from databases import Clock
from forms import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from store_states import ALIVE, DEADLINE, FREE, intended, surroundings, working

from paramedic.alerts.alert import Alert, Severity, Status, fingerprint
from paramedic.catalog import front_matter
from paramedic.catalog.runbook import Mode, Runbook, Verify
from paramedic.catalog.runbook_file import parse
from paramedic.catalog.services import Services, parse_services
from paramedic.catalog.withdrawal import RULES, proof_of_both, stricter, withdrawn
from paramedic.checks.check import SOURCE, CheckAtTarget
from paramedic.checks.threshold import Level
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.machine.clock import utc_now
from paramedic.remediation.guardrail import OUT_OF_HOURS, AtOnce, Budget, Refusal
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.remediation.health import Health, Sight
from paramedic.remediation.quorum import Quorum
from paramedic.remediation.remedy import RESTART, Remedy, Verb
from paramedic.store import Store, acts, claims, intents, lifecycle, trail
from paramedic.text.local_span import parse as parse_span

ROOT = Path(__file__).parents[2]
SERVICES = """\
services:
  tracking-api:
    targets:
      - host: web-1
        supervisord: {program: tracking-api, address: "unix:///run/s.sock"}
        releases: /srv/api
        commands: {clear: {run: [clear-cache], timeout: 10s}}
        also: ["web-1:9100"]
"""
TEXT = """\
---
runbook: api-slow
service: tracking-api
when:
  - alert: ApiSlow{env="prod"}
  - check: health
    error_rate: {critical: 3%}
mode: act
playbook: restore-service
with:
  target: {supervisord: tracking-api, host: "{instance}"}
  remedies: [restart, rollback-if-deployed-within: 30m, run: clear]
  verify: {health: ok, stable: 1m, within: 5m}
guardrails: {budget: 3 per hour, cooldown: 1s}
---
**Meaning.**
## Impact
## Diagnosis
## Mitigation
"""
THEN = parse(TEXT, "api-slow.md")
LISTED = parse_services(SERVICES, "services.yaml")
TARGET = LISTED.targets["web-1/tracking-api"]
ON_CAUSE, RUN = THEN.remedies[1], THEN.remedies[2]


def _alert(name: str = "ApiSlow", env: str = "prod") -> Alert:
    labels = {"alertname": name, "env": env, "instance": "web-1:9100"}
    sent = fingerprint("alertmanager", labels)
    return Alert("alertmanager", name, Severity.CRITICAL, Status.FIRING, utc_now(), sent, labels)


def _measured() -> Alert:
    placed = CheckAtTarget(THEN.name, THEN.checks[0], TARGET)
    threshold = THEN.checks[0].thresholds[0]
    return placed.alert(threshold, Level.CRITICAL, value=9, began_at=utc_now(), ended_at=None)


def _edited(before: str, after: str) -> Runbook:
    assert before in TEXT
    return parse(TEXT.replace(before, after, 1), "api-slow.md")


def _why(now: Runbook, remedy: Remedy = RESTART, *alerts: Alert, services: Services = LISTED) -> str | None:
    return withdrawn(THEN, now, remedy, alerts=alerts or (_alert(),), target=TARGET, services=services)


# --- every key has its rule -------------------------------------------------------------------------------------------


def _keys() -> set[str]:
    """Every key of the front matter, those of `with` and `guardrails` one by one."""
    found = set()
    for name, field in front_matter.Front.model_fields.items():
        inner = {"with_": front_matter._With, "guardrails": front_matter._Guardrails.shape()}.get(name)
        key = field.alias or name
        found |= {f"{key}.{field}" for field in inner.model_fields} if inner else {key}
    return found


def test_every_key_of_the_front_matter_has_its_rule() -> None:
    assert set(RULES) == _keys()


#: For each key on which both versions must agree: as little as allows one more act of the two that were made, and as much
#: as does not.
BOTH: dict[str, tuple[Guardrails, Guardrails]] = {
    "mode": (FREE, replace(FREE, mode="observe")),
    "guardrails.budget": (
        Guardrails("act", {"budget": Budget(3, timedelta(hours=1))}),
        Guardrails("act", {"budget": Budget(5, timedelta(days=9))}),
    ),
    "guardrails.service_budget": (
        Guardrails("act", {"service_budget": Budget(3, timedelta(hours=1))}),
        Guardrails("act", {"service_budget": Budget(5, timedelta(days=9))}),
    ),
    "guardrails.cooldown": (
        Guardrails("act", {"cooldown": timedelta(minutes=1)}),
        Guardrails("act", {"cooldown": timedelta(days=8)}),
    ),
    "guardrails.at_once": (Guardrails("act", {"at_once": AtOnce(2, 4)}), Guardrails("act", {"at_once": AtOnce(1, 4)})),
    "guardrails.approval": (FREE, Guardrails("act", {"approval": Severity.CRITICAL})),
    "guardrails.keep_healthy": (
        Guardrails("act", {"keep_healthy": Quorum("25%", 25, 100)}),
        Guardrails("act", {"keep_healthy": Quorum("3 of 4", 3, 4)}),
    ),
    "guardrails.hours": (
        Guardrails("act", {"hours": (parse_span("00:00 to 24:00 UTC"),)}),
        Guardrails("act", {"hours": (parse_span("Sat, Sun UTC"),)}),
    ),
    "guardrails.freeze": (
        Guardrails("act", {"freeze": (parse_span("Sat, Sun UTC"),)}),
        Guardrails("act", {"freeze": (parse_span("Mon-Fri UTC"),)}),
    ),
}


def test_every_key_on_which_both_must_agree_is_tried() -> None:
    of_a_reopened_incident = {"guardrails.again"}  # tests/store/test_second_cure.py
    assert set(BOTH) | of_a_reopened_incident == {key for key, rule in RULES.items() if rule == "both"}


def _cured(store: Store) -> None:
    """An incident whose act helped."""
    claim = working(store)
    with store.record() as tx:
        acts.close(tx, intended(tx, claim), result="cured", why="well", actor=claim.holder)
        claims.release(tx, claim)
        lifecycle.resolve(tx, claim.incident, Outcome(Ending.REMEDIATED, "well"), actor=claim.holder)


@pytest.mark.parametrize("key", BOTH)
def test_the_stricter_of_both_versions_counts_whichever_it_is(timed: Store, clock: Clock, key: str) -> None:
    for days in (7, 1, 1, 1, 1):  # five acts that helped on this target; one on another is not verified yet
        _cured(timed)
        clock.advance(timedelta(days=days) / 4)
    other = working(timed, target="web-2/tracking-api")
    with timed.record() as tx:
        acts.close(tx, intended(tx, other), result="done", why="sent", actor=other.holder)
    clock.advance(timedelta(hours=2))
    claim = working(timed)
    well = Health(Sight.WELL, "it runs")
    around = surroundings(clock.now(), {f"web-{number}/tracking-api": well for number in (2, 3, 4)})
    wide, narrow = BOTH[key]
    for then, today in ((narrow, wide), (wide, narrow), (narrow, narrow)):
        with timed.read() as tx:
            no = intents.would_refuse(tx, claim, RESTART, identity=ALIVE, limits=then, today=today, around=around)
        assert isinstance(no, Refusal), (then, today)
        assert no.reason.startswith("by the runbook as it is now") == (then == wide)
    with timed.record() as tx:
        done = intents.intend(
            tx,
            claim,
            rung=1,
            remedy="restart",
            identity=ALIVE,
            deadline=DEADLINE,
            limits=wide,
            today=wide,
            around=around,
        )
    assert not isinstance(done, Refusal), done


budgets = st.builds(Budget, st.integers(1, 9), st.timedeltas(timedelta(seconds=1), timedelta(days=30)))
limits = st.builds(
    Guardrails,
    mode=st.sampled_from(list(Mode)),
    asked=st.fixed_dictionaries(
        {},
        optional={
            "cooldown": st.timedeltas(timedelta(seconds=1), timedelta(days=30)),
            "budget": budgets,
            "service_budget": budgets,
            "at_once": st.builds(AtOnce, st.integers(1, 4), st.just(4)),
            "approval": st.sampled_from([*Severity, OUT_OF_HOURS]),
            "hours": st.sampled_from([(parse_span("Sat, Sun UTC"),), (parse_span("Mon-Fri UTC"),)]),
            "freeze": st.sampled_from([(parse_span("Sat, Sun UTC"),), (parse_span("Mon-Fri UTC"),)]),
        },
    ),
    withdrawn=st.none() | st.just("it is gone"),
)


def test_both_versions_together_are_never_looser_than_either(timed: Store, clock: Clock) -> None:
    for _ in range(3):
        _cured(timed)
        clock.advance(timedelta(days=1))
    claim = working(timed)

    @settings(max_examples=examples(30))  # each is a look at the database
    @given(limits, limits)
    def holds(then: Guardrails, today: Guardrails) -> None:
        with timed.read() as tx:

            def no(one: Guardrails, other: Guardrails | None = None) -> bool:
                found = intents.would_refuse(tx, claim, RESTART, identity=ALIVE, limits=one, today=other)
                return found is not None

            assert no(then, today) == (no(then) or no(today))

    holds()


# --- what is not a number ------------------------------------------------------------------------------------------------

NARROWED: dict[str, tuple[Runbook, Remedy, str]] = {
    "another service": (replace(THEN, service="other"), RESTART, "`service` was tracking-api"),
    "another playbook": (replace(THEN, playbook="restart-service"), RESTART, "`playbook` was restore-service"),
    "another matcher": (_edited('env="prod"', 'env="canary"'), RESTART, "no longer wants the incident's alerts"),
    "the matcher gone": (_edited('  - alert: ApiSlow{env="prod"}\n', ""), RESTART, "no longer wants"),
    "another host": (_edited('"{instance}"', "web-2"), RESTART, "no longer means web-1/tracking-api"),
    "another program": (_edited("{supervisord: tracking-api", "{supervisord: other"), RESTART, "no longer means"),
    "without this remedy": (_edited("[restart, ", "["), RESTART, "no longer names restart"),
    "without this command": (_edited(", run: clear]", "]"), RUN, "no longer names run: clear"),
    "another command": (_edited("run: clear", "run: clean"), RUN, "no longer names run: clear"),
    "a fresher cause": (_edited("within: 30m", "within: 10m"), ON_CAUSE, "only within 10m of a deployment"),
    "a cause at all": (THEN, Remedy(1, Verb.ROLL_BACK), "only within 30m of a deployment"),
}


@pytest.mark.parametrize("how", NARROWED)
def test_a_runbook_that_was_narrowed_allows_the_change_no_more(how: str) -> None:
    now, remedy, words = NARROWED[how]
    assert words in (_why(now, remedy) or "")


WIDENED: dict[str, tuple[Runbook, Remedy]] = {
    "nothing": (THEN, RESTART),
    "prose": (_edited("## Diagnosis", "## Diagnosis\nLook."), RESTART),
    "one more alert": (_edited("when:\n", "when:\n  - alert: Other\n"), RESTART),
    "a wider matcher": (_edited('env="prod"', 'env=~"prod|canary"'), RESTART),
    "one more remedy before it": (_edited("[restart, ", "[rollback, restart, "), RESTART),
    "an older cause": (_edited("within: 30m", "within: 2h"), ON_CAUSE),
    "no cause": (_edited("rollback-if-deployed-within: 30m", "rollback"), ON_CAUSE),
    "another host that is the same": (_edited('"{instance}"', "web-1"), RESTART),
}


@pytest.mark.parametrize("how", WIDENED)
def test_what_still_covers_it_allows_it(how: str) -> None:
    now, remedy = WIDENED[how]
    assert _why(now, remedy) is None


@pytest.mark.parametrize(
    ("before", "after", "remedy", "words"),
    [
        ("unix:///run/s.sock", "unix:///run/other.sock", RESTART, "another address"),
        ("program: tracking-api", "program: other", RESTART, "no longer lists web-1/tracking-api"),
        ("host: web-1\n", "host: web-2\n", RESTART, "no longer lists"),
        ("  tracking-api:\n", "  other:\n", RESTART, "another service"),
        ("/srv/api", "/srv/other", RESTART, "another releases"),
        ("[clear-cache]", "[rm, -rf, /]", RUN, "another command 'clear'"),
        ("timeout: 10s", "timeout: 20s", RUN, "another command 'clear'"),
    ],
)
def test_a_target_that_services_yaml_means_otherwise_is_not_changed(
    before: str, after: str, remedy: Remedy, words: str
) -> None:
    assert before in SERVICES
    services = parse_services(SERVICES.replace(before, after, 1), "services.yaml")
    assert words in (_why(THEN, remedy, services=services) or "")


def test_another_command_that_this_remedy_does_not_run_is_no_matter() -> None:
    services = parse_services(SERVICES.replace("[clear-cache]", "[other]"), "services.yaml")
    assert _why(THEN, RESTART, services=services) is None


def test_one_alert_that_is_still_wanted_is_enough_and_of_a_check_its_metric_must_be_there() -> None:
    narrowed = _edited('env="prod"', 'env="canary"')
    assert _why(narrowed, RESTART, _alert(), _alert(env="canary")) is None
    assert _why(narrowed, RESTART, _measured()) is None
    without = parse(re.sub(r"  - check: health\n.*\n", "", TEXT), "api-slow.md")
    assert "no longer wants" in (_why(without, RESTART, _measured()) or "")
    other = _edited("error_rate: {critical: 3%}", "latency_p95: {critical: 1s}")
    assert "no longer wants" in (_why(other, RESTART, _measured()) or "")
    assert _measured().source == SOURCE


# --- the proof --------------------------------------------------------------------------------------------------------

proofs = st.builds(
    Verify,
    health=st.booleans(),
    memory_below=st.none() | st.integers(1, 10**12),
    stable=st.timedeltas(timedelta(seconds=1), timedelta(minutes=10)),
    within=st.timedeltas(timedelta(minutes=11), timedelta(hours=1)),
    metrics=st.lists(st.sampled_from(["error_rate", "latency_p95"]), unique=True).map(tuple),
)


@given(proofs, proofs)
def test_a_target_is_well_only_by_the_conditions_of_both(one: Verify, other: Verify) -> None:
    both = stricter(one, other)
    looser: Callable[[Verify], bool] = lambda each: (  # noqa: E731 - one sentence
        each.health > both.health
        or (each.memory_below is not None and (both.memory_below is None or both.memory_below > each.memory_below))
        or both.stable < each.stable
        or both.within > each.within
        or not set(each.metrics) <= set(both.metrics)
    )
    assert not looser(one)
    assert not looser(other)
    assert stricter(one, one) == one
    assert {field.name for field in Verify.__dataclass_fields__.values()} == {
        "health",
        "memory_below",
        "stable",
        "within",
        "metrics",
    }


def test_a_check_that_today_s_proof_needs_is_taken_beside_the_incident_s_own() -> None:
    now = _edited("error_rate: {critical: 3%}", "latency_p95: {critical: 1s}")
    now = replace(now, verify=replace(now.verify, metrics=("latency_p95",)))
    both = proof_of_both(THEN, now)
    assert [check.name for check in both.checks] == ["health", "health (as it is now)"]
    assert both.verify.metrics == ("latency_p95",)
    assert proof_of_both(THEN, replace(now, verify=THEN.verify, checks=THEN.checks)) is THEN


# --- on the trail -----------------------------------------------------------------------------------------------------


def test_what_was_withdrawn_is_a_refusal_on_the_trail_and_spends_nothing(timed: Store) -> None:
    claim = working(timed)
    with timed.record() as tx:
        no = intents.intend(
            tx,
            claim,
            rung=1,
            remedy="restart",
            identity=ALIVE,
            deadline=DEADLINE,
            limits=FREE,
            today=Guardrails.nothing("the runbook was withdrawn"),
        )
    assert isinstance(no, Refusal)
    assert (no.guardrail, no.reason) == ("runbook", "the runbook was withdrawn")
    with timed.read() as tx:
        entry = trail.head(tx)
        assert entry is not None
        assert (entry.what, entry.data["guardrail"]) == ("restart.refused", "runbook")
        assert acts.of(tx, claim.incident) == []
    with timed.record() as tx:
        intended(tx, claim)
