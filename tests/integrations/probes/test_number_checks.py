"""Checks that ask a server for a number, at servers that keep to a contract: slow, endless, refusing, saying no in a 200."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from looked_at import look, made
from pydantic import ValidationError
from scripted_http import Said, Server, scripted

from paramedic.checks.check import Sample
from paramedic.kinds import logins
from paramedic.settings import load_settings
from paramedic.text import redaction

KEY, APPLICATION_KEY, TOKEN = "dd-api-key-0123456789", "dd-app-key-0123456789", "a-token-of-prometheus"
BOUND = {"value": {"critical": 10}}


def answered(content: object, status: int = 200, **headers: str) -> Said:
    return Said(status, json.dumps(content).encode(), {"Content-Type": "application/json", **headers})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with scripted(lambda _: Said(500)) as server:
        settings = {
            "prometheus": {"url": server.url, "token": TOKEN, "account": "tenant-1"},
            "basic": {"url": f"{server.url}/prom/", "user": "ada", "password": "hunter2-hunter2"},
            "datadog": {"url": server.url, "api_key": KEY, "app_key": APPLICATION_KEY},
            "newrelic": {"url": server.url, "api_key": "NRAK-0123456789", "account": "42"},
            "half": {"url": server.url, "api_key": KEY},
        }
        monkeypatch.setenv("PARAMEDIC_LOGINS", json.dumps(settings))
        load_settings()
        yield server
        logins.use({})
        redaction.forget_all()


def seen(server: Server, kind: str, said: Said, **words: Any) -> Sample:
    server.answer = lambda _: said
    return look(made(check=kind, **({"query": "q", "timeout": "5s"} | BOUND | words)))


def value(sample: Sample) -> float | None:
    return None if sample.values is None else sample.values["highest"]


# --- prometheus -------------------------------------------------------------------------------------------------------


def vector(*values: str, **more: Any) -> dict[str, Any]:
    result = [{"metric": {"n": str(number)}, "value": [1.0, each]} for number, each in enumerate(values)]
    return {"status": "success", "data": {"resultType": "vector", "result": result}} | more


def test_prometheus_is_asked_by_its_login_and_for_nothing_partial(server: Server) -> None:
    assert value(seen(server, "prometheus", answered(vector("12")), query='up{host="{host}"}')) == 12
    [asked] = server.asked
    assert (asked.method, asked.path) == ("POST", "/api/v1/query")
    assert (asked.headers["authorization"], asked.headers["x-scope-orgid"]) == (f"Bearer {TOKEN}", "tenant-1")
    body = asked.body.decode()
    assert "query=up%7Bhost%3D%22web-1%22%7D&timeout=4500ms" in body
    assert "partial_response=false&deny_partial_response=1" in body
    assert value(seen(server, "prometheus", answered(vector("1")), login="basic")) == 1
    assert server.asked[1].path == "/prom/api/v1/query"
    assert server.asked[1].headers["authorization"].startswith("Basic ")


def test_a_server_that_a_runbook_names_gets_no_login(server: Server) -> None:
    server.answer = lambda _: answered(vector("12"))
    assert value(look(made(check="prometheus", query="q", server=server.url, timeout="5s", **BOUND))) == 12
    assert "authorization" not in server.asked[0].headers
    with pytest.raises(ValidationError, match="a login is sent to its own address alone"):
        made(check="prometheus", query="q", server=server.url, login="basic", **BOUND)


HISTOGRAM = {"resultType": "vector", "result": [{"metric": {}, "histogram": [1.0, {"count": "3"}]}]}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (answered(vector()), "the answer has no data: it is empty"),
        (answered({"status": "success", "data": {"resultType": "vector", "result": None}}), "it is empty"),
        (answered(vector("NaN", "+Inf")), "the answer has no data: inf, nan"),
        (answered(vector("3", isPartial=True)), "answers for a part of its series alone"),
        (answered({"status": "success", "data": HISTOGRAM}), "the query gives a histogram"),
        (answered(vector(*["1"] * 1001)), "1,001 values, and at most 1,000 are compared: aggregate them"),
        (answered({"status": "error", "errorType": "timeout", "error": "too slow"}, 503), "answers 503: timeout: too slow"),
        (answered({"status": "error", "errorType": "bad_data", "error": "1:3"}, 400), "answers 400: bad_data: 1:3"),
        (Said(401, b"no"), "does not let us ask (401): look at its login"),
        (Said(200, b"<html>Log in"), "answers, and not as Prometheus does: '<html>Log in'"),
        (Said(302, b"", {"Location": "http://elsewhere.example/"}), "it is asked at another address"),
        (Said(502, b"bad gateway"), "answers 502"),
    ],
)  # fmt: skip
def test_an_answer_of_prometheus_without_a_number_is_unknown(server: Server, said: Said, why: str) -> None:
    sample = seen(server, "prometheus", said)
    assert sample.values is None
    assert why in sample.why
    assert len(server.asked) == 1


def test_a_warning_is_said_beside_the_number(server: Server) -> None:
    sample = seen(server, "prometheus", answered(vector("3", warnings=["PromQL info: not a counter\x1b[2J"])))
    assert value(sample) == 3
    assert sample.why.startswith("3; it warns: PromQL info: not a counter")
    assert "\x1b" not in sample.why


# --- datadog ----------------------------------------------------------------------------------------------------------


def scalar(values: list[float | None], groups: list[list[str]] | None = None) -> dict[str, Any]:
    columns: list[dict[str, Any]] = [{"name": "a", "type": "number", "values": values, "meta": {"unit": None}}]
    if groups is not None:
        columns.insert(0, {"name": "host", "type": "group", "values": groups})
    return {"data": {"type": "scalar_response", "attributes": {"columns": columns}}}


def test_datadog_is_asked_for_one_number_of_the_window(server: Server) -> None:
    query = "avg:trace.http.request.duration{host:{host}}"
    sample = seen(server, "datadog", answered(scalar([0.25])), query=query, aggregator="max", window="10m")
    assert value(sample) == 0.25
    [asked] = server.asked
    assert (asked.method, asked.path) == ("POST", "/api/v2/query/scalar")
    assert (asked.headers["dd-api-key"], asked.headers["dd-application-key"]) == (KEY, APPLICATION_KEY)
    attributes = json.loads(asked.body)["data"]["attributes"]
    assert attributes["to"] - attributes["from"] == 600_000
    assert attributes["queries"][0]["query"] == "avg:trace.http.request.duration{host:web-1}"
    assert attributes["queries"][0]["aggregator"] == "max"


def test_the_worst_group_counts_and_one_without_data_counts_for_nothing(server: Server) -> None:
    sample = seen(server, "datadog", answered(scalar([3, None, 17], [["web-1"], ["web-2"], ["web-3"]])))
    assert value(sample) == 17
    assert sample.why == "2 values, from 3 (host=web-1) to 17 (host=web-3); 1 more that is no number"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (answered(scalar([None])), "the answer has no data: nan"),
        (answered(scalar([])), "the answer has no data: it is empty"),
        (answered({}, 429, **{"X-RateLimit-Reset": "17"}), "asked too often, and says so, for 17 s"),
        (answered({"errors": ["Forbidden"]}, 403), "Datadog does not let us ask (403): Forbidden"),
        (answered({"errors": ["Error parsing query"]}, 400), "Datadog answers 400: Error parsing query"),
        (answered({"errors": "the query took too long"}), "does not answer the query: the query took too long"),
        (answered({"data": []}), "not as its API does"),
        (answered([1, 2]), "not as its API does"),
        (Said(503, b"<html>"), "Datadog answers 503"),
        (Said(200, b"not json"), "not as its API does: 'not json'"),
    ],
)  # fmt: skip
def test_an_answer_of_datadog_without_a_number_is_unknown(server: Server, said: Said, why: str) -> None:
    sample = seen(server, "datadog", said)
    assert sample.values is None
    assert why in sample.why
    assert KEY not in sample.why


# --- newrelic ---------------------------------------------------------------------------------------------------------


def nrql(*rows: Mapping[str, Any]) -> dict[str, Any]:
    return {"data": {"actor": {"account": {"nrql": {"results": list(rows)}}}}}


def test_new_relic_is_asked_with_the_query_as_a_variable(server: Server) -> None:
    query = "SELECT percentile(duration, 95) FROM Transaction WHERE host = '{host}' SINCE 5 minutes ago"
    assert value(seen(server, "newrelic", answered(nrql({"percentile.duration": {"95": 0.31}})), query=query)) == 0.31
    [asked] = server.asked
    assert (asked.method, asked.path, asked.headers["api-key"]) == ("POST", "/graphql", "NRAK-0123456789")
    sent = json.loads(asked.body)
    assert sent["variables"] == {"account": 42, "nrql": query.replace("{host}", "web-1"), "timeout": 5}
    assert "SELECT" not in sent["query"]


def test_the_worst_facet_counts(server: Server) -> None:
    rows = [{"facet": "a", "appName": "a", "count": 3}, {"facet": ["b", "c"], "count": 9}]
    sample = seen(server, "newrelic", answered(nrql(*rows)))
    assert (value(sample), sample.why) == (9, "2 values, from 3 (a) to 9 (b, c)")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (answered({"errors": [{"message": "NRQL Syntax Error: line 1"}], "data": None}), "the query: NRQL Syntax Error: line 1"),
        (answered({"errors": [{"message": "timed out"}], **nrql({"count": 3})}), "does not answer the query: timed out"),
        (answered({"errors": [{"message": "Access denied"}]}, 401), "does not let us ask (401): Access denied"),
        (answered(nrql({"average.duration": None})), "the answer has no data: nan"),
        (answered(nrql()), "the answer has no data: it is empty"),
        (answered(nrql({"count": 1, "average.duration": 2})), "the query gives 2 values a row: ask for one"),
        (answered(nrql({"beginTimeSeconds": 1, "endTimeSeconds": 2, "count": 3})), "leave TIMESERIES out of it"),
        (answered({"data": {"actor": {"account": {"nrql": None}}}}), "not as NerdGraph does"),
        (answered({}, 429, **{"Retry-After": "60"}), "asked too often, and says so, for 60 s"),
    ],
)  # fmt: skip
def test_an_answer_of_new_relic_without_a_number_is_unknown(server: Server, said: Said, why: str) -> None:
    sample = seen(server, "newrelic", said)
    assert sample.values is None
    assert why in sample.why


# --- all of them ------------------------------------------------------------------------------------------------------

KINDS = pytest.mark.parametrize("kind", ["prometheus", "datadog", "newrelic"])


@KINDS
def test_one_that_is_slow_is_unknown_when_the_time_out_is_over(server: Server, kind: str) -> None:
    sample = seen(server, kind, Said(200, b"{}", late=30), timeout="200ms")
    assert sample.values is None
    assert "gives no whole answer within 200ms" in sample.why


@KINDS
def test_an_answer_without_an_end_is_not_read(server: Server, kind: str) -> None:
    sample = seen(server, kind, Said(200, b" " * (5 * 1024 * 1024)))
    assert sample.values is None
    assert "more than 4 MiB" in sample.why


@KINDS
@pytest.mark.parametrize(
    "body", [b"null", b"[]", b'"a"', b'{"data": null}', b'{"status": "success"}', b'{"data":{"actor":[]}}']
)
def test_json_of_another_form_is_unknown_and_no_fault_of_the_check(server: Server, kind: str, body: bytes) -> None:
    sample = seen(server, kind, Said(200, body))
    assert sample.values is None
    assert "the check itself failed" not in sample.why


@KINDS
def test_a_query_and_a_bound_are_asked_for(server: Server, kind: str) -> None:
    with pytest.raises(ValidationError, match="name a `query`"):
        made(check=kind, **BOUND)
    with pytest.raises(ValidationError, match="name a bound for value or value_below"):
        made(check=kind, query="q")


@pytest.mark.parametrize(("kind", "missing"), [("datadog", "app_key"), ("newrelic", "account")])
def test_a_login_that_lacks_something_is_said(server: Server, kind: str, missing: str) -> None:
    sample = seen(server, kind, Said(200), login="half")
    assert (sample.values, sample.why) == (None, f"the setting logins.half has no `{missing}`")
    assert server.asked == []


def test_without_a_login_nothing_is_asked(server: Server) -> None:
    logins.use({})
    assert seen(server, "prometheus", Said(200)).why == "the setting `logins` has no 'prometheus'; it has none"
    assert server.asked == []


@pytest.mark.parametrize(
    ("bound", "value", "metric"),
    [("5", 5, "highest"), ("5%", 0.05, "highest_percent"), ("200ms", 0.2, "highest"), ("1GB", 1e9, "highest")],
)
def test_the_unit_of_a_bound_says_what_the_number_is(server: Server, bound: str, value: float, metric: str) -> None:
    check = made(check="prometheus", query="q", value={"critical": bound}, timeout="5s")
    server.answer = lambda _: answered(vector(str(value)))
    sample = look(check)
    [threshold] = check.thresholds
    assert threshold.critical == pytest.approx(check.metrics([sample])["value"])
    server.answer = lambda _: answered(vector(str(value * 0.99)))
    assert threshold.holds(check.metrics([look(check)])["value"])
    assert sample.values is not None
    assert metric in sample.values


def test_too_little_is_a_metric_of_its_own_and_nothing_may_be_its_bound(server: Server) -> None:
    check = made(check="prometheus", query="q", value_below={"warning": 10, "critical": 0}, timeout="5s")
    [threshold] = check.thresholds
    assert (threshold.below, threshold.critical) == (True, 0)
    server.answer = lambda _: answered(vector("3", "900"))
    assert check.metrics([look(check)]) == {"value_below": 3}


@pytest.mark.parametrize("said", ["redirect", "other"])
def test_a_key_goes_nowhere_else(server: Server, said: str) -> None:
    with scripted(lambda _: answered(scalar([1]))) as other:
        seen(server, "datadog", Said(307 if said == "redirect" else 200, b"", {"Location": f"{other.url}/x"}))
        assert other.asked == []
