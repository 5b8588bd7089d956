"""The quorum and `at_once`, counted in the transaction of the intent: unknown is not healthy, and an old look is no look."""

from collections.abc import Mapping
from datetime import timedelta

import pytest
from databases import Clock
from fake_service import target as fake_target
from store_states import ALIVE, DEADLINE, claimed, intended, opened, surroundings, working

from paramedic.alerts.alert import Severity
from paramedic.checks.check import CheckAtTarget, CheckSpec, Sample, check_spec
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.remediation.guardrail import AtOnce, Refusal
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.remediation.health import Health, Sight
from paramedic.remediation.quorum import SEEN_WITHIN, Quorum
from paramedic.store import Store, acts, attempts, checks, intents, lifecycle
from paramedic.store.acts import Act
from paramedic.store.claims import Claim
from paramedic.store.guardrail_facts import Around
from paramedic.store.tables import claims as claim_rows
from paramedic.store.tables import incidents as incident_rows

FIRST, *OTHERS = [f"web-{number}/tracking-api" for number in range(1, 5)]
THREE = Guardrails("act", {"keep_healthy": Quorum("3 of 4", 3, 4)})
TWO = Guardrails("act", {"keep_healthy": Quorum("50%", 50, 100)})
WELL = Health(Sight.WELL, "it runs, and answers")
SPEC = check_spec(CheckSpec)


def looked(clock: Clock, changed: Mapping[str, Health] | None = None) -> Around:
    return surroundings(clock.now(), dict.fromkeys(OTHERS, WELL) | dict(changed or {}))


def judged(store: Store, claim: Claim, around: Around, limits: Guardrails = THREE) -> Act | Refusal:
    with store.record() as tx:
        return intents.intend(
            tx, claim, rung=1, remedy="restart", identity=ALIVE, deadline=DEADLINE, limits=limits, around=around
        )


def refused(store: Store, claim: Claim, around: Around, limits: Guardrails = THREE) -> Refusal:
    no = judged(store, claim, around, limits)
    assert isinstance(no, Refusal), no
    return no


def test_where_enough_others_are_seen_healthy_it_acts(timed: Store, clock: Clock) -> None:
    assert isinstance(judged(timed, working(timed), looked(clock)), Act)


@pytest.mark.parametrize("sight", [Sight.FAILING, Sight.UNKNOWN])
def test_one_that_fails_or_cannot_be_seen_is_not_healthy(timed: Store, clock: Clock, sight: Sight) -> None:
    no = refused(timed, working(timed), looked(clock, {OTHERS[0]: Health(sight, "its systemd says failed")}))
    assert no.guardrail == "quorum"
    word = "fails" if sight is Sight.FAILING else "cannot be seen"
    assert no.reason == (
        f"2 of service tracking's 4 targets are seen healthy beside {FIRST}, and 3 must be (keep_healthy: 3 of 4): "
        f"{OTHERS[0]} {word}: its systemd says failed"
    )


def test_a_look_ages_and_an_old_one_is_no_look(timed: Store, clock: Clock) -> None:
    claim = working(timed)
    around = looked(clock)
    clock.advance(SEEN_WITHIN)
    clock.advance(timedelta(seconds=1))
    with timed.write() as tx:  # its lease goes on: the age of the look is what refuses
        tx.conn.execute(claim_rows.update().values(lease_until=tx.now + timedelta(hours=1)))
    no = refused(timed, claim, around)
    assert no.guardrail == "quorum"
    assert "was looked at 11s ago, and 10s is the limit" in no.reason


def test_a_clock_that_was_set_back_since_the_look_makes_it_useless(timed: Store, clock: Clock) -> None:
    claim, around = working(timed), looked(clock)
    clock.jump(timedelta(seconds=-2))
    no = refused(timed, claim, around)
    assert (no.guardrail, "was looked at -2s ago" in no.reason) == ("quorum", True)


def test_where_nobody_has_looked_it_refuses(timed: Store) -> None:
    assert refused(timed, working(timed), Around()).reason == "nobody has looked how the service's other targets are"


@pytest.mark.parametrize("result", [None, "done", "failed", "unknown"])
def test_one_with_a_change_that_is_not_verified_is_not_healthy_whatever_the_look_saw(
    timed: Store, clock: Clock, result: str | None
) -> None:
    claim, other = working(timed), working(timed, target=OTHERS[1])
    with timed.record() as tx:
        act = intended(tx, other)
        if result is not None:
            acts.close(tx, act, result=result, why="", actor="a")
    no = refused(timed, claim, looked(clock))
    assert f"{OTHERS[1]} has a change that is not verified yet" in no.reason


def test_one_with_an_open_incident_is_not_healthy_until_it_has_ended(timed: Store, clock: Clock) -> None:
    claim, other = working(timed), working(timed, target=OTHERS[1])
    assert f"{OTHERS[1]} has an open incident, INC-{other.incident}" in refused(timed, claim, looked(clock)).reason
    with timed.record() as tx:
        lifecycle.resolve(tx, other.incident, Outcome(Ending.RECOVERED, "well"), actor="a")
    assert isinstance(judged(timed, claim, looked(clock)), Act)


@pytest.mark.parametrize(("error", "healthy"), [(0.0, True), (1.0, False), (None, False)])
def test_one_whose_check_is_broken_or_sees_nothing_is_not_healthy(
    timed: Store, clock: Clock, error: float | None, healthy: bool
) -> None:
    words = {"check": "http://{host}/health", "name": "http", "error_rate": {"critical": "3%", "for": "0s"}}
    at = fake_target()
    placed = CheckAtTarget("tracking-api-slow", SPEC(**words).build(), at)
    with timed.record() as tx:
        values = None if error is None else {"latency": 0.1, "error": error}
        checks.record(tx, placed, Sample(tx.now, values, "as the test says"), blind=False, mass_limit=99)
        number = opened(tx, target="web-9/other")
        tx.conn.execute(incident_rows.update().values(service=at.service))
        assert attempts.begin_attempt(tx, number, 1, flow_run="run-1") is None
        claim = claimed(tx, number)
    around = surroundings(clock.now(), {at.id: WELL}, target="web-9/other", service=at.service)
    judgement = judged(timed, claim, around, TWO)
    assert isinstance(judgement, Act) is healthy
    if isinstance(judgement, Refusal):
        assert f"{at.id} is not well by its check http (error_rate)" in judgement.reason


def test_members_of_another_service_say_nothing(timed: Store, clock: Clock) -> None:
    claim = working(timed)
    with timed.record() as tx:
        opened(tx, target="db-1/postgres")
        here = incident_rows.c.target == "db-1/postgres"
        tx.conn.execute(incident_rows.update().where(here).values(service="database"))
    assert isinstance(judged(timed, claim, looked(clock)), Act)


def test_at_once_counts_over_what_is_healthy(timed: Store, clock: Clock) -> None:
    """Of four targets two may be changed at once; of two that are healthy, or are being changed, one."""
    limits = Guardrails("act", {"at_once": AtOnce(2, 4)})
    first, second = working(timed), working(timed, target=OTHERS[0])
    assert isinstance(judged(timed, first, looked(clock), limits), Act)
    down = dict.fromkeys(OTHERS[1:], Health(Sight.FAILING, "it is down"))
    around = surroundings(clock.now(), {FIRST: WELL} | down, target=OTHERS[0])
    no = refused(timed, second, around, limits)
    assert no.guardrail == "at once"
    assert no.reason == (
        f"1 of service tracking's 4 targets have a change that is not verified yet ({FIRST}), and 1 may have one at a time, "
        f"for {OTHERS[1]}, {OTHERS[2]} are not seen healthy"
    )
    around = surroundings(clock.now(), dict.fromkeys((FIRST, *OTHERS[1:]), WELL), target=OTHERS[0])
    assert isinstance(judged(timed, second, around, limits), Act)


def test_where_nobody_has_looked_at_once_counts_the_others_as_away(timed: Store) -> None:
    limits = Guardrails("act", {"at_once": AtOnce(2, 4)})
    first, second = working(timed), working(timed, target=OTHERS[0])
    assert isinstance(judged(timed, first, Around(), limits), Act)  # one may always be
    assert refused(timed, second, Around(), limits).guardrail == "at once"


def test_one_at_a_time_needs_no_look(timed: Store) -> None:
    limits = Guardrails("act", {"at_once": AtOnce(1, 4)})
    assert not limits.counts_healthy
    assert isinstance(judged(timed, working(timed), Around(), limits), Act)


def test_a_dry_run_counts_what_the_store_knows(timed: Store, clock: Clock) -> None:
    def foreseen() -> Refusal | None:
        with timed.read() as tx:
            return intents.foreseen(
                tx,
                service="tracking",
                target=FIRST,
                runbook="r",
                severity=Severity.WARNING,
                remedy="restart",
                limits=THREE,
                touched=looked(clock).touched,
            )

    assert foreseen() is None
    working(timed, target=OTHERS[0])
    no = foreseen()
    assert no is not None
    assert (no.guardrail, "has an open incident, INC-1" in no.reason) == ("quorum", True)
