"""What Prefect's users expect of a deployment run, on our worker and beside it on Prefect's own: docs/latency.md's table."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pool import Pool
from prefect_server import Prefect
from waiting import until

from paramedic.store.wakeups import RESPONDER, notify

pytestmark = pytest.mark.real


#: Which features are played on Prefect's own worker as well. LONG_TESTS=1 (`make kill-table`) plays all on both.
STOCK = ("completes", "suspends")
LONG = os.environ.get("LONG_TESTS") == "1"

ALL = ("completes", "fails", "artifact", "tasks", "context", "suspends", "again", "slow", "cancelled", "crashes")


class Runs:
    """One run of each kind, made at once: a stock worker needs seconds for each."""

    def __init__(self, pool: Pool, whats: tuple[str, ...]) -> None:
        self.pool = pool
        self.of = {what: self._create(what) for what in whats}

    def _create(self, what: str) -> str:
        if what in ("again", "slow"):
            return self.pool.create(what, notified=True)
        if what in ("cancelled", "crashes"):
            return self.pool.create("leave", notified=True, how="hang" if what == "cancelled" else "exit")
        return self.pool.create("features", notified=True, what=what)

    def ended(self, what: str) -> dict[str, Any]:
        return self.pool.ends(self.of[what], 200)

    def states(self, what: str) -> list[str]:
        found = self.pool.prefect.ask("GET", f"/flow_run_states/?flow_run_id={self.of[what]}")
        return [state["name"] for state in found]


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest,
    prefect: Prefect,
    serve: Callable[[], Pool],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Runs]:
    if request.param == "paramedic":
        yield Runs(serve(), ALL)
        return
    pool = Pool(prefect, tmp_path_factory.mktemp("features"), kind=request.param)
    pool.start()
    yield Runs(pool, ALL if LONG else STOCK)
    pool.close()


def played_on(*workers: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("runs", workers, indirect=True, scope="module")


on_both = played_on("paramedic", "process")
on_ours = played_on(*(("paramedic", "process") if LONG else ("paramedic",)))


@on_both
def test_states_follow_each_other(runs: Runs) -> None:
    assert runs.ended("completes")["state_type"] == "COMPLETED"
    states = runs.states("completes")
    assert [name for name in states if name not in ("Late", "Pending", "Submitting", "InfrastructurePending")] == [
        "Scheduled",
        "Running",
        "Completed",
    ]


@on_ours
def test_a_run_that_raises_has_failed_with_its_reason(runs: Runs) -> None:
    ended = runs.ended("fails")
    assert ended["state_type"] == "FAILED"
    assert "as asked" in ended["state"]["message"]


@on_ours
def test_retries_of_a_flow_and_of_a_task(runs: Runs) -> None:
    assert runs.ended("again")["state_type"] == "COMPLETED"
    assert runs.pool.read(runs.of["again"])["run_count"] == 2
    assert runs.ended("tasks")["state_type"] == "COMPLETED"


@on_ours
def test_a_time_out(runs: Runs) -> None:
    ended = runs.ended("slow")
    assert (ended["state_type"], ended["state_name"]) == ("FAILED", "TimedOut")


@on_ours
def test_logs_and_prints_are_on_the_runs_page(runs: Runs) -> None:
    run = runs.of["completes"]
    runs.ended("completes")
    body = {"logs": {"flow_run_id": {"any_": [run]}}}

    def logged() -> bool:
        lines = {line["message"] for line in runs.pool.prefect.ask("POST", "/logs/filter", json=body)}
        return {"a logged line", "a printed line"} <= lines

    until("both lines are there", logged)


@on_ours
def test_artifacts(runs: Runs) -> None:
    runs.ended("artifact")
    body = {"artifacts": {"flow_run_id": {"any_": [runs.of["artifact"]]}}}
    (found,) = [
        artifact
        for artifact in runs.pool.prefect.ask("POST", "/artifacts/filter", json=body)
        if artifact["type"] == "markdown"
    ]
    assert (found["key"], found["data"]) == ("seen-by-a-run", "# seen")


@on_ours
def test_task_runs_are_seen(runs: Runs) -> None:
    runs.ended("tasks")
    body = {"flow_runs": {"id": {"any_": [runs.of["tasks"]]}}}

    def seen() -> Any:
        found = runs.pool.prefect.ask("POST", "/task_runs/filter", json=body)
        return [task_run["state_type"] for task_run in found] == ["COMPLETED"] and found

    (task,) = until("the task run has been recorded", seen)
    assert task["run_count"] == 2


@on_ours
def test_parameters_tags_and_what_the_run_knows_of_itself(runs: Runs) -> None:
    assert runs.ended("context")["state_type"] == "COMPLETED", runs.ended("context")["state"]
    assert {"tried", "of-a-test"} <= {*runs.pool.read(runs.of["context"])["tags"]}


@on_both
def test_suspend_and_resume(runs: Runs) -> None:
    run = runs.of["suspends"]
    until("it is suspended", lambda: runs.pool.state(run) == "PAUSED", 200)
    answer = runs.pool.prefect.ask("POST", f"/flow_runs/{run}/resume", json={})
    assert answer["status"] == "ACCEPT"
    notify(runs.pool.store, RESPONDER, {})  # ours polls every 20 seconds here
    assert runs.ended("suspends")["state_type"] == "COMPLETED"
    assert runs.states("suspends").count("Running") == 2


@on_ours
def test_a_process_that_is_gone_is_crashed(runs: Runs) -> None:
    assert runs.ended("crashes")["state_type"] == "CRASHED"


@on_ours
def test_events_of_a_step_name_all_that_the_run_belongs_to(runs: Runs) -> None:
    runs.ended("tasks")
    run = runs.pool.read(runs.of["tasks"])
    known = runs.pool.prefect.ask("GET", f"/deployments/{run['deployment_id']}")
    expected = {
        (f"prefect.flow-run.{run['id']}", run["name"]),
        (f"prefect.flow.{run['flow_id']}", "features"),
        (f"prefect.deployment.{known['id']}", known["name"]),
        (f"prefect.work-queue.{run['work_queue_id']}", "default"),
        (f"prefect.work-pool.{run['work_pool_id']}", runs.pool.name),
        ("prefect.tag.tried", None),
        ("prefect.tag.of-a-test", None),
    }

    def sent() -> bool:
        named = [
            {(resource["prefect.resource.id"], resource.get("prefect.resource.name")) for resource in event["related"]}
            for event in _events(runs.pool.prefect, "prefect.task-run.Completed", run["id"])
        ]
        return any(expected <= resources for resources in named)

    until(f"an event names {expected}", sent)


@on_ours
def test_heartbeats(runs: Runs) -> None:
    run = runs.of["cancelled"]
    runs.pool.runs(run, 200)
    until("its heart beats", lambda: _events(runs.pool.prefect, "prefect.flow-run.heartbeat", run))


def _events(prefect: Prefect, name: str, run: str) -> list[dict[str, Any]]:
    """Of the run, as itself or as what the event is related to."""
    body = {"filter": {"event": {"name": [name]}, "any_resource": {"id": [f"prefect.flow-run.{run}"]}}}
    found: list[dict[str, Any]] = prefect.ask("POST", "/events/filter", json=body)["events"]
    return found


@on_ours
def test_cancel(runs: Runs) -> None:
    run = runs.of["cancelled"]
    runs.pool.runs(run, 200)
    runs.pool.cancel(run)
    assert runs.ended("cancelled")["state_type"] == "CANCELLED"


def test_a_limit_on_the_deployment(pool: Pool, tmp_path: Path) -> None:
    pool.deploy("mark.mark", called="limited", concurrency_limit=1)
    first = pool.create("limited", notified=True, file=str(tmp_path / "first"), seconds=120)
    pool.runs(first)
    second = pool.create("limited", notified=True, file=str(tmp_path / "second"))
    until("the second waits for its slot", lambda: pool.read(second)["state_name"] == "AwaitingConcurrencySlot")
    (tmp_path / "first.go").touch()
    assert pool.ends(first)["state_type"] == "COMPLETED"
    until(
        "a poll after its slot is free", lambda: notify(pool.store, RESPONDER, {}) or pool.state(second) == "COMPLETED"
    )
