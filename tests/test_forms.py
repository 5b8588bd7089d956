"""How much of the tests each command plays: nothing is left out by all of them, and each boundary is passed early."""

from pathlib import Path

import pytest
from forms import COSTLY, KILL, LONG, SENTINEL, Form, examples, form, summary
from kill.table import SENTINELS, SHORT, TABLE

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, Form.SENTINELS),
        ({"REQUIRE_REAL_SERVERS": "0", "LONG_TESTS": "0"}, Form.SENTINELS),
        ({"REQUIRE_REAL_SERVERS": "1"}, Form.SHORT),
        ({"LONG_TESTS": "1"}, Form.LONG),
        ({"LONG_TESTS": "1", "REQUIRE_REAL_SERVERS": "1"}, Form.LONG),
    ],
)
def test_the_environment_chooses_the_form(environ: dict[str, str], expected: Form) -> None:
    assert form(environ) is expected


def test_only_make_quick_plays_few_examples_of_a_property_test() -> None:
    assert [examples(count, {"QUICK_TESTS": "1"}) for count in (3, 5, 60)] == [1, 1, 12]
    assert [examples(60, environ) for environ in ({}, {"QUICK_TESTS": "0"}, {"LONG_TESTS": "1"})] == [60, 60, 60]


def test_make_test_with_all_servers_leaves_out_only_what_is_long() -> None:
    kinds = [{KILL}, {KILL, SENTINEL}, {KILL, LONG}, {COSTLY}, {LONG}, {"real"}, set()]
    assert [kind for kind in kinds if not Form.SHORT.plays(kind)] == [{KILL, LONG}, {LONG}]
    assert [kind for kind in kinds if not Form.LONG.plays(kind)] == []
    assert [kind for kind in kinds if Form.SENTINELS.plays(kind)] == [{KILL, SENTINEL}, {"real"}, set()]


def test_what_is_left_out_is_told_in_one_line_with_the_commands_that_play_it() -> None:
    assert summary([]) == ""
    assert summary([{LONG}]) == "left out 1 that `make kill-table` plays"
    both = summary([{LONG}, {KILL}, {COSTLY}])
    assert both == "left out 2 that `bash .ci/run` plays and 1 that `make kill-table` plays"


def test_every_boundary_is_passed_before_a_change_is_merged() -> None:
    assert {row.point for row in TABLE if row.id in SHORT} == {row.point for row in TABLE}
    assert {row.victim for row in TABLE if row.id in SHORT} == {row.victim for row in TABLE}


def test_every_kind_of_boundary_and_every_story_has_its_sentinel() -> None:
    rows = [row for row in TABLE if row.id in SENTINELS]
    assert len(rows) == len(SENTINELS)
    for kind in (
        {"alert_committed", "triaged", "outbox_written", "run_created"},  # on the way to a run
        {"claimed", "evidence_taken"},  # before the change
        {"intent_written", "act_sent"},  # in it
        {"outcome_written", "verified", "told"},  # after it
        {"approval_asked", "suspended", "approval_decided"},  # while a person is asked
        {"message_taken", "message_left"},  # while people are told
    ):
        assert kind & {row.point for row in rows}, kind


def test_the_commands_are_those_that_there_are() -> None:
    makefile, ci = (ROOT / "Makefile").read_text(), (ROOT / ".ci" / "run").read_text()
    assert "export REQUIRE_REAL_SERVERS=1\nmake test\n" in ci
    assert "kill-table: .venv/ready\n\t@LONG_TESTS=1 " in makefile
    test = makefile.partition("\ntest: ")[2].partition("\nlint: ")[0]
    [line] = [line for line in test.splitlines() if " tests/kill" in line]
    assert not {"-m", "-k", "--deselect"} & set(line.split())
