"""What an HTTP check may ask and expect: status, headers, body, POST, secrets in headers, redirects."""

import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
from looked_at import look, made
from pydantic import ValidationError
from scripted_http import Said, Server, scripted

from paramedic.checks.check import Sample
from paramedic.kinds import logins
from paramedic.settings import load_settings
from paramedic.text import redaction

WELL, BROKEN = 0.0, 1.0


@pytest.fixture
def server() -> Iterator[Server]:
    with scripted(
        lambda _: Said(200, b'{"status":"ok"}', {"Content-Type": "application/json; charset=utf-8"})
    ) as server:
        yield server


def seen(server: Server, said: Said | None = None, **words: Any) -> Sample:
    if said is not None:
        server.answer = lambda _: said
    return look(made(check=f"{server.url}/orders", **words))


def error(sample: Sample) -> float | None:
    return None if sample.values is None else sample.values["error"]


@pytest.mark.parametrize(
    ("words", "said", "result", "why"),
    [
        ({"status": [200, 204, "3xx"]}, Said(204), WELL, "answered 204"),
        ({"status": [200, 204, "3xx"]}, Said(307, headers={"Location": "/x"}), WELL, "answered 307"),
        ({"status": 200}, Said(204), BROKEN, "answered 204, and well is 200"),
        ({"status": [503]}, Said(503), WELL, "answered 503"),
        ({"status": [200]}, Said(503), BROKEN, "answered 503"),
        ({"status": [200]}, Said(401), None, "it wants a login"),
        ({"status": [200]}, Said(429), None, "asked too often"),
        ({"body": "ok"}, Said(200, b"all ok"), WELL, "answered 200"),
        ({"body": "ok"}, Said(200, b"<html>please log in"), BROKEN, "its body lacks 'ok'"),
        ({"body": ["ok", "done"]}, Said(200, b"ok"), BROKEN, "its body lacks 'done'"),
        ({"body": {"lacks": "error"}}, Said(200, b"an error"), BROKEN, "its body has 'error' in it"),
        ({"body": {"matches": r"\d+ orders"}}, Said(200, b"17 orders"), WELL, "answered 200"),
        ({"body": {"matches": r"^\d+ orders$"}}, Said(200, b"17 orders\n"), BROKEN, "does not match"),
        ({"body": "größe"}, Said(200, "die größe".encode()), WELL, "answered 200"),
        ({"body": "ok"}, Said(500, b"ok"), BROKEN, "answered 500"),
        ({"body": "ok", "status": 500}, Said(500, b"ok"), WELL, "answered 500"),
        ({"body": "ok"}, Said(200, b"\x1f\x8b", {"Content-Encoding": "gzip"}), None, "its body is packed"),
        ({"body": "end"}, Said(200, b"x" * 70_000 + b"end"), BROKEN, "the first 64 KiB of its body, which is longer,"),
        ({"headers": {"content-type": "Application/JSON"}}, Said(200, headers={"Content-Type": "application/json"}), WELL, ""),
        ({"headers": {"X-Cache": {"lacks": "stale"}}}, Said(200), WELL, "answered 200"),
        ({"headers": {"X-Cache": "hit"}}, Said(200), BROKEN, "its header X-Cache is not there"),
        ({"headers": {"X-Cache": {"lacks": "stale"}}}, Said(200, headers={"X-Cache": "STALE"}), BROKEN, "'stale' in it"),
    ],
)  # fmt: skip
def test_an_answer_is_well_where_all_that_is_expected_holds(
    server: Server, words: dict[str, Any], said: Said, result: float | None, why: str
) -> None:
    sample = seen(server, said, **words)
    assert (error(sample), why in sample.why) == (result, True), sample.why


def test_what_a_body_says_is_not_repeated(server: Server) -> None:
    assert "hunter2" not in seen(server, Said(200, b"password=hunter2"), body="ok").why


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
def test_it_asks_by_its_method(server: Server, method: str) -> None:
    assert error(seen(server, method=method)) == WELL
    assert [asked.method for asked in server.asked] == [method]


def test_a_post_sends_its_body_and_headers_and_nothing_of_its_own(server: Server) -> None:
    body = '{"query": "{ order(id: 1) { status } }"}'
    sent = {"Content-Type": "application/json", "X-Of": "{host}", "X-None": ""}
    assert error(seen(server, method="POST", send=body, send_headers=sent)) == WELL
    [asked] = server.asked
    assert (asked.method, asked.body.decode()) == ("POST", body)
    assert (asked.headers["content-type"], asked.headers["x-of"], asked.headers["x-none"]) == (
        "application/json",
        "web-1",
        "",
    )
    assert "expect" not in asked.headers
    assert error(seen(server, method="POST", send="x")) == WELL
    assert "content-type" not in server.asked[-1].headers, "what is sent is called a form by nobody"


def test_a_secret_stands_in_the_settings_alone(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PARAMEDIC_LOGINS", json.dumps({"orders": {"token": "sesame-sesame"}}))
    load_settings()
    try:
        check = made(check=f"{server.url}/", send_headers={"Authorization": "Bearer {orders.token}"})
        assert "sesame" not in repr(check)
        with caplog.at_level(logging.DEBUG):
            sample = look(check)
        assert server.asked[0].headers["authorization"] == "Bearer sesame-sesame"
        assert "sesame" not in sample.why + caplog.text
        assert redaction.redact("Bearer sesame-sesame") == "Bearer [secret]"
        missing = look(made(check=f"{server.url}/", send_headers={"X-Key": "{orders.key}"}))
        assert (missing.values, missing.why) == (None, "the setting logins.orders has no `key`")
        unknown = look(made(check=f"{server.url}/", send_headers={"X-Key": "{parcels.key}"}))
        assert (unknown.values, unknown.why) == (None, "the setting `logins` has no 'parcels'; it has orders")
        assert len(server.asked) == 1
    finally:
        logins.use({})
        redaction.forget_all()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"status": [200, "4x"]}, "'4x' is no status; write 200, or 3xx"),
        ({"status": 600}, "'600' is no status"),
        ({"status": []}, "at least 1 item"),
        ({"status": True}, "valid tuple"),
        ({"body": {"matches": "(a"}}, "is no regular expression of RE2: missing"),
        ({"body": {"matches": "(?=a)"}}, "is no regular expression of RE2"),
        ({"body": {"has": "a"}}, "Extra inputs"),
        ({"body": ""}, "should match pattern"),
        ({"method": "DELETE"}, "should match pattern"),
        ({"method": "PUT"}, "should match pattern"),
        ({"send": "x"}, "a body is sent by `method: POST` alone"),
        ({"method": "HEAD", "body": "ok"}, "the answer to HEAD has no body"),
        (
            {"send_headers": {"Authorization": "Bearer abc"}},
            "holds a secret: write {LOGIN.KEY} of the setting `logins`",
        ),
        ({"send_headers": {"X-Api-Key": "abc"}}, "`X-Api-Key` holds a secret"),
        ({"send_headers": {"Cookie": "a=b"}}, "`Cookie` holds a secret"),
        ({"send_headers": {"X-A": "b\r\nX-C: d"}}, "should match pattern"),
        ({"send_headers": {"X-A: b\r\nX": "d"}}, "should match pattern"),
        ({"send_headers": {"X-A": "{token}"}}, "`{token}` is not filled in here; write {host}, or {LOGIN.KEY}"),
        ({"send_headers": {"Content-Length": "3"}}, "is the request's own"),
    ],
)
def test_what_cannot_be_meant_is_refused(words: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        made(check="http://here/", **words)
    assert says in str(refused.value)


def test_a_regular_expression_takes_no_longer_than_the_body_is_long(server: Server) -> None:
    begun = time.monotonic()
    sample = seen(server, Said(200, b"a" * 65_536), body={"matches": "^(a+)+$"})
    assert error(sample) == WELL
    assert error(seen(server, Said(200, b"a" * 65_535 + b"!"), body={"matches": "^(a|a)*$"})) == BROKEN
    assert time.monotonic() - begun < 2, "one that backtracks takes 2^65536 steps"


@pytest.mark.parametrize(
    ("location", "says"),
    [
        ("https://login.example/in?token=hunter2", "it leads to https://login.example/in, another host or scheme"),
        ("/other?a=b", "/other"),
        ("http://[::1", "it leads to an address that cannot be read"),
        (None, "it leads to nowhere: it names no Location"),
    ],
)  # fmt: skip
def test_a_redirect_says_where_it_leads_and_is_not_followed(server: Server, location: str | None, says: str) -> None:
    sample = seen(server, Said(302, headers={} if location is None else {"Location": location}))
    assert sample.values is None
    assert sample.why.endswith(says)
    assert "hunter2" not in sample.why
    assert len(server.asked) == 1


def test_the_health_address_of_a_target_is_asked_with_the_same_keys(server: Server) -> None:
    from fake_service import target

    assert error(look(made(check="health", body="nothing like it"), target(f"{server.url}/health"))) == BROKEN
    assert error(look(made(check="health", body="ok"), target(f"{server.url}/health"))) == WELL
