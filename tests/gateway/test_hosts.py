"""The gateway answers to its own names, redirects nowhere, and every answer tells a browser to leave it alone."""

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import AUTH, exchange, serving, status

from paramedic.serving.hosts import HostGuard
from paramedic.settings import BadSettings, Settings, load_settings


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with serving(
        tmp_path_factory.mktemp("hosts"),
        public_url="https://Pager.example.org/x",
        gateway_hosts=("paramedic", "gw.corp."),
    ) as (number, _, _):
        yield number


def _get(port: int, path: str = "/healthz", *lines: str, method: str = "GET", version: str = "1.1") -> bytes:
    return exchange(
        port, "\r\n".join([f"{method} {path} HTTP/{version}", *lines, "Connection: close", "", ""]).encode()
    )


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "LOCALHOST", "localhost:8650", "localhost.", "127.0.0.1", "127.0.0.1:1", "127.0.0.2", "[::1]", "[::1]:8650",
        "pager.example.org", "PAGER.example.org:443", "paramedic:8650", "gw.corp", "gw.corp.:80", "a.localhost",
        socket.gethostname(),
    ],
)  # fmt: skip
def test_it_answers_to_its_own_names(port: int, host: str) -> None:
    assert status(_get(port, "/healthz", f"Host: {host}")) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:8650", "localhost.evil.example", "xlocalhost", "pager.example.org.evil.example",
        "127.0.0.1.nip.io",
        "10.0.0.1", "[2001:db8::1]", "8.8.8.8", "0", "127.1", "2130706433", "0x7f000001", "user@localhost",
        "localhost@evil.example", "localhost/evil", "localhost, evil.example", "", "[::1", "localhost:x", "localhost:99999",
        "example.org", "*",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "path", ["/healthz", "/alerts/alertmanager", "/ack/x", "/openapi.json", "/metrics", "/nothing"]
)
def test_another_name_gets_nothing_but_how_to_add_one(port: int, host: str, path: str) -> None:
    answer = _get(port, path, f"Host: {host}", AUTH, method="POST" if "alerts" in path else "GET")
    assert status(answer) in (400, 421)
    if status(answer) == 421:
        assert b"PARAMEDIC_GATEWAY_HOSTS" in answer


def test_a_request_of_http_1_0_without_a_host_is_of_no_browser(port: int) -> None:
    assert status(_get(port, version="1.0")) == 200


@pytest.mark.parametrize(
    ("bound", "answers"), [("0.0.0.0", True), ("10.0.0.5", True), ("::", True), ("127.0.0.1", False)]
)
def test_an_address_that_is_asked_by_number_is_right_where_others_may_connect(
    tmp_path: Path, bound: str, *, answers: bool
) -> None:
    guard = HostGuard(lambda *_: None, Settings(data=tmp_path, host=bound))  # type: ignore[arg-type, return-value]
    assert guard.answers("10.0.0.5:8650") is answers
    assert not guard.answers("evil.example")


@pytest.mark.parametrize("name", ["http://paramedic", "paramedic:8650", "a b", "*", "a/b", "-"])
def test_a_name_that_is_none_is_refused_in_words(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("PARAMEDIC_GATEWAY_HOSTS", name)
    with pytest.raises(BadSettings, match=r"PARAMEDIC_GATEWAY_HOSTS.*is not a host name"):
        load_settings()


def test_names_are_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARAMEDIC_GATEWAY_HOSTS", "paramedic, gw.corp")
    assert load_settings().gateway_hosts == ("paramedic", "gw.corp")


@pytest.mark.parametrize(
    "path", ["/healthz/", "/alerts/alertmanager/", "//evil.example/", "/ack/x/", "/docs", "/", "/alerts"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nothing_redirects(port: int, path: str, method: str) -> None:
    answer = _get(port, path, "Host: localhost", AUTH, method=method)
    assert status(answer) in (404, 405)
    assert b"location:" not in answer.lower()
    assert b'"error"' in answer


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/healthz", "GET"), ("/nothing", "GET"), ("/alerts/alertmanager", "POST"), ("/ack/x", "GET"), ("/approve/x", "POST"),
        ("/metrics", "GET"),
    ],
)  # fmt: skip
def test_every_answer_tells_a_browser_to_leave_it_alone(port: int, path: str, method: str) -> None:
    head = _get(port, path, "Host: localhost", method=method).split(b"\r\n\r\n")[0].lower()
    for header in (
        b"x-content-type-options: nosniff",
        b"referrer-policy: no-referrer",
        b"cache-control: no-store",
        b"x-frame-options: deny",
    ):
        assert head.count(header) == 1
    assert head.count(b"content-security-policy:") == 1
    assert b"frame-ancestors 'none'" in head
    assert b"server:" not in head


def test_who_is_refused_is_in_the_log_with_the_address_and_a_flood_is_a_few_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "paramedic.gateway.refusal")
    with serving(tmp_path) as (port, _, _):
        for _ in range(105):
            answer = _get(
                port, "/alerts/alertmanager", "Host: localhost", "Authorization: Bearer s3cr3t-guess", method="POST"
            )
            assert status(answer) == 401
        _get(port, "/heartbeats/a%0Ab", "Host: localhost", "X-Forwarded-For: 192.0.2.1\x1b[2J", method="POST")
        metrics = _get(port, "/metrics", "Host: localhost", AUTH).decode()
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 5
    assert all("127.0.0.1" in line and "/alerts/alertmanager" in line for line in lines)
    assert "the 100th within a minute" in lines[-1]
    assert "s3cr3t" not in caplog.text
    assert 'paramedic_refused_requests_total{reason="unknown sender"}' in metrics
