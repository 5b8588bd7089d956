"""The schedules that Prefect is told of, and which rounds a worker begins."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import anyio
import pytest
from groups import write
from prefect.client.schemas.objects import DeploymentSchedule, FlowRun
from prefect.client.schemas.responses import WorkerFlowRunResponse
from prefect.client.schemas.schedules import IntervalSchedule
from ruamel.yaml import YAML

from paramedic.dispatch.schedules import next_due, schedules
from paramedic.machine.clock import utc_now
from paramedic.responder.__main__ import make_room
from paramedic.responder.capacity import PLAYBOOKS, RESERVED
from paramedic.responder.worker import ParamedicWorker
from paramedic.settings import Settings

DECLARED = YAML(typ="safe").load((Path(__file__).parents[2] / "prefect.yaml").read_text())["deployments"]
MINUTE = timedelta(minutes=1)
ANCHOR = datetime(2026, 1, 1, tzinfo=UTC)


def test_each_group_has_one_schedule_whose_runs_know_their_group_and_period() -> None:
    declared = next(deployment for deployment in DECLARED if deployment["name"] == "health-check")["schedules"]
    made = schedules(declared, groups=["default", "web"], every=timedelta(seconds=30))
    assert [(schedule.slug, schedule.parameters) for schedule in made] == [
        ("default", {"run": {"group": "default", "every": 30}}),
        ("web", {"run": {"group": "web", "every": 30}}),
    ]
    assert made == schedules(declared, groups=["default", "web"], every=timedelta(seconds=30)), "the same at each start"
    assert schedules(declared, groups=[], every=MINUTE) == []


def test_a_schedule_without_a_group_is_made_as_it_is_written() -> None:
    (made,) = schedules([{"interval": 20, "slug": "all", "parameters": {"run": {}}}], groups=["a", "b"], every=MINUTE)
    assert (made.schedule.interval, made.parameters) == (timedelta(seconds=20), {"run": {"every": 20}})


def test_the_next_round_is_that_of_the_first_active_schedule() -> None:
    def made(slug: str, minutes: int, *, active: bool = True) -> DeploymentSchedule:
        schedule = IntervalSchedule(interval=10 * MINUTE, anchor_date=ANCHOR + minutes * MINUTE)
        return DeploymentSchedule(schedule=schedule, slug=slug, active=active)

    now = ANCHOR + 44 * MINUTE
    every = [made("web", 8), made("default", 6), made("paused", 5, active=False)]
    assert next_due(every, now) == ANCHOR + 46 * MINUTE
    assert next_due(every, ANCHOR + 46 * MINUTE) == ANCHOR + 46 * MINUTE
    assert next_due(every[2:], now) is None


def entry(*, late: timedelta = timedelta(0), scheduled: bool = True, **run: Any) -> WorkerFlowRunResponse:
    flow_run = FlowRun(
        flow_id=uuid4(),
        name="a run",
        auto_scheduled=scheduled,
        expected_start_time=utc_now() - late,
        parameters={"run": run or {"group": "default", "every": 60}},
    )
    return WorkerFlowRunResponse(work_pool_id=uuid4(), work_queue_id=uuid4(), flow_run=flow_run)


class Client:
    def __init__(self) -> None:
        self.ended: list[tuple[Any, str]] = []

    async def set_flow_run_state(self, flow_run: Any, state: Any, *, force: bool) -> None:
        assert force
        self.ended.append((flow_run, state.name))


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Which runs the worker begins: none of them gets a process."""
    found: list[Any] = []
    monkeypatch.setattr(ParamedicWorker, "_submit_run", lambda _, run: run)
    monkeypatch.setattr(
        ParamedicWorker,
        "_runs_task_group",
        SimpleNamespace(start_soon=lambda _, run: found.append(run.id)),
        raising=False,
    )
    return found


def _worker(limit: int) -> ParamedicWorker:
    worker = ParamedicWorker(work_pool_name="p", limit=limit)
    worker._runs_task_group = ParamedicWorker._runs_task_group
    worker._limiter = anyio.CapacityLimiter(limit)
    return worker


def poll(worker: ParamedicWorker, *entries: WorkerFlowRunResponse) -> Client:
    worker._client = client = Client()  # type: ignore[assignment]
    asyncio.run(worker._submit_scheduled_flow_runs(list(entries)))
    return client


def test_rounds_that_were_missed_end_without_a_process_and_late_playbooks_do_not(begun: list[Any]) -> None:
    missed = [entry(late=number * MINUTE) for number in range(1, 100)]
    due, playbook = entry(late=timedelta(seconds=30)), entry(late=10 * MINUTE, scheduled=False, incident="x", attempt=1)
    client = poll(_worker(PLAYBOOKS + 2), *missed, due, playbook)
    assert client.ended == [(response.flow_run.id, "Skipped") for response in missed]
    assert begun == [playbook.flow_run.id, due.flow_run.id], "and a playbook goes first"


def test_where_every_round_comes_late_the_newest_of_each_schedule_is_played(begun: list[Any]) -> None:
    groups = {name: UUID(int=number) for number, name in enumerate(("tracking", "menu"))}
    late = {name: [entry(late=number * MINUTE) for number in (3, 1, 2)] for name in groups}
    for name, entries in late.items():
        for response in entries:
            response.flow_run.deployment_id = groups[name]
    client = poll(_worker(PLAYBOOKS + 2), *late["tracking"], *late["menu"])
    assert begun == [late[name][1].flow_run.id for name in groups]
    assert len(client.ended) == 4


def test_rounds_never_take_the_room_of_playbooks(begun: list[Any]) -> None:
    async def polled() -> None:
        worker = _worker(PLAYBOOKS + 2)
        rounds = [entry() for _ in range(5)]
        await worker._submit_scheduled_flow_runs(rounds)
        assert begun == [response.flow_run.id for response in rounds[:2]]
        await worker._submit_scheduled_flow_runs(rounds)
        assert len(begun) == 2, "both are still at work"
        playbooks = [entry(scheduled=False) for _ in range(PLAYBOOKS - RESERVED)]
        await worker._submit_scheduled_flow_runs(playbooks)
        assert len(begun) == 2 + len(playbooks)
        for response in rounds[:2]:
            worker._end(response.flow_run.id)
        await worker._submit_scheduled_flow_runs(rounds[2:])
        assert len(begun) == 4 + len(playbooks)

    asyncio.run(polled())


def test_of_the_room_of_playbooks_some_is_kept_for_what_is_critical(begun: list[Any]) -> None:
    async def polled() -> None:
        worker = _worker(PLAYBOOKS + 2)
        warnings = [entry(scheduled=False) for _ in range(PLAYBOOKS)]
        await worker._submit_scheduled_flow_runs(warnings)
        assert len(begun) == PLAYBOOKS - RESERVED
        critical = [entry(scheduled=False) for _ in range(PLAYBOOKS)]
        for response in critical:
            response.flow_run.work_queue_name = "critical"
        await worker._submit_scheduled_flow_runs([*warnings, *critical])
        assert begun[PLAYBOOKS - RESERVED :] == [response.flow_run.id for response in critical[: RESERVED + 2]]

    asyncio.run(polled())


def test_a_run_that_is_at_work_is_not_begun_again(begun: list[Any]) -> None:
    async def polled() -> None:
        worker = _worker(PLAYBOOKS + 2)
        response = entry(scheduled=False)
        await worker._submit_scheduled_flow_runs([response, response])
        await worker._submit_scheduled_flow_runs([response])
        assert begun == [response.flow_run.id]

    asyncio.run(polled())


def test_the_rounds_of_a_group_that_is_new_get_room_and_no_fault_in_a_file_takes_it_away(tmp_path: Path) -> None:
    async def grown() -> None:
        worker, settings = ParamedicWorker(work_pool_name="p"), Settings(runbooks=tmp_path)
        worker._limiter = anyio.CapacityLimiter(PLAYBOOKS + 4)
        write(tmp_path, "default", "web")
        await make_room(worker, settings)
        assert worker.limiter.total_tokens == PLAYBOOKS + 8
        (tmp_path / "services.yaml").write_text("services: [")
        await make_room(worker, settings)
        assert worker.limiter.total_tokens == PLAYBOOKS + 8

    asyncio.run(grown())
