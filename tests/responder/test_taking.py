"""How a run is taken: at once where dispatch says so, at the next poll where nobody does, and by one responder alone."""

import asyncio
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pool import Pool, lines, warm
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect_relay import Relay
from waiting import until

from paramedic.machine.clock import utc_now
from paramedic.responder.deployment_cache import DeploymentCache
from paramedic.store import leases
from paramedic.store.wakeups import RESPONDER, notify

pytestmark = pytest.mark.real

#: What the responder logs when new runs have new code.
CHANGED = "the code has changed"


def test_a_word_of_dispatch_is_enough_and_one_that_makes_no_sense_stops_none(pool: Pool, tmp_path: Path) -> None:
    """This responder's polls are 20 seconds apart. What each word is to it: test_hearing.py."""
    for word in ({}, {"run": 3}, {"pool": "another", "run": {}}, {"queue": 1, "run": {"id": "x"}}):
        notify(pool.store, RESPONDER, {"pool": pool.name, **word})
    assert pool.ends(pool.create("mark", notified=True, file=str(tmp_path / "told")))["state_type"] == "COMPLETED"


def test_a_prefect_that_was_away_meanwhile_hears_all_of_the_run(pool: Pool) -> None:
    def prepared() -> Any:
        found = warm(pool.responder)
        return len(found) == 2 and all(len(process.net_connections()) > 1 for process in found) and found

    before = until("the warm processes have opened their ways", prepared)
    pool.prefect.stop()
    pool.prefect.start()
    run = pool.create("features", notified=True, what="tasks")
    assert pool.ends(run)["state_type"] == "COMPLETED"
    until("one that had opened its ways before has had it", lambda: not all(process.is_running() for process in before))
    logs = {"logs": {"flow_run_id": {"any_": [run]}}}
    tasks = {"flow_runs": {"id": {"any_": [run]}}}
    until("its log is there", lambda: pool.prefect.ask("POST", "/logs/filter", json=logs))
    until("its step is there", lambda: pool.prefect.ask("POST", "/task_runs/filter", json=tasks))
    assert "rehearsal" not in pool.log()


def test_a_pool_offers_what_its_responders_heed_and_prefect_refuses_the_rest(pool: Pool) -> None:
    offered = pool.prefect.ask("GET", f"/work_pools/{pool.name}")["base_job_template"]["variables"]["properties"]
    assert set(offered) == {"env", "cancel_grace_seconds"}
    wrong = {"parameters": {}, "job_variables": {"cancel_grace_seconds": "long"}}
    path = f"/deployments/{pool.deployments['mark']}/create_flow_run"
    answer = httpx.post(pool.prefect.api + path, json=wrong, timeout=30, trust_env=False)
    assert (answer.status_code, "cancel_grace_seconds" in answer.text) == (422, True)


def test_a_run_that_another_responder_has_is_left_to_it(pool: Pool, tmp_path: Path) -> None:
    run = pool.create("mark", file=str(tmp_path / "file"), due=utc_now() + timedelta(hours=1))
    with pool.store.write() as tx:
        assert leases.take(tx, f"run:{run}", holder="another", lease=timedelta(seconds=600))
    pool.reschedule(run, utc_now())
    for beside in ("one", "two"):  # when each has ended there is a poll
        assert pool.ends(pool.create("mark", notified=True, file=str(tmp_path / beside)))["state_type"] == "COMPLETED"
    assert pool.state(run) == "SCHEDULED"
    with pool.store.write() as tx:
        leases.release(tx, f"run:{run}", holder="another")
    notify(pool.store, RESPONDER, {})
    assert pool.ends(run)["state_type"] == "COMPLETED"


def test_what_an_operator_has_paused_takes_no_run_until_it_goes_on(pool: Pool, relay: Relay, tmp_path: Path) -> None:
    path = f"/work_pools/{pool.name}"

    def is_asked(what: str, times: int, after: Callable[[], None] = lambda: None) -> None:
        before = relay.asked[what]
        after()
        until(f"the responder says {what}", lambda: relay.asked[what] >= before + times)

    def look() -> None:
        notify(pool.store, RESPONDER, {})

    pool.prefect.ask("PATCH", path, json={"is_paused": True})
    try:
        is_asked(f"GET /api{path}", 3)  # of which two at least are its looks whether it is paused, so one has ended
        run = pool.create("mark", notified=True, file=str(tmp_path / "file"))
        for _ in range(2):  # words are heard in their order, and a poll ends before the next
            is_asked(f"POST /api{path}/get_scheduled_flow_runs", 1, after=look)
        assert pool.state(run) == "SCHEDULED"
    finally:
        pool.prefect.ask("PATCH", path, json={"is_paused": False})
    look()
    assert pool.ends(run)["state_type"] == "COMPLETED"


def test_in_a_pool_that_is_paused_no_queue_takes_a_run(pool: Pool) -> None:
    known = DeploymentCache(pool.name, None)

    async def queues() -> set[str]:
        async with get_client() as client:
            await known.look_at_queues(client)
        return {*known.queues}

    with temporary_settings({PREFECT_API_URL: pool.prefect.api}):
        for paused, expected in ((True, set()), (False, {"default", "critical", "warning"})):
            pool.prefect.ask("PATCH", f"/work_pools/{pool.name}", json={"is_paused": paused})
            assert asyncio.run(queues()) == expected


def test_changed_code_is_picked_up_and_no_run_is_dropped_for_it(pool: Pool, tmp_path: Path) -> None:
    file = tmp_path / "file"
    old = pool.create("mark", notified=True, file=str(file), seconds=120)
    pool.runs(old)
    until("the old one is at work", lambda: lines(file))
    code = (pool.flows / "mark.py").read_text()
    before = pool.log().count(CHANGED)
    (pool.flows / "mark.py").write_text(code.replace("VERSION = 1", "VERSION = 22"))
    until("the responder has the new code", lambda: pool.log().count(CHANGED) > before)
    assert pool.ends(pool.create("mark", notified=True, file=str(file)))["state_type"] == "COMPLETED"
    assert pool.state(old) == "RUNNING"
    Path(f"{file}.go").touch()
    assert pool.ends(old)["state_type"] == "COMPLETED"
    assert [line.split()[1] for line in lines(file)] == ["1", "22"]


def test_code_that_cannot_be_imported_fails_aloud_and_stops_no_other(pool: Pool, tmp_path: Path) -> None:
    """Each pool has a flow like that."""
    assert "flows/broken.py cannot be imported: SyntaxError" in pool.log()
    assert pool.ends(pool.create("mark", notified=True, file=str(tmp_path / "file")))["state_type"] == "COMPLETED"
    ended = pool.ends(pool.create("broken", notified=True))
    assert ended["state_type"] == "CRASHED"
    assert pool.log().count("The flow cannot be loaded") == 1, "it is not taken again and again"


def test_sigterm_drains(pool: Pool, tmp_path: Path) -> None:
    """The last of this file: whoever needs the responder after it starts another."""
    responder = pool.responder
    file = tmp_path / "file"
    run = pool.create("mark", notified=True, file=str(file), seconds=2)
    until("it is at work", lambda: lines(file))
    responder.send_signal(signal.SIGTERM)
    later = pool.create("mark", notified=True, file=str(tmp_path / "later"))
    assert responder.wait(30) == 0
    assert pool.state(run) == "COMPLETED"
    assert pool.state(later) == "SCHEDULED"
