"""One run's fault is one run's: whatever a run does to its process, the others and the responder go on."""

import signal
from pathlib import Path

import psutil
import pytest
from pool import Pool, lines, warm
from waiting import until

pytestmark = pytest.mark.real

#: How a run takes its process down, and what is said of it. One that leaks is ended by the setting `run_memory`.
WHY = {"exit": "exit code 3", "kill": "SIGKILL", "leak": "SIGKILL"}


def completes(pool: Pool, file: Path) -> None:
    """A run after all that."""
    assert pool.ends(pool.create("mark", notified=True, file=str(file)))["state_type"] == "COMPLETED"


def test_runs_that_take_their_processes_down_are_crashed_and_warm_ones_take_their_places(
    pool: Pool, tmp_path: Path
) -> None:
    beside = pool.create("mark", notified=True, file=str(tmp_path / "beside"), seconds=60)
    pool.runs(beside)
    gone = {how: pool.create("leave", notified=True, how=how) for how in WHY}
    for how, why in WHY.items():
        ended = pool.ends(gone[how])
        assert ended["state_type"] == "CRASHED", ended["state"]
        assert why in ended["state"]["message"]
    assert pool.state(beside) == "RUNNING"
    (tmp_path / "beside.go").touch()
    assert pool.ends(beside)["state_type"] == "COMPLETED"
    completes(pool, tmp_path / "next")
    assert pool.responder.poll() is None


def test_a_run_that_hangs_is_ended_when_its_cancel_has_waited_long_enough(pool: Pool, tmp_path: Path) -> None:
    hangs = pool.create("leave", notified=True, how="hang")
    pool.runs(hangs)
    pool.cancel(hangs)
    assert pool.ends(hangs)["state_type"] == "CANCELLED"
    completes(pool, tmp_path / "next")


def test_each_run_has_a_process_of_its_own(pool: Pool, tmp_path: Path) -> None:
    for _ in range(3):
        completes(pool, tmp_path / "file")
    assert len({line.split()[0] for line in lines(tmp_path / "file")}) == 3


def test_warm_processes_that_are_killed_are_replaced(pool: Pool, tmp_path: Path) -> None:
    before = until("two wait", lambda: len(found := warm(pool.responder)) == 2 and found)
    for process in before:
        process.send_signal(signal.SIGKILL)
    until("two others wait", lambda: len(found := warm(pool.responder)) == 2 and not {*found} & {*before})
    completes(pool, tmp_path / "next")


def test_a_template_that_is_killed_is_replaced_and_its_runs_are_crashed(pool: Pool, tmp_path: Path) -> None:
    run = pool.create("mark", notified=True, file=str(tmp_path / "file"), seconds=60)
    pool.runs(run)
    (template,) = until(
        "one template", lambda: len(found := psutil.Process(pool.responder.pid).children()) == 1 and found
    )
    template.kill()
    assert pool.ends(run)["state_type"] == "CRASHED"
    completes(pool, tmp_path / "next")
