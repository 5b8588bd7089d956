"""A container is restarted, and SIGKILL meets the run at a boundary: it is restarted once at most, and nobody forgets it."""

from collections.abc import Callable, Iterator

import pytest
from host_story import CONTAINER, REMEDY, Story, story
from kill.killed_runs import RIGHT, FirstRuns, KilledRun, first_runs, rows
from podman_engine import Podman, serving

from paramedic.demo.world import free_port
from paramedic.incidents.outcome import Ending
from paramedic.integrations.targets.container import running

pytestmark = [pytest.mark.real, pytest.mark.kill, pytest.mark.timeout(300)]
__all__ = ["first_runs", "story"]

#: Answers 404 on the port `$1` from its first start on, and 200 from its second one on.
SHOP = """
trap 'exit 0' TERM
echo begun
mkdir -p /www
test -e /once && echo well > /www/index.html
echo > /once
httpd -f -p 127.0.0.1:$1 -h /www & wait
"""


@pytest.fixture(scope="module")
def podman(require: Callable[[str], str]) -> Iterator[Podman]:
    with serving(require) as engine:
        yield engine


class Killed:
    """The container of one row, whose run was killed at the boundary."""

    def __init__(self, podman: Podman, run: KilledRun, point: str, remedy: str, *, within: str) -> None:
        self.podman, self.run, self.name = podman, run, f"{remedy}-{point}"
        port = free_port()
        run.story.written(
            CONTAINER.format(name=self.name, socket=podman.socket, port=port),
            REMEDY.format(remedy=remedy, within=within),
        )
        podman.start(self.name, f"set -- {port}; {SHOP}", network="host")
        run.killed_at(point, instance="localhost", container=self.name)


@pytest.mark.parametrize(("point", "ending", "times"), rows(RIGHT, short=RIGHT))
def test_a_restart_whose_run_dies_is_made_once_at_most(
    podman: Podman, first_runs: FirstRuns, story: Story, point: str, ending: Ending, times: int
) -> None:
    killed = Killed(podman, KilledRun(story, first_runs), point, "restart", within="60s" if times else "1s")
    outcome = killed.run.is_followed()
    assert (outcome.ending, podman.starts(killed.name, least=1 + times)) == (ending, 1 + times), story.words()


def test_one_that_was_stopped_and_whose_start_was_not_sent_is_a_persons(
    podman: Podman, first_runs: FirstRuns, story: Story
) -> None:
    killed = Killed(podman, KilledRun(story, first_runs), "act_sent", "stop_and_start", within="1s")
    podman.comes_to(killed.name, lambda seen: not running(seen))
    outcome = killed.run.is_followed()
    assert (outcome.ending, podman.starts(killed.name)) == (Ending.HANDED_OVER, 1), story.words()
    assert not running(podman.identity(killed.name)), "nobody knows who stopped it"
    assert story.acts() == [("stop_and_start", None)]
