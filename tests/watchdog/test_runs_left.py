"""The runs of a responder that died, or only seemed to."""

from datetime import timedelta

import pytest
from incident_states import holding
from watchdog_harness import Harness

from paramedic.store import claims, leases

LEASE = timedelta(seconds=10)

pytestmark = pytest.mark.real


def _taken(harness: Harness, run: str, state: str) -> None:
    harness.outside.runs[run] = state
    with harness.store.write() as tx:
        assert leases.take(tx, f"{leases.RUN}{run}", holder="host:1:a", lease=LEASE)


def _leases(harness: Harness) -> list[str]:
    harness.clock.advance(timedelta(days=1))
    with harness.store.read() as tx:
        return [name for name, _ in leases.run_out(tx, leases.RUN)]


@pytest.mark.parametrize(
    ("was", "is_now"),
    [
        ("RUNNING", "CRASHED"),
        ("PENDING", "CRASHED"),
        ("CANCELLING", "CANCELLED"),
        ("COMPLETED", "COMPLETED"),
        ("SCHEDULED", "SCHEDULED"),  # it was taken and not begun: another responder takes it
        ("PAUSED", "PAUSED"),
    ],
)
def test_a_run_that_nobody_has_any_more_is_no_longer_running(harness: Harness, was: str, is_now: str) -> None:
    _taken(harness, "r-1", was)
    harness.after(11)
    assert harness.outside.runs["r-1"] == is_now
    assert _leases(harness) == []


def test_a_run_whose_responder_renews_its_lease_is_left_alone(harness: Harness) -> None:
    _taken(harness, "r-1", "RUNNING")
    for _ in range(5):
        harness.after(4)
        with harness.store.write() as tx:
            assert leases.renew(tx, "host:1:a", LEASE) == {"run:r-1"}
    assert harness.outside.runs["r-1"] == "RUNNING"


def test_a_run_that_holds_its_claim_is_alive_whatever_became_of_its_responder(harness: Harness) -> None:
    _, claim = holding(harness.store)
    run = claim.holder.removeprefix(leases.RUN)
    _taken(harness, run, "RUNNING")
    harness.clock.advance(timedelta(seconds=9))
    with harness.store.write() as tx:
        assert claims.renew(tx, claim, LEASE)
    harness.after(2)
    assert harness.outside.runs[run] == "RUNNING"
    harness.after(11)
    assert harness.outside.runs[run] == "CRASHED"


def test_a_prefect_that_does_not_answer_is_told_later(harness: Harness) -> None:
    _taken(harness, "r-1", "RUNNING")
    harness.outside.silent.add("api")
    harness.after(11)
    harness.outside.silent.clear()
    assert harness.outside.runs["r-1"] == "RUNNING"
    harness.after(1)
    assert harness.outside.runs["r-1"] == "CRASHED"


def test_a_lost_lease_is_not_taken_back_by_renewing(harness: Harness) -> None:
    _taken(harness, "r-1", "RUNNING")
    harness.clock.advance(timedelta(seconds=11))
    with harness.store.write() as tx:
        assert leases.renew(tx, "host:1:a", LEASE) == set()
        assert leases.take(tx, "run:r-1", holder="host:2:b", lease=LEASE)
        assert not leases.take(tx, "run:r-1", holder="host:1:a", lease=LEASE)
