"""Slots for playbooks before rounds and for what is critical before the rest; and what a responder's metrics say of them."""

from types import SimpleNamespace
from typing import cast
from uuid import uuid4

import anyio
import pytest
from prefect.client.schemas.objects import FlowRun
from prometheus_client import CollectorRegistry

from paramedic.responder.capacity import PLAYBOOK, PLAYBOOKS, RESERVED, ROUND, Capacity
from paramedic.responder.metrics import ResponderMetrics


def run(queue: str = "critical", *, scheduled: bool = False) -> FlowRun:
    return FlowRun(id=uuid4(), flow_id=uuid4(), work_queue_name=queue, auto_scheduled=scheduled)


@pytest.fixture
def capacity() -> Capacity:
    return Capacity()


def filled(capacity: Capacity, count: int, queue: str = "critical", *, scheduled: bool = False) -> list[FlowRun]:
    runs = [run(queue, scheduled=scheduled) for _ in range(count)]
    for one in runs:
        capacity.begin(one)
    return runs


def room(free: int = 1) -> anyio.CapacityLimiter:
    """The limit of a responder, of which so much is free."""
    return cast("anyio.CapacityLimiter", SimpleNamespace(total_tokens=PLAYBOOKS + 6, available_tokens=free))


def test_rounds_leave_the_slots_of_playbooks_free(capacity: Capacity) -> None:
    [*_, last] = filled(capacity, 6, scheduled=True)
    assert not capacity.fits(run(scheduled=True), room())
    assert capacity.fits(run("warning"), room())
    capacity.end(last.id)
    assert capacity.fits(run(scheduled=True), room())


def test_what_is_not_critical_leaves_some_slots_of_playbooks_free(capacity: Capacity) -> None:
    [*_, last] = filled(capacity, PLAYBOOKS - RESERVED, "warning")
    assert not capacity.fits(run("warning"), room())
    assert capacity.fits(run("critical"), room())
    capacity.end(last.id)
    assert capacity.fits(run("warning"), room())


def test_a_critical_run_takes_none_of_the_slots_of_the_others(capacity: Capacity) -> None:
    filled(capacity, PLAYBOOKS - RESERVED)
    assert capacity.fits(run("warning"), room())


def test_nothing_fits_where_every_slot_is_taken_and_all_does_without_a_limit(capacity: Capacity) -> None:
    assert not capacity.fits(run(), room(free=0))
    assert capacity.fits(run(), None)


def test_the_metrics_tell_what_is_at_work_what_began_and_what_more_fits(capacity: Capacity) -> None:
    first, *_ = filled(capacity, 3)
    filled(capacity, 1, scheduled=True)
    capacity.end(first.id)
    registry = CollectorRegistry()
    registry.register(ResponderMetrics(capacity, free=lambda: 7.0, warm=lambda: 4))

    def values(name: str) -> list[float | None]:
        return [registry.get_sample_value(f"paramedic_responder_{name}", {"kind": kind}) for kind in (PLAYBOOK, ROUND)]

    assert values("runs") == [2, 1]
    assert values("runs_begun_total") == [3, 1]
    assert registry.get_sample_value("paramedic_responder_free_slots") == 7
    assert registry.get_sample_value("paramedic_responder_warm_processes") == 4
