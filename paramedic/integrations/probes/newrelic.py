"""An NRQL query of New Relic, by NerdGraph, its GraphQL API."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from paramedic.errors import PermanentError
from paramedic.kinds import number_question
from paramedic.kinds.number_question import LOGIN, QUERY
from paramedic.kinds.probing import Question, Seen, Written
from paramedic.text.sanitize import one_line

CHECK = ("newrelic",)
ABOUT = (
    "the number that a `query` in NRQL gives; its own SINCE says over which time; no data is unknown "
    "([checks.md](checks.md#newrelic))"
)
METRICS = number_question.METRICS
OPTIONS = (QUERY, LOGIN)

_ADDRESSES = {"us": "https://api.newrelic.com", "eu": "https://api.eu.newrelic.com"}

#: The query and the account are variables: no text is put together.
_GRAPHQL = (
    "query ($account: Int!, $nrql: Nrql!, $timeout: Seconds) "
    "{ actor { account(id: $account) { nrql(query: $nrql, timeout: $timeout) { results } } } }"
)

#: Of a row: what it is of, and when.
_ABOUT_ROWS = ("facet", "beginTimeSeconds", "endTimeSeconds", "timestamp", "inspectedCount")


def subject(written: Written) -> str:
    """The query. Raises ValueError where there is none."""
    return number_question.needs_a_query(written)


def look(question: Question) -> Seen:
    """Ask once. Raises TemporaryError or PermanentError where there is no answer, or none that has a number."""
    from paramedic.transports import json_question

    login, (key, account) = number_question.needed(question, "newrelic", "api_key", "account")
    if not account.isdigit():
        raise PermanentError("the `account` of a login for New Relic is its number")
    url = (login.url or _ADDRESSES.get((login.site or "us").lower(), _ADDRESSES["us"])).rstrip("/")
    within = max(1, int(question.timeout / timedelta(seconds=1)))
    variables = {"account": int(account), "nrql": question.options["query"], "timeout": within}
    reply = json_question.ask(
        f"{url}/graphql",
        question.timeout,
        headers={"API-Key": key},
        body={"query": _GRAPHQL, "variables": variables},
    )
    answer = reply.content if isinstance(reply.content, Mapping) else {}
    faults = answer.get("errors") or ()
    said = "; ".join(str(fault.get("message", fault)) if isinstance(fault, Mapping) else str(fault) for fault in faults)
    if reply.status != 200:
        raise json_question.refused("New Relic", reply, said)
    if said:  # it says no in a 200
        raise PermanentError(f"New Relic does not answer the query: {one_line(said)[:300]}")
    return number_question.seen(_numbers(_rows(answer, reply.text)))


def _rows(answer: Mapping[str, Any], text: str) -> Sequence[Mapping[str, Any]]:
    found: Any = answer
    for name in ("data", "actor", "account", "nrql", "results"):
        found = found.get(name) if isinstance(found, Mapping) else None
    if not isinstance(found, list):
        raise PermanentError(f"New Relic answers, and not as NerdGraph does: {one_line(text)!r:.120}")
    return found


def _numbers(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, float]]:
    """Each row's one number with its facet. Raises PermanentError where a row has several, or the query is a series."""
    for row in rows:
        if "beginTimeSeconds" in row:
            raise PermanentError("the query gives a series: leave TIMESERIES out of it")
        facet = row.get("facet")
        names = ", ".join(map(str, facet)) if isinstance(facet, list) else str(facet or "")
        own = {name for name, value in row.items() if value == facet and isinstance(value, str)}
        values = [value for name, value in row.items() if name not in _ABOUT_ROWS and name not in own]
        values = [each for value in values for each in (value.values() if isinstance(value, Mapping) else (value,))]
        if len(values) != 1:
            raise PermanentError(f"the query gives {len(values)} values a row: ask for one")
        yield names, math.nan if not isinstance(values[0], int | float) else float(values[0])
