"""What Prefect's users expect of a deployment run, on our worker and beside it on Prefect's own: docs/latency.md's table."""

from collections.abc import Iterator
from typing import Any

import pytest
from pool import Pool, until
from prefect_server import Prefect

pytestmark = pytest.mark.real


class Runs:
    """One run of each kind, made at once: a stock worker needs seconds for each."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        whats = ("completes", "fails", "artifact", "tasks", "context", "suspends")
        self.of = {what: pool.create("features", what=what) for what in whats}
        self.of |= {"again": pool.create("again"), "slow": pool.create("slow")}
        self.of["cancelled"] = pool.create("leave", how="hang")
        self.of["crashes"] = pool.create("leave", how="exit")

    def ended(self, what: str) -> dict[str, Any]:
        return self.pool.ends(self.of[what], 200)

    def states(self, what: str) -> list[str]:
        found = self.pool.prefect.ask("GET", f"/flow_run_states/?flow_run_id={self.of[what]}")
        return [one["name"] for one in found]


@pytest.fixture(scope="module", params=["paramedic", "process"])
def runs(request: pytest.FixtureRequest, prefect: Prefect, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    pool = Pool(prefect, tmp_path_factory.mktemp("features"), kind=request.param)
    pool.start()
    yield Runs(pool)
    pool.close()


def test_states_follow_each_other(runs: Runs) -> None:
    assert runs.ended("completes")["state_type"] == "COMPLETED"
    said = runs.states("completes")
    assert [name for name in said if name not in ("Late", "Pending", "Submitting", "InfrastructurePending")] == [
        "Scheduled",
        "Running",
        "Completed",
    ]


def test_a_run_that_raises_has_failed_with_its_reason(runs: Runs) -> None:
    ended = runs.ended("fails")
    assert ended["state_type"] == "FAILED"
    assert "as asked" in ended["state"]["message"]


def test_retries_of_a_flow_and_of_a_task(runs: Runs) -> None:
    assert runs.ended("again")["state_type"] == "COMPLETED"
    assert runs.pool.read(runs.of["again"])["run_count"] == 2
    assert runs.ended("tasks")["state_type"] == "COMPLETED"


def test_a_time_out(runs: Runs) -> None:
    ended = runs.ended("slow")
    assert (ended["state_type"], ended["state_name"]) == ("FAILED", "TimedOut")


def test_logs_and_prints_are_on_the_runs_page(runs: Runs) -> None:
    run = runs.of["completes"]
    runs.ended("completes")
    body = {"logs": {"flow_run_id": {"any_": [run]}}}

    def said() -> bool:
        lines = {one["message"] for one in runs.pool.prefect.ask("POST", "/logs/filter", json=body)}
        return {"a logged line", "a printed line"} <= lines

    until("both lines are there", said)


def test_artifacts(runs: Runs) -> None:
    runs.ended("artifact")
    body = {"artifacts": {"flow_run_id": {"any_": [runs.of["artifact"]]}}}
    (found,) = [
        one for one in runs.pool.prefect.ask("POST", "/artifacts/filter", json=body) if one["type"] == "markdown"
    ]
    assert (found["key"], found["data"]) == ("seen-by-a-run", "# seen")


def test_task_runs_are_seen(runs: Runs) -> None:
    runs.ended("tasks")
    body = {"flow_runs": {"id": {"any_": [runs.of["tasks"]]}}}

    def seen() -> Any:
        found = runs.pool.prefect.ask("POST", "/task_runs/filter", json=body)
        return [one["state_type"] for one in found] == ["COMPLETED"] and found

    (task,) = until("the task run has been recorded", seen)
    assert task["run_count"] == 2


def test_parameters_tags_and_what_the_run_knows_of_itself(runs: Runs) -> None:
    assert runs.ended("context")["state_type"] == "COMPLETED", runs.ended("context")["state"]
    assert {"tried", "of-a-test"} <= {*runs.pool.read(runs.of["context"])["tags"]}


def test_suspend_and_resume(runs: Runs) -> None:
    run = runs.of["suspends"]
    until("it is suspended", lambda: runs.pool.state(run) == "PAUSED", 200)
    answer = runs.pool.prefect.ask("POST", f"/flow_runs/{run}/resume", json={})
    assert answer["status"] == "ACCEPT"
    assert runs.ended("suspends")["state_type"] == "COMPLETED"
    assert runs.states("suspends").count("Running") == 2


def test_a_process_that_is_gone_is_crashed(runs: Runs) -> None:
    assert runs.ended("crashes")["state_type"] == "CRASHED"


def test_events_of_a_step_name_all_that_the_run_belongs_to(runs: Runs) -> None:
    runs.ended("tasks")
    run = runs.pool.read(runs.of["tasks"])
    known = runs.pool.prefect.ask("GET", f"/deployments/{run['deployment_id']}")
    expected = {
        (f"prefect.flow-run.{run['id']}", run["name"]),
        (f"prefect.flow.{run['flow_id']}", "features"),
        (f"prefect.deployment.{known['id']}", "features"),
        (f"prefect.work-queue.{run['work_queue_id']}", "default"),
        (f"prefect.work-pool.{run['work_pool_id']}", runs.pool.name),
        ("prefect.tag.tried", None),
        ("prefect.tag.of-a-test", None),
    }

    def told() -> bool:
        named = [
            {(one["prefect.resource.id"], one.get("prefect.resource.name")) for one in event["related"]}
            for event in _events(runs.pool.prefect, "prefect.task-run.Completed", run["id"])
        ]
        return any(expected <= one for one in named)

    until(f"an event names {expected}", told)


def test_heartbeats(runs: Runs) -> None:
    run = runs.of["cancelled"]
    runs.pool.runs(run, 200)
    until("its heart beats", lambda: _events(runs.pool.prefect, "prefect.flow-run.heartbeat", run))


def _events(prefect: Prefect, name: str, run: str) -> list[dict[str, Any]]:
    """Of the run, as itself or as what the event is related to."""
    body = {"filter": {"event": {"name": [name]}, "any_resource": {"id": [f"prefect.flow-run.{run}"]}}}
    found: list[dict[str, Any]] = prefect.ask("POST", "/events/filter", json=body)["events"]
    return found


def test_cancel(runs: Runs) -> None:
    run = runs.of["cancelled"]
    runs.pool.runs(run, 200)
    runs.pool.prefect.ask("POST", f"/flow_runs/{run}/set_state", json={"state": {"type": "CANCELLING"}})
    assert runs.ended("cancelled")["state_type"] == "CANCELLED"


def test_a_limit_on_the_deployment(prefect: Prefect, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("limit")
    pool = Pool(prefect, folder)
    try:
        pool.deploy("mark.mark", concurrency_limit=1)
        pool.start()
        first = pool.create("mark", file=str(folder / "first"), seconds=120)
        pool.runs(first)
        second = pool.create("mark", told=True, file=str(folder / "second"))
        until("the second waits for its slot", lambda: pool.read(second)["state_name"] == "AwaitingConcurrencySlot")
        (folder / "first.go").touch()
        assert pool.ends(first)["state_type"] == "COMPLETED"
        assert pool.ends(second, 120)["state_type"] == "COMPLETED"
    finally:
        pool.close()
