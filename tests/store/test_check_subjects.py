"""A check with several subjects keeps a state of each, of the worst alone, and forgets who is quiet; on both databases."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from databases import Clock
from fake_service import target
from sqlalchemy import func, select
from store_states import opened

from paramedic.alerts.alert import Alert, Status
from paramedic.checks.check import Check, CheckAtTarget, Sample
from paramedic.checks.threshold import Level, Threshold
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.kinds.metric import Metric
from paramedic.store import Store, check_states, check_subjects, checks, inbox, lifecycle, mass_failure, trail
from paramedic.store.tables import check_samples, messages
from paramedic.store.tables import check_subjects as table
from paramedic.text.quantity import Unit

#: Samples count as taken when they are recorded.
THEN = datetime(2026, 1, 31, tzinfo=UTC)

SECOND = timedelta(seconds=1)
MINUTE = 60 * SECOND

FAILURES = Metric("failures", (Unit.COUNT,), critical="6", held_for=timedelta(), by="address")

ONE, OTHER = "203.0.113.7", "203.0.113.9"


def placed(held_for: timedelta = timedelta()) -> CheckAtTarget:
    bounds = Threshold("failures", Unit.COUNT, None, 6.0, held_for, 0.1)
    made = Check("log", "log", "the log", (bounds,), 15 * SECOND, SECOND, 10 * MINUTE, 5 * MINUTE, (FAILURES,))
    return CheckAtTarget("attacked", made, target())


def seen(counts: Mapping[str, int] | None) -> Sample:
    if counts is None:
        return Sample(THEN, None, "not seen")
    worst = float(max(counts.values(), default=0))
    return Sample(THEN, {"failures": worst}, "read", {one: {"failures": float(n)} for one, n in counts.items()})


@pytest.fixture
def see(timed: Store, clock: Clock) -> Any:
    """Fifteen seconds later the check sees so many failures of each address; None: it sees nothing."""

    def look(
        counts: Mapping[str, int] | None, where: CheckAtTarget | None = None, *, limit: int = 99
    ) -> checks.Recorded:
        clock.advance(15 * SECOND)
        with timed.record() as tx:
            return checks.record(tx, where or placed(), seen(counts), blind=False, mass_limit=limit)

    return look


def alerts(store: Store) -> list[Alert]:
    with store.read() as tx:
        return [receipt.alert for receipt in sorted(inbox.waiting(tx), key=lambda receipt: receipt.position)]


def kept(store: Store) -> dict[str, Level]:
    with store.read() as tx:
        return {found.subject: found.standing.level for found in check_subjects.of(tx, placed(), "failures")}


def test_each_subject_has_its_own_alert_with_the_subject_as_a_label_and_ends_by_itself(timed: Store, see: Any) -> None:
    see({ONE: 6, OTHER: 5})
    (first,) = alerts(timed)
    assert (first.labels["address"], first.status, first.value) == (ONE, Status.FIRING, "6")
    assert f"failures of {ONE} at {target().id} is 6" in first.annotations["summary"]
    see({ONE: 7, OTHER: 6})
    second = alerts(timed)[1]
    assert (second.labels["address"], second.fingerprint == first.fingerprint) == (OTHER, False)
    see({OTHER: 9})
    last = alerts(timed)[2]
    assert (last.status, last.fingerprint, last.labels["address"]) == (Status.RESOLVED, first.fingerprint, ONE)
    assert kept(timed) == {OTHER: Level.CRITICAL}
    see({})
    assert (len(alerts(timed)), kept(timed)) == (4, {})


def test_who_stays_under_the_bound_leaves_no_row(timed: Store, see: Any) -> None:
    see({f"198.51.100.{number}": 5 for number in range(200)})
    assert (kept(timed), alerts(timed)) == ({}, [])


def test_the_hysteresis_and_the_time_of_a_bound_are_each_subjects_own(timed: Store, see: Any) -> None:
    where = placed(held_for=30 * SECOND)
    see({ONE: 6}, where)
    see({ONE: 6, OTHER: 6}, where)
    assert alerts(timed) == []
    see({ONE: 6, OTHER: 6}, where)
    assert [alert.labels["address"] for alert in alerts(timed)] == [ONE]
    see({ONE: 6, OTHER: 5}, where)
    assert kept(timed) == {ONE: Level.CRITICAL}, "the break begins the other's time anew"
    see({ONE: 5.5}, where)  # type: ignore[dict-item]
    assert kept(timed) == {ONE: Level.CRITICAL}, "not back past the hysteresis"
    see({ONE: 5}, where)
    assert kept(timed) == {}


def test_an_attack_by_a_hundred_thousand_addresses_fills_no_store_and_the_worst_are_said(
    timed: Store, see: Any
) -> None:
    attack = {f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}": 6 + n % 7 for n in range(100_000)}
    recorded_ = see({**attack, ONE: 500})
    assert len(kept(timed)) == check_subjects.KEPT == len(alerts(timed))
    assert ONE in kept(timed)
    assert f"{100_001 - check_subjects.KEPT} more are past their bound" in recorded_.why
    see({**attack, ONE: 500, OTHER: 1000})
    assert (len(kept(timed)), OTHER in kept(timed)) == (check_subjects.KEPT, False)
    see({OTHER: 1000})
    see({OTHER: 1000})
    assert kept(timed) == {OTHER: Level.CRITICAL}
    with timed.read() as tx:
        sizes = [len(row.each or {}) for row in tx.conn.execute(select(check_samples))]
    assert max(sizes) <= 2 * check_subjects.KEPT


def test_what_is_not_seen_ends_nobodys_breach_and_is_told_once_whoever_they_are(timed: Store, see: Any) -> None:
    see({ONE: 6, OTHER: 6})
    for _ in range(30):
        see(None)
    assert kept(timed) == {ONE: Level.UNKNOWN, OTHER: Level.UNKNOWN}
    assert [alert.status for alert in alerts(timed)] == [Status.FIRING] * 2
    with timed.read() as tx:
        subjects = list(tx.conn.execute(select(messages.c.subject)).scalars())
    assert subjects == [f"The check {placed().name} sees nothing at {target().id}"]


def test_an_attacker_is_no_failure_of_the_target_nor_a_mass_failure(timed: Store, see: Any) -> None:
    see({ONE: 6, OTHER: 6}, limit=1)
    with timed.read() as tx:
        assert mass_failure.current(tx) is None
        (state,) = check_states.listed(tx)
        assert (state.standing.level, state.value) == (Level.OK, 6)
        assert check_states.broken_at(tx, target().id) == []
        assert check_subjects.breached_at(tx, target().id) == {("attacked", "log", "failures")}


def test_a_subject_is_on_the_trail_by_its_level_and_not_by_its_name(timed: Store, see: Any) -> None:
    see({ONE: 6})
    with timed.read() as tx:
        (entry,) = [entry for entry in trail.entries(tx) if entry.what == "check.critical"]
    assert "failures is 6" in (entry.reason or "")
    assert ONE not in str((entry.reason, entry.data))


def test_samples_of_before_an_incident_ended_do_not_count_against_a_subject(
    timed: Store, see: Any, clock: Clock
) -> None:
    see({ONE: 6})
    (alert,) = alerts(timed)
    with timed.record() as tx:
        number = opened(tx, target=target().id, received=alert)
    clock.advance(SECOND)
    with timed.record() as tx:
        lifecycle.resolve(tx, number, Outcome(Ending.REMEDIATED, "blocked"), actor="run")
    see({ONE: 6}, placed(held_for=MINUTE))
    assert alerts(timed)[-1].status is Status.RESOLVED


def test_the_states_of_a_check_that_is_gone_are_deleted(timed: Store, see: Any) -> None:
    see({ONE: 6})
    with timed.record() as tx:
        checks.retire(tx, [placed()])
    assert kept(timed) == {ONE: Level.CRITICAL}
    with timed.record() as tx:
        checks.retire(tx, [])
        assert tx.conn.execute(select(func.count()).select_from(table)).scalar_one() == 0


def test_a_sample_that_changes_nothing_takes_no_lock_of_the_trail(timed: Store, see: Any) -> None:
    see({ONE: 6})
    with timed.write() as tx:
        assert checks.record_without_trail(tx, placed(), seen({ONE: 7}), blind=False) is not None
        assert checks.record_without_trail(tx, placed(), seen({ONE: 7, OTHER: 7}), blind=False) is None
