"""Error budgets: how fast one is used up, over a long and a short window, and what an author may write."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from databases import Clock
from fake_service import target
from looked_at import made
from pydantic import ValidationError
from sqlalchemy import func, select

from paramedic.checks.check import CheckAtTarget, CheckSpec, Sample, check_spec
from paramedic.checks.threshold import Level
from paramedic.store import Store, checks, inbox, quiet_samples
from paramedic.store.tables import check_counts

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
SPEC = check_spec(CheckSpec)
Errors = Callable[[int], bool]


def test_an_objective_alone_has_the_pairs_of_the_workbook() -> None:
    check = made(check="http://here/", objective="99.9%", every="10s")
    assert {each.metric: (each.warning, each.critical) for each in check.thresholds} == {
        "burn_1h": (None, 14.4),
        "burn_6h": (None, 6),
        "burn_3d": (1, None),
    }
    assert check.window == MINUTE, "a burn rate has windows of its own"


def test_burn_rates_stand_beside_plain_bounds_and_may_have_others() -> None:
    words: dict[str, Any] = {"error_rate": {"critical": "50%"}, "burn_1h": {"critical": 10}}
    check = made(check="tcp://here:1", objective="99%", **words)
    assert {each.metric: each.critical for each in check.thresholds} == {
        "error_rate": 50,
        "burn_1h": 10,
        "burn_6h": 6,
        "burn_3d": None,
    }


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"burn_1h": {"critical": 10}}, "`burn_1h` needs the `objective`: 99.9%"),
        ({"objective": "100%"}, "'100%' is no objective; allowed: from 50% to under 100%"),
        ({"objective": "10%"}, "is no objective"),
        ({"objective": "three nines"}, "is not a percentage"),
        ({"check": "process", "objective": "99.9%"}, "`objective` is of checks that measure error_rate"),
        (
            {"objective": "99.99%"},
            "the 1h of burn_1h at `every: 15s` has 240 samples, and it takes 695; write `every: 5s`",
        ),
        ({"objective": "99.99999%"}, "write a lower `objective`"),
    ],
)
def test_what_cannot_be_meant_is_refused(words: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        made(**({"check": "http://here/"} | words))
    assert says in str(refused.value)


# --- over hours -------------------------------------------------------------------------------------------------------


def placed(**words: Any) -> CheckAtTarget:
    made_of = {"check": "http://{host}/", "name": "slo", "objective": "99%", "every": "30s"} | words
    return CheckAtTarget("orders", SPEC(**made_of).build(), target())


class Hours:
    """A check that is looked at twice a minute for as long as a test says."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self.check = placed()
        self._number = 0

    def go_on(self, lasting: timedelta, error: Errors) -> None:
        for _ in range(int(lasting / timedelta(seconds=30))):
            self._clock.advance(timedelta(seconds=30))
            self._number += 1
            values = {"latency": 0.1, "error": float(error(self._number))}
            with self._store.record() as tx:
                seen = Sample(tx.now, values, "seen")
                assert quiet_samples.record_quiet(tx, [(self.check, seen)]) == [None], "each of its samples is counted"
                checks.record(tx, self.check, seen, blind=False, mass_limit=99)

    def value(self, metric: str) -> float | None:
        with self._store.read() as tx:
            found = checks.state(tx, self.check, metric)
        return None if found is None else found.value

    def level(self, metric: str) -> Level:
        with self._store.read() as tx:
            found = checks.state(tx, self.check, metric)
        assert found is not None
        return found.standing.level

    def fired(self) -> set[str]:
        with self._store.read() as tx:
            return {receipt.alert.labels["metric"] for receipt in inbox.waiting(tx)}


@pytest.fixture
def hours(timed: Store, clock: Clock) -> Hours:
    return Hours(timed, clock)


def never(_: int) -> bool:
    return False


def always(_: int) -> bool:
    return True


def test_a_single_error_of_a_service_with_little_traffic_pages_nobody(hours: Hours) -> None:
    """As from the first request on: what the window does not have yet counts as well."""
    hours.go_on(MINUTE, never)
    hours.go_on(timedelta(seconds=30), always)
    assert hours.fired() == set()
    hours.go_on(HOUR, never)
    assert hours.fired() == set()


def test_an_outage_burns_fast_and_its_end_is_seen_by_the_short_window(hours: Hours) -> None:
    hours.go_on(HOUR, never)
    hours.go_on(8 * MINUTE, always)
    assert hours.level("burn_1h") is Level.OK, "16 of 120 looks are 13.3 times the budget of 1%"
    hours.go_on(MINUTE, always)
    assert hours.level("burn_1h") is Level.CRITICAL
    assert hours.value("burn_1h") == pytest.approx(100 * 18 / 121, rel=0.02)
    hours.go_on(6 * MINUTE, never)
    assert hours.level("burn_1h") is Level.OK, "an hour of errors is not needed to see that they are over"
    assert hours.value("burn_1h") == 0


def test_what_is_no_outage_and_uses_up_the_budget_is_a_warning_in_the_end(hours: Hours) -> None:
    hours.go_on(2 * HOUR, lambda number: number % 20 == 0)
    assert hours.value("burn_3d") == pytest.approx(5, rel=0.05)
    assert hours.level("burn_3d") is Level.WARNING
    assert hours.level("burn_1h") is hours.level("burn_6h") is Level.OK
    assert hours.fired() == {"burn_3d"}


def test_a_check_that_sees_nothing_neither_burns_nor_saves(hours: Hours, timed: Store, clock: Clock) -> None:
    hours.go_on(HOUR, never)
    with timed.record() as tx:
        checks.record(tx, hours.check, Sample(tx.now, None, "blind"), blind=False, mass_limit=99)
    assert hours.level("burn_1h") is Level.UNKNOWN
    with timed.read() as tx:
        assert tx.conn.execute(select(func.sum(check_counts.c.looks)).where(check_counts.c.span == 60)).scalar() == 120


def test_the_counts_of_a_check_are_few_whatever_its_pace(hours: Hours, timed: Store, clock: Clock) -> None:
    hours.go_on(2 * HOUR, never)
    for _ in range(90):  # an hour apart
        clock.advance(HOUR)
        hours.go_on(MINUTE, never)
    with timed.read() as tx:
        by_span = select(check_counts.c.span, func.count()).group_by(check_counts.c.span)
        found = {row[0]: row[1] for row in tx.conn.execute(by_span)}
    assert found[60] <= 6 * 60 + 2
    assert found[3600] <= 3 * 24 + 2


def test_without_an_objective_nothing_is_counted(timed: Store, clock: Clock) -> None:
    plain = CheckAtTarget("orders", SPEC(check="http://{host}/", name="plain").build(), target())
    with timed.record() as tx:
        checks.record(tx, plain, Sample(tx.now, {"latency": 0.1, "error": 0.0}, ""), blind=False, mass_limit=99)
    with timed.read() as tx:
        assert tx.conn.execute(select(func.count()).select_from(check_counts)).scalar() == 0


def test_a_look_of_a_run_judges_a_burn_rate_by_its_own_samples(clock: Clock) -> None:
    """It has no hours: a fresh sample that fails burns, and fresh ones that are all well do not."""
    check = placed().check
    well, bad = ({"latency": 0.1, "error": each} for each in (0.0, 1.0))
    assert check.metrics([Sample(clock.now(), well, "")]) == {"burn_1h": 0, "burn_6h": 0, "burn_3d": 0}
    assert check.metrics([Sample(clock.now(), bad, "")])["burn_1h"] == pytest.approx(100)
