"""A runbook that observes: what it would do is written down and told, and what comes of the target judges it."""

import re
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from store_states import ALIVE, TARGET, claimed, granted, intended, opened

from paramedic.change import exclusive, observing
from paramedic.change.limits import pinned_and_current
from paramedic.change.run import Cancelled
from paramedic.doors import reading
from paramedic.errors import Refused, TemporaryError
from paramedic.incidents.incident import State
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.kinds.process_target import process_identity
from paramedic.remediation.observed_paging import Paging
from paramedic.remediation.proposal import Proposal, Verdict
from paramedic.remediation.remedy import RESTART
from paramedic.store import acts, attempts, claims, incidents, lifecycle, messages, proposals, trail

ANOTHER = process_identity(4343, 1769850060.0, "RUNNING")
OBSERVE = ("mode: act", "mode: observe")
TOO_MUCH, LITTLE = 2 * 10**12, 10**6  # bytes; the runbook's limit is 1000 GB


def paged_when(word: str) -> tuple[str, str]:
    return "guardrails: ", f"observe: {{page: {word}}}\nguardrails: "


@pytest.fixture
def observed(begin: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A case whose runbook observes a target with too much memory; `case.later` are things that happen after so many seconds."""

    def begun(*edits: tuple[str, str]) -> Any:
        case = begin(OBSERVE, *edits)
        case.memory, case.later = TOO_MUCH, {}
        monkeypatch.setattr(reading, "resident_memory", lambda *_: case.memory)
        monkeypatch.setattr(observing, "boottime", case.clock.steady)
        began = case.clock.steady()

        def sleep(seconds: float) -> None:
            case.clock.advance(timedelta(seconds=seconds))
            for after in [after for after in case.later if case.clock.steady() - began >= after]:
                case.later.pop(after)()

        monkeypatch.setattr(observing, "time", SimpleNamespace(sleep=sleep))
        return case

    return begun


def proposed(case: Any) -> Proposal:
    """As a playbook comes to it: with the claim, instead of the change."""
    with exclusive.exclusive(case.run, TARGET):
        limits = pinned_and_current(case.run, RESTART)
        assert observing.observes(limits[0])
        return observing.propose(case.run, case.run.keeper.claim, RESTART, *limits)


def told_to(case: Any) -> dict[str, list[str]]:
    """The messages of the incident by their kind: whom a page is for, what channels hear."""
    with case.store.read() as tx:
        found: dict[str, list[str]] = {}
        for message in messages.of(tx, case.run.incident.number):
            if message.state != "withdrawn":
                found.setdefault(message.kind, []).append(message.subject or f"step {message.step}")
        return found


def now(case: Any) -> Any:
    with case.store.read() as tx:
        return incidents.get(tx, case.run.incident.number)


def test_what_it_would_do_is_on_the_trail_with_what_was_seen_and_nothing_is_spent(observed: Any) -> None:
    case = observed()
    made = proposed(case)
    assert made.words == f"would have restarted {TARGET}"
    assert (made.refused_by, made.verdict, made.identity) == (None, None, ALIVE)
    assert "resident memory 2,000,000,000,000 B" in made.why
    with case.store.read() as tx:
        entry = next(entry for entry in trail.entries(tx) if entry.what == "proposal.made")
        assert (entry.phase, entry.incident, entry.target) == ("decision", case.run.incident.id, TARGET)
        assert entry.reason == f"{made.words}: {made.why}"
        assert acts.of(tx, case.run.incident.number) == []
        assert granted(tx, case.run.incident.number) == [(1, 1, "open")]
        assert proposals.of_runbook(tx, "tracking-api-memory") == proposals.of(tx, made.incident) == [made]
    assert case.touch.asked == []


def test_a_run_that_comes_to_it_twice_has_one_proposal(observed: Any) -> None:
    case = observed()
    assert proposed(case) == proposed(case)


def test_it_says_which_guardrail_would_have_refused(observed: Any, timed: Any) -> None:
    with timed.record() as tx:
        number = opened(tx)
        assert attempts.begin_attempt(tx, number, 1, flow_run="run-0") is None
        before = claimed(tx, number, run="run-0")
        acts.close(tx, intended(tx, before), result="cured", why="well", actor="a")
        claims.release(tx, before)
        lifecycle.resolve(tx, number, Outcome(Ending.REMEDIATED, "well"), actor="a")
    made = proposed(observed())
    assert made.refused_by == "cooldown"
    assert "and guardrail cooldown would have refused: " in made.words
    assert "the cooldown is 10m" in made.words


def test_where_a_person_had_to_approve_it_would_have_asked(observed: Any) -> None:
    made = proposed(observed(("cooldown: 10m, ", "approval: {restart: critical}, ")))
    assert made.words == f"would have asked a person, and once approved have restarted {TARGET}"


def test_whoever_has_the_incident_is_not_told_what_a_run_would_have_done(observed: Any) -> None:
    case = observed()
    with exclusive.exclusive(case.run, TARGET):
        limits = pinned_and_current(case.run, RESTART)
        with case.store.record() as tx:
            lifecycle.acknowledge(tx, case.run.incident.number, by="ada", reason="by the link")
        with pytest.raises(Refused, match="is acknowledged"):
            observing.propose(case.run, case.run.keeper.claim, RESTART, *limits)


@pytest.mark.parametrize("page", list(Paging))
def test_a_person_is_paged_at_once_or_late_as_the_runbook_says_and_channels_hear_at_once(
    observed: Any, page: Paging
) -> None:
    case = observed(paged_when(page), ("guardrails: ", "notify: ['webhook:ops']\nguardrails: "))
    with case.store.record() as tx:
        tx.conn.exec_driver_sql("""UPDATE incidents SET notify = '["webhook:ops"]'""")
    made = proposed(case)
    observing.hand_over(case.run, made)
    incident = now(case)
    assert (incident.state, incident.ending) == (State.HANDED_OVER, Ending.OBSERVED)
    assert "would have restarted" in (incident.because or "")
    texts = told_to(case)
    assert texts["notice"][-1] == f"would have restarted {TARGET}"
    assert texts.get("rung") == (None if page is Paging.LATE else ["step 0"])
    with case.store.read() as tx:
        assert incidents.without_escalation(tx) == []
        assert proposals.pages_first_alone(tx, incident.number) is (page is not Paging.ALL)


def test_who_is_to_be_paged_late_is_paged_all_the_same_when_the_run_is_lost(observed: Any) -> None:
    case = observed(paged_when("late"))
    observing.hand_over(case.run, proposed(case))
    case.clock.advance(timedelta(minutes=6))
    with case.store.read() as tx:
        assert incidents.without_escalation(tx) == []
    case.clock.advance(timedelta(minutes=1, seconds=1))
    with case.store.read() as tx:
        assert incidents.without_escalation(tx) == [case.run.incident.number]


def judged(case: Any) -> tuple[Outcome, Proposal]:
    made = proposed(case)
    observing.hand_over(case.run, made)
    outcome = observing.watch(case.run, made)
    with case.store.read() as tx:
        [known] = proposals.of(tx, made.incident)
        entry = next(entry for entry in trail.entries(tx) if entry.what == "proposal.judged")
    assert (entry.reason, entry.data["verdict"]) == (known.judged, known.verdict)
    return outcome, known


def test_what_recovers_by_itself_is_over_and_the_remedy_was_not_needed(observed: Any) -> None:
    case = observed()
    case.later[30] = lambda: setattr(case, "memory", LITTLE)
    outcome, known = judged(case)
    assert known.verdict is Verdict.RECOVERED
    assert re.match(r"well by itself 1m \d\ds later: nothing was needed: every condition held for 1m", known.judged)
    assert (now(case).state, outcome.ending) == (State.RESOLVED, Ending.RECOVERED)
    assert "rung" not in told_to(case), "the page that had not left is withdrawn"


def test_another_instance_that_is_well_is_the_work_of_somebody_else(observed: Any) -> None:
    case = observed()

    def by_hand() -> None:
        case.memory, case.owner.says = LITTLE, ANOTHER

    case.later[30] = by_hand
    assert judged(case)[1].verdict is Verdict.BY_OTHERS


@pytest.mark.parametrize("page", ["first", "late"])
def test_what_still_fails_after_the_time_of_a_remedy_was_needed_and_is_a_person_s(observed: Any, page: str) -> None:
    case = observed(paged_when(page))
    outcome, known = judged(case)
    assert known.verdict is Verdict.NEEDED
    assert known.judged.startswith("still failing 5m later: resident memory")
    assert known.judged.endswith("its alert still fires")
    assert (now(case).state, outcome.ending) == (State.HANDED_OVER, Ending.OBSERVED)
    assert told_to(case)["rung"] == ["step 0"]


def test_of_what_cannot_be_seen_nobody_knows(observed: Any) -> None:
    case = observed(paged_when("late"))
    case.later[30] = lambda: setattr(case.owner, "says", TemporaryError("no route to host"))
    _, known = judged(case)
    assert known.verdict is Verdict.UNSEEN
    assert "no route to host" in known.judged
    assert told_to(case)["rung"] == ["step 0"]


def test_a_cancel_while_it_watches_leaves_nobody_untold(observed: Any) -> None:
    case = observed(paged_when("late"))
    made = proposed(case)
    observing.hand_over(case.run, made)
    case.later[30] = lambda: setattr(case.run, "stopped", True)
    with pytest.raises(Cancelled):
        observing.watch(case.run, made)
    with case.store.read() as tx:
        assert proposals.get(tx, made.id).verdict is Verdict.UNSEEN
    assert told_to(case)["rung"] == ["step 0"]


def test_what_a_person_has_taken_meanwhile_stays_theirs_and_the_verdict_is_kept(observed: Any) -> None:
    case = observed()

    def taken() -> None:
        case.memory = LITTLE
        with case.store.record() as tx:
            lifecycle.acknowledge(tx, case.run.incident.number, by="ada", reason="by the link")

    case.later[30] = taken
    _, known = judged(case)
    assert known.verdict is Verdict.RECOVERED
    assert (now(case).state, now(case).acknowledged_by) == (State.ACKNOWLEDGED, "ada")


def test_a_verdict_is_written_once(observed: Any) -> None:
    case = observed()
    _, known = judged(case)
    with case.store.record() as tx:
        assert proposals.judge(tx, known, Verdict.RECOVERED, "late", actor="a") == known
