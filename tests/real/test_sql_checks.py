"""Queries of a real PostgreSQL as checks: one number, read only, in time, by a role that may not do more."""

from typing import Any

import pytest
from looked_at import look, made
from postgres_sessions import Sessions
from pydantic import ValidationError

from paramedic.checks.check import Sample

pytestmark = [pytest.mark.real]

BOUND: dict[str, Any] = {"value": {"critical": 100}}


@pytest.fixture
def shop(sessions: Sessions) -> Sessions:
    sessions.server.run("INSERT INTO orders SELECT n, 'waits 50%' FROM generate_series(2, 12) n", sessions.database)
    return sessions


def ask(shop: Sessions, query: str, **words: Any) -> Sample:
    return look(made(check="sql", query=query, **({"timeout": "15s"} | BOUND | words)), shop.target("looker"))


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("SELECT count(*) FROM public.orders", 12),
        ("SELECT count(*) FROM public.orders WHERE note LIKE '%50%'", 11),
        ("with o as (select id from public.orders) select max(id) from o", 12),
        ("SELECT 1.5::numeric", 1.5),
        ("VALUES (true)", 1),
        ("SELECT extract(epoch FROM interval '3 seconds');", 3),
    ],
)
def test_a_query_gives_a_number(shop: Sessions, query: str, value: float) -> None:
    sample = ask(shop, query)
    assert sample.values is not None, sample.why
    assert sample.values["highest"] == value


def test_of_several_rows_the_worst_counts_by_its_name(shop: Sessions) -> None:
    sample = ask(
        shop,
        "SELECT left(note, 5) AS what, count(*) FROM public.orders WHERE id > 1 GROUP BY 1 UNION SELECT 'more', 40",
    )
    assert sample.why == "2 values, from 11 (waits) to 40 (more)"


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("SELECT sum(id) FROM public.orders WHERE id > 99", "the answer has no data: nan"),
        ("SELECT id FROM public.orders WHERE id > 99", "the answer has no data: it is empty"),
        ("SELECT 'text'", "the query gives the columns"),
        ("SELECT 1 AS a, 2 AS b", "ask for one number"),
        ("SELECT count(*) FROM orders", "orders"),  # nothing outside of pg_catalog is found by its name alone
        ("SELECT nothing", "nothing"),
        ("WITH gone AS (DELETE FROM public.orders RETURNING 1) SELECT count(*) FROM gone", "read-only transaction"),
        ("SELECT count(*) FROM pg_sleep(30)", ""),
    ],
)
def test_what_gives_no_number_is_unknown_and_changes_nothing(shop: Sessions, query: str, why: str) -> None:
    sample = ask(shop, query, timeout="1s" if "sleep" in query else "15s")
    assert sample.values is None
    assert why in sample.why
    assert "the check itself failed" not in sample.why
    after = ask(shop, "SELECT count(*) FROM public.orders")
    assert after.values is not None
    assert after.values["highest"] == 12


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("DELETE FROM public.orders", "one SELECT (or WITH, VALUES, TABLE) that gives a number"),
        ("SET default_transaction_read_only = off", "one SELECT"),
        ("SELECT 1; SELECT 2", "it is one statement"),
        ("SELECT 1; COMMIT; DELETE FROM public.orders;", "it is one statement"),
    ],
)
def test_what_is_not_one_statement_that_reads_is_refused_by_lint(query: str, says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        made(check="sql", query=query, **BOUND)
    assert says in str(refused.value)
