"""Whatever a known sender of any kind delivers is an alert, or kept and told, or it is asked to send it again."""

import contextlib
import json
import logging
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import SecretStr
from serving import AUTH, TOKEN, connect, read_one, serving, status
from sqlalchemy.exc import DataError
from starlette.testclient import TestClient

from paramedic.catalog.library import Library
from paramedic.gateway.app import make_app
from paramedic.intake.intake import Intake, Wake
from paramedic.kinds.registry import Registry, Room
from paramedic.settings import Settings
from paramedic.store import Store, StoreUnavailable, incident_page, incidents
from paramedic.store import inbox as inbox_rows
from paramedic.store.tables import inbox, messages, quarantine

LIMIT = 60_000
SOURCES = Registry().usable(Room.SOURCES)
EACH = pytest.mark.parametrize("source", SOURCES)
SENDER = {"Authorization": f"Bearer {TOKEN}"}

#: What is no alert of anybody's: nothing, a word, lists and objects of nothing, a group without one, a page of HTML.
NO_ALERTS = (b"", b"ping", b"{}", b"[]", b"null", b'"ok"', b'{"alerts": []}', b"<html>Bad Gateway</html>", b"\xff\xfe")

#: What a template leaves behind that was not filled in, or was by another language.
ODD: list[Any] = ["", "null", "$HOSTNAME", "{{ host }}", None, -1, 1e30, True, [], {}, "x" * 3000, "\x00\ud800"]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Store]]:
    folder = tmp_path_factory.mktemp("served")
    with serving(folder, body_timeout=timedelta(seconds=0.3), body_limit=LIMIT) as (port, store, _):
        yield port, store


@pytest.fixture
def client(tmp_path: Path, store: Store) -> TestClient:
    settings = Settings(
        data=tmp_path, gateway_tokens={"me": SecretStr(TOKEN), "they": SecretStr("other-token-of-test")}
    )
    return TestClient(make_app(settings, store, wake=Wake(), alive=lambda: True), raise_server_exceptions=False)


def _rows(store: Store, table: Any) -> list[Any]:
    with store.read() as tx:
        return list(tx.conn.execute(table.select()))


def _kept(store: Store) -> int:
    return len(_rows(store, inbox)) + len(_rows(store, quarantine))


def _send(port: int, source: str, body: bytes, *, length: int) -> int:
    """The answer's status to a body that says it has this length."""
    head = f"POST /alerts/{source} HTTP/1.1\r\nHost: localhost\r\n{AUTH}\r\nContent-Length: {length}\r\n\r\n"
    with connect(port) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(head.encode() + body)
        return status(read_one(connection))


@EACH
def test_a_body_too_large_or_too_slow_is_kept_and_told(gateway: tuple[int, Store], source: str) -> None:
    port, store = gateway
    example = SOURCES[source].EXAMPLE.encode()
    assert _send(port, source, example.ljust(LIMIT + 1), length=LIMIT + 1) == 413
    assert _send(port, source, example[:20], length=len(example)) == 408
    of_source = [row for row in _rows(store, quarantine) if row.source == source]
    assert sorted("too large" in row.error for row in of_source) == [False, True]
    assert all(row.body.startswith(example[:20].decode()) and row.sender == "prometheus" for row in of_source)
    told = [row for row in _rows(store, messages) if row.subject.endswith(f"({source})")]
    assert [row.repeats for row in told] == [0, 1], "at once, and once more with the count of what came since"


@EACH
@pytest.mark.parametrize("body", NO_ALERTS)
def test_what_is_no_alert_is_kept(client: TestClient, store: Store, source: str, body: bytes) -> None:
    answer = client.post(f"/alerts/{source}", content=body, headers=SENDER)
    assert answer.status_code in {202, 400, 422}
    assert (len(_rows(store, inbox)), _kept(store) >= 1) == (0, True)
    if answer.status_code != 202:
        assert [row.kind for row in _rows(store, messages)] == ["trouble"]


@EACH
def test_what_half_fits_is_an_alert_with_a_note_or_kept(client: TestClient, store: Store, source: str) -> None:
    """Each field of its example in turn is left out, or is what nobody expects there."""
    example = SOURCES[source].EXAMPLE
    bodies = list(_spoilt(json.loads(example))) if example.lstrip().startswith(("{", "[")) else []
    for count, body in enumerate(bodies, start=1):
        answer = client.post(f"/alerts/{source}", content=json.dumps(body), headers=SENDER)
        assert answer.status_code in {202, 400, 422}, body
        assert _kept(store) >= count, body
    alerts = _rows(store, inbox)
    assert len(alerts) > len(bodies) // 2, "most of a body that lacks one field can be read"
    assert any(row.alert["notes"] for row in alerts)


def _spoilt(value: Any) -> Iterator[Any]:
    """The value without each of its fields in turn, and with each odd value in place of each."""
    keys: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value)))
    for number, key in enumerate(keys):
        others = {k: value[k] for k in keys if k != key} if isinstance(value, dict) else None
        yield others if others is not None else [value[k] for k in keys if k != key]
        replacements: list[Any] = [ODD[number % len(ODD)]]
        if isinstance(value[key], (dict, list)) and value[key]:
            replacements += list(_spoilt(value[key]))
        elif isinstance(value[key], str) and value[key].startswith('{"'):  # SNS carries JSON as a text
            replacements += map(json.dumps, _spoilt(json.loads(value[key])))
        for replacement in replacements:
            changed = dict(value) if isinstance(value, dict) else list(value)
            changed[key] = replacement
            yield changed


@given(
    source=st.sampled_from(sorted(SOURCES)),
    body=st.binary(max_size=200)
    | st.recursive(
        st.sampled_from(ODD) | st.integers() | st.text(max_size=6),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["alerts", "labels", "data", "event", "status"]), inner, max_size=4)
        ),
    ).map(lambda value: json.dumps(value).encode()),
)
@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_body_leaves_something(client: TestClient, store: Store, source: str, body: bytes) -> None:
    before = _kept(store)
    assert client.post(f"/alerts/{source}", content=body, headers=SENDER).status_code in {202, 400, 422}
    assert _kept(store) > before


def test_what_one_sender_could_not_deliver_hides_no_other_senders(client: TestClient, store: Store) -> None:
    for token in (TOKEN, "other-token-of-test"):
        client.post("/alerts/datadog", content=b"{", headers={"Authorization": f"Bearer {token}"})
    assert sorted(row.subject.split()[3] for row in _rows(store, messages) if not row.repeats) == ["me", "they"]


@pytest.mark.parametrize("body", [b"x" * 20_000_000, b"{"])
def test_what_can_neither_be_taken_nor_kept_is_asked_for_again(
    client: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    monkeypatch.setattr(store, "write", _away)
    answer = client.post("/alerts/alertmanager", content=body, headers=SENDER)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    monkeypatch.undo()
    assert client.post("/alerts/alertmanager", content=body, headers=SENDER).status_code in {400, 413}
    assert _kept(store) == 1


def _away() -> Any:
    raise StoreUnavailable("the store is away")


@pytest.mark.parametrize(
    ("method", "path", "near"),
    [
        ("POST", "/alerts/alertmanger", "POST /alerts/alertmanager"),
        ("POST", "/alerts/datadog/", "POST /alerts/datadog"),
        ("POST", "/alerts/Uptime-Kuma", "POST /alerts/uptime_kuma"),
        ("PUT", "/alerts/grafana", "POST /alerts/grafana"),
        ("POST", "/alerts/", "paramedic source list"),
        ("POST", "/alerts/password=hunter2hunter2", "paramedic source list"),
    ],
)
def test_an_alert_to_an_address_that_is_none_is_kept_and_told(
    client: TestClient, store: Store, method: str, path: str, near: str
) -> None:
    answer = client.request(method, path, content=b'{"alerts": 1, "token": "s3cr3t-of-theirs"}', headers=SENDER)
    assert answer.status_code in {404, 405}
    [kept], [told] = _rows(store, quarantine), _rows(store, messages)
    assert near in told.body
    assert told.subject == "An alert of me could not be read (no-source)"
    assert '"alerts": 1' in kept.body
    assert not any("hunter2" in text or "s3cr3t" in text for text in (kept.body, kept.error, told.body))


def test_of_who_is_unknown_or_only_looks_nothing_is_kept(client: TestClient, store: Store) -> None:
    assert client.post("/alerts/alertmanger", content=b"{}").status_code == 404
    assert client.get("/alerts/alertmanger", headers=SENDER).status_code == 404
    assert client.get("/alerts/grafana", headers=SENDER).status_code == 405
    assert client.post("/elsewhere", content=b"{}", headers=SENDER).status_code == 404
    assert _kept(store) == 0


def test_what_the_database_refuses_is_kept_as_a_body_and_told(
    client: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = inbox_rows.write

    def refuses(tx: Any, deliveries: Any) -> None:
        if any(delivery.rows for delivery in deliveries):
            raise DataError("INSERT", {}, ValueError("no such text"))
        write(tx, deliveries)

    monkeypatch.setattr(inbox_rows, "write", refuses)
    body = SOURCES["alertmanager"].EXAMPLE
    assert client.post("/alerts/alertmanager", content=body, headers=SENDER).status_code == 422
    assert [row.body for row in _rows(store, quarantine)] == [body]
    assert "the database refused it" in _rows(store, messages)[0].body


@pytest.mark.parametrize("counts", [[37], [0, 37, 38]], ids=["at first", "once its group has grown"])
@pytest.mark.parametrize("source", ["alertmanager", "grafana"])
def test_that_its_sender_left_alerts_out_is_said_on_the_incident(
    client: TestClient, store: Store, source: str, counts: list[int]
) -> None:
    for left_out in counts:
        body = json.loads(SOURCES[source].EXAMPLE) | {"truncatedAlerts": left_out}
        assert client.post(f"/alerts/{source}", json=body, headers=SENDER).status_code == 202
    Intake(store, lambda: Library.unusable([])).work()
    with store.read() as tx:
        shown = incident_page.page(tx, incidents.get(tx, 1), oncall=None)
    assert re.findall(r"its sender left (\d+) more alerts of this group out", " ".join(shown.split())) == ["37"]
    assert any("37 alerts" in row.body for row in _rows(store, messages))


def test_a_signed_body_that_did_not_come_whole_is_in_the_log(
    client: TestClient, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        answer = client.post("/alerts/pagerduty", content=b"x" * 20_000_000, headers={"X-PagerDuty-Signature": "v1=0"})
    assert (answer.status_code, _kept(store)) == (401, 0), "nobody has shown who they are"
    assert "nobody's signature could be checked, body: too large" in caplog.text
