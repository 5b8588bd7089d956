"""What an author changes is in force at the next use, in each process, without a restart: by content, not by time stamps."""

import multiprocessing
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from store_states import alert

from paramedic.catalog.library import library_in_force, open_library, services_in_force
from paramedic.intake.intake import Intake
from paramedic.oncall.oncall_reload import OncallFile
from paramedic.settings import Settings
from paramedic.store import Store, inbox, incidents
from tasks import run_cache

SHIPPED = Path(__file__).parents[2] / "runbooks"
WANTED = {"env": "prod", "instance": "web-1:9100", "service": "tracking-api"}
BOOK = "tracking-api-memory.md"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    shutil.copytree(SHIPPED, tmp_path / "runbooks")
    return Settings(data=tmp_path / "data", runbooks=tmp_path / "runbooks")


def rewrite(file: Path, old: str, new: str) -> None:
    """Another text of one length, under the time stamps of the one before."""
    assert len(old) == len(new)
    before, text = file.stat(), file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_triage_takes_the_runbook_that_is_there_now(settings: Settings, store: Store) -> None:
    book = settings.runbooks / BOOK
    text = book.read_text()
    intake = Intake(store, lambda: library_in_force(settings))
    book.unlink()
    taken = []
    for number, name in enumerate(("TrackingApiMemory", "TrackingApiMemorz"), start=1):
        inbox.receive(store, [alert(name, **WANTED)], source="x", sender="x")
        intake.work()
        with store.read() as tx:
            taken.append(incidents.get(tx, number).runbook)
        book.write_text(text.replace("TrackingApiMemory", "TrackingApiMemorz"))
    assert taken == [None, "tracking-api-memory"]


@pytest.mark.parametrize("read", [library_in_force, open_library, run_cache.library])
def test_each_way_to_the_library_sees_a_change_of_one_length_and_time(
    settings: Settings, read: Callable[[Settings], object]
) -> None:
    before = read(settings).runbooks["tracking-api-memory"].version  # type: ignore[attr-defined]
    rewrite(settings.runbooks / BOOK, "**Meaning.**", "**Meaning!**")
    assert read(settings).runbooks["tracking-api-memory"].version != before  # type: ignore[attr-defined]


def test_services_too(settings: Settings) -> None:
    assert services_in_force(settings).by_id("web-1/tracking-api") is not None
    rewrite(settings.runbooks / "services.yaml", "tracking-api", "tracking-apj")
    assert services_in_force(settings).by_id("web-1/tracking-api") is None


def test_who_is_on_call_too(settings: Settings) -> None:
    file = OncallFile(settings)
    before = file.oncall
    text = (settings.runbooks / "oncall.yaml").read_text()
    (settings.runbooks / "oncall.yaml").write_text(f"{text}\n# a change\n".replace("name: ", "name: X", 1))
    assert file.oncall != before


def test_a_warm_process_that_was_forked_before_the_change_sees_it(settings: Settings) -> None:
    run_cache.library(settings)
    told = multiprocessing.get_context("fork").SimpleQueue()
    go_on = multiprocessing.get_context("fork").Event()

    def warm() -> None:
        go_on.wait(20)
        told.put(sorted(run_cache.library(settings).runbooks))

    child = multiprocessing.get_context("fork").Process(target=warm)
    child.start()
    (settings.runbooks / BOOK).unlink()
    go_on.set()
    seen = told.get()
    child.join(20)
    assert "tracking-api-memory" not in seen
    assert seen
