"""What a word of dispatch is to a responder, which runs it has room for, and when it polls: without a Prefect."""

import asyncio
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from prefect.client.schemas.objects import FlowRun, State, WorkQueue

from paramedic.responder.__main__ import _poll, pause
from paramedic.responder.capacity import PLAYBOOKS, RESERVED
from paramedic.responder.worker import ParamedicWorker

POOL = "ours"
QUEUES = ("critical", "warning")


@pytest.fixture
def worker(
    _nothing_set: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sqlite_template: Path
) -> ParamedicWorker:
    """One that knows its pool; what it begins never ends."""
    monkeypatch.setenv("PARAMEDIC_DATA", str(tmp_path))
    monkeypatch.setenv("PARAMEDIC_STORE_URL", f"sqlite:///{sqlite_template}")
    worker = ParamedicWorker(work_pool_name=POOL)
    worker._has_successfully_synced = True
    worker._limiter = anyio.CapacityLimiter(PLAYBOOKS + 2)
    made = {"id": uuid.uuid4(), "work_pool_id": uuid.uuid4()}
    worker._deployments.queues = {
        name: WorkQueue(name=name, priority=number, **made) for number, name in enumerate(QUEUES, 1)
    }

    async def goes_on(_: FlowRun) -> None:
        await anyio.sleep_forever()

    monkeypatch.setattr(worker, "_submit_run", goes_on)
    return worker


def heard(worker: ParamedicWorker, *words: dict[str, Any]) -> tuple[list[str], bool]:
    """The runs that it has begun after these words, and whether it looks at the pool at once."""

    async def story() -> None:
        async with anyio.create_task_group() as group:
            worker._runs_task_group = group
            for word in words:
                await worker.on_notification(word)
            group.cancel_scope.cancel()

    asyncio.run(story())
    return [str(run) for run in worker._at_work], worker.look.is_set()


def word(queue: str = "warning", **run: Any) -> dict[str, Any]:
    made = {"id": str(uuid.uuid4()), "flow_id": str(uuid.uuid4()), "name": "a run"}
    return {"pool": POOL, "queue": queue, "run": made | run}


def test_a_word_of_a_run_begins_it_and_no_poll_is_needed(worker: ParamedicWorker) -> None:
    notice = word()
    assert heard(worker, notice, notice) == ([notice["run"]["id"]], False), "once, however often it is said"


@pytest.mark.parametrize(
    "payload", [{}, {"run": 3}, {"pool": "another", "run": {}}, {"queue": "warning", "run": {"id": "x"}}]
)
def test_a_word_that_makes_no_sense_is_a_reason_to_look(worker: ParamedicWorker, payload: dict[str, Any]) -> None:
    assert heard(worker, {"pool": POOL, **payload}) == ([], True)


def test_a_word_of_a_queue_that_is_not_there_or_paused_is_left_to_the_poll(worker: ParamedicWorker) -> None:
    assert heard(worker, word("aside")) == ([], False)
    worker._has_successfully_synced = False
    assert heard(worker, word()) == ([], False)


def test_who_takes_no_more_runs_takes_none(worker: ParamedicWorker) -> None:
    worker.take_no_more()
    assert heard(worker, word()) == ([], False)


def test_what_is_critical_is_not_stuck_behind_warnings(worker: ParamedicWorker) -> None:
    warnings = [word() for _ in range(PLAYBOOKS + 2)]
    critical = [word("critical") for _ in range(RESERVED)]
    begun, _ = heard(worker, *warnings, *critical)
    assert begun == [notice["run"]["id"] for notice in [*warnings[: PLAYBOOKS - RESERVED], *critical]]


def test_scheduled_rounds_leave_the_room_of_playbooks(worker: ParamedicWorker) -> None:
    rounds = [word(auto_scheduled=True) for _ in range(5)]
    playbooks = [word("critical") for _ in range(PLAYBOOKS)]
    begun, _ = heard(worker, *rounds, *playbooks)
    assert begun == [notice["run"]["id"] for notice in [*rounds[:2], *playbooks]]


class Prefect:
    """Keeps the state that each run was given; the first one it does not take."""

    def __init__(self) -> None:
        self.states: dict[str, tuple[str, bool]] = {}
        self.refused = 0

    async def set_flow_run_state(self, flow_run: uuid.UUID, state: State[Any], *, force: bool) -> None:
        if not self.refused:
            self.refused = 1
            raise httpx.ConnectError("it is busy")
        self.states[str(flow_run)] = (state.name or "", force)


def test_rounds_end_as_cancelled_with_their_responder_and_playbooks_go_on(worker: ParamedicWorker) -> None:
    rounds = [word(auto_scheduled=True) for _ in range(2)]
    playbook = word("critical")
    heard(worker, *rounds, playbook)
    prefect = Prefect()
    asyncio.run(worker.capacity.cancel_rounds(prefect))  # type: ignore[arg-type]
    asyncio.run(worker.capacity.cancel_rounds(prefect))  # type: ignore[arg-type]
    assert prefect.states == {notice["run"]["id"]: ("Cancelled", True) for notice in rounds}


def test_a_round_that_has_ended_is_not_cancelled(worker: ParamedicWorker) -> None:
    notice = word(auto_scheduled=True)
    heard(worker, notice)
    worker._end(uuid.UUID(notice["run"]["id"]))
    prefect = Prefect()
    prefect.refused = 1
    asyncio.run(worker.capacity.cancel_rounds(prefect))  # type: ignore[arg-type]
    assert prefect.states == {}


class Polled:
    """Counts its polls until there are enough."""

    def __init__(self, enough: int, polled: Callable[["Polled"], None] = lambda _: None) -> None:
        self._enough, self.polls, self._polled = enough, 0, polled
        self.look = asyncio.Event()
        self.stop = asyncio.Event()

    async def get_and_submit_flow_runs(self) -> None:
        self.look.clear()
        self.polls += 1
        if self.polls >= self._enough:
            self.stop.set()
            await asyncio.sleep(10)
        self._polled(self)


def polls(worker: Polled, seconds: float) -> int:
    """How many there are until it is enough, or 10 seconds are over."""

    async def story() -> None:
        polling = asyncio.create_task(_poll(worker, seconds))  # type: ignore[arg-type]
        try:
            async with asyncio.timeout(10):
                await worker.stop.wait()
        except TimeoutError:
            pass
        finally:
            polling.cancel()

    asyncio.run(story())
    return worker.polls


def test_it_polls_again_and_again_where_nobody_says_a_word() -> None:
    assert polls(Polled(3), 0.01) == 3


def test_a_reason_to_look_is_a_poll_at_once() -> None:
    assert polls(Polled(3, lambda worker: worker.look.set()), 600) == 3


def test_a_poll_that_fails_keeps_no_later_one_from_being_made() -> None:
    def fails(_: Polled) -> None:
        raise ZeroDivisionError

    assert polls(Polled(3, fails), 0.01) == 3


@pytest.mark.parametrize(
    ("seconds", "failed", "waits"),
    [(1.0, 0, 1.0), (1.0, 1, 2.0), (1.0, 5, 5.0), (1.0, 5000, 5.0), (600.0, 0, 600.0), (600.0, 3, 600.0)],
)
def test_polls_are_as_far_apart_as_the_setting_says_and_a_little_more_while_prefect_is_away(
    seconds: float, failed: int, waits: float
) -> None:
    assert pause(seconds, failed) == waits
