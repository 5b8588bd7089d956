"""A check's window that has only begun, as the store judges it."""

from datetime import timedelta

import pytest
from databases import Clock
from fake_service import target

from paramedic.checks.check import CheckAtTarget, CheckSpec, Sample, check_spec
from paramedic.checks.threshold import Level
from paramedic.store import Store, checks, quiet_samples

SPEC = check_spec(CheckSpec)


@pytest.mark.parametrize("many_in_one", [False, True])
def test_one_bad_sample_of_a_window_that_has_only_begun_is_no_breach(
    timed: Store, clock: Clock, many_in_one: bool
) -> None:
    """By whichever way it is written: as in a window that is full, one of so many samples is under its bound."""
    bounds = {"critical": "3%", "for": "0s"}
    where = CheckAtTarget("slow", SPEC(check="http://{host}/", error_rate=bounds).build(), target())
    for error in (0.0, 1.0):
        clock.advance(timedelta(seconds=15))
        seen = Sample(clock.now(), {"latency": 0.1, "error": error}, "as the test says")
        with timed.record() as tx:
            if not many_in_one or quiet_samples.record_quiet(tx, [(where, seen)]) == [None]:
                checks.record(tx, where, seen, blind=False, mass_limit=99)
    with timed.read() as tx:
        state = checks.state(tx, where, "error_rate")
    assert state is not None
    assert state.standing.level is Level.OK
    assert state.value == pytest.approx(100 / 34)
