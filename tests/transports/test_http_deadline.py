"""One deadline for a whole call, whatever drips, at whichever phase of it."""

import contextlib
import socket
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from certificates import own_certificate
from endless_servers import scripted

from paramedic.transports import http_deadline
from paramedic.transports.http_retry import RetryOn503
from paramedic.transports.prefect_http import PrefectApi

EVERY = 0.05
WITHIN = 0.4


def _drip(line: socket.socket, words: bytes = b"") -> None:
    line.sendall(words)
    while True:
        time.sleep(EVERY)
        line.sendall(b"a")


def _headers(line: socket.socket) -> None:
    line.recv(65536)
    _drip(line, b"HTTP/1.1 200 OK\r\nX-Slow: ")


def _body(line: socket.socket) -> None:
    line.recv(65536)
    _drip(line, b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")


def _nothing(line: socket.socket) -> None:
    line.recv(65536)
    time.sleep(30)


def _reads_slowly(line: socket.socket) -> None:
    while line.recv(1000):
        time.sleep(EVERY)


def _reads_bit_by_bit(line: socket.socket) -> None:
    """So much at once that each send of the caller's gets somewhere: all of them together take seconds."""
    while line.recv(1_000_000):
        time.sleep(EVERY)


def _busy(line: socket.socket) -> None:
    """503 at once, again and again: who is patient would go on."""
    while line.recv(65536):
        time.sleep(0.15)
        line.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")


def _endless(line: socket.socket) -> None:
    """No read of the caller's ever waits, and the bytes stay far below their bound until the deadline has come."""
    line.recv(65536)
    line.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        line.sendall(b"x" * 50_000)
        time.sleep(0.001)


@pytest.mark.parametrize(
    "say", [_headers, _body, _nothing, _reads_slowly, _reads_bit_by_bit, _endless], ids=lambda say: say.__name__
)
@pytest.mark.parametrize(
    "made",
    [lambda: http_deadline.client(seconds=WITHIN), lambda: httpx.Client(transport=RetryOn503(), timeout=WITHIN)],
    ids=["client", "patient"],
)
def test_a_server_that_drips_holds_no_call_longer_than_its_whole_time(
    say: Callable[[socket.socket], None], made: Callable[[], httpx.Client]
) -> None:
    with scripted(say) as url, made() as client:
        began = time.monotonic()
        with pytest.raises(httpx.TimeoutException):
            client.post(url, content=b"x" * 100_000_000 if say in (_reads_slowly, _reads_bit_by_bit) else b"")
        assert time.monotonic() - began < WITHIN + 5, "none of these servers ever ends by itself"


def test_the_bytes_of_an_answer_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_deadline, "_LONGEST_BYTES", 1_000_000)
    with (
        scripted(_endless) as url,
        http_deadline.client(seconds=5) as client,
        pytest.raises(httpx.ReadError, match="longer"),
    ):
        client.get(url)


def test_over_tls_too(tmp_path: Path) -> None:
    with scripted(_body, own_certificate(tmp_path)) as url:
        client = httpx.Client(transport=http_deadline.Deadline(verify=False), timeout=WITHIN)
        began = time.monotonic()
        with client, pytest.raises(httpx.ReadTimeout):
            client.get(url)
        assert time.monotonic() - began < WITHIN + 5, "none of these servers ever ends by itself"


def test_patience_ends_with_the_deadline() -> None:
    with scripted(_busy) as url, httpx.Client(transport=RetryOn503(), timeout=WITHIN) as client:
        began = time.monotonic()
        with contextlib.suppress(httpx.TimeoutException):
            assert client.get(url).status_code == 503
        assert time.monotonic() - began < WITHIN + 5, "none of these servers ever ends by itself"


def test_the_next_call_has_a_deadline_of_its_own_and_a_proxy_of_the_environment_counts_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    def answers(line: socket.socket) -> None:
        while line.recv(65536):
            line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with scripted(answers) as url, http_deadline.client(seconds=WITHIN) as client:
        until = time.monotonic() + 2 * WITHIN
        while time.monotonic() < until:
            assert client.get(url).text == "ok"


@pytest.mark.parametrize("repeats_503", [False, True])
def test_prefects_client_has_one(*, repeats_503: bool) -> None:
    with scripted(_headers) as url, PrefectApi(url).client(seconds=WITHIN, repeats_503=repeats_503) as client:
        began = time.monotonic()
        with pytest.raises(httpx.ReadTimeout):
            client.get("/health")
        assert time.monotonic() - began < WITHIN + 5, "none of these servers ever ends by itself"


def test_the_certificates_of_all_authorities_are_read_once_for_all_clients() -> None:
    with http_deadline.client(seconds=1) as one, http_deadline.client(seconds=2) as other:
        assert one._transport._pool._ssl_context is other._transport._pool._ssl_context
    with http_deadline.client(seconds=1, verify=False) as careless:
        assert careless._transport._pool._ssl_context is not one._transport._pool._ssl_context
