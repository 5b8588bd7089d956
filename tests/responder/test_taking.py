"""How a run is taken: at once where dispatch says so, at the next poll where nobody does, and by one responder alone."""

import signal
import time
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from pool import Pool, lines, until, warm

from paramedic.responder.capacity import PLAYBOOKS, RESERVED
from paramedic.store import leases
from paramedic.store.wakeups import RESPONDER, notify

pytestmark = pytest.mark.real


def test_a_word_of_dispatch_is_enough(pool: Pool, tmp_path: Path) -> None:
    pool.start(PREFECT_WORKER_QUERY_SECONDS="600")
    told = pool.create("mark", told=True, file=str(tmp_path / "told"))
    assert pool.ends(told)["state_type"] == "COMPLETED"
    untold = pool.create("mark", file=str(tmp_path / "untold"))
    assert pool.state(untold) == "SCHEDULED"


def test_a_lost_word_costs_one_poll(pool: Pool, tmp_path: Path) -> None:
    pool.start()
    assert pool.ends(pool.create("mark", file=str(tmp_path / "file")))["state_type"] == "COMPLETED"


@pytest.mark.parametrize("word", [{}, {"run": 3}, {"pool": "another", "run": {}}, {"queue": 1, "run": {"id": "x"}}])
def test_a_word_that_makes_no_sense_is_a_reason_to_look(pool: Pool, tmp_path: Path, word: dict[str, object]) -> None:
    pool.start()
    notify(pool.store, RESPONDER, {"pool": pool.name, **word})
    assert pool.ends(pool.create("mark", told=True, file=str(tmp_path / "file")))["state_type"] == "COMPLETED"


def test_a_prefect_that_was_away_meanwhile_hears_all_of_the_run(pool: Pool) -> None:
    responder = pool.start(PARAMEDIC_WARM_PROCESSES="1")

    def prepared() -> bool:
        return any(len(one.net_connections()) > 1 for one in warm(responder))

    until("a warm process has opened its ways", prepared)
    pool.prefect.stop()
    pool.prefect.start()
    (process,) = warm(responder)
    run = pool.create("features", what="tasks")
    assert pool.ends(run)["state_type"] == "COMPLETED"
    until("the one that had opened its ways before has had it", lambda: not process.is_running())
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


def test_two_responders_never_take_a_run_twice(pool: Pool, tmp_path: Path) -> None:
    pool.start()
    pool.start()
    runs = [pool.create("mark", told=number % 2 == 0, file=str(tmp_path / f"{number}")) for number in range(30)]
    for run in runs:
        assert pool.ends(run, 120)["state_type"] == "COMPLETED"
    assert [len(lines(tmp_path / f"{number}")) for number in range(30)] == [1] * 30


def test_a_run_that_another_responder_has_is_left_to_it(pool: Pool, tmp_path: Path) -> None:
    run = pool.create("mark", file=str(tmp_path / "file"))
    with pool.store.write() as tx:
        assert leases.take(tx, f"run:{run}", holder="another", lease=timedelta(seconds=600))
    pool.start()
    beside = pool.create("mark", file=str(tmp_path / "beside"))
    assert pool.ends(beside)["state_type"] == "COMPLETED"
    assert pool.state(run) == "SCHEDULED"
    with pool.store.write() as tx:
        leases.release(tx, f"run:{run}", holder="another")
    assert pool.ends(run)["state_type"] == "COMPLETED"


def test_what_an_operator_has_paused_takes_no_run_until_it_goes_on(pool: Pool, tmp_path: Path) -> None:
    pool.start()
    pool.prefect.ask("PATCH", f"/work_pools/{pool.name}", json={"is_paused": True})
    time.sleep(8)  # the responder looks every two seconds whether it is paused
    run = pool.create("mark", told=True, file=str(tmp_path / "file"))
    time.sleep(2)
    assert pool.state(run) == "SCHEDULED"
    pool.prefect.ask("PATCH", f"/work_pools/{pool.name}", json={"is_paused": False})
    assert pool.ends(run)["state_type"] == "COMPLETED"


def test_what_is_critical_is_not_stuck_behind_warnings(pool: Pool, tmp_path: Path) -> None:
    pool.start()
    many = PLAYBOOKS + 2
    warnings = [
        pool.create("mark", told=True, queue="warning", file=str(tmp_path / f"w{number}"), seconds=600)
        for number in range(many)
    ]
    until(
        "warnings have all the room that is theirs",
        lambda: sum((tmp_path / f"w{number}").exists() for number in range(many)) == PLAYBOOKS - RESERVED,
        120,
    )
    critical = pool.create("mark", told=True, queue="critical", file=str(tmp_path / "critical"))
    assert pool.ends(critical)["state_type"] == "COMPLETED"
    assert sum(pool.state(run) == "SCHEDULED" for run in warnings) == many - (PLAYBOOKS - RESERVED)


def test_changed_code_is_picked_up_and_no_run_is_dropped_for_it(pool: Pool, tmp_path: Path) -> None:
    pool.start()
    file = tmp_path / "file"
    old = pool.create("mark", told=True, file=str(file), seconds=120)
    pool.runs(old)
    until("the old one is at work", lambda: lines(file))
    code = (pool.flows / "mark.py").read_text()
    (pool.flows / "mark.py").write_text(code.replace("VERSION = 1", "VERSION = 2"))
    until("the responder has the new code", lambda: "the code has changed" in pool.log(), 60)
    assert pool.ends(pool.create("mark", told=True, file=str(file)))["state_type"] == "COMPLETED"
    assert pool.state(old) == "RUNNING"
    Path(f"{file}.go").touch()
    assert pool.ends(old)["state_type"] == "COMPLETED"
    assert [line.split()[1] for line in lines(file)] == ["1", "2"]


def test_code_that_cannot_be_imported_fails_aloud_and_stops_no_other(pool: Pool, tmp_path: Path) -> None:
    pool.start()
    (pool.flows / "leave.py").write_text("this is no Python\n")
    until("the responder has the new code", lambda: "the code has changed" in pool.log(), 60)
    assert pool.ends(pool.create("mark", told=True, file=str(tmp_path / "file")))["state_type"] == "COMPLETED"
    ended = pool.ends(pool.create("leave", told=True, how="hang"))
    assert ended["state_type"] in ("FAILED", "CRASHED")


def test_sigterm_drains(pool: Pool, tmp_path: Path) -> None:
    responder = pool.start()
    file = tmp_path / "file"
    run = pool.create("mark", told=True, file=str(file), seconds=2)
    until("it is at work", lambda: lines(file))
    responder.send_signal(signal.SIGTERM)
    later = pool.create("mark", told=True, file=str(tmp_path / "later"))
    assert responder.wait(30) == 0
    assert pool.state(run) == "COMPLETED"
    assert pool.state(later) == "SCHEDULED"
