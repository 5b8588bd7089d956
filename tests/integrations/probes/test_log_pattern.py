"""A line that must not come, and one that must: over the window, and nothing is said of what was not read."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_service import target

from paramedic.checks.check import CheckSpec, Sample, check_spec
from paramedic.kinds import log_source
from paramedic.sampling import one_sample


@pytest.fixture(autouse=True)
def _new_process() -> Iterator[None]:
    log_source.forget()
    yield
    log_source.forget()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


def line(text: str, ago: float = 0) -> str:
    return datetime.fromtimestamp(time.time() - ago, UTC).isoformat() + f" {text}\n"


def append(log: Path, text: str) -> None:
    with log.open("a") as file:
        file.write(text)


def look(log: Path, ended_at: datetime | None = None, **words: Any) -> Sample:
    check = check_spec(CheckSpec)(check="log_pattern", file=str(log), **words).build()
    return one_sample.sample(
        check, target(), now=lambda: datetime.now(UTC), last_heard=lambda _: None, last_ended=lambda _: ended_at
    )


def test_a_line_that_must_not_come_is_counted_within_the_window(log: Path) -> None:
    log.write_text(line("ERROR disk full", ago=900) * 5 + line("ERROR disk full", ago=60) + line("all is well"))
    seen = look(log, must_not="ERROR (disk|memory)")
    assert seen.values == {"matches": 1, "missing": 0}
    append(log, "ERROR memory, without a time\n" * 2)
    assert look(log, must_not="ERROR (disk|memory)").values == {"matches": 3, "missing": 0}
    over = look(log, datetime.now(UTC) + timedelta(seconds=1), must_not="ERROR (disk|memory)")
    assert over.values == {"matches": 0, "missing": 0}


def test_a_line_that_must_come_is_missing_once_the_window_is_over_without_it(log: Path) -> None:
    log.write_text(line("backup done", ago=700))
    assert look(log, must="backup done").values == {"matches": 0, "missing": 1}
    append(log, line("backup done"))
    assert look(log, must="backup done").values == {"matches": 0, "missing": 0}


def test_what_was_not_read_is_neither_there_nor_missing(log: Path) -> None:
    log.write_text(line("x" * 100, ago=900) + line("y" * 100, ago=60) * 60_000)
    seen = look(log, must="backup done")
    assert seen.values is None
    assert "is not known yet" in seen.why
    append(log, line("backup done"))
    assert look(log, must="backup done").values == {"matches": 0, "missing": 0}


def test_after_an_incident_the_line_has_a_whole_window_to_come(log: Path) -> None:
    log.write_text(line("backup done", ago=5000))
    ended_at = datetime.now(UTC) - timedelta(minutes=5)
    assert look(log, ended_at, must="backup done").values == {"matches": 0, "missing": 0}
    assert look(log, ended_at - timedelta(minutes=6), must="backup done").values == {"matches": 0, "missing": 1}


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({}, "name the line"),
        ({"must": "a", "must_not": "b"}, "name the line"),
        ({"must": "(a+)+\\1"}, "no regular expression of RE2"),
    ],
)
def test_what_cannot_be_right_is_refused_when_it_is_written(words: dict[str, str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check_spec(CheckSpec)(check="log_pattern", file="/a", **words).build()
