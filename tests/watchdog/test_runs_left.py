"""The runs of a responder that died, or only seemed to."""

from datetime import timedelta

import pytest
from incident_states import holding
from watchdog_harness import Kennel

from paramedic.store import claims, leases

LEASE = timedelta(seconds=10)

pytestmark = pytest.mark.real


def _taken(kennel: Kennel, run: str, state: str) -> None:
    kennel.outside.runs[run] = state
    with kennel.store.write() as tx:
        assert leases.take(tx, f"{leases.RUN}{run}", holder="host:1:a", lease=LEASE)


def _leases(kennel: Kennel) -> list[str]:
    kennel.clock.advance(timedelta(days=1))
    with kennel.store.read() as tx:
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
def test_a_run_that_nobody_has_any_more_is_no_longer_running(kennel: Kennel, was: str, is_now: str) -> None:
    _taken(kennel, "r-1", was)
    kennel.after(11)
    assert kennel.outside.runs["r-1"] == is_now
    assert _leases(kennel) == []


def test_a_run_whose_responder_renews_its_lease_is_left_alone(kennel: Kennel) -> None:
    _taken(kennel, "r-1", "RUNNING")
    for _ in range(5):
        kennel.after(4)
        with kennel.store.write() as tx:
            assert leases.renew(tx, "host:1:a", LEASE) == {"run:r-1"}
    assert kennel.outside.runs["r-1"] == "RUNNING"


def test_a_run_that_holds_its_claim_is_alive_whatever_became_of_its_responder(kennel: Kennel) -> None:
    _, claim = holding(kennel.store)
    run = claim.holder.removeprefix(leases.RUN)
    _taken(kennel, run, "RUNNING")
    kennel.clock.advance(timedelta(seconds=9))
    with kennel.store.write() as tx:
        assert claims.renew(tx, claim, LEASE)
    kennel.after(2)
    assert kennel.outside.runs[run] == "RUNNING"
    kennel.after(11)
    assert kennel.outside.runs[run] == "CRASHED"


def test_a_prefect_that_does_not_answer_is_told_later(kennel: Kennel) -> None:
    _taken(kennel, "r-1", "RUNNING")
    kennel.outside.silent.add("api")
    kennel.after(11)
    kennel.outside.silent.clear()
    assert kennel.outside.runs["r-1"] == "RUNNING"
    kennel.after(1)
    assert kennel.outside.runs["r-1"] == "CRASHED"


def test_a_lost_lease_is_not_taken_back_by_renewing(kennel: Kennel) -> None:
    _taken(kennel, "r-1", "RUNNING")
    kennel.clock.advance(timedelta(seconds=11))
    with kennel.store.write() as tx:
        assert leases.renew(tx, "host:1:a", LEASE) == set()
        assert leases.take(tx, "run:r-1", holder="host:2:b", lease=LEASE)
        assert not leases.take(tx, "run:r-1", holder="host:1:a", lease=LEASE)
