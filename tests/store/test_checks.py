"""What checks saw and what follows, on both databases, with the time moved by hand."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from databases import Clock
from fake_service import target
from sqlalchemy import select
from store_states import look_at_the_trail, recorded

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.checks.check import CheckAtTarget, CheckSpec, Sample, check_spec
from paramedic.checks.threshold import Level
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.incidents.tier import Tier
from paramedic.remediation.target import Target
from paramedic.store import Store, check_states, checks, heartbeats, inbox, kill_switch, leases, lifecycle, mass_failure
from paramedic.store.tables import check_samples, messages

SECOND = timedelta(seconds=1)
MINUTE = 60 * SECOND

#: Made here: plug-ins are looked for on disk, which no transaction waits for.
SPEC = check_spec(CheckSpec)


def placed(name: str = "http", at: Target | None = None, **words: Any) -> CheckAtTarget:
    made = SPEC(
        **({"check": "http://{host}/health", "name": name, "error_rate": {"critical": "30%"}, "window": "1m"} | words)
    ).build()
    return CheckAtTarget("tracking-api-slow", made, at or target())


@pytest.fixture
def see(timed: Store, clock: Clock) -> Any:
    """Fifteen seconds later a check sees this error, or nothing (None), so many times."""

    def seen(
        error: float | None, times: int = 1, where: CheckAtTarget | None = None, *, limit: int = 99, blind: bool = False
    ) -> None:
        for _ in range(times):
            clock.advance(15 * SECOND)
            values = None if error is None else {"latency": 0.1, "error": error}
            with timed.record() as tx:
                sample = Sample(clock.now(), values, "as the test says")
                checks.record(tx, where or placed(), sample, blind=blind, mass_limit=limit)

    return seen


def standing(store: Store, where: CheckAtTarget | None = None, metric: str = "error_rate") -> Level:
    with store.read() as tx:
        found = checks.state(tx, where or placed(), metric)
    assert found is not None
    return found.standing.level


def queued_alerts(store: Store) -> list[Alert]:
    with store.read() as tx:
        return [receipt.alert for receipt in sorted(inbox.waiting(tx), key=lambda receipt: receipt.position)]


def pages(store: Store) -> list[str]:
    with store.read() as tx:
        return list(tx.conn.execute(select(messages.c.subject).order_by(messages.c.id)).scalars())


def paused(store: Store) -> str | None:
    with store.read() as tx:
        return mass_failure.current(tx)


# --- one check --------------------------------------------------------------------------------------------------------


def test_a_breach_is_said_once_its_time_has_passed_with_the_state_that_it_rests_on(timed: Store, see: Any) -> None:
    see(0, 5)
    see(1, 5)  # of the four in the window, one is no breach
    assert (standing(timed), queued_alerts(timed)) == (Level.OK, [])
    see(1)
    assert standing(timed) is Level.CRITICAL
    (alert,) = queued_alerts(timed)
    assert (alert.source, alert.name, alert.severity) == ("check", "tracking-api-slow error_rate", Severity.CRITICAL)
    assert (alert.status, alert.value, alert.labels["instance"]) == (Status.FIRING, "100%", "web-1")
    assert recorded(timed) == ["check.critical"]
    assert look_at_the_trail(timed).verified


def test_a_breach_that_lasts_is_said_again_and_its_end_once(timed: Store, see: Any) -> None:
    see(1, 5)
    began = queued_alerts(timed)[0].starts_at
    see(1, 19)
    assert len(queued_alerts(timed)) == 1
    see(1)
    assert [alert.starts_at for alert in queued_alerts(timed)] == [began, began], "another five minutes have passed"
    see(0, 4)
    assert queued_alerts(timed)[-1].status is Status.RESOLVED
    assert queued_alerts(timed)[-1].starts_at == began
    see(0, 30)
    assert len(queued_alerts(timed)) == 3
    assert len({alert.fingerprint for alert in queued_alerts(timed)}) == 1


def test_what_a_check_says_waits_by_the_tier_of_its_target_s_service(timed: Store, see: Any) -> None:
    see(1, 5)
    see(1, 5, placed(at=replace(target(), id="web-2/shop", host="web-2", tier=Tier.CORE)))
    with timed.read() as tx:
        assert [receipt.alert.labels["instance"] for receipt in inbox.waiting(tx)] == ["web-2", "web-1"]


def test_a_breach_that_gets_worse_is_said_at_once(timed: Store, see: Any) -> None:
    where = placed(error_rate={"warning": "30%", "critical": "90%", "for": "0s"})
    see(0, 3, where)
    see(1, 2, where)
    see(1, 3, where)
    assert [(alert.severity, alert.status) for alert in queued_alerts(timed)] == [
        (Severity.WARNING, Status.FIRING),
        (Severity.CRITICAL, Status.FIRING),
    ]


def test_a_check_that_sees_nothing_starts_nothing_ends_nothing_and_tells_a_person(timed: Store, see: Any) -> None:
    see(None, 10)
    assert (standing(timed), queued_alerts(timed), pages(timed)) == (Level.UNKNOWN, [], [])
    see(None, 11)
    assert pages(timed) == ["The check tracking-api-slow/http sees nothing at web-1/tracking-api"]
    see(1, 5)
    see(None, 40)
    assert [alert.status for alert in queued_alerts(timed)] == [Status.FIRING], "what it last knew stands"
    assert len(pages(timed)) == 1, "the same words once an hour"


def test_a_process_that_goes_on_where_another_ended_sees_the_same_window(timed: Store, see: Any) -> None:
    see(1, 3)
    with timed.read() as tx:
        assert checks.sampled_at(tx, placed()) == tx.now
        assert checks.sampled_at(tx, placed("other")) is None
        assert checks.last_sampled(tx) == {placed().key: tx.now}
    see(0)
    with timed.read() as tx:
        state = checks.state(tx, placed(), "error_rate")
    assert state is not None
    assert (state.value, state.service, state.why) == (75, "tracking-api", "as the test says")


def test_samples_are_kept_up_to_a_bound_each_check_for_itself(
    timed: Store, see: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "KEEP", 5)
    see(0, 2, placed("other"))
    see(0, 20)
    with timed.read() as tx:
        kept = list(tx.conn.execute(select(check_samples.c.name)).scalars())
        assert (kept.count("http"), kept.count("other")) == (5, 2)
        newest = checks.recent(tx, placed(), since=tx.now - 61 * SECOND)
    assert [sample.values["error_rate"] for sample in newest if sample.values] == [0] * 5, (
        "metrics are kept beside raw values"
    )


def test_a_check_that_is_gone_from_its_runbook_is_forgotten(timed: Store, see: Any) -> None:
    see(0, 1, placed("old"))
    see(0, 1, placed("new"))
    with timed.record() as tx:
        checks.retire(tx, [placed("new")])
        assert [check.name for check in check_states.listed(tx)] == ["new"]


def test_what_is_broken_at_a_target_is_known(timed: Store, see: Any) -> None:
    see(1, 5)
    with timed.read() as tx:
        assert [broken.metric for broken in check_states.broken_at(tx, "web-1/tracking-api")] == ["error_rate"]
        assert check_states.broken_at(tx, "web-2/tracking-api") == []


# --- much at once -----------------------------------------------------------------------------------------------------

NOW: dict[str, Any] = {"error_rate": {"critical": "30%", "for": "0s"}}


def test_many_breaches_at_once_stop_all_acting_and_are_one_page(timed: Store, see: Any) -> None:
    many = [placed(at=target(host=f"web-{number}"), **NOW) for number in range(1, 7)]
    for at_target in many[:2]:
        see(1, 1, at_target, limit=3)
    assert (paused(timed), len(queued_alerts(timed))) == (None, 2)
    for at_target in many[2:]:
        see(1, 1, at_target, limit=3)
    assert paused(timed) == "3 checks are broken at once, and 3 is the limit"
    assert len(queued_alerts(timed)) == 2, "no check opens an incident meanwhile"
    assert pages(timed) == ["Much is broken at once"]
    with timed.read() as tx:
        assert [pause.scope for pause in kill_switch.standing(tx)] == ["mass"], "the operator's own switch is another"

    for at_target in many[:4]:
        see(0, 4, at_target, limit=3)
    assert paused(timed) is None
    see(1, 1, many[5], limit=3)
    assert [alert.labels["instance"] for alert in queued_alerts(timed) if alert.status is Status.FIRING][2:] == [
        "web-6"
    ]
    assert [what for what in recorded(timed) if what.startswith("acts")] == ["acts.paused", "acts.resumed"]


def test_one_check_with_many_metrics_is_one_check(timed: Store, see: Any) -> None:
    bounds = {"critical": "1ms", "for": "0s"}
    where = placed(latency_p50=bounds, latency_p95=bounds, latency_p99=bounds, window="30m", **NOW)
    see(1, 1, where, limit=2)
    assert (paused(timed), len(queued_alerts(timed))) == (None, 4)


def test_over_half_of_the_services_are_many_and_a_single_one_never_is(timed: Store, see: Any) -> None:
    def of(service: str) -> CheckAtTarget:
        return placed(at=Target(f"web-1/{service}", service, "web-1", "supervisord", service, "unix:///s"), **NOW)

    see(0, 1, of("three"))
    see(1, 1, of("one"))
    assert paused(timed) is None
    see(1, 1, of("two"))
    assert paused(timed) == "2 of 3 services are broken at once, more than half"


def test_a_breach_that_nobody_has_looked_at_for_long_counts_for_nothing(timed: Store, clock: Clock, see: Any) -> None:
    see(1, 1, placed(at=target(host="web-1"), **NOW), limit=2)
    clock.advance(6 * MINUTE)
    see(1, 1, placed(at=target(host="web-2"), **NOW), limit=2)
    assert paused(timed) is None


def test_while_we_are_blind_no_check_says_anything_and_one_page_says_so(timed: Store, see: Any) -> None:
    see(1, 5)
    for _ in range(40):
        see(1, 1, placed(**NOW), blind=True)
        see(0, 1, placed("other", **NOW), blind=True)
    assert standing(timed) is standing(timed, placed("other")) is Level.UNKNOWN
    assert paused(timed) == mass_failure.BLIND
    assert len(queued_alerts(timed)) == 1
    assert pages(timed) == ["We cannot see"]
    see(0, 4)
    assert (paused(timed), standing(timed)) == (None, Level.OK)
    assert queued_alerts(timed)[-1].status is Status.RESOLVED


def test_blindness_that_turns_into_mass_failure_is_told_as_that(timed: Store, see: Any) -> None:
    see(1, 1, placed("a", **NOW), limit=2)
    see(1, 1, placed("b", **NOW), limit=2, blind=True)
    see(1, 1, placed("b", **NOW), limit=2)
    assert paused(timed) == "2 checks are broken at once, and 2 is the limit"
    assert pages(timed) == ["We cannot see", "Much is broken at once"]


# --- leases and heartbeats --------------------------------------------------------------------------------------------


def test_one_holder_at_a_time_has_a_lease_until_it_ends(timed: Store, clock: Clock) -> None:
    def take(holder: str) -> bool:
        with timed.write() as tx:
            return leases.take(tx, "checks/default", holder=holder, lease=15 * SECOND)

    assert take("a")
    assert not take("b")
    clock.advance(10 * SECOND)
    assert take("a"), "renewed"
    clock.advance(10 * SECOND)
    assert not take("b")
    clock.advance(5 * SECOND)
    assert take("b"), "its holder has died"
    with timed.write() as tx:
        assert not leases.held(tx, "checks/default", holder="a")
        leases.release(tx, "checks/default", holder="a")
        assert leases.held(tx, "checks/default", holder="b")
        leases.release(tx, "checks/default", holder="b")
    assert take("a")


def test_a_heartbeat_is_missed_for_as_long_as_it_was_not_heard(
    timed: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeats, "MOST", 1)
    with timed.write() as tx:
        assert heartbeats.missing_for(tx, "backup") is None
        heartbeats.beat(tx, "backup", sender="cron")
    clock.advance(MINUTE)
    with timed.write() as tx:
        assert heartbeats.missing_for(tx, "backup") == MINUTE
        heartbeats.beat(tx, "backup", sender="cron")
        assert heartbeats.missing_for(tx, "backup") == timedelta(0)
        with pytest.raises(Exception, match="one more"):
            heartbeats.beat(tx, "another", sender="cron")


def test_a_check_that_nobody_samples_goes_stale_and_one_that_is_sampled_does_not(
    timed: Store, clock: Clock, see: Any
) -> None:
    with timed.record() as tx:
        for name in ("taken", "untaken"):
            checks.expect(tx, placed(name))
        assert [check.standing.level for check in check_states.listed(tx)] == [Level.UNKNOWN] * 2
    see(0, 1, placed("taken"))
    clock.advance(5 * MINUTE - 15 * SECOND)
    with timed.record() as tx:
        assert [check.name for check in check_states.unsampled(tx)] == ["untaken"]
        checks.expect(tx, placed("untaken"))
        assert check_states.unsampled(tx) == [], "after a restart it has its time again"
        checks.expect(tx, placed("taken"))
        assert standing(timed, placed("taken")) is Level.OK, "what is known stands"


def test_a_sample_that_changes_nothing_is_kept_without_the_lock_of_the_trail(
    timed: Store, clock: Clock, see: Any
) -> None:
    see(0.0, 3)
    for error in (0.0, 0.0):
        clock.advance(15 * SECOND)
        with timed.write() as tx:
            assert checks.record_without_trail(
                tx, placed(), Sample(clock.now(), {"latency": 0.1, "error": error}, "as ever"), blind=False
            )
    with timed.read() as tx:
        assert len(checks.recent(tx, placed(), since=clock.now() - 10 * MINUTE)) == 5
        assert checks.sampled_at(tx, placed()) == clock.now()


@pytest.mark.parametrize(
    ("error", "blind"), [(1.0, False), (None, False), (0.0, True)], ids=["broken", "unseen", "blind"]
)
def test_a_sample_with_something_for_the_trail_is_left_for_record_whole(
    timed: Store, clock: Clock, see: Any, error: float | None, blind: bool
) -> None:
    """Here one broken sample changes the state at once; one that sees nothing changes what counts as broken at once."""
    at_once = placed(error_rate={"critical": "100%", "for": "0s"}, window="15s")
    see(0.0, 3, at_once)
    before = clock.now()
    clock.advance(15 * SECOND)
    values = None if error is None else {"latency": 0.1, "error": error}
    with timed.write() as tx:
        assert not checks.record_without_trail(tx, at_once, Sample(clock.now(), values, "now"), blind=blind)
        assert checks.sampled_at(tx, at_once) == before  # nothing was written


def test_the_trail_is_not_waited_for_by_samples_that_change_nothing(store_url: str, see: Any, timed: Store) -> None:
    """On PostgreSQL somebody holds the trail's lock; on SQLite every writer has the only one anyway."""
    see(0.0, 3)
    if store_url.startswith("sqlite"):
        return
    other = Store(store_url)
    with other.record(), timed.write() as tx:
        sample = Sample(tx.now, {"latency": 0.1, "error": 0.0}, "as ever")
        assert checks.record_without_trail(tx, placed(), sample, blind=False)
    other.close()


def _incident(store: Store) -> int:
    with store.record() as tx:
        (receipt, *_) = inbox.waiting(tx)
        opened = lifecycle.open_incident(
            tx,
            receipt.alert,
            service="tracking-api",
            target=placed().target.id,
            policy="default",
            reason="it is new",
            plan=None,
        )
        for queued in inbox.waiting(tx):
            inbox.decided(tx, queued, verdict="open", reason="", incident=opened.number, look_again_at=None)
        return opened.number


@pytest.mark.parametrize("by", ["person:ada", "run:1"])
def test_what_was_seen_before_an_incident_ended_counts_for_nothing(
    timed: Store, clock: Clock, see: Any, by: str
) -> None:
    """Repaired by hand and resolved: the errors of the minute before are over, and open no new incident."""
    see(1.0, 6)
    number = _incident(timed)
    ending = Ending.HANDED_OVER if by.startswith("person") else Ending.REMEDIATED
    with timed.record() as tx:
        lifecycle.resolve(tx, number, Outcome(ending, "mended"), actor=by)
    clock.advance(SECOND)
    see(0.0)
    assert standing(timed) is Level.OK
    assert [queued.status for queued in queued_alerts(timed)] == [Status.RESOLVED]
    with timed.read() as tx:
        assert len(checks.evidence(tx, placed())) == 1


def test_what_goes_on_being_broken_after_the_end_must_last_for_its_time_again(
    timed: Store, clock: Clock, see: Any
) -> None:
    see(1.0, 6)
    number = _incident(timed)
    with timed.record() as tx:
        lifecycle.resolve(tx, number, Outcome(Ending.HANDED_OVER, "mended, they said"), actor="person:ada")
    clock.advance(SECOND)
    see(1.0, 4)
    assert Status.FIRING not in [queued.status for queued in queued_alerts(timed)], "not yet a whole minute"
    see(1.0, 2)
    assert [queued.status for queued in queued_alerts(timed)][-1] is Status.FIRING
