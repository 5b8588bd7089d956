"""Whatever order responders, deaths, people and clock jumps come in, every guardrail holds at each change.

LONG_TESTS=1 (`make schedules`) plays 300 random schedules; the suite plays a few.
"""

import itertools
import os
import shutil
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from databases import Clock
from forms import examples
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
from store_states import ALIVE, DEADLINE, HANDED_OVER, HOUR, LEASE, WELL, alert, look_at_the_trail, opened

from paramedic.incidents.incident import State
from paramedic.remediation.guardrail import AtOnce, Budget
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.remediation.health import Health, Sight
from paramedic.remediation.quorum import SEEN_WITHIN, Members, Quorum
from paramedic.remediation.site_limits import BreakerLimit, FleetLimit, SiteLimits
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

#: Two machines with two units each, and two units elsewhere. The units are one service, machines another.
PARTS = {"m-1": ("m-1/a", "m-1/b"), "m-2": ("m-2/a", "m-2/b")}
UNITS = (*PARTS["m-1"], *PARTS["m-2"], "m-3/a", "m-4/a")
TARGETS = (*UNITS, *PARTS)
OVERLAPPING = {
    target: PARTS.get(target, tuple(whole for whole, parts in PARTS.items() if target in parts)) for target in TARGETS
}

#: Small, so that a short schedule comes to each of them.
QUORUM, AT_ONCE, BUDGET, SERVICE_BUDGET, OF_FLEET = 3, 2, 2, 4, 5
PER, REST, COOLDOWN = timedelta(minutes=10), timedelta(minutes=5), timedelta(minutes=1)
BREAKER = BreakerLimit(2, 4 * HOUR)
FLEET = FleetLimit(50, timedelta(minutes=30), len(TARGETS))

SITE = SiteLimits(BREAKER, FLEET, REST)
OF_ALL = {"cooldown": COOLDOWN, "budget": Budget(BUDGET, PER), "service_budget": Budget(SERVICE_BUDGET, PER)}
OF_UNITS = {"at_once": AtOnce(AT_ONCE, len(UNITS)), "keep_healthy": Quorum(f"{QUORUM} of 6", QUORUM, len(UNITS))}

UNHELPFUL = ("done", "failed", "unknown")

#: What came of all that runs meant to do, over all schedules: acts, or which guardrail refused.
SEEN: Counter[str] = Counter()

targets = st.sampled_from(TARGETS)
units = st.sampled_from(UNITS)
picks = st.integers(0, 9)
results = st.sampled_from(["done", "cured", "failed", "not_sent", "unknown"])


@dataclass
class Done:
    """An act as the test remembers it: what the store says of it later is not asked."""

    act: Act
    at: datetime  # by the clock as it is set now, once the watchdog has looked at it
    result: str | None = None
    incident_ended: bool = False
    counts: bool = True  # for the breaker: since its reset, and for the fleet since the fleet's

    @property
    def touched(self) -> bool:
        return self.result != "not_sent"


class Run(NamedTuple):
    """A run from its alert to the end of its incident, and what is around it."""

    where: str
    waits: int  # seconds, before it
    down: frozenset[str]
    looked_ago: int  # seconds, before the intent
    result: str
    is_over: bool


runs = st.builds(
    Run,
    where=targets,
    waits=st.sampled_from([0, 61, 601, 1200]),
    down=st.frozensets(units, max_size=3),
    looked_ago=st.sampled_from([0, 0, 0, 12]),
    result=st.sampled_from(["cured", "done", "failed"]),
    is_over=st.sampled_from([True, True, False]),
)


class AnySchedule(RuleBasedStateMachine):
    def __init__(self, url: str) -> None:
        super().__init__()
        self.clock = Clock()
        self.store = Store(url, now=self.clock.now)
        self.up = dict.fromkeys(UNITS, True)
        self.claims: list[Claim] = []
        self.done: list[Done] = []
        self.fleet_from = 0  # acts before this one were done before the fleet's reset

    @initialize()
    def the_watchdog_knows_the_clock(self) -> None:
        self.the_watchdog_looks_at_the_clock()

    def teardown(self) -> None:
        assert look_at_the_trail(self.store).verified
        self.store.close()

    # --- the world ------------------------------------------------------------------------------------------------

    @rule(down=st.sets(units, max_size=4))
    def some_units_are_down(self, down: Collection[str]) -> None:
        self.up = {unit: unit not in down for unit in UNITS}

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
        for done in self.done:
            done.at -= back

    @rule()
    def a_mass_failure_ends(self) -> None:
        with self.store.record() as tx:
            storms.over(tx, "many checks were broken")

    # --- responders -----------------------------------------------------------------------------------------------

    @rule(where=targets)
    def an_alert_comes_and_a_run_begins(self, where: str) -> None:
        service = "tracking" if where in UNITS else "machines"
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
            self.some_units_are_down(run.down)
            self._does_its_work(run.where, run.looked_ago, run.result, is_over=run.is_over)

    @rule(order=st.permutations(TARGETS).map(lambda order: order[:8]) | targets.map(lambda where: [where] * 4))
    def one_after_the_other_is_cured(self, order: list[str]) -> None:
        """Nothing but how much was done already stands in the way of the next: of other targets, or of the same."""
        for where in order:
            self.clock.advance(COOLDOWN + timedelta(seconds=1))
            self.some_units_are_down(())
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
        seen = dict(self.up)
        around = Around(self._members(claim.target), OVERLAPPING[claim.target])
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
                limits=self._asked(claim.target),
                around=around,
            )
            open_incidents = {one.target for one in incidents.listed(tx) if one.state is not State.RESOLVED}
            paused, storm = kill_switch.standing(tx), storms.last(tx)
        if not isinstance(judged, Act):
            SEEN[judged.guardrail] += 1
            return
        SEEN["acts"] += 1
        assert storm is None or now >= storm.over_at + REST
        assert (before.state, before.attempt) == (State.WORKING, claim.attempt)
        assert not paused
        assert looked_ago <= SEEN_WITHIN.total_seconds() or claim.target not in UNITS
        self._every_guardrail_held(claim, now, seen, open_incidents)
        self.done.append(Done(judged, now))
        if result is not None:
            self.an_outcome_is_written(0, result)

    def _members(self, target: str) -> Members:
        words = {True: Health(Sight.WELL, "it runs"), False: Health(Sight.FAILING, "it is down")}
        health = {unit: words[is_up] for unit, is_up in self.up.items() if unit != target}
        return Members(self.clock.now(), health)

    def _asked(self, target: str) -> Guardrails:
        return Guardrails("act", OF_ALL | (OF_UNITS if target in UNITS else {}), site=SITE)

    def _every_guardrail_held(self, claim: Claim, now: datetime, up: dict[str, bool], incidents_at: set[str]) -> None:
        target = claim.target
        mine = [done for done in self.done if done.act.target == target and done.touched]
        service = [done for done in self.done if (done.act.target in UNITS) == (target in UNITS) and done.touched]
        before = [done for done in mine if (done.act.incident, done.act.attempt) != (claim.incident, claim.attempt)]
        assert all(done.at + COOLDOWN <= now for done in before)
        assert sum(done.at > now - PER for done in mine) < BUDGET
        assert sum(done.at > now - PER for done in service) < SERVICE_BUDGET
        recent = [done for done in self.done[self.fleet_from :] if done.touched and done.at > now - FLEET.within]
        assert len({done.act.target for done in recent} | {target}) <= OF_FLEET
        unhelpful = [done for done in mine if done.counts and done.result in UNHELPFUL]
        for first, last in itertools.pairwise(unhelpful):
            assert last.at - first.at > BREAKER.within, "two that did not help trip the breaker until it is reset"
        if target in UNITS:
            others = {unit for unit in UNITS if unit != target}
            unverified = {done.act.target for done in service if done.act.target in others and self._unverified(done)}
            healthy = {unit for unit in others if up[unit]} - unverified - incidents_at
            assert len(healthy) >= QUORUM
            assert len(unverified) < AT_ONCE

    def _unverified(self, done: Done) -> bool:
        return done.result is None or (done.result in UNHELPFUL and not done.incident_ended)

    @precondition(lambda self: self.done)
    @rule(pick=picks, result=results)
    def an_outcome_is_written(self, pick: int, result: str) -> None:
        done = self.done[-1 - pick % len(self.done)]
        with self.store.record() as tx:
            if acts.close(tx, done.act, result=result, why="seen", actor=done.act.holder):
                done.result = result
                if result == "cured" and done.act.target in UNITS:
                    self.up[done.act.target] = True

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
        service = "tracking" if where in UNITS else "machines"
        with self.store.record() as tx:
            live = incidents.live(tx, service, where)
            if live is None:
                return
            if not well:
                if live.state is not State.ACKNOWLEDGED:
                    lifecycle.hand_over(tx, live.number, HANDED_OVER, actor="run")
                return
            lifecycle.resolve(tx, live.number, WELL, actor="run")
        for done in self.done:
            if done.act.incident == live.number:
                done.incident_ended = True
                done.result = done.result or "decided"

    @rule(where=targets)
    def a_person_resets_what_is_blocked(self, where: str) -> None:
        with self.store.record() as tx:
            if breakers.fleet_is_tripped(tx):
                breakers.reset_fleet(tx, by="ada", because="seen")
                self.fleet_from = len(self.done)
            if breakers.tripped(tx, BREAKER, target=where):
                breakers.reset(tx, BREAKER, target=where, remedy=None, by="ada", because="seen")
                for done in self.done:
                    done.counts = done.counts and done.act.target != where

    # --- what holds at every moment -------------------------------------------------------------------------------

    @invariant()
    def a_target_and_its_parts_have_one_open_act_and_one_claim(self) -> None:
        with self.store.read() as tx:
            is_open = set(tx.conn.execute(select(act_rows.c.target).where(act_rows.c.result.is_(None))).scalars())
            held = {where for where in TARGETS if (found := claims.current(tx, where)) is not None and found[1]}
        for whole, parts in PARTS.items():
            assert not (whole in is_open and is_open & set(parts))
            assert not (whole in held and held & set(parts))


#: Each refuses in a long test, or it tests nothing of it.
REFUSING = {
    *("incident", "claim", "open act", "grant", "kill switch", "fleet", "breaker", "storm rest", "cooldown"),
    *("budget", "service budget", "quorum", "at once"),
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

    assert SEEN["acts"] > made, SEEN
    assert not is_long or set(SEEN) >= REFUSING, REFUSING - set(SEEN)
