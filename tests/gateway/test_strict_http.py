"""HTTP to the letter: what two readers could understand differently is 400, and the connection ends."""

import json
from collections.abc import Iterator

import pytest
from serving import AUTH, exchange, serving, status

from paramedic.store import Store
from paramedic.store.tables import inbox

BODY = json.dumps(
    {"alerts": [{"labels": {"alertname": "A"}, "status": "firing", "startsAt": "2026-01-31T09:30:00Z"}]}
).encode()
POST = f"POST /alerts/alertmanager HTTP/1.1\r\nHost: localhost\r\n{AUTH}\r\n".encode()
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Store]]:
    with serving(tmp_path_factory.mktemp("strict"), idle_seconds=1) as (port, store, _):
        yield port, store


def _count(store: Store) -> int:
    with store.read() as tx:
        return len(list(tx.conn.execute(inbox.select())))


@pytest.mark.parametrize(
    "whole",
    [
        POST + LENGTH + b"Connection: close\r\n\r\n" + BODY,
        POST + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + CHUNKS,
        POST + b"transfer-encoding: Chunked\r\nConnection: close\r\n\r\n" + CHUNKS,
        POST.replace(b"HTTP/1.1", b"HTTP/1.0") + LENGTH + b"\r\n" + BODY,
        POST.replace(b"HTTP/1.1\r\nHost: localhost", b"HTTP/1.0") + LENGTH + b"\r\n" + BODY,
        POST + LENGTH + b"Expect: 100-continue\r\nConnection: close\r\n\r\n" + BODY,
        POST
        + LENGTH
        + b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n"
        + BODY,
    ],
)
def test_what_is_http_is_taken(gateway: tuple[int, Store], whole: bytes) -> None:
    port, store = gateway
    before = _count(store)
    answer = exchange(port, whole).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert (status(answer), _count(store) - before) == (202, 1)


@pytest.mark.parametrize(
    "whole",
    [
        # Two lengths, or none that is one
        POST + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS,
        POST + b"Transfer-Encoding: chunked\r\n" + LENGTH + b"\r\n" + CHUNKS,
        POST + LENGTH + b"Content-Length: 0\r\n\r\n" + BODY,
        POST + LENGTH + LENGTH + b"\r\n" + BODY,
        POST + b"Content-Length: %d, %d\r\n\r\n" % (len(BODY), len(BODY)) + BODY,
        POST + b"Content-Length: +%d\r\n\r\n" % len(BODY) + BODY,
        POST + b"Content-Length: -1\r\n\r\n" + BODY,
        POST + b"Content-Length: 0x10\r\n\r\n" + BODY,
        POST + b"Content-Length: 1_0\r\n\r\n" + BODY,
        POST + b"Content-Length: 99999999999999999999999\r\n\r\n" + BODY,
        POST + b"Content-Length: \r\n\r\n" + BODY,
        # Other codings than chunked, or chunked otherwise
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
        POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + CHUNKS,
        POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKS,
        POST + b"Transfer-Encoding: identity\r\n\r\n" + BODY,
        POST + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKS,
        POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + CHUNKS,
        POST + b"Transfer-Encoding : chunked\r\n\r\n" + CHUNKS,
        POST.replace(b"HTTP/1.1", b"HTTP/1.0") + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS,
        POST + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS.replace(b"\r\n", b"\n"),
        POST + b"Transfer-Encoding: chunked\r\n\r\n" + b" " + CHUNKS,
        POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"0x" + CHUNKS,
        POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"-" + CHUNKS,
        POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"fffffffffffffffff\r\n" + BODY,
        POST
        + b"Transfer-Encoding: chunked\r\n\r\n"
        + CHUNKS.removesuffix(b"\r\n")
        + b"Authorization: Bearer x\r\n\r\n",
        # Lines that end otherwise, or go on
        (POST + LENGTH + b"\r\n").replace(b"\r\n", b"\n") + BODY,
        POST + LENGTH.replace(b"\r\n", b"\n") + b"\r\n" + BODY,
        POST + LENGTH + b"\n" + BODY,
        POST + b"X: a\rContent-Length: %d\r\n\r\n" % len(BODY) + BODY,
        POST + b"X: a\r\n b\r\n" + LENGTH + b"\r\n" + BODY,
        POST + b" X: a\r\n" + LENGTH + b"\r\n" + BODY,
        POST + b"X: a\x00b\r\n" + LENGTH + b"\r\n" + BODY,
        # Names that are none
        POST + b"Content Length: 3\r\n" + LENGTH + b"\r\n" + BODY,
        POST + b"Content-Length : %d\r\n\r\n" % len(BODY) + BODY,
        POST + b": a\r\n" + LENGTH + b"\r\n" + BODY,
        POST + b"no colon\r\n" + LENGTH + b"\r\n" + BODY,
        POST + b"X\xe9: a\r\n" + LENGTH + b"\r\n" + BODY,
        # Request lines of another age
        b"GET /healthz\r\n",
        b"GET /healthz\r\n\r\n",
        b"GET /healthz HTTP/0.9\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/2.0\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/1.2\r\nHost: localhost\r\n\r\n",
        b"GET /healthz http/1.1\r\nHost: localhost\r\n\r\n",
        b"GET  /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/1.1 \r\nHost: localhost\r\n\r\n",
        b"GET\t/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /hea lthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"FROB /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello\r\n\r\n",
        # Whom it is for
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        POST + f"{AUTH}x\r\n".encode() + LENGTH + b"\r\n" + BODY,
    ],
)
def test_what_is_no_http_or_two_things_at_once_is_400_and_the_connection_ends(
    gateway: tuple[int, Store], whole: bytes
) -> None:
    port, store = gateway
    before = _count(store)
    answer = exchange(port, whole)
    assert status(answer) == 400
    assert b"connection: close" in answer.lower()
    assert _count(store) == before
    assert answer.count(b"HTTP/1.1 ") == 1, "nothing that follows is read as a request"
