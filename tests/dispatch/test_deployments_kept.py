"""What Prefect was told stays so: whoever deploys, pauses or deletes, and whichever group a runbook brings."""

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextvars import copy_context
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from groups import write
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings
from prefect_server import Prefect
from sqlalchemy import select
from waiting import until

from paramedic.dispatch.deployments import Deployments
from paramedic.machine.clock import from_iso, iso, utc_now
from paramedic.settings import ROOT, Settings
from paramedic.store import Store
from paramedic.store.tables import check_states

pytestmark = [pytest.mark.real, pytest.mark.timeout(540)]


@pytest.fixture
def backend() -> str:
    return "sqlite"


@pytest.fixture
def settings(tmp_path: Path, store_url: str) -> Settings:
    every = timedelta(seconds=30)
    return Settings(data=tmp_path, store_url=store_url, runbooks=tmp_path / "runbooks", checks_every=every)


@pytest.fixture
def deployments(prefect: Prefect, store: Store, settings: Settings) -> Iterator[Deployments]:
    """Of the groups `default` and `web`, registered: what the test before has left right stays as it is."""
    write(settings.runbooks, "default", "web")
    with temporary_settings({PREFECT_API_URL: prefect.api, PREFECT_HOME: prefect.home / "client"}):
        kept = Deployments(store, settings)
        kept.mend()
        yield kept


def health_check(prefect: Prefect) -> dict[str, Any]:
    found: dict[str, Any] = prefect.ask("GET", "/deployments/name/health-check/health-check")
    return found


def scheduled(prefect: Prefect) -> dict[str, dict[str, Any]]:
    """The schedules of the health check by their slug; none before it is deployed."""
    wanted = {"deployments": {"name": {"any_": ["health-check"]}}}
    found = prefect.ask("POST", "/deployments/filter", json=wanted)
    return {schedule["slug"]: schedule for deployment in found for schedule in deployment["schedules"]}


def rounds(prefect: Prefect) -> list[dict[str, Any]]:
    """The runs of the health check that are planned, the next one first."""
    wanted = {
        "deployments": {"id": {"any_": [health_check(prefect)["id"]]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
        "sort": "EXPECTED_START_TIME_ASC",
    }
    found: list[dict[str, Any]] = prefect.ask("POST", "/flow_runs/filter", json=wanted)
    return found


def group_of(planned: dict[str, Any]) -> str:
    group: str = planned["parameters"]["run"]["group"]
    return group


def both_planned(prefect: Prefect) -> bool:
    # Prefect may also plan rounds of a group that is gone, whose schedule it had read before: such a round ends at once.
    return {group_of(run) for run in rounds(prefect)} >= {"default", "web"}


def set_active(prefect: Prefect, slug: str, *, active: bool) -> None:
    """As the switch in the Prefect UI does."""
    deployment = health_check(prefect)["id"]
    schedule = scheduled(prefect)[slug]["id"]
    prefect.ask("PATCH", f"/deployments/{deployment}/schedules/{schedule}", json={"active": active})


#: `prefect deploy --all`, two times in one process: it needs seconds to load.
_TWICE = """
from prefect.cli import app
for _ in range(2):
    try:
        app()
    except SystemExit as ended:
        if ended.code:
            raise
"""


def deploy_twice(prefect: Prefect) -> None:
    """As an operator does who follows Prefect's own pages."""
    env = dict(os.environ) | {"PREFECT_API_URL": prefect.api, "PREFECT_HOME": str(prefect.home / "client")}
    argv = [sys.executable, "-c", _TWICE, "deploy", "--all", "--no-prompt"]
    done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_group_that_comes_while_dispatch_runs_is_scheduled_and_expected(
    prefect: Prefect, deployments: Deployments, store: Store, settings: Settings
) -> None:
    assert expected(store) == {"of-default", "of-web"}
    stop = threading.Event()
    here = copy_context()  # which Prefect it is
    keeping = threading.Thread(target=here.run, args=(deployments.run, stop), kwargs={"every_seconds": 0.1})
    keeping.start()
    try:
        write(settings.runbooks, "late")
        until("the schedules", lambda: set(scheduled(prefect)) == {"default", "web", "late"})
    finally:
        stop.set()
        keeping.join()
    assert expected(store) == {"of-default", "of-web", "of-late"}


def test_a_dispatch_that_starts_again_makes_no_second_health_check(
    prefect: Prefect, deployments: Deployments, store: Store, settings: Settings
) -> None:
    before = health_check(prefect)
    Deployments(store, settings).register()
    after = health_check(prefect)
    assert deployments.mend() == []
    assert after["id"] == before["id"]
    assert [sorted(schedule["slug"] for schedule in each["schedules"]) for each in (before, after)] == [
        ["default", "web"]
    ] * 2


def expected(store: Store) -> set[str]:
    with store.read() as tx:
        return set(tx.conn.execute(select(check_states.c.runbook)).scalars())


def test_what_is_right_is_left_alone_with_the_rounds_that_it_has_planned(
    prefect: Prefect, deployments: Deployments
) -> None:
    until("both are planned", lambda: both_planned(prefect))
    before = health_check(prefect)["updated"]
    planned = [run["id"] for run in rounds(prefect)][:20]  # of a list that Prefect cuts, while it plans more of them
    assert deployments.mend() == []
    assert health_check(prefect)["updated"] == before
    assert {run["id"] for run in rounds(prefect)} >= set(planned)


def test_after_prefects_own_deploy_each_group_is_scheduled_again_and_nothing_is_made_up_for(
    prefect: Prefect, deployments: Deployments
) -> None:
    prefect.ask("DELETE", f"/deployments/{health_check(prefect)['id']}")
    deploy_twice(prefect)
    first = health_check(prefect)
    assert [schedule["slug"] for schedule in first["schedules"]] == ["default"], "twice is as once"

    now = utc_now()
    assert "health-check" in deployments.mend()
    assert {slug: schedule["parameters"] for slug, schedule in scheduled(prefect).items()} == {
        group: {"run": {"group": group, "every": 30}} for group in ("default", "web")
    }
    assert health_check(prefect)["id"] == first["id"]
    assert deployments.mend() == []
    until("both are planned", lambda: both_planned(prefect))
    assert all(from_iso(run["expected_start_time"]) > now for run in rounds(prefect) if group_of(run) == "web")


def test_what_an_operator_has_paused_stays_so_and_goes_on_as_its_own_groups(
    prefect: Prefect, deployments: Deployments
) -> None:
    def standing() -> dict[str, tuple[bool, str | None]]:
        """Of each schedule whether it is active, and whose rounds it plans."""
        found = scheduled(prefect).items()
        return {
            slug: (schedule["active"], schedule["parameters"].get("run", {}).get("group")) for slug, schedule in found
        }

    set_active(prefect, "web", active=False)
    deployments.mend()
    assert standing() == {"default": (True, "default"), "web": (False, "web")}
    deployments.register()
    assert standing() == {"default": (True, "default"), "web": (False, "web")}
    assert deployments.mend() == []
    set_active(prefect, "web", active=True)
    deployments.mend()
    assert standing() == {"default": (True, "default"), "web": (True, "web")}

    prefect.ask("POST", f"/deployments/{health_check(prefect)['id']}/pause_deployment")
    deployments.register()
    assert deployments.mend() == []
    assert (health_check(prefect)["paused"], rounds(prefect)) == (True, []), "nothing is planned of what is paused"
    prefect.ask("POST", f"/deployments/{health_check(prefect)['id']}/resume_deployment")


def test_a_group_that_is_gone_is_scheduled_no_more_and_one_that_cannot_be_read_is(
    prefect: Prefect, deployments: Deployments, settings: Settings
) -> None:
    web = settings.runbooks / "of-web.md"
    web.write_text(web.read_text().replace("check: health", "check: helth"))
    assert deployments.mend() == [], "its author may be at work"
    services = (settings.runbooks / "services.yaml").read_text()
    (settings.runbooks / "services.yaml").write_text("services: [")
    assert deployments.mend() == []
    (settings.runbooks / "services.yaml").write_text(services)
    web.unlink()
    assert deployments.mend() == ["health-check"]
    assert set(scheduled(prefect)) == {"default"}


def test_a_deployment_that_somebody_deleted_is_made_anew(prefect: Prefect, deployments: Deployments) -> None:
    prefect.ask("DELETE", f"/deployments/{health_check(prefect)['id']}")
    prefect.ask("DELETE", f"/deployments/{prefect.ask('GET', '/deployments/name/prune/prune')['id']}")
    assert deployments.mend() == ["health-check", "prune"]
    assert set(scheduled(prefect)) == {"default", "web"}


def test_a_deployment_that_somebody_made_run_something_else_is_put_right(
    prefect: Prefect, deployments: Deployments
) -> None:
    path = "/deployments/name/restart-service/restart-service"
    before = prefect.ask("GET", path)
    script = {"prefect.deployments.steps.run_shell_script": {"script": "true"}}
    for evil in (
        {"entrypoint": "/tmp/evil.py:flow"},
        {"pull_steps": [script]},
        {"path": "/tmp/evil"},
        {"job_variables": {"env": {"LD_PRELOAD": "/tmp/evil.so"}}},
    ):
        body = {"name": "restart-service", "flow_id": before["flow_id"], "entrypoint": before["entrypoint"]}
        prefect.ask("POST", "/deployments/", json=body | {"pull_steps": [], "work_pool_name": "paramedic"} | evil)
        assert deployments.mend() == ["restart-service"], evil
        after = prefect.ask("GET", path)
        for key in ("id", "entrypoint", "pull_steps", "path", "job_variables", "work_pool_name"):
            assert after[key] == before[key], key
    settings = {"job_variables": {"cancel_grace_seconds": 5}}
    prefect.ask("PATCH", f"/deployments/{before['id']}", json=settings)
    assert deployments.mend() == [], "what an operator may choose stays"
    prefect.ask("PATCH", f"/deployments/{before['id']}", json={"job_variables": {}})


HOUR = timedelta(hours=1)


def set_clock_back_by_an_hour(prefect: Prefect) -> None:
    """As it is then in Prefect's database: what is planned is an hour away, and the rounds of this hour are over."""
    deployment = health_check(prefect)["id"]
    until("both are planned", lambda: both_planned(prefect))
    plan = {"start_time": iso(utc_now() + HOUR), "min_time": HOUR.total_seconds()}
    for ahead in ({}, plan):
        prefect.ask("POST", f"/deployments/{deployment}/schedule", json=ahead)
    over = "UPDATE flow_run SET state_type = 'COMPLETED', state_name = 'Done', next_scheduled_start_time = NULL "
    with contextlib.closing(sqlite3.connect(prefect.home / "prefect.db", timeout=30)) as database, database:
        database.execute(
            over + "WHERE deployment_id = ? AND expected_start_time < ?",
            (deployment, (utc_now() + HOUR).strftime("%Y-%m-%d %H:%M:%S.%f")),
        )


def soon(prefect: Prefect) -> list[str]:
    """The groups whose round is planned for the next period."""
    now = utc_now()
    by = now + timedelta(seconds=30)
    return sorted(group_of(run) for run in rounds(prefect) if now < from_iso(run["expected_start_time"]) <= by)


def test_rounds_go_on_where_the_clock_was_set_back_by_an_hour(prefect: Prefect, deployments: Deployments) -> None:
    set_clock_back_by_an_hour(prefect)
    prefect.ask("POST", f"/deployments/{health_check(prefect)['id']}/schedule", json={})
    assert soon(prefect) == [], "Prefect itself plans none of the hour that comes again"
    assert deployments.mend() == ["health-check"]
    assert soon(prefect) == ["default", "web"], "planned at once: Prefect's planner stands still as well"
    assert deployments.mend() == []


def test_a_round_that_an_operator_cancelled_is_not_planned_anew(prefect: Prefect, deployments: Deployments) -> None:
    until("both are planned", lambda: both_planned(prefect))
    due = [run for run in rounds(prefect) if from_iso(run["expected_start_time"]) > utc_now()]
    for run in due[:2]:
        state = {"state": {"type": "CANCELLED"}, "force": True}
        prefect.ask("POST", f"/flow_runs/{run['id']}/set_state", json=state)
    before = health_check(prefect)["updated"]
    assert deployments.mend() == []
    assert health_check(prefect)["updated"] == before
