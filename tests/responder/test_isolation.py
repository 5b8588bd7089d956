"""One run's fault is one run's: whatever a run does to its process, the others and the responder go on."""

import signal
from pathlib import Path

import psutil
import pytest
from pool import Pool, lines, until, warm

pytestmark = pytest.mark.real


@pytest.mark.parametrize("how", ["exit", "kill", "leak"])
def test_a_run_that_takes_its_process_down_is_crashed_and_a_warm_one_takes_its_place(
    pool: Pool, tmp_path: Path, how: str
) -> None:
    responder = pool.start(PARAMEDIC_RUN_MEMORY="300MiB")
    beside = pool.create("mark", told=True, file=str(tmp_path / "beside"), seconds=60)
    pool.runs(beside)
    ended = pool.ends(pool.create("leave", told=True, how=how))
    assert ended["state_type"] == "CRASHED", ended["state"]
    why = {"exit": "exit code 3", "kill": "SIGKILL", "leak": "SIGKILL"}[how]
    assert why in ended["state"]["message"]
    assert pool.state(beside) == "RUNNING"
    (tmp_path / "beside.go").touch()
    assert pool.ends(beside)["state_type"] == "COMPLETED"
    assert pool.ends(pool.create("mark", told=True, file=str(tmp_path / "next")))["state_type"] == "COMPLETED"
    assert responder.poll() is None


def test_a_run_that_hangs_is_ended_when_its_cancel_has_waited_long_enough(pool: Pool, tmp_path: Path) -> None:
    pool.start()
    hangs = pool.create("leave", told=True, how="hang")
    pool.runs(hangs)
    pool.prefect.ask("POST", f"/flow_runs/{hangs}/set_state", json={"state": {"type": "CANCELLING"}})
    assert pool.ends(hangs)["state_type"] == "CANCELLED"
    assert pool.ends(pool.create("mark", told=True, file=str(tmp_path / "next")))["state_type"] == "COMPLETED"


def test_warm_processes_that_are_killed_are_replaced(pool: Pool, tmp_path: Path) -> None:
    responder = pool.start(PARAMEDIC_WARM_PROCESSES="2")
    before = until("two wait", lambda: len(found := warm(responder)) == 2 and found)
    for one in before:
        one.send_signal(signal.SIGKILL)
    until("two others wait", lambda: len(found := warm(responder)) == 2 and not {*found} & {*before})
    assert pool.ends(pool.create("mark", told=True, file=str(tmp_path / "next")))["state_type"] == "COMPLETED"


def test_a_template_that_is_killed_is_replaced_and_its_runs_are_crashed(pool: Pool, tmp_path: Path) -> None:
    responder = pool.start()
    run = pool.create("mark", told=True, file=str(tmp_path / "file"), seconds=60)
    pool.runs(run)
    template = psutil.Process(responder.pid).children()[0]
    template.kill()
    assert pool.ends(run)["state_type"] == "CRASHED"
    assert pool.ends(pool.create("mark", told=True, file=str(tmp_path / "next")))["state_type"] == "COMPLETED"


def test_each_run_has_a_process_of_its_own(pool: Pool, tmp_path: Path) -> None:
    pool.start()
    for _ in range(3):
        assert pool.ends(pool.create("mark", told=True, file=str(tmp_path / "file")))["state_type"] == "COMPLETED"
    assert len({line.split()[0] for line in lines(tmp_path / "file")}) == 3


def test_no_process_outlives_a_responder_that_is_killed(pool: Pool, tmp_path: Path) -> None:
    responder = pool.start()
    run = pool.create("mark", told=True, file=str(tmp_path / "file"), seconds=600)
    pool.runs(run)
    family = psutil.Process(responder.pid).children(recursive=True)
    assert len(family) >= 3
    responder.kill()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive, [one.cmdline() for one in alive]
