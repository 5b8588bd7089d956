"""A run of the flow `escalate` that is killed, and the watchdog that tells whom it did not."""

import shutil
from pathlib import Path

import pytest
from boundaries import Boundaries
from incident_states import PEOPLE, handed_over
from mail_server import Postbox
from rounds import begin
from watchdog_harness import Harness

from paramedic.machine.clock import utc_now
from paramedic.settings import ROOT, Settings

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]


@pytest.fixture
def backend() -> str:
    return "sqlite"


@pytest.fixture
def boundaries(tmp_path: Path) -> Boundaries:
    (tmp_path / "boundaries").mkdir()
    return Boundaries(tmp_path / "boundaries")


@pytest.fixture
def shared(tmp_path: Path, settings: Settings, store_url: str) -> Settings:
    """What a run has, to work on the watchdog's store with the watchdog's people."""
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "runbooks" / "oncall.yaml").write_text(PEOPLE)
    shutil.copy(ROOT / "runbooks" / "services.yaml", tmp_path / "runbooks")
    return settings.model_copy(update={"store_url": store_url, "runbooks": tmp_path / "runbooks"})


@pytest.mark.parametrize(("point", "copies"), [("message_taken", 1), ("message_left", 2)])
def test_a_rung_whose_run_is_killed_before_or_right_after_sending_is_told_by_the_watchdog(
    harness: Harness, postbox: Postbox, shared: Settings, boundaries: Boundaries, point: str, copies: int
) -> None:
    to_now(harness)
    incident = handed_over(harness.store)
    boundaries.arm(point, incident.id)
    run = begin("escalate", shared, PARAMEDIC_KILL_POINTS=str(boundaries.folder))
    boundaries.wait(point, lambda: None, seconds=120)
    run.kill()
    run.wait()
    assert harness.rungs(incident) == [(0, "sending")]
    assert len(postbox.letters) == copies - 1

    to_now(harness)
    harness.watchdog.look()
    assert len(postbox.letters) == copies - 1, "it is still held"
    harness.after(31, looks=2)
    assert postbox.recipients == ["ada@example.org"] * copies
    assert len({letter["Message-ID"] for letter in postbox.letters}) == 1
    assert harness.rungs(incident) == [(0, "sent"), (1, "due")]


def to_now(harness: Harness) -> None:
    """The run goes by the database's own clock."""
    harness.clock.advance(utc_now() - harness.clock.now())
