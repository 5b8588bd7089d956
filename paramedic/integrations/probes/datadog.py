"""A metric query of Datadog, by its API: one number for the last `window`."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field

from paramedic.errors import PermanentError
from paramedic.kinds import number_question
from paramedic.kinds.number_question import LOGIN, QUERY
from paramedic.kinds.probing import Option, Question, Seen, Written

CHECK = ("datadog",)
ABOUT = (
    "the number that a metric `query` of Datadog gives over the last `window`; no data is unknown "
    "([checks.md](checks.md#datadog))"
)
METRICS = number_question.METRICS
OPTIONS = (
    QUERY,
    LOGIN,
    Option(
        "aggregator",
        Annotated[str, Field(pattern="^(avg|min|max|sum|last|percentile|l2norm|area)$")],
        "how Datadog makes one number of the window: avg, min, max, sum, last",
    ),
)

#: Its points are of tens of seconds, and come some of them late.
WINDOW = timedelta(minutes=5)

_SITE = "datadoghq.com"


def subject(written: Written) -> str:
    """The query. Raises ValueError where there is none."""
    return number_question.needs_a_query(written)


def look(question: Question) -> Seen:
    """Ask once. Raises TemporaryError or PermanentError where there is no answer, or none that has a number."""
    from paramedic.transports import json_question

    login, (key, application_key) = number_question.needed(question, "datadog", "api_key", "app_key")
    url = (login.url or f"https://api.{login.site or _SITE}").rstrip("/")
    ends = round(question.now.timestamp() * 1000)
    asked = {
        "data_source": "metrics",
        "name": "a",
        "query": question.options["query"],
        "aggregator": question.options.get("aggregator", "avg"),
    }
    attributes = {
        "from": ends - round(question.window.total_seconds() * 1000),
        "to": ends,
        "queries": [asked],
        "formulas": [{"formula": "a"}],
    }
    reply = json_question.ask(
        f"{url}/api/v2/query/scalar",
        question.timeout,
        headers={"DD-API-KEY": key, "DD-APPLICATION-KEY": application_key},
        body={"data": {"type": "scalar_request", "attributes": attributes}},
    )
    answer = reply.content if isinstance(reply.content, Mapping) else {}
    faults = answer.get("errors") or answer.get("error")
    said = "; ".join(map(str, faults)) if isinstance(faults, list) else str(faults) if faults else None
    if reply.status != 200:
        raise json_question.refused("Datadog", reply, said)
    if said is not None:  # it says no in a 200
        raise PermanentError(f"Datadog does not answer the query: {said[:300]}")
    columns = ((answer.get("data") or {}).get("attributes") or {}).get("columns")
    if not isinstance(columns, list):
        raise PermanentError(f"Datadog answers, and not as its API does: {reply.text!r:.120}")
    return number_question.seen(_numbers(columns))


def _numbers(columns: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, float]]:
    """Each row's number with the group that it is of; a row without one is no data."""
    groups = [column for column in columns if column.get("type") == "group"]
    for column in columns:
        if column.get("type") != "number":
            continue
        for row, value in enumerate(column.get("values") or ()):
            names = [f"{group.get('name')}={','.join(map(str, group['values'][row]))}" for group in groups]
            yield " ".join(names), math.nan if value is None else float(value)
