"""A whole and its parts in the quorum and in `at_once`: what overlaps with a change is changed too, of whichever service."""

from collections.abc import Mapping
from datetime import timedelta

import pytest
from databases import Clock
from sqlalchemy import update
from store_states import ALIVE, DEADLINE, FREE, LEASE, WELL, alert, intended, opened

from paramedic.alerts.alert import Severity
from paramedic.remediation.guardrail import AtOnce, Refusal
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.remediation.health import Health, Sight
from paramedic.remediation.quorum import Members, Quorum
from paramedic.remediation.touched import ServiceLimits, Touched
from paramedic.store import Store, acts, attempts, claims, intents, kill_switch, lifecycle, maintenance, trail
from paramedic.store.acts import Act
from paramedic.store.claims import Claim
from paramedic.store.guardrail_facts import Around
from paramedic.store.tables import incidents as incident_rows

#: Two hosts with two units each, of one service; the hosts are another service's.
UNITS = {"h-1": ("h-1/a", "h-1/b"), "h-2": ("h-2/a", "h-2/b")}
FIRST, SECOND, THIRD, FOURTH = (*UNITS["h-1"], *UNITS["h-2"])
RUNS = Health(Sight.WELL, "it runs")
UNKNOWN = Health(Sight.UNKNOWN, "it did not answer in time")

HALF, ONE = Quorum("2 of 4", 2, 4), AtOnce(1, 4)
OF_UNITS = Guardrails("act", {"keep_healthy": HALF})


def of_shop(*taken: str, limits: ServiceLimits | None = None, has_parts: bool = True) -> Touched:
    others = {unit: (host,) for host, units in UNITS.items() for unit in units if unit not in taken}
    return Touched("shop", taken, others, has_parts=has_parts, limits=() if limits is None else (limits,))


def of_hosts(taken: str) -> Touched:
    return Touched("hosts", (taken,), {host: units for host, units in UNITS.items() if host != taken})


def looked(clock: Clock, *touched: Touched, but: Mapping[str, Health] | None = None) -> Around:
    health = dict.fromkeys((*UNITS, FIRST, SECOND, THIRD, FOURTH), RUNS) | dict(but or {})
    return Around(Members(clock.now(), health), touched=touched)


def begun(store: Store, target: str) -> Claim:
    """A run that has the claim on the target, of the service that it is of."""
    with store.record() as tx:
        number = opened(tx, target=target, received=alert(target))
        service = "hosts" if target in UNITS else "shop"
        tx.conn.execute(update(incident_rows).where(incident_rows.c.number == number).values(service=service))
        assert attempts.begin_attempt(tx, number, 1, flow_run="run-1") is None
        taken = claims.take(tx, target=target, incident=number, attempt=1, holder="run:run-1", lease=LEASE)
    assert isinstance(taken, Claim)
    return taken


def changed(store: Store, target: str, result: str | None) -> Claim:
    """An act on the target, with what came of it; None: it is open."""
    claim = begun(store, target)
    with store.record() as tx:
        act = intended(tx, claim)
        if result is not None:
            acts.close(tx, act, result=result, why="", actor=claim.holder)
    return claim


def judged(store: Store, claim: Claim, around: Around, limits: Guardrails = FREE) -> Act | Refusal:
    with store.record() as tx:
        return intents.intend(
            tx, claim, rung=1, remedy="reboot", identity=ALIVE, deadline=DEADLINE, limits=limits, around=around
        )


def refused(store: Store, claim: Claim, around: Around, limits: Guardrails = FREE) -> Refusal:
    no = judged(store, claim, around, limits)
    assert isinstance(no, Refusal), no
    return no


REBOOT = of_shop(FIRST, SECOND, limits=ServiceLimits("shop-down", HALF))


def test_a_change_of_a_whole_asks_the_quorum_of_the_service_that_its_parts_are_of(timed: Store, clock: Clock) -> None:
    no = refused(timed, begun(timed, "h-1"), looked(clock, of_hosts("h-1"), REBOOT, but={THIRD: UNKNOWN}))
    assert no.guardrail == "parts"
    assert no.reason == (
        f"by runbook shop-down of service shop: 1 of service shop's 4 targets are seen healthy beside {FIRST}, {SECOND} (parts "
        f"of h-1), and 2 must be (keep_healthy: 2 of 4): {THIRD} cannot be seen: it did not answer in time"
    )


def test_where_enough_others_are_healthy_the_whole_is_changed_and_the_trail_says_how_many(
    timed: Store, clock: Clock
) -> None:
    assert isinstance(judged(timed, begun(timed, "h-1"), looked(clock, of_hosts("h-1"), REBOOT)), Act)
    with timed.read() as tx:
        written = next(entry for entry in trail.entries(tx) if entry.what == "reboot")
    assert written.data["guardrails"][-1] == "parts: 2 of service shop, 2 of 4 healthy beside it, and 2 must be"


def test_a_service_whose_runbooks_ask_nothing_is_asked_nothing(timed: Store, clock: Clock) -> None:
    down = dict.fromkeys((THIRD, FOURTH), UNKNOWN)
    around = looked(clock, of_hosts("h-1"), of_shop(FIRST, SECOND), but=down)
    assert isinstance(judged(timed, begun(timed, "h-1"), around), Act)


@pytest.mark.parametrize(
    ("scope", "stops"), [("service:shop", True), ("service:other", False), ("runbook:shop-down", False)]
)
def test_a_pause_of_a_service_stops_a_change_of_what_its_parts_are_on(
    timed: Store, clock: Clock, scope: str, stops: bool
) -> None:
    with timed.record() as tx:
        kill_switch.pause(tx, by="ada", reason="a move", scope=scope)
    found = judged(timed, begun(timed, "h-1"), looked(clock, of_hosts("h-1"), of_shop(FIRST, SECOND)))
    assert isinstance(found, Refusal) is stops
    if isinstance(found, Refusal):
        assert (found.guardrail, "shop" in found.reason) == ("kill switch", True)


@pytest.mark.parametrize(("target", "stops"), [(None, True), (SECOND, True), (THIRD, False)])
def test_maintenance_of_a_part_stops_a_change_of_the_whole(
    timed: Store, clock: Clock, target: str | None, stops: bool
) -> None:
    with timed.record() as tx:
        ends = clock.now() + timedelta(hours=1)
        maintenance.add(tx, service="shop", target=target, starts_at=clock.now(), ends_at=ends, by="ada", reason="x")
    found = judged(timed, begun(timed, "h-1"), looked(clock, of_hosts("h-1"), of_shop(FIRST, SECOND)))
    assert isinstance(found, Refusal) is stops
    if isinstance(found, Refusal):
        assert found.guardrail == "maintenance"


def test_where_nobody_has_looked_at_a_service_that_asks_a_whole_is_not_changed(timed: Store) -> None:
    no = refused(timed, begun(timed, "h-1"), Around(touched=(of_hosts("h-1"), REBOOT)))
    assert (no.guardrail, "nobody has looked" in no.reason) == ("parts", True)


def test_a_member_that_was_left_out_of_the_look_is_not_healthy(timed: Store, clock: Clock) -> None:
    around = Around(Members(clock.now(), {THIRD: RUNS}), touched=(of_hosts("h-1"), REBOOT))
    assert f"{FOURTH} was not looked at" in refused(timed, begun(timed, "h-1"), around).reason


def test_where_nobody_knows_what_the_service_asks_a_whole_is_not_changed(timed: Store, clock: Clock) -> None:
    lost = Touched("shop", (FIRST, SECOND), has_parts=True, unknown="a runbook of it cannot be used: r.md:1:1: x")
    no = refused(timed, begun(timed, "h-1"), looked(clock, of_hosts("h-1"), lost))
    assert (no.guardrail, "what service shop asks of a change there is not known" in no.reason) == ("parts", True)


@pytest.mark.parametrize("result", [None, "done", "failed", "unknown"])
def test_a_part_of_what_is_being_changed_is_not_healthy_whatever_the_look_saw(
    timed: Store, clock: Clock, result: str | None
) -> None:
    changed(timed, "h-2", result)
    claim, of_unit = begun(timed, FIRST), of_shop(FIRST, has_parts=False)
    no = refused(timed, claim, looked(clock, of_unit), OF_UNITS)
    assert no.guardrail == "quorum"
    for unit in (THIRD, FOURTH):
        assert f"{unit} has a change that is not verified yet" in no.reason
    no = refused(timed, claim, looked(clock, of_unit), Guardrails("act", {"at_once": AtOnce(2, 4)}))
    assert no.guardrail == "at once"
    assert f"2 of service shop's 4 targets have a change that is not verified yet ({THIRD}, {FOURTH})" in no.reason


@pytest.mark.parametrize("result", ["cured", "not_sent"])
def test_a_part_of_what_was_changed_well_or_not_at_all_is_healthy(timed: Store, clock: Clock, result: str) -> None:
    changed(timed, "h-2", result)
    assert isinstance(judged(timed, begun(timed, FIRST), looked(clock, of_shop(FIRST, has_parts=False)), OF_UNITS), Act)


def test_a_part_is_healthy_again_once_the_incident_of_its_whole_has_ended(timed: Store, clock: Clock) -> None:
    whole, claim = changed(timed, "h-2", "done"), begun(timed, FIRST)
    around = looked(clock, of_shop(FIRST, has_parts=False))
    assert refused(timed, claim, around, OF_UNITS).guardrail == "quorum"
    with timed.record() as tx:
        lifecycle.resolve(tx, whole.incident, WELL, actor="a")
    assert isinstance(judged(timed, claim, around, OF_UNITS), Act)


def test_a_whole_is_not_healthy_while_a_part_of_it_is_being_changed(timed: Store, clock: Clock) -> None:
    changed(timed, THIRD, "done")
    claim, around = begun(timed, "h-1"), looked(clock, of_hosts("h-1"))
    no = refused(timed, claim, around, Guardrails("act", {"keep_healthy": Quorum("50%", 50, 100)}))
    assert (no.guardrail, "h-2 has a change that is not verified yet" in no.reason) == ("quorum", True)
    assert refused(timed, claim, around, Guardrails("act", {"at_once": AtOnce(1, 2)})).guardrail == "at once"


def test_an_earlier_act_on_the_target_itself_counts_for_no_other_member(timed: Store, clock: Clock) -> None:
    """The next remedy of a ladder: the first was on this part, and its whole, of the same service, is not changed by it."""
    claim = begun(timed, FIRST)
    with timed.record() as tx:
        acts.close(tx, intended(tx, claim), result="done", why="", actor=claim.holder)
    both = Touched("shop", (FIRST,), {"h-1": UNITS["h-1"], SECOND: ("h-1",)})
    with timed.read() as tx:
        foreseen = intents.foreseen(
            tx,
            service="shop",
            target=FIRST,
            runbook="r",
            severity=Severity.WARNING,
            remedy="restart",
            limits=Guardrails("act", {"at_once": AtOnce(1, 3)}),
            touched=(both,),
        )
    assert foreseen is None


def test_an_act_counts_that_was_written_when_the_target_was_of_another_service(timed: Store, clock: Clock) -> None:
    claim = changed(timed, THIRD, "done")
    with timed.write() as tx:
        here = incident_rows.c.number == claim.incident
        tx.conn.execute(update(incident_rows).where(here).values(service="till"))
    limits = Guardrails("act", {"keep_healthy": Quorum("3 of 4", 3, 4)})
    no = refused(timed, begun(timed, FIRST), looked(clock, of_shop(FIRST, has_parts=False)), limits)
    assert f"{THIRD} has a change that is not verified yet" in no.reason


def test_parts_that_are_taken_away_count_as_changed_and_not_twice(timed: Store, clock: Clock) -> None:
    """The act on a part of the host, in which nothing came of the restart, is within what the reboot takes away."""
    changed(timed, FIRST, "failed")
    limits = ServiceLimits("shop-down", HALF, AtOnce(2, 4))
    around = looked(clock, of_hosts("h-1"), of_shop(FIRST, SECOND, limits=limits))
    assert isinstance(judged(timed, begun(timed, "h-1"), around), Act)


def test_a_host_with_more_targets_of_another_service_than_may_be_changed_at_once_is_a_person_s(
    timed: Store, clock: Clock
) -> None:
    around = looked(clock, of_hosts("h-1"), of_shop(FIRST, SECOND, limits=ServiceLimits("shop-down", None, ONE)))
    no = refused(timed, begun(timed, "h-1"), around)
    assert (no.guardrail, "it would change 2" in no.reason, no.by_hand.startswith("act by")) == ("parts", True, True)


def test_a_service_may_list_its_hosts_beside_its_units_and_each_counts(timed: Store, clock: Clock) -> None:
    """Of six, the reboot takes three away: one change always may by `at_once`, and the quorum is not kept."""
    own = Touched(
        "hosts", ("h-1", FIRST, SECOND), {"h-2": (THIRD, FOURTH), THIRD: ("h-2",), FOURTH: ("h-2",)}, has_parts=True
    )
    claim, asked = begun(timed, "h-1"), {"at_once": AtOnce(1, 6), "keep_healthy": Quorum("4 of 6", 4, 6)}
    no = refused(timed, claim, looked(clock, own), Guardrails("act", asked))
    assert (no.guardrail, f"3 of service hosts's 6 targets are seen healthy beside h-1 with {FIRST}" in no.reason) == (
        "quorum",
        True,
    )
    assert isinstance(judged(timed, claim, looked(clock, own), Guardrails("act", {"at_once": AtOnce(1, 6)})), Act)


def test_a_dry_run_foresees_what_the_parts_services_ask(timed: Store) -> None:
    def foreseen() -> Refusal | None:
        with timed.read() as tx:
            return intents.foreseen(
                tx,
                service="hosts",
                target="h-1",
                runbook="r",
                severity=Severity.WARNING,
                remedy="reboot",
                limits=FREE,
                touched=(of_hosts("h-1"), REBOOT),
            )

    assert foreseen() is None
    changed(timed, THIRD, None)
    no = foreseen()
    assert no is not None
    assert (no.guardrail, f"{THIRD} has a change that is not verified yet" in no.reason) == ("parts", True)
