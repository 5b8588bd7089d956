"""A container goes back to its image before, and SIGKILL meets the run: it is replaced once at most, and nobody forgets it.

Where it dies in the middle a person is told the commands that go on from there. Two containers never run.
"""

import re
import shlex
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from host_story import CONTAINER, REMEDY, Story, story
from kill.killed_runs import RIGHT, FirstRuns, KilledRun, first_runs, rows
from podman_engine import Podman, serving

from paramedic.demo.world import free_port
from paramedic.docker.replace import Replacement
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.store import noted_releases

pytestmark = [pytest.mark.real, pytest.mark.kill, pytest.mark.timeout(300)]
__all__ = ["first_runs", "story"]

#: Answers on the container's own PORT: 200 where there is a page, 404 where there is none.
SHOP = "trap 'exit 0' TERM; echo begun; mkdir -p /tmp/www; {page} httpd -f -p 127.0.0.1:$PORT -h /tmp/www & wait"

#: The stop was sent, and the image before was never started.
RIGHT_OF_A_ROLL_BACK = {**RIGHT, "act_sent": (Ending.HANDED_OVER, 0)}

#: Its steps beside that, in their order; what a person is told of a death after one, and whether the service is well.
STEPS = [
    ("_made", 1, "{name} is the container that ran before; {name}-paramedic-new, made for it, was never started", 0),
    ("_keep_down", 1, "{name} was stopped for it, and not replaced", 0),
    ("_rename", 1, "a roll-back of it was cut off in the middle, and {name}-paramedic-before-", 0),
    ("_rename", 2, "{name} is the one that the roll-back made, and was not started", 0),
    ("_start", 1, "", 1),
]


class Shop:
    """A podman with the image that is well, and the one after it, which is not."""

    def __init__(self, podman: Podman) -> None:
        self.podman = podman
        self.good = podman.image("shop:1", SHOP.format(page="echo well > /tmp/www/index.html;"))
        self.bad = podman.image("shop:2", SHOP.format(page=""), "LABEL paramedic.reversible=true")


class RolledBack:
    """The container of one row, ill with the newer image, and the run that is to be killed."""

    def __init__(self, shop: Shop, story: Story, runs: FirstRuns, name: str, *, within: str) -> None:
        self.shop, self.story, self.name, port = shop, story, name, free_port()
        story.written(
            CONTAINER.format(name=name, socket=shop.podman.socket, port=port),
            REMEDY.format(remedy="rollback", within=within),
        )
        target = shop.podman.start_from("shop:2", name, f"--env=PORT={port}", network="host")
        with story.store.record() as tx:
            noted_releases.note(tx, target.id, shop.good, well=True)
        self.before = shop.podman.identity(name).instance["container"]
        self.run = KilledRun(story, runs)
        self.labels = {"instance": "localhost", "container": name}

    def good_ones(self) -> int:
        """How many containers of the image before have ever begun, and no more than one runs whatever its image."""
        podman = self.shop.podman
        names = [name for name in podman.all() if name.startswith(self.name)]
        states = [state for name, state in podman.all().items() if name in names]
        assert len([state for state in states if state.startswith("Up")]) <= 1, podman.all()
        good = [name for name in names if podman.run("inspect", "--format={{.Image}}", name) in self.shop.good]
        return sum(podman.run("logs", name).split().count("begun") for name in good)

    def by_hand(self, told: str) -> None:
        """A person does what the page says; then a container of that name runs."""
        for command in re.findall(r"`docker ([^`]+)`", told):
            self.shop.podman.run(*shlex.split(command))
        assert self.shop.podman.identity(self.name).state == "running"


@pytest.fixture(scope="module")
def shop(require: Callable[[str], str]) -> Iterator[Shop]:
    with serving(require) as podman:
        yield Shop(podman)


@pytest.mark.parametrize(
    ("point", "ending", "times"), rows(RIGHT_OF_A_ROLL_BACK, short=("act_sent", "outcome_written"))
)
def test_a_roll_back_whose_run_dies_is_made_once_at_most(
    shop: Shop, first_runs: FirstRuns, story: Story, point: str, ending: Ending, times: int
) -> None:
    row = RolledBack(shop, story, first_runs, point.replace("_", "-"), within="60s" if times else "1s")
    row.run.killed_at(point, **row.labels)
    if point == "act_sent":
        shop.podman.comes_to(row.name, lambda seen: seen.state == "exited")
    outcome = row.run.is_followed()
    assert (outcome.ending, row.good_ones()) == (ending, times), story.words()
    if point == "act_sent":
        _goes_on_by_hand(row, outcome, "{name} was stopped for it, and not replaced")


def stops_after(step: str, times: int, reached: Path, patch: pytest.MonkeyPatch) -> None:
    """In the run's process: it goes no further once the step was made so many times."""
    whole, made = getattr(Replacement, step), []

    def stopping(self: Replacement, *given: object) -> object:
        result = whole(self, *given)
        made.append(step)
        if len(made) == times:
            reached.touch()
            signal.pause()
        return result

    patch.setattr(Replacement, step, stopping)


@pytest.mark.long
@pytest.mark.parametrize(("step", "times", "told", "well"), STEPS, ids=[f"{step}-{times}" for step, times, *_ in STEPS])
def test_one_that_dies_between_two_steps_is_a_persons_with_the_commands_that_go_on(
    shop: Shop, first_runs: FirstRuns, story: Story, tmp_path: Path, step: str, times: int, told: str, well: int
) -> None:
    row = RolledBack(shop, story, first_runs, f"step{step}-{times}".replace("_", "-"), within="60s" if well else "1s")
    reached = tmp_path / "reached"
    row.run.prepare = partial(stops_after, step, times, reached)
    row.run.killed_once(f"{step} is made", reached.exists, **row.labels)
    outcome = row.run.is_followed()
    assert (outcome.ending, row.good_ones()) == ((Ending.HANDED_OVER, Ending.REMEDIATED)[well], well), story.words()
    if told:
        _goes_on_by_hand(row, outcome, told)


def _goes_on_by_hand(row: RolledBack, outcome: Outcome, told: str) -> None:
    assert told.format(name=row.name) in outcome.because
    row.by_hand(outcome.because)
    assert row.good_ones() <= 1
