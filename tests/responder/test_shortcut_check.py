"""A Prefect that is not as the shortcuts need it runs every playbook all the same, its own way, and that is said."""

import importlib
import logging
from pathlib import Path
from typing import Any

import pytest
from pool import Pool
from prefect_server import Prefect
from waiting import until

from paramedic.cli import doctor
from paramedic.responder import engine, shortcut_check
from paramedic.responder.run_start import RunStart
from paramedic.responder.shortcut_check import _CALLED, _FILLED, _REPLACED, complaint, in_force
from paramedic.responder.shortened_start import ShortenedStart
from paramedic.settings import ROOT, Settings

#: Prefect as it may be one day: it works, and one of its own names takes more than it did.
ANOTHER_PREFECT = """
from prefect.flow_engine import FlowRunEngine

before = FlowRunEngine.run_context
FlowRunEngine.run_context = lambda self, patience=None: before(self)
"""


def _owner(name: str) -> tuple[Any, str]:
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    *way, last = path.split(".")
    for part in way:
        found = getattr(found, part)
    return found, last


@pytest.mark.parametrize("name", [*_CALLED, *_REPLACED, *_FILLED])
def test_a_name_that_is_missing_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert complaint() is None
    owner, last = _owner(name)
    if isinstance(owner, dict):
        monkeypatch.delitem(owner, last)
    else:
        for base in owner.__mro__ if isinstance(owner, type) else [owner]:
            if last in vars(base):
                monkeypatch.delattr(base, last)
    assert complaint() == f"{name.replace(':', '.')} is missing"


@pytest.mark.parametrize(
    "name", [*_CALLED, *_REPLACED, *(name for name, kind in _FILLED.items() if kind is not object)]
)
def test_a_name_that_takes_something_else_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def another(*, entirely: int) -> int:
        return entirely

    owner, last = _owner(name)
    monkeypatch.setattr(owner, last, another)
    assert (complaint() or "").startswith(name.replace(":", ".") + " ")


def test_an_import_that_fails_is_a_complaint_and_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortcut_check, "SHORTENED", "paramedic.responder.nowhere")
    assert "paramedic.responder.nowhere" in (complaint() or "")


def test_the_switch_turns_them_off_and_a_prefect_that_does_not_suit_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert in_force(Settings())
        assert not in_force(Settings(prefect_shortcuts=False))
        assert caplog.messages == []
        monkeypatch.setattr(shortcut_check, "complaint", lambda: "prefect.a.b is missing")
        assert not in_force(Settings())
    [message] = caplog.messages
    assert message.startswith("runs begin Prefect's own way")
    assert message.endswith("prefect.a.b is missing")


@pytest.mark.parametrize(("variable", "start"), [("true", ShortenedStart), ("false", RunStart), (None, RunStart)])
def test_a_warm_process_begins_its_run_as_the_responder_says(
    variable: str | None, start: type[RunStart], monkeypatch: pytest.MonkeyPatch
) -> None:
    if variable is None:
        monkeypatch.delenv(shortcut_check.VARIABLE, raising=False)
    else:
        monkeypatch.setenv(shortcut_check.VARIABLE, variable)
    assert engine.run_start() is start


def test_doctor_says_how_runs_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.shortcuts(Settings()).well
    off = doctor.shortcuts(Settings(prefect_shortcuts=False))
    assert off.well
    assert "prefect_shortcuts" in off.words
    monkeypatch.setattr(shortcut_check, "complaint", lambda: "prefect.a.b is missing")
    wrong = doctor.shortcuts(Settings())
    assert not wrong.well
    assert "prefect.a.b is missing" in wrong.words
    assert doctor.shortcuts(Settings(work_pool_type="process")).well


def is_well(pool: Pool, file: Path, *, engine: str) -> None:
    """A run is begun by this engine, and one with a step and a log ends well and loses nothing."""
    assert pool.ends(pool.create("whose", notified=True, file=str(file)))["state_type"] == "COMPLETED"
    assert file.read_text().split()[1] == engine
    run = pool.create("features", notified=True, what="tasks")
    assert pool.ends(run)["state_type"] == "COMPLETED"
    logs = {"logs": {"flow_run_id": {"any_": [run]}}}
    until("its log is there", lambda: pool.prefect.ask("POST", "/logs/filter", json=logs))


@pytest.mark.real
def test_a_run_is_begun_by_the_shortcuts_where_prefect_is_as_it_is_tested(pool: Pool, tmp_path: Path) -> None:
    """That a setting turns them off: test_second_responder.py."""
    is_well(pool, tmp_path / "whose", engine="WarmEngine")
    assert "Prefect's own way" not in pool.log()


@pytest.mark.real
@pytest.mark.costly
def test_a_run_ends_well_without_them_where_it_is_another_prefect(prefect: Prefect, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(ANOTHER_PREFECT)
    pool = Pool(prefect, tmp_path)
    try:
        pool.start(PYTHONPATH=f"{tmp_path}:{ROOT}")
        is_well(pool, tmp_path / "whose", engine="FlowRunEngine")
        assert pool.log().count("Prefect's own way") == 1
    finally:
        pool.close()
