"""Of somebody's SQL its shape is shown, and no value of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paramedic.text.sql_text import without_values


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("UPDATE orders SET paid = true WHERE id = 4711", "UPDATE orders SET paid = true WHERE id = ?"),
        ("ALTER ROLE shop PASSWORD 'hunter2'", "ALTER ROLE shop PASSWORD ?"),
        ("SELECT 'it''s mine', name FROM t", "SELECT ?, name FROM t"),
        (r"SELECT E'it\'s mine', name FROM t", "SELECT ?, name FROM t"),
        (r"SELECT E'\\', name FROM t", "SELECT ?, name FROM t"),
        (r"SELECT 'C:\new', name FROM t", "SELECT ?, name FROM t"),
        (r"SELECT 'ends or not\', 'hunter2' FROM t", "SELECT ?"),
        ("SELECT U&'d\\0061t', name", "SELECT U&?, name"),
        ("DO $$ SELECT 'x' $$ LANGUAGE plpgsql", "DO ? LANGUAGE plpgsql"),
        ("SELECT $tag$ it's $$ here $tag$, name", "SELECT ?, name"),
        ("SELECT $1, t1.c2 FROM t1", "SELECT $1, t1.c2 FROM t1"),
        ('SELECT "my 4 col""umn" FROM t', 'SELECT "my 4 col""umn" FROM t'),
        ("SELECT 1 -- don't\nFROM t", "SELECT ? ? FROM t"),
        ("SELECT /* don't /* nested */ say */ name", "SELECT ? name"),
        ("SELECT a FROM t WHERE b = 'cut in the mid", "SELECT a FROM t WHERE b = ?"),
        ("SELECT a /* cut", "SELECT a ?"),
        ("DO $body$ cut", "DO ?"),
        ("SELECT\n\n  a,\tb\x1b[m", "SELECT a, b\\x1b[m"),
        ("SELECT 1.5e10, 0xFF, -3", "SELECT ?, ?, -?"),
        ("<insufficient privilege>", "<insufficient privilege>"),
        ("", ""),
    ],
)
def test_what_is_shown_of_a_statement(statement: str, shown: str) -> None:
    assert without_values(statement) == shown


def test_it_is_cut_and_says_so() -> None:
    assert without_values("SELECT " + "a, " * 500, 20) == "SELECT a, a, a, a, a…"


@given(
    st.lists(st.sampled_from([" ", "a", "''", "\\", "$$", "*/", "/*", '"', "\n", "--", "$t$"]), max_size=8), st.data()
)
def test_no_part_of_a_text_is_ever_shown(parts: list[str], data: st.DataObject) -> None:
    parts.insert(data.draw(st.integers(0, len(parts))), "SECRET")
    assert "SECRET" not in without_values(f"SELECT a, '{''.join(parts)}' FROM t")


@given(st.text(alphabet="a'\"$\\/*-e \n1", max_size=60))
def test_it_ends_whatever_it_is_given(statement: str) -> None:
    without_values(statement)
