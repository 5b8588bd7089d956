"""Whatever order responders, deaths, people and clock jumps come in, every guardrail holds at each change.

LONG_TESTS=1 (`make schedules`) plays 300 random schedules; the suite plays a few.
"""

import os
import shutil
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from databases import Clock
from forms import examples
from guardrails_held import (
    ASKED,
    BREAKER,
    COOLDOWN,
    OVERLAPPING,
    PARTS,
    REST,
    SERVICE,
    TARGETS,
    Done,
    Memory,
    touched_by,
)
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select, update
from store_states import ALIVE, DEADLINE, HANDED_OVER, LEASE, WELL, alert, look_at_the_trail, opened

from paramedic.incidents.incident import State
from paramedic.remediation.health import Health, Sight
from paramedic.remediation.quorum import SEEN_WITHIN, Members
from paramedic.store import (
    Store,
    acts,
    attempts,
    breakers,
    claims,
    clock_jumps,
    incidents,
    intents,
    kill_switch,
    lifecycle,
    storms,
)
from paramedic.store.acts import Act
from paramedic.store.claims import Claim
from paramedic.store.guardrail_facts import Around
from paramedic.store.table_facts import declared
from paramedic.store.tables import acts as act_rows
from paramedic.store.tables import incidents as incident_rows

#: What was played, over all schedules: steps, and what came of all that runs meant to do: acts, or which guardrail refused.
SEEN: Counter[str] = Counter()

targets = st.sampled_from(TARGETS)
unwell = st.sampled_from([Sight.FAILING, Sight.UNKNOWN])
picks = st.integers(0, 9)
results = st.sampled_from(["done", "cured", "failed", "not_sent", "unknown"])


class Run(NamedTuple):
    """A run from its alert to the end of its incident, and what is around it."""

    where: str
    waits: int  # seconds, before it
    unwell: Mapping[str, Sight]  # the others are well
    looked_ago: int  # seconds, before the intent
    result: str
    is_over: bool


runs = st.builds(
    Run,
    where=targets,
    waits=st.sampled_from([0, 61, 601, 1200]),
    unwell=st.dictionaries(targets, unwell, max_size=3),
    looked_ago=st.sampled_from([0, 0, 0, 12]),
    result=st.sampled_from(["cured", "done", "failed"]),
    is_over=st.sampled_from([True, True, False]),
)


class AnySchedule(RuleBasedStateMachine):
    def __init__(self, url: str) -> None:
        super().__init__()
        self.clock = Clock()
        self.store = Store(url, now=self.clock.now)
        self.sights = dict.fromkeys(TARGETS, Sight.WELL)
        self.claims: list[Claim] = []
        self.memory = Memory()

    @initialize()
    def the_watchdog_knows_the_clock(self) -> None:
        self.the_watchdog_looks_at_the_clock()

    def teardown(self) -> None:
        assert look_at_the_trail(self.store).verified
        self.store.close()

    # --- the world ------------------------------------------------------------------------------------------------

    @rule(unwell=st.dictionaries(targets, unwell, max_size=4))
    def some_fail_or_cannot_be_seen(self, unwell: Mapping[str, Sight]) -> None:
        self.sights = dict.fromkeys(TARGETS, Sight.WELL) | dict(unwell)

    @rule(seconds=st.sampled_from([1, 11, 61, 601]))
    def time_goes_by(self, seconds: int) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    @rule(minutes=st.sampled_from([-30, -1, 1, 30]), watched=st.booleans())
    def somebody_sets_the_clock(self, minutes: int, watched: bool) -> None:
        self.clock.jump(timedelta(minutes=minutes))
        if watched:
            self.the_watchdog_looks_at_the_clock()

    @rule()
    def the_watchdog_looks_at_the_clock(self) -> None:
        with self.store.record() as tx:
            back = clock_jumps.keep_pace(tx, "boot", self.clock.steady())
        for done in self.memory.done:
            done.at -= back

    @rule()
    def a_mass_failure_ends(self) -> None:
        with self.store.record() as tx:
            storms.over(tx, "many checks were broken")

    # --- responders -----------------------------------------------------------------------------------------------

    @rule(where=targets)
    def an_alert_comes_and_a_run_begins(self, where: str) -> None:
        service = SERVICE[where]
        with self.store.record() as tx:
            live = incidents.live(tx, service, where)
            if live is None:
                number = opened(tx, target=where, rungs=2, received=alert(where))
                tx.conn.execute(update(incident_rows).where(incident_rows.c.number == number).values(service=service))
                live = incidents.get(tx, number)
            if attempts.begin_attempt(tx, live.number, live.attempt, flow_run=f"run-{live.attempt}") is not None:
                return
            taken = claims.take(
                tx,
                target=where,
                incident=live.number,
                attempt=live.attempt,
                holder=f"run:run-{live.attempt}",
                lease=LEASE,
                overlapping=OVERLAPPING[where],
            )
        if isinstance(taken, Claim):
            self.claims.append(taken)

    @rule(runs=st.lists(runs, min_size=1, max_size=8))
    def runs_do_their_work(self, runs: list[Run]) -> None:
        for run in runs:
            self.clock.advance(timedelta(seconds=run.waits))
            self.some_fail_or_cannot_be_seen(run.unwell)
            self._does_its_work(run.where, run.looked_ago, run.result, is_over=run.is_over)

    @rule(order=st.permutations(TARGETS).map(lambda order: order[:8]) | targets.map(lambda where: [where] * 4))
    def one_after_the_other_is_cured(self, order: list[str]) -> None:
        """Nothing but how much was done already stands in the way of the next: of other targets, or of the same."""
        for where in order:
            self.clock.advance(COOLDOWN + timedelta(seconds=1))
            self.some_fail_or_cannot_be_seen({})
            self._does_its_work(where, 0, "cured", is_over=True)

    def _does_its_work(self, where: str, looked_ago: int, result: str, *, is_over: bool) -> None:
        self.an_alert_comes_and_a_run_begins(where)
        newest = next((claim for claim in reversed(self.claims) if claim.target == where), None)
        if newest is None:
            return
        self._means_to_act(newest, 1, looked_ago, result)
        with self.store.write() as tx:
            claims.release(tx, newest)
        self.an_incident_ends_or_is_handed_over(where, well=is_over)

    @rule(where=targets)
    def a_run_dies_in_mid_act(self, where: str) -> None:
        self.an_alert_comes_and_a_run_begins(where)
        newest = next((claim for claim in reversed(self.claims) if claim.target == where), None)
        if newest is not None:
            self._means_to_act(newest, 1, 0, None)
            self.clock.advance(LEASE)

    @precondition(lambda self: self.claims)
    @rule(pick=picks, rung=st.integers(1, 2), looked_ago=st.sampled_from([0, 0, 3, 12]), result=st.none() | results)
    def a_run_means_to_act(self, pick: int, rung: int, looked_ago: int, result: str | None) -> None:
        self._means_to_act(self.claims[-1 - pick % len(self.claims)], rung, looked_ago, result)

    def _means_to_act(self, claim: Claim, rung: int, looked_ago: int, result: str | None) -> None:
        sights = dict(self.sights)
        around = self._around(claim.target)
        self.clock.advance(timedelta(seconds=looked_ago))
        with self.store.record() as tx:
            now, before = tx.now, incidents.get(tx, claim.incident)
            judged = intents.intend(
                tx,
                claim,
                rung=rung,
                remedy="restart",
                identity=ALIVE,
                deadline=DEADLINE,
                limits=ASKED[SERVICE[claim.target]],
                around=around,
            )
            open_incidents = {one.target for one in incidents.listed(tx) if one.state is not State.RESOLVED}
            paused, storm = kill_switch.standing(tx), storms.last(tx)
        if not isinstance(judged, Act):
            SEEN[judged.guardrail] += 1
            return
        SEEN["acts"] += 1
        SEEN[f"acts on {SERVICE[claim.target]}"] += 1
        assert storm is None or now >= storm.over_at + REST
        assert (before.state, before.attempt) == (State.WORKING, claim.attempt)
        assert not paused
        assert looked_ago <= SEEN_WITHIN.total_seconds()
        self.memory.budgets_and_breakers_held(claim, now)
        self.memory.services_held(claim.target, sights, open_incidents)
        self.memory.done.append(Done(judged, now))
        if result is not None:
            self.an_outcome_is_written(0, result)

    def _around(self, target: str) -> Around:
        touched = touched_by(target)
        others = {other for each in touched for other in each.others}
        health = {other: Health(self.sights[other], "as it was seen") for other in others}
        return Around(Members(self.clock.now(), health), OVERLAPPING[target], touched)

    @precondition(lambda self: self.memory.done)
    @rule(pick=picks, result=results)
    def an_outcome_is_written(self, pick: int, result: str) -> None:
        done = self.memory.done[-1 - pick % len(self.memory.done)]
        with self.store.record() as tx:
            if acts.close(tx, done.act, result=result, why="seen", actor=done.act.holder):
                done.result = result
                if result == "cured":
                    self.sights[done.act.target] = Sight.WELL

    @precondition(lambda self: self.claims)
    @rule(pick=picks)
    def a_claim_is_renewed_or_given_back(self, pick: int) -> None:
        claim = self.claims[-1 - pick % len(self.claims)]
        with self.store.write() as tx:
            if pick % 2:
                claims.renew(tx, claim, LEASE)
            else:
                claims.release(tx, claim)

    @precondition(lambda self: self.claims)
    @rule(pick=picks)
    def a_responder_dies_and_the_watchdog_hands_on(self, pick: int) -> None:
        claim = self.claims[-1 - pick % len(self.claims)]
        self.clock.advance(LEASE)
        with self.store.record() as tx:
            now = incidents.get(tx, claim.incident)
            attempts.raise_attempt(tx, claim.incident, after=now.attempt, rungs=2, reason="silent")
        self.an_alert_comes_and_a_run_begins(claim.target)

    # --- people ---------------------------------------------------------------------------------------------------

    @rule(where=targets, well=st.booleans())
    def an_incident_ends_or_is_handed_over(self, where: str, well: bool) -> None:
        service = SERVICE[where]
        with self.store.record() as tx:
            live = incidents.live(tx, service, where)
            if live is None:
                return
            if not well:
                if live.state is not State.ACKNOWLEDGED:
                    lifecycle.hand_over(tx, live.number, HANDED_OVER, actor="run")
                return
            lifecycle.resolve(tx, live.number, WELL, actor="run")
        for done in self.memory.done:
            if done.act.incident == live.number:
                done.incident_ended = True
                done.result = done.result or "decided"

    @rule(where=targets)
    def a_person_resets_what_is_blocked(self, where: str) -> None:
        with self.store.record() as tx:
            if breakers.fleet_is_tripped(tx):
                breakers.reset_fleet(tx, by="ada", because="seen")
                self.memory.fleet_from = len(self.memory.done)
            if breakers.tripped(tx, BREAKER, target=where):
                breakers.reset(tx, BREAKER, target=where, remedy=None, by="ada", because="seen")
                for done in self.memory.done:
                    done.counts = done.counts and done.act.target != where

    # --- what holds at every moment -------------------------------------------------------------------------------

    @invariant()
    def a_target_and_its_parts_have_one_open_act_and_one_claim(self) -> None:
        SEEN["steps"] += 1
        with self.store.read() as tx:
            is_open = set(tx.conn.execute(select(act_rows.c.target).where(act_rows.c.result.is_(None))).scalars())
            held = {where for where in TARGETS if (found := claims.current(tx, where)) is not None and found[1]}
        for whole, parts in PARTS.items():
            assert not (whole in is_open and is_open & set(parts))
            assert not (whole in held and held & set(parts))


#: Each refuses in a long test, and each service is acted on, or it tests nothing of it.
REFUSING = {
    *("incident", "claim", "open act", "grant", "kill switch", "fleet", "breaker", "storm rest", "cooldown"),
    *("budget", "service budget", "quorum", "at once", "parts"),
    *("acts on tracking", "acts on machines"),
}


@pytest.mark.timeout(3600)  # 300 of them take minutes, and an hour beside others
def test_any_schedule_keeps_every_guardrail(tmp_path: Path, sqlite_template: Path) -> None:
    is_long = os.environ.get("LONG_TESTS") == "1"
    declared()  # it imports every module of the store, which no transaction waits for
    SEEN.clear()
    made = 0

    def schedule() -> AnySchedule:
        nonlocal made
        made += 1
        return AnySchedule(f"sqlite:///{shutil.copyfile(sqlite_template, tmp_path / f'{made}.db')}")

    any_of_them: Any = schedule
    asked = settings(
        max_examples=300 if is_long else max(examples(10), 4),  # fewer come to no act
        stateful_step_count=50,
        deadline=None,
        derandomize=not is_long,
        suppress_health_check=[HealthCheck.too_slow],
    )
    run_state_machine_as_test(any_of_them, settings=asked)

    print(f"{made} schedules: {dict(SEEN.most_common())}")
    assert SEEN["acts"] > made, SEEN
    assert not is_long or set(SEEN) >= REFUSING, REFUSING - set(SEEN)
