"""Whatever order runs, people, the watchdog and the clock come in, the promises hold (P2, P4, P5)."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from databases import Clock
from forms import examples
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import func, select
from store_states import ALIVE, DEADLINE, FREE, LEASE, PLAN, alert, look_at_the_trail, opened, working

from paramedic.incidents.incident import IllegalMove, State
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.store import (
    Store,
    acts,
    attempts,
    claims,
    incident_alerts,
    incidents,
    intents,
    kill_switch,
    lifecycle,
    messages,
    retrying,
)
from paramedic.store.acts import Act
from paramedic.store.claims import Claim
from paramedic.store.tables import acts as act_rows
from paramedic.store.tables import attempts as attempt_rows
from paramedic.store.tables import grants, outbox

TARGETS = ("web-1/api", "web-2/api")
RUNGS = 1
targets = st.sampled_from(TARGETS)
runs = st.sampled_from(["run-1", "run-2", "run-3"])
results = st.sampled_from(["done", "cured", "failed", "not_sent"])
ours = (State.OPEN, State.WORKING)


class AnyStory(RuleBasedStateMachine):
    def __init__(self, url: str) -> None:
        super().__init__()
        self.clock = Clock()
        self.store = Store(url, now=self.clock.now)
        self.claims: list[Claim] = []  # lost ones too: a run that was given up for dead still has its own
        self.acts: list[Act] = []
        self.retried: set[tuple[int, int]] = set()  # incident and attempt: by a person's word

    @initialize()
    def two_runs_are_at_work(self) -> None:
        for target in TARGETS:
            self.claims.append(working(self.store, target=target, rungs=RUNGS))

    def teardown(self) -> None:
        assert look_at_the_trail(self.store).verified
        self.store.close()

    def some(self, pick: int) -> int | None:
        with self.store.read() as tx:
            known = incidents.listed(tx)
        return known[pick % len(known)].number if known else None

    @rule(where=targets, plan=st.booleans())
    def an_alert_comes(self, where: str, plan: bool) -> None:
        with self.store.record() as tx:
            if incidents.live(tx, "tracking", where) is None:
                number = opened(tx, target=where, rungs=RUNGS, plan=plan)
                if not plan:
                    lifecycle.hand_over(tx, number, Outcome(Ending.HANDED_OVER, "no runbook"), actor="triage")

    @rule(where=targets)
    def what_ended_well_begins_again(self, where: str) -> None:
        with self.store.record() as tx:
            ended = incident_alerts.cured(tx, alert(), service="tracking", target=where, runbook=PLAN.runbook)
            if ended is not None and incidents.live(tx, "tracking", where) is None:
                assert lifecycle.reopen(tx, ended[0], alert(), reason="again").state is State.OPEN

    @rule(pick=st.integers(0, 3), run=runs, attempt=st.integers(1, 5))
    def a_run_begins(self, pick: int, run: str, attempt: int) -> None:
        number = self.some(pick)
        if number is None:
            return
        with self.store.record() as tx:
            before = incidents.get(tx, number)
            if attempts.begin_attempt(tx, number, attempt, flow_run=run) is not None:
                assert incidents.get(tx, number) == before
                return
            assert before.state in ours
            assert before.attempt == attempt
            taken = claims.take(
                tx, target=before.target, incident=number, attempt=attempt, holder=f"run:{run}", lease=LEASE
            )
        if isinstance(taken, Claim):
            assert all(taken.token > other.token for other in self.claims if other.target == taken.target)
            self.claims.append(taken)

    @precondition(lambda self: self.claims)
    @rule(pick=st.integers(0, 9), result=st.none() | results)
    def a_run_means_to_act(self, pick: int, result: str | None) -> None:
        claim = self.claims[-1 - pick % len(self.claims)]
        with self.store.record() as tx:
            before = incidents.get(tx, claim.incident)
            free = acts.open_on(tx, claim.target) is None
            newest = max(other.token for other in self.claims if other.target == claim.target)
            judged = intents.intend(tx, claim, rung=1, remedy="restart", identity=ALIVE, deadline=DEADLINE, limits=FREE)
        if isinstance(judged, Act):
            assert before.state is State.WORKING
            assert before.attempt == claim.attempt
            assert claim.token == newest
            assert free
            self.acts.append(judged)
            if result is not None:
                self.an_outcome_is_written(0, result)

    @precondition(lambda self: self.acts)
    @rule(pick=st.integers(0, 9), result=results)
    def an_outcome_is_written(self, pick: int, result: str) -> None:
        act = self.acts[-1 - pick % len(self.acts)]
        with self.store.record() as tx:
            before = acts.get(tx, act.id).result
            written = acts.close(tx, act, result=result, why="seen", actor=act.holder)
        assert written == (before is None or (before, result) == ("done", "cured"))

    @precondition(lambda self: self.claims)
    @rule(pick=st.integers(0, 9))
    def a_claim_is_renewed(self, pick: int) -> None:
        claim = self.claims[-1 - pick % len(self.claims)]
        with self.store.write() as tx:
            held = claims.current(tx, claim.target)
            assert claims.renew(tx, claim, LEASE) == (held is not None and held[1] and held[0].token == claim.token)

    @precondition(lambda self: self.claims)
    @rule(pick=st.integers(0, 9))
    def a_claim_is_given_back(self, pick: int) -> None:
        with self.store.write() as tx:
            claims.release(tx, self.claims[-1 - pick % len(self.claims)])

    @rule(pick=st.integers(0, 3))
    def the_watchdog_hands_on(self, pick: int) -> None:
        number = self.some(pick)
        if number is None:
            return
        with self.store.record() as tx:
            now = incidents.get(tx, number)
            assert attempts.raise_attempt(tx, number, after=now.attempt, rungs=RUNGS, reason="silent") == (
                now.state in ours
            )

    @rule(pick=st.integers(0, 3))
    def a_run_dies_and_the_next_means_to_act_as_well(self, pick: int) -> None:
        self.clock.advance(LEASE)
        self.the_watchdog_hands_on(pick)
        number = self.some(pick)
        if number is not None:
            with self.store.read() as tx:
                attempt = incidents.get(tx, number).attempt
            self.a_run_begins(pick, f"run-{attempt}", attempt)
            self.a_run_means_to_act(0, None)

    @rule(
        pick=st.integers(0, 3),
        state=st.sampled_from([State.HANDED_OVER, State.ACKNOWLEDGED, State.RESOLVED]),
        who=st.sampled_from(["ada", "bob"]),
    )
    def it_is_moved(self, pick: int, state: State, who: str) -> None:
        number = self.some(pick)
        if number is None:
            return
        moves: dict[State, Callable[[], object]] = {
            State.HANDED_OVER: lambda: lifecycle.hand_over(tx, number, Outcome(Ending.REFUSED, "no"), actor=who),
            State.ACKNOWLEDGED: lambda: lifecycle.acknowledge(tx, number, by=who, reason="by the link"),
            State.RESOLVED: lambda: lifecycle.resolve(tx, number, Outcome(Ending.RECOVERED, "well"), actor=who),
        }
        with self.store.read() as tx:
            before = incidents.get(tx, number)
        try:
            with self.store.record() as tx:
                moves[state]()
        except IllegalMove:
            assert before.state in (State.RESOLVED, State.ACKNOWLEDGED)
        with self.store.read() as tx:
            after = incidents.get(tx, number)
        if before.state not in ours:
            assert after.state not in ours
        if before.state is State.RESOLVED:
            assert after == before

    @rule(pick=st.integers(0, 3), who=st.sampled_from(["ada", "bob"]), take_over=st.booleans())
    def a_person_has_it_tried_again(self, pick: int, who: str, take_over: bool) -> None:
        number = self.some(pick)
        if number is None:
            return
        with self.store.read() as tx:
            before = incidents.get(tx, number)
            unsettled = acts.open_on(tx, before.target)
        try:
            with self.store.record() as tx:
                after = retrying.retry(tx, number, by=who, because="mended", take_over=take_over)
        except retrying.NotRetried:
            with self.store.read() as tx:
                assert incidents.get(tx, number) == before
            return
        assert before.state in (State.HANDED_OVER, State.ACKNOWLEDGED)
        assert unsettled is None
        assert take_over or before.state is State.HANDED_OVER or before.acknowledged_by == who
        self.retried.add((number, after.attempt))

    @precondition(lambda self: self.claims)
    @rule(pick=st.integers(0, 9))
    def the_kill_switch_is_thrown_and_taken_back(self, pick: int) -> None:
        with self.store.record() as tx:
            kill_switch.pause(tx, by="ada", reason="a look by hand")
        acted = len(self.acts)
        self.a_run_means_to_act(pick, None)
        assert len(self.acts) == acted
        with self.store.record() as tx:
            kill_switch.resume(tx, by="ada", reason="seen")

    @rule(seconds=st.sampled_from([1, 9, 10, 60]))
    def time_goes_by(self, seconds: int) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    @invariant()
    def a_target_has_one_open_act_and_a_rung_is_spent_once(self) -> None:
        with self.store.read() as tx:
            unsettled = select(func.count()).where(act_rows.c.result.is_(None)).group_by(act_rows.c.target)
            assert all(count == 1 for count in tx.conn.execute(unsettled).scalars())
            spent = select(act_rows).where(func.coalesce(act_rows.c.result, "open") != "not_sent")
            once = [(act.incident, act.rung, self._granted_by(act)) for act in tx.conn.execute(spent)]
            assert len(once) == len(set(once))

    def _granted_by(self, act: Any) -> int:
        """The attempt with which a person had the ladder granted anew, before the act."""
        words = [attempt for incident, attempt in self.retried if incident == act.incident and attempt <= act.attempt]
        return max(words, default=0)

    @invariant()
    def only_what_is_ours_may_be_worked_on(self) -> None:
        with self.store.read() as tx:
            current = {incident.number: incident for incident in incidents.listed(tx)}
            for table in (attempt_rows, grants, outbox):
                state = "waiting" if table is outbox else "open"
                for row in tx.conn.execute(select(table).where(table.c.state == state)):
                    assert current[row.incident].state in ours
                    assert current[row.incident].attempt == row.attempt

    @invariant()
    def nobody_waits_in_silence(self) -> None:
        with self.store.read() as tx:
            for incident in incidents.listed(tx):
                if incident.state in ours:
                    assert [attempt.state for attempt in attempts.of(tx, incident.number)][-1:] == ["open"]
                if incident.state is State.HANDED_OVER:
                    pages = [message for message in messages.of(tx, incident.number) if message.kind == "rung"]
                    *before, last = [message.state for message in pages]
                    assert (set(before) <= {"withdrawn"}, last) == (True, "due"), (
                        "of what ended, nothing is due any more"
                    )


def test_any_story_keeps_the_promises(tmp_path: Path, sqlite_template: Path) -> None:
    made = 0

    def story() -> AnyStory:
        nonlocal made
        made += 1
        return AnyStory(f"sqlite:///{shutil.copyfile(sqlite_template, tmp_path / f'{made}.db')}")

    run_state_machine_as_test(
        story, settings=settings(max_examples=examples(15), stateful_step_count=25, deadline=None)
    )  # type: ignore[arg-type]
