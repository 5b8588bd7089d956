"""Whatever a known sender's body is, it is taken, or kept in brief and told; and it costs a bounded time and memory."""

import contextlib
import gzip
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from databases import migrated
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from serving import AUTH, TOKEN, connect, exchange, read_one, serving, status
from starlette.testclient import TestClient
from waiting import until

from paramedic.gateway.app import make_app
from paramedic.intake.intake import Wake
from paramedic.settings import Settings
from paramedic.store import Store
from paramedic.store.tables import inbox, messages, quarantine

LIMIT = 100_000


def _group(count: int = 1, **more: Any) -> bytes:
    return json.dumps(
        {
            "alerts": [
                {
                    "labels": {"alertname": "InstanceDown", "severity": "critical", "instance": f"h{number}:9100"},
                    "annotations": {"summary": "Instance is down", "description": "It has not answered. " * 20},
                    "status": "firing",
                    "startsAt": "2026-01-31T09:30:00Z",
                }
                for number in range(count)
            ],
            **more,
        }
    ).encode()


def _head(*lines: str) -> bytes:
    return "\r\n".join(["POST /alerts/alertmanager HTTP/1.1", "Host: localhost", AUTH, *lines, "", ""]).encode()


def _post(port: int, body: bytes, *lines: str) -> bytes:
    with connect(port) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(_head(f"Content-Length: {len(body)}", *lines))
            connection.sendall(body)
        return read_one(connection)


def _rows(store: Store, table: Any) -> list[Any]:
    with store.read() as tx:
        return list(tx.conn.execute(table.select()))


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[tuple[int, Store]]:
    with serving(tmp_path, body_timeout=timedelta(seconds=1.5), body_limit=LIMIT) as (port, store, _):
        yield port, store


@pytest.mark.parametrize(
    ("how", "answer", "words"),
    [
        ("declared", 413, "too large; allowed: 100000 bytes; it says that it has 200000 bytes"),
        ("chunked", 413, "too large; allowed: 100000 bytes; more had come bytes"),
        ("slow", 408, "did not come in time; allowed: 0:00:01.500000"),
        ("cut", 0, "was cut off"),
        ("brotli", 415, "unknown Content-Encoding; allowed: gzip, or none"),
        ("bomb", 413, "too large"),
        ("no gzip", 400, "is not gzip"),
        ("half a gzip", 400, "ends too early"),
        ("more than a gzip", 400, "goes on after its gzip"),
    ],
)
def test_what_could_not_be_taken_is_kept_in_brief_and_told(
    gateway: tuple[int, Store], how: str, answer: int, words: str
) -> None:
    port, store = gateway
    big = b'{"alerts": "token=s3cr3t-of-theirs ' + b"x" * (2 * LIMIT - 35)
    packed = gzip.compress(_group())
    with connect(port) as connection, contextlib.suppress(ConnectionError):
        match how:
            case "declared":
                connection.sendall(_head(f"Content-Length: {len(big)}") + big)
            case "chunked":
                connection.sendall(_head("Transfer-Encoding: chunked") + b"%x\r\n%s\r\n" % (len(big), big))
            case "slow" | "cut":
                connection.sendall(_head("Content-Length: 50000") + big[:3000])
            case "brotli":
                connection.sendall(_head("Content-Encoding: br", "Content-Length: 9") + b"123456789")
            case _:
                body = {
                    "bomb": gzip.compress(b"x" * 50_000_000),
                    "no gzip": _group(),
                    "half a gzip": packed[:-20],
                    "more than a gzip": packed + b"more",
                }[how]
                connection.sendall(_head("Content-Encoding: gzip", f"Content-Length: {len(body)}") + body)
        if how != "cut":
            assert status(read_one(connection)) == answer
    [row] = until("it is kept", lambda: _rows(store, quarantine))
    assert words in row.error
    assert row.sender == "prometheus"
    assert len(row.body) <= 4096 * 4
    assert "s3cr3t-of-theirs" not in row.body
    assert [row.kind for row in _rows(store, messages)] == ["trouble"]
    assert status(_post(port, _group())) == 202, "and the next one is taken"


def test_a_storm_of_what_is_refused_is_told_once_with_its_count(gateway: tuple[int, Store]) -> None:
    port, store = gateway
    for _ in range(12):
        assert status(_post(port, b"x" * (LIMIT + 1))) == 413
    until("all are kept", lambda: len(_rows(store, quarantine)) >= 12)
    assert len(_rows(store, quarantine)) == 12
    queued = _rows(store, messages)
    assert len(queued) == 2
    assert "11" in queued[-1].body


def test_gzip_is_read(gateway: tuple[int, Store]) -> None:
    port, store = gateway
    assert status(_post(port, gzip.compress(_group(3)), "Content-Encoding: gzip")) == 202
    assert len(_rows(store, inbox)) == 3


def test_nobody_who_is_unknown_has_anything_kept(gateway: tuple[int, Store]) -> None:
    port, store = gateway
    head = _head("Content-Length: 200000").replace(TOKEN.encode(), b"another")
    with connect(port) as connection:
        connection.sendall(head + b"x" * 10_000)
        assert status(read_one(connection)) == 401
    assert _rows(store, quarantine) == []


def test_5000_alerts_of_a_mass_outage_are_taken_and_others_meanwhile(tmp_path: Path) -> None:
    with serving(tmp_path) as (port, store, _), ThreadPoolExecutor(1) as aside:
        large = aside.submit(_post, port, _group(5000))
        waits = []
        while not large.done():
            began = time.monotonic()
            assert status(_post(port, _group())) == 202
            waits.append(time.monotonic() - began)
        assert status(large.result()) == 202
        assert len(_rows(store, inbox)) == 5000 + len(waits)
    assert max(waits) < 5


def test_twenty_large_bodies_at_once_share_a_bounded_memory(tmp_path: Path) -> None:
    body = b'{"alerts": [], "x": "' + b"x" * (16 * 1024 * 1024 - 100) + b'"}'
    before = psutil.Process().memory_info().rss
    peak, stop = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not stop.wait(0.02):
            peak = max(peak, psutil.Process().memory_info().rss)

    watching = threading.Thread(target=watch)
    watching.start()
    with serving(tmp_path) as (port, _, _), ThreadPoolExecutor(20) as threads:
        answers = [status(answer) for answer in threads.map(lambda _: _post(port, body), range(20))]
    stop.set()
    watching.join(10)
    assert set(answers) <= {202, 503}
    assert answers.count(202) >= 2
    assert peak - before < 400 * 1024 * 1024, "and not the 640 MiB that they would be, each of them twice"


def test_a_body_of_very_many_values_is_refused_in_words_before_it_fills_the_memory(tmp_path: Path) -> None:
    with serving(tmp_path) as (port, _, _):
        answer = _post(port, b"[" + b"[]," * 5_000_000 + b"0]")
    assert status(answer) == 400
    assert b"too many values" in answer


def test_alerts_that_were_left_out_by_their_sender_are_told_and_counted(gateway: tuple[int, Store]) -> None:
    port, store = gateway
    assert status(_post(port, _group(1, truncatedAlerts=37))) == 202
    [queued] = _rows(store, messages)
    assert (queued.kind, queued.subject) == ("trouble", "prometheus left alerts out of what it sent")
    assert "37 alerts" in queued.body
    metrics = exchange(
        port, f"GET /metrics HTTP/1.1\r\nHost: localhost\r\n{AUTH}\r\nConnection: close\r\n\r\n".encode()
    ).decode()
    assert 'paramedic_truncated_alerts_total{source="alertmanager"}' in metrics


@pytest.mark.parametrize("name", ["a%20b", "x" * 101])
def test_a_heartbeat_that_is_refused_is_told(gateway: tuple[int, Store], name: str) -> None:
    port, store = gateway
    answer = exchange(
        port, f"POST /heartbeats/{name} HTTP/1.1\r\nHost: localhost\r\n{AUTH}\r\nConnection: close\r\n\r\n".encode()
    )
    assert status(answer) == 422
    [queued] = _rows(store, messages)
    assert queued.subject == "A heartbeat was refused"


# --- whatever comes -------------------------------------------------------------------------------------------------

_KEYS = st.sampled_from(
    ["alerts", "labels", "annotations", "alertname", "status", "startsAt", "endsAt", "truncatedAlerts", "severity", "x"]
)
_TEXTS = (
    st.sampled_from(
        ["firing", "resolved", "critical", "A", "2026-01-31T09:30:00Z", "\ud800", "\x00", "\u202e", "", "9" * 5000]
    )
    | st.text()
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS | _TEXTS, inner, max_size=6),
    max_leaves=30,
)
_ALERTS = st.fixed_dictionaries(
    {"labels": st.dictionaries(_KEYS | _TEXTS, _VALUES, max_size=6)},
    optional={"annotations": _VALUES, "status": _VALUES, "startsAt": _VALUES, "endsAt": _VALUES},
)
_BODIES = (
    st.binary(max_size=300)
    | _VALUES.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries(
        {"alerts": st.lists(_ALERTS, max_size=4)}, optional={"truncatedAlerts": _VALUES, "status": _VALUES}
    ).map(lambda payload: json.dumps(payload).encode())
    | st.sampled_from(
        [
            b'{"alerts": [{"labels": {"alertname": "A", "alertname": "B"}}]}',
            b'{"alerts": [{"labels": {"alertname": ' + b"9" * 5000 + b"}}]}",
            b'{"alerts": [{"labels": {"alertname": NaN, "x": -Infinity}}]}',
            b'{"alerts": [{"labels": {"alertname": "\\ud83d"}}]}',
            b'{"alerts": [{"labels": {"alertname": "\\u0000"}}]}',
            b'{"alerts": [{"labels": {"alertname": "A"}}]}\xff',
            b'\xef\xbb\xbf{"alerts": [{"labels": {"alertname": "A"}}]}',
            '{"alerts": [{"labels": {"alertname": "A"}}]}'.encode("utf-16"),
            b"[" * 100_000,
            b'{"a":' * 50_000 + b"0" + b"}" * 50_000,
            b'{"alerts": [{"labels": {"alertname": "A", "k": ' + b"[" * 900 + b"]" * 900 + b"}}]}",
            b'{"alerts": [{"labels": {"alertname": "A"}, "startsAt": 1e999}], "truncatedAlerts": 1e999}',
        ]
    )
)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    settings = Settings(data=tmp_path_factory.mktemp("any"), gateway_tokens={"prometheus": TOKEN})
    store = Store(migrated(settings.data / "paramedic.db"))
    with TestClient(make_app(settings, store, wake=Wake(), alive=lambda: True)) as client:
        yield client
    store.close()


@given(body=_BODIES)
@hypothesis_settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_makes_a_500(client: TestClient, body: bytes) -> None:
    answer = client.post("/alerts/alertmanager", content=body, headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code in (202, 400, 422)
    assert answer.status_code == 202 or answer.json()["error"]["what"]
