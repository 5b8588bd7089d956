"""An instant query of Prometheus, or of what answers as it does: Thanos, Mimir, VictoriaMetrics."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from paramedic.errors import PermanentError
from paramedic.kinds import number_question
from paramedic.kinds.number_question import LOGIN, QUERY, SERVER
from paramedic.kinds.probing import Question, Seen, Written
from paramedic.text.sanitize import one_line

CHECK = ("prometheus",)
ABOUT = (
    "the number that a `query` in PromQL gives now: `value` is too high, `value_below` too low; no data is unknown "
    "([checks.md](checks.md#prometheus))"
)
METRICS = number_question.METRICS
OPTIONS = (QUERY, SERVER, LOGIN)
misfits = number_question.misfits


def subject(written: Written) -> str:
    """The query. Raises ValueError where there is none."""
    return number_question.needs_a_query(written)


def look(question: Question) -> Seen:
    """Ask once. Raises TemporaryError or PermanentError where there is no answer, or none that has a number."""
    from paramedic.transports import json_question

    url, login = number_question.address(question, "prometheus")
    headers = json_question.authorization(login) | ({"X-Scope-OrgID": login.account} if login.account else {})
    form = {
        "query": question.options["query"],
        "timeout": f"{max(1, round(question.timeout.total_seconds() * 900))}ms",  # it says why before we stop listening
        # a part of the series is none of them: Thanos' and VictoriaMetrics' words for it
        "partial_response": "false",
        "deny_partial_response": "1",
    }
    reply = json_question.ask(f"{url}/api/v1/query", question.timeout, headers=headers, form=form)
    who, answer = json_question.host_of(url), reply.content
    if not isinstance(answer, Mapping) or "status" not in answer:
        if reply.status == 200:
            raise PermanentError(f"{who} answers, and not as Prometheus does: {reply.text!r:.120}")
        raise json_question.refused(who, reply)
    if answer["status"] != "success":
        said = f"{answer.get('errorType', '')}: {answer.get('error', '')}"
        raise json_question.refused(who, reply, said)
    if answer.get("isPartial"):
        raise PermanentError(f"{who} answers for a part of its series alone")
    warnings = [f"it warns: {one_line(str(warning))[:200]}" for warning in (answer.get("warnings") or ())[:3]]
    return number_question.seen(_numbers(answer.get("data") or {}), notes=warnings)


def _numbers(data: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Each number with its labels. Raises PermanentError where the result is neither a scalar nor a vector of numbers."""
    kind, result = data.get("resultType"), data.get("result")
    if kind == "scalar" and isinstance(result, list):
        yield "", _number(result[1])
    elif kind == "vector":
        for element in result or ():  # once it was null where it is empty
            if "value" not in element:
                raise PermanentError("the query gives a histogram: ask for one number of it, as by histogram_quantile")
            labels = ", ".join(f"{name}={value}" for name, value in element.get("metric", {}).items())
            yield labels, _number(element["value"][1])
    elif kind == "matrix":
        raise PermanentError("the query gives a range of values: aggregate it, as by rate or avg_over_time")
    else:
        raise PermanentError(f"the query gives a {kind!r:.40}, and no number")


def _number(text: object) -> float:
    try:
        return float(str(text))
    except ValueError:
        return math.nan
