"""`paramedic incident ack · resolve`: the command line says whose an incident was, and who ended it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import paramedic
from incident_states import handed_over

from paramedic.settings import Settings
from paramedic.store import Store


@pytest.fixture
def data(tmp_path: Path, sqlite_template: Path) -> Path:
    shutil.copyfile(sqlite_template, tmp_path / "paramedic.db")
    return tmp_path


@pytest.fixture
def store(data: Path) -> Iterator[Store]:
    opened = Store(Settings(data=data).store())
    yield opened
    opened.close()


def test_who_takes_it_over_reads_whose_it_was(data: Path, store: Store) -> None:
    handed_over(store)
    where = ("--data", str(data))
    assert paramedic("incident", "ack", "1", "--by", "ada", *where) == "INC-1 is yours, ada\n"
    said = paramedic("incident", "ack", "1", "--by", "ben", *where)
    assert said == "INC-1 is yours, ben\nada had it before, and is told that you have it now\n"
    again = json.loads(paramedic("incident", "ack", "1", "--by", "ada", "--json", *where))
    assert (again["acknowledged_by"], again["taken_over_from"]) == ("ada", "ben")


def test_what_a_person_resolved_is_listed_and_reported_as_that(data: Path, store: Store) -> None:
    handed_over(store)
    where = ("--data", str(data))
    paramedic("incident", "resolve", "1", "--by", "ada", "--because", "the disk was full", *where)
    assert "resolved by ada" in paramedic("incident", "list", *where)
    report = paramedic("incident", "report", "1", *where)
    assert "- State: resolved by ada\n- Because: the disk was full\n" in report
    assert "incident\\.resolved by person:ada: the disk was full" in report
