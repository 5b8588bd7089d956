"""What authors write is in force in every process, or refused aloud; there is one way to open it."""

import ast
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from paramedic.alerts.alert import Alert, Severity, Status, fingerprint
from paramedic.catalog.library import Library, _made, library_in_force, open_library
from paramedic.catalog.runbook import Mode
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.intake.intake import Intake
from paramedic.machine.clock import utc_now
from paramedic.settings import Settings
from paramedic.store import Store, inbox, incidents, lifecycle, trail
from paramedic.store.tables import inbox as inbox_rows
from paramedic.store.tables import messages
from paramedic.text.yaml_document import BadDocument
from paramedic.upkeep.library_watch import ACCEPTED, CHANGED, REFUSED, LibraryWatch

ROOT = Path(__file__).parents[2]
NAME = "tracking-api-memory"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    books = tmp_path / "runbooks"
    shutil.copytree(ROOT / "runbooks", books)
    (tmp_path / "data").mkdir()
    return Settings(data=tmp_path / "data", runbooks=books)


@pytest.fixture
def store(store_url: str) -> Store:
    return Store(store_url)


@pytest.mark.parametrize("opened", [open_library, library_in_force])
def test_a_runbook_may_name_a_playbook_of_the_folder_that_the_settings_name(
    settings: Settings, tmp_path: Path, opened: Callable[[Settings], Library]
) -> None:
    file = _file(settings)
    file.write_text(file.read_text().replace("playbook: restart-service", "playbook: our-restart"))
    flows = tmp_path / "flows"
    flows.mkdir()
    (flows / "our_restart.py").write_text("def our_restart(): ...\n")
    [problem] = opened(settings).problems
    assert "there is no 'our-restart'" in problem.what
    library = opened(settings.model_copy(update={"flows": flows}))
    assert library.problems == ()
    assert library.runbooks[NAME].playbook == "our-restart"


def _file(settings: Settings) -> Path:
    return settings.runbooks / f"{NAME}.md"


def _lowered(settings: Settings) -> str:
    return _file(settings).read_text().replace("mode: observe", "mode: ask")


def _in_place(settings: Settings) -> None:
    """As `echo > FILE`."""
    _file(settings).write_text(_lowered(settings))


def _renamed_over(settings: Settings) -> None:
    """As editors save."""
    fresh = settings.runbooks / ".fresh"
    fresh.write_text(_lowered(settings))
    fresh.replace(_file(settings))


def _dated_back(settings: Settings) -> None:
    """Of the same size and the same times, as a tool that restores time stamps leaves it."""
    before = _file(settings).stat()
    text = _file(settings).read_text()
    _file(settings).write_text(text.replace("mode: observe", "mode: act    "))
    os.utime(_file(settings), ns=(before.st_atime_ns, before.st_mtime_ns))
    assert _file(settings).stat().st_size == before.st_size


def _symlinks_swapped(settings: Settings) -> None:
    """As Kubernetes updates a config map: FILE -> ..data/FILE, ..data -> ..VERSION, and `..data` is replaced."""
    books = settings.runbooks
    text = _lowered(settings)
    for version, replaced in (("..1", None), ("..2", text)):
        (books / version).mkdir()
        for path in [*books.glob("*.md"), *books.glob("*.yaml")]:
            shutil.copy(path, books / version / path.name)
        if replaced is not None:
            (books / version / f"{NAME}.md").write_text(replaced)
    (books / "..data").symlink_to("..1")
    for path in [*books.glob("*.md"), *books.glob("*.yaml")]:
        path.unlink()
        path.symlink_to(f"..data/{path.name}")
    library_in_force(settings)
    (books / "..fresh").symlink_to("..2")
    (books / "..fresh").replace(books / "..data")


@pytest.mark.parametrize("edit", [_in_place, _renamed_over, _dated_back, _symlinks_swapped])
def test_an_edit_is_in_force_however_it_was_made(settings: Settings, edit: Callable[[Settings], None]) -> None:
    assert library_in_force(settings).runbooks[NAME].mode == Mode.OBSERVE
    edit(settings)
    assert library_in_force(settings).runbooks[NAME].mode != Mode.OBSERVE
    assert open_library(settings).runbooks[NAME].mode != Mode.OBSERVE


def test_what_nobody_changed_is_made_once(settings: Settings) -> None:
    before = library_in_force(settings)
    os.utime(_file(settings))
    assert library_in_force(settings) is before


def _a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


BREAKS: dict[str, Callable[[Path], object]] = {
    "unparsable": lambda path: path.write_text("---\n{ this: is: nothing"),
    "empty": lambda path: path.write_text(""),
    "not UTF-8": lambda path: path.write_bytes(b"\xff\xfe\x00"),
    "a directory": _a_directory,
    "a dangling link": _dangling,
}


@pytest.mark.parametrize("how", BREAKS)
def test_a_runbook_that_cannot_be_used_is_refused_alone(settings: Settings, how: str) -> None:
    BREAKS[how](_file(settings))
    for found in (library_in_force(settings), open_library(settings)):
        assert list(found.runbooks) == ["order-status-slow", "tracking-api-slow"]
        assert {problem.file for problem in found.problems} == {str(_file(settings))}


@pytest.mark.parametrize("how", [*BREAKS, "gone"])
@pytest.mark.parametrize("file", ["services.yaml", "oncall.yaml"])
def test_for_a_broken_file_its_last_good_copy_tells_on_and_nothing_may_act(
    settings: Settings, file: str, how: str
) -> None:
    good = library_in_force(settings)
    path = settings.runbooks / file
    (BREAKS | {"gone": Path.unlink})[how](path)
    _made.cache_clear()  # another process knows nothing of what this one has read
    found = library_in_force(settings)
    assert (found.oncall, found.services, found.runbooks) == (good.oncall, good.services, good.runbooks)
    assert str(path) in {problem.file for problem in found.problems}
    with pytest.raises(BadDocument, match=file):
        open_library(settings)


def test_the_copies_are_their_owner_s_alone(settings: Settings) -> None:
    library_in_force(settings)
    assert {path.stat().st_mode & 0o777 for path in settings.last_good().iterdir()} == {0o600}
    assert settings.last_good().stat().st_mode & 0o777 == 0o700


def test_without_a_good_copy_a_broken_file_is_said(settings: Settings) -> None:
    (settings.runbooks / "services.yaml").unlink()
    with pytest.raises(BadDocument, match=r"services\.yaml"):
        library_in_force(settings)


def test_an_editor_s_hidden_files_are_no_runbooks(settings: Settings) -> None:
    (settings.runbooks / ".#tracking-api-memory.md").symlink_to("somebody@somewhere.1234")
    assert open_library(settings).problems == ()


# --- triage -----------------------------------------------------------------------------------------------------------


def _alert(instance: str = "web-1:9100") -> Alert:
    labels = {"alertname": "TrackingApiMemory", "env": "prod", "instance": instance}
    return Alert(
        "alertmanager",
        "TrackingApiMemory",
        Severity.CRITICAL,
        Status.FIRING,
        utc_now(),
        fingerprint("alertmanager", labels),
        labels,
    )


def _decided(store: Store, intake: Intake, alert: Alert) -> tuple[str | None, str]:
    """The runbook of the incident that the alert opens, and why a person has it: also in the list of what came in."""
    inbox.receive(store, [alert], source="alertmanager", sender="test")
    intake.work()
    with store.read() as tx:
        row = tx.conn.execute(inbox_rows.select().order_by(inbox_rows.c.position.desc())).first()
        incident = incidents.get(tx, row.incident)
    assert (incident.because or "") in row.reason
    return incident.runbook, incident.because or ""


def test_triage_goes_by_the_runbooks_as_they_are_at_each_alert(settings: Settings, store: Store) -> None:
    intake = Intake(store, lambda: library_in_force(settings))
    assert _decided(store, intake, _alert())[0] == NAME
    with store.record() as tx:
        lifecycle.hand_over(tx, 1, Outcome(Ending.HANDED_OVER, "a test"), actor="test")
        lifecycle.resolve(tx, 1, Outcome(Ending.HANDED_OVER, "a test"), actor="person:ada")
    _file(settings).write_text(_file(settings).read_text().replace("alert: TrackingApiMemory", "alert: SomethingElse"))
    runbook, reason = _decided(store, intake, _alert())
    assert (runbook, "no runbook wants it" in reason) == (None, True)


def test_an_alert_of_a_refused_runbook_goes_to_a_person_with_the_reason(settings: Settings, store: Store) -> None:
    intake = Intake(store, lambda: library_in_force(settings))
    _file(settings).write_text("nothing")
    runbook, reason = _decided(store, intake, _alert())
    assert runbook is None
    assert f"it cannot be used: {_file(settings)}:1:1: no front matter" in reason


def test_without_any_library_an_alert_goes_to_a_person(settings: Settings, store: Store) -> None:
    shutil.rmtree(settings.runbooks)
    runbook, reason = _decided(store, Intake(store, lambda: library_in_force(settings)), _alert())
    assert runbook is None
    assert "services.yaml" in reason


# --- said aloud -------------------------------------------------------------------------------------------------------


def _recorded(store: Store) -> list[str]:
    with store.read() as tx:
        return [entry.what for entry in trail.entries(tx) if entry.what.startswith("library.")]


def _troubles(store: Store) -> list[str]:
    with store.read() as tx:
        return [row.subject for row in tx.conn.execute(messages.select().order_by(messages.c.id))]


def _looks(watch: LibraryWatch, count: int = 3) -> None:
    for _ in range(count):
        watch.look()


def test_a_refused_runbook_is_told_once_whoever_looks_how_often(settings: Settings, store: Store) -> None:
    watch = LibraryWatch(store, settings)
    _looks(watch)
    assert (_recorded(store), _troubles(store)) == ([], [])
    good = _file(settings).read_text()
    _file(settings).write_text("nothing")
    _looks(watch)
    _looks(LibraryWatch(store, settings))
    assert _recorded(store) == [CHANGED, REFUSED]
    [subject] = _troubles(store)
    assert subject.startswith(f"Refused: {_file(settings)}:1:1: no front matter"[:129])
    _file(settings).write_text(good)
    _looks(watch)
    assert _recorded(store) == [CHANGED, REFUSED, CHANGED, ACCEPTED]


def test_a_file_that_is_half_written_at_one_look_is_no_news(settings: Settings, store: Store) -> None:
    watch = LibraryWatch(store, settings)
    _looks(watch)
    good = _file(settings).read_text()
    _file(settings).write_text(good[:40])
    watch.look()
    _file(settings).write_text(good)
    _looks(watch)
    assert (_recorded(store), _troubles(store)) == ([], [])


def test_a_withdrawn_runbook_is_on_the_trail_by_name(settings: Settings, store: Store) -> None:
    watch = LibraryWatch(store, settings)
    _looks(watch)
    _file(settings).unlink()
    _looks(watch)
    with store.read() as tx:
        assert [entry.reason for entry in trail.entries(tx)] == [f"withdrawn: {NAME}"]
    assert _troubles(store) == []


def test_a_folder_that_is_emptied_is_told_to_a_person(settings: Settings, store: Store) -> None:
    watch = LibraryWatch(store, settings)
    _looks(watch)
    for path in settings.runbooks.glob("*.*"):
        path.unlink()
    _looks(watch)
    subjects = _troubles(store)
    assert subjects[0] == "No runbook is left, and nothing acts"
    assert subjects[1].startswith("Refused: ")


# --- one way ----------------------------------------------------------------------------------------------------------

#: What makes nouns of an author's files, and where alone it may be called.
_WAYS = {
    "read_folder": {"paramedic/catalog/library.py"},
    "load_library": {"paramedic/intake/intake.py"},
    "parse_services": {"paramedic/catalog/library.py"},
    "parse_oncall": {"paramedic/catalog/library.py", "paramedic/oncall/oncall_reload.py"},
    "runbook_file.parse": {  # an incident's own version
        "paramedic/change/foresight.py",
        "paramedic/dispatch/loop.py",
        "paramedic/responder/unloadable.py",
        "tasks/run_cache.py",
    },
    "load_settings": {
        "paramedic/cli/output.py",
        "paramedic/demo/run.py",
        "paramedic/dispatch/__main__.py",
        "paramedic/gateway/__main__.py",
        "paramedic/responder/__main__.py",
        "paramedic/responder/engine.py",
        "paramedic/responder/worker.py",
        "paramedic/stack/health_check.py",
        "paramedic/watchdog/__main__.py",
        "tasks/rehearsal.py",  # on a store of its own
        "tasks/run_cache.py",
    },
}


def test_what_authors_write_is_opened_in_one_way() -> None:
    strays = []
    for file in [path for room in ("paramedic", "tasks", "flows") for path in (ROOT / room).rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and (name := ast.unparse(node.func).removeprefix("self._")) in _WAYS:
                where = str(file.relative_to(ROOT))
                strays += [] if where in _WAYS[name] else [f"{where}:{node.lineno}: {name}"]
    assert strays == []


def test_who_is_told_is_asked_of_the_file_each_time() -> None:
    pagers = [
        (str(file.relative_to(ROOT)), ast.unparse(node.args[2]))
        for file in [path for room in ("paramedic", "tasks", "flows") for path in (ROOT / room).rglob("*.py")]
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Pager"
    ]
    assert pagers
    assert [where for where, library in pagers if not (library == "file" or library.startswith("OncallFile("))] == []
