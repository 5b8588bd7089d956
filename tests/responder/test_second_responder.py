"""Two responders serve one pool; and what becomes of one that is killed."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from pool import Pool, lines
from waiting import until

pytestmark = pytest.mark.real

MANY = 16


@pytest.fixture(scope="module")
def second(serve: Callable[[], Pool]) -> Iterator[subprocess.Popen[bytes]]:
    """A responder beside the shared one, without the shortcuts. It polls every second, the shared one every 20 seconds."""
    pool = serve()
    responder = pool.start(PARAMEDIC_WARM_PROCESSES="2", PARAMEDIC_PREFECT_SHORTCUTS="false")
    yield responder
    pool.end(responder)


@pytest.mark.usefixtures("second")
def test_two_responders_never_take_a_run_twice(pool: Pool, tmp_path: Path) -> None:
    runs = [pool.create("mark", notified=number % 2 == 0, file=str(tmp_path / f"{number}")) for number in range(MANY)]
    for run in runs:
        assert pool.ends(run, 120)["state_type"] == "COMPLETED"
    assert [len(lines(tmp_path / f"{number}")) for number in range(MANY)] == [1] * MANY


@pytest.mark.usefixtures("second")
def test_a_lost_word_costs_one_poll(pool: Pool, tmp_path: Path) -> None:
    assert pool.ends(pool.create("mark", file=str(tmp_path / "file")))["state_type"] == "COMPLETED"


def test_where_the_shortcuts_are_turned_off_a_run_begins_prefects_own_way(
    pool: Pool, second: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """That the other one has them: test_shortcut_check.py."""
    numbers = iter(range(100))

    def of_the_second() -> str:
        """The engine, where it is the second's run: who takes one is a race."""
        file = tmp_path / str(next(numbers))
        assert pool.ends(pool.create("whose", file=str(file)))["state_type"] == "COMPLETED"
        fork_server, engine = file.read_text().split()
        return engine if int(fork_server) in {child.pid for child in psutil.Process(second.pid).children()} else ""

    assert until("the second one has had a run", of_the_second) == "FlowRunEngine"
    assert "Prefect's own way" not in pool.log()


def test_no_process_outlives_a_responder_that_is_killed(
    pool: Pool, second: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """Neither the one that has a run, nor those that wait for one."""
    its_own = psutil.Process(second.pid)
    numbers = iter(range(100))

    def has_one() -> bool:
        """Who takes a run is a race: with a few tries it has one."""
        file = tmp_path / str(next(numbers))
        pool.runs(pool.create("mark", notified=True, file=str(file), seconds=600))
        (line,) = until("it is at work", lambda: lines(file))
        return int(line.split()[0]) in {child.pid for child in its_own.children(recursive=True)}

    try:
        until("the second one has a run", has_one)
        family = its_own.children(recursive=True)
        assert len(family) >= 3
        second.kill()
        _, alive = psutil.wait_procs(family, timeout=20)
        assert not alive, [process.cmdline() for process in alive]
    finally:
        for number in range(next(numbers)):
            (tmp_path / f"{number}.go").touch()
