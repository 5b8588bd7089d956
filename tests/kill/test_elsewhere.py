"""Other nights: a full disk, a Prefect that says 503, a Prefect that stays away."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from busy_prefect import BusyPrefect
from kill.driver import Driver, driving, verify, wait_for
from prefect_server import Prefect
from required import missing

from paramedic.demo.world import free_port
from paramedic.incidents.outcome import Ending

pytestmark = [pytest.mark.real, pytest.mark.kill, pytest.mark.timeout(600)]


@contextlib.contextmanager
def _up(services: list[tuple[str, str, str]], **env: str) -> Iterator[Driver]:
    with tempfile.TemporaryDirectory(prefix="pk-") as folder, driving(Path(folder), services, **env) as up:
        yield up


@pytest.fixture(scope="module")
def small_disk() -> Iterator[Path]:
    """A disk that has room for one incident; where none can be mounted, a folder."""
    folder = Path(tempfile.mkdtemp(prefix="pd-"))
    if _mounts():
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], check=True)
    yield folder
    if _mounts():
        subprocess.run(["umount", "-l", str(folder)], check=True)
    shutil.rmtree(folder)


def _mounts() -> bool:
    """Only root may."""
    return os.getuid() == 0


@pytest.fixture(scope="module")
def up(small_disk: Path) -> Iterator[Driver]:
    """Its store is on the small disk, and it soon has a word to say about who is silent."""
    env = {"PARAMEDIC_STORE_URL": f"sqlite:///{small_disk}/paramedic.db", "PARAMEDIC_SILENT_AFTER": "4s"}
    with _up([("alone", "web-1", ""), ("full", "web-1", "")], **env) as up:
        yield up


def test_on_a_full_disk_nothing_acts_unrecorded_a_person_is_told_and_all_goes_on(up: Driver, small_disk: Path) -> None:
    """SQLite may find room in its own files for a while: then what acts is recorded, and that is well too."""
    if not _mounts():
        missing("only root can mount a small disk")
    service = up.service("full")
    up.break_it(service)
    up.arm("evidence_taken", service)
    assert up.send(up.alert(service)).status_code == 202
    up.stands_at("evidence_taken", service)
    incident = up.incidents_on(service)[0]
    _fill(small_disk / "filler")
    up.release("evidence_taken", service)

    def paged() -> bool:
        assert service.starts - 1 <= len(up.acts_of(incident)), "it acted, and no intent was written"
        return bool(up.mailbox.about("the store does not answer") or up.mailbox.about(incident.id))

    wait_for("a word", paged, up.tick, seconds=120)
    (small_disk / "filler").unlink()
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    incident = up.ended(service, seconds=150)
    assert (incident.ending, service.starts) == (Ending.REMEDIATED, 2), up.told_of(service)
    verify(up)


def _fill(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


def test_a_word_about_a_prefect_that_stays_away(up: Driver) -> None:
    service = up.service("alone")
    prefect = psutil.Process(up.stack.pids()["prefect"])
    prefect.suspend()
    try:
        wait_for("a word", lambda: up.mailbox.about("Prefect server does not answer"), up.tick, seconds=60)
        up.break_it(service)
        assert up.send(up.alert(service)).status_code == 202
        incident = up.ended(service, seconds=60)
    finally:
        prefect.resume()
    assert (incident.ending, service.starts) == (Ending.HANDED_OVER, 1), up.told_of(service)
    up.is_whole_again()


@pytest.fixture
def own_prefect(tmp_path: Path) -> Iterator[Prefect]:
    """A server that meets no other store."""
    server = Prefect(tmp_path / "prefect", free_port())
    server.home.mkdir()
    server.start()
    yield server
    server.stop()


@pytest.mark.long
def test_a_prefect_that_says_503_to_every_third_call_loses_and_doubles_no_run(own_prefect: Prefect) -> None:
    names = [f"moody-{number}" for number in range(3)]
    services = [(name, "web-1", "") for name in names]
    with (
        BusyPrefect(own_prefect.api) as busy,
        _up(services, PARAMEDIC_PREFECT_API_URL=busy.api, PARAMEDIC_CLAIM_WITHIN="60s") as up,
    ):
        for name in names:
            up.break_it(up.service(name))
            up.send(up.alert(up.service(name)))
        for name in names:
            service = up.service(name)
            incident = up.ended(service, seconds=200)
            # What the 503s hide for too long (its own state, that its run was taken) gives it to a person, untouched.
            assert incident.ending in (Ending.REMEDIATED, Ending.REFUSED, Ending.HANDED_OVER), incident.because
            assert service.starts == (2 if incident.ending is Ending.REMEDIATED else 1), incident.because
            assert len(up.flow_runs(incident)) == incident.attempt
