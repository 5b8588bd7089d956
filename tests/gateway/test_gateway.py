"""A 202 means: on disk. Everything else is said in words, and nothing is lost."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from databases import migrated
from html_forms import press
from incident_states import unwritable
from pydantic import SecretStr
from starlette.testclient import TestClient

from paramedic import keys
from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.gateway.app import make_app
from paramedic.incidents.incident import State
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.intake.intake import Wake
from paramedic.messages.signed_link import Acknowledgement, sign
from paramedic.settings import Settings
from paramedic.store import Store, incidents, lifecycle
from paramedic.store.tables import inbox, messages, quarantine

TOKEN = "a-token-of-this-test"
PAYLOAD = (Path(__file__).parents[1] / "payloads" / "alertmanager" / "oncall-example-v4.json").read_bytes()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data=tmp_path,
        gateway_tokens={"prometheus": SecretStr(TOKEN)},
        gateway_users={"grafana": SecretStr("a-password-of-this-test")},
        body_limit=10_000,
    )


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    opened = Store(migrated(settings.data / "paramedic.db"))
    yield opened
    opened.close()


@pytest.fixture
def client(settings: Settings, store: Store) -> TestClient:
    return TestClient(make_app(settings, store, wake=Wake(), alive=lambda: True))


def _metrics(client: TestClient) -> str:
    return client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text


def _post(client: TestClient, body: bytes = PAYLOAD, auth: str | bytes | None = f"Bearer {TOKEN}") -> Any:
    credential = auth.encode() if isinstance(auth, str) else auth
    headers = [(b"Content-Type", b"application/json"), *([(b"Authorization", credential)] if credential else [])]
    return client.post("/alerts/alertmanager", content=body, headers=headers)


def _rows(store: Store, table: Any) -> list[Any]:
    with store.read() as tx:
        return list(tx.conn.execute(table.select()))


def test_a_group_of_two_is_two_receipts_on_disk(client: TestClient, store: Store) -> None:
    answer = _post(client)
    assert answer.status_code == 202
    assert [row.receipt for row in _rows(store, inbox)] == answer.json()["receipts"]
    assert {row.sender for row in _rows(store, inbox)} == {"prometheus"}


def test_triage_hears_of_what_came_and_whether_it_is_critical(settings: Settings, store: Store) -> None:
    wake = Wake()
    client = TestClient(make_app(settings, store, wake=wake, alive=lambda: True))
    _post(client, PAYLOAD.replace(b"critical", b"warning"))
    assert (wake.cleared(), wake.wait_critical(0)) == (True, False)
    _post(client, PAYLOAD.replace(b"warning", b"critical"))
    assert (wake.cleared(), wake.wait_critical(0)) == (True, True)


def test_basic_auth_is_as_good(client: TestClient, store: Store) -> None:
    credential = base64.b64encode(b"grafana:a-password-of-this-test").decode()
    assert _post(client, auth=f"Basic {credential}").status_code == 202
    assert _rows(store, inbox)[0].sender == "grafana"


def test_a_secret_may_have_any_letters(tmp_path: Path, store: Store) -> None:
    settings = Settings(
        data=tmp_path, gateway_tokens={"a": SecretStr("schlüssel")}, gateway_users={"b": SecretStr("пароль")}
    )
    client = TestClient(make_app(settings, store, wake=Wake(), alive=lambda: True))
    assert _post(client, auth="Bearer schlüssel").status_code == 202
    assert _post(client, auth=b"Basic " + base64.b64encode("b:пароль".encode())).status_code == 202


@pytest.mark.parametrize(
    "auth",
    [
        None,
        "Bearer wrong",
        "Bearer ",
        f"Basic {TOKEN}",
        "Basic " + base64.b64encode(b"grafana:wrong").decode(),
        "Basic " + base64.b64encode(b"nobody:a-password-of-this-test").decode(),
        f"Digest {TOKEN}",
        "Basic é".encode(),
        b"Bearer \xff\x00",
    ],
)
def test_nobody_we_know_is_refused_and_nothing_of_theirs_is_kept(
    client: TestClient, store: Store, auth: str | bytes | None
) -> None:
    answer = _post(client, b"not even json", auth=auth)
    assert answer.status_code == 401
    assert "www-authenticate" in answer.headers
    assert answer.json()["error"]["field"] == "Authorization"
    assert "gateway-token" in answer.json()["error"]["allowed"], "what is allowed, and where it is"
    assert _rows(store, quarantine) == []


def test_without_any_token_everybody_is_refused(tmp_path: Path, store: Store) -> None:
    app = make_app(Settings(data=tmp_path), store, wake=Wake(), alive=lambda: True)
    assert _post(TestClient(app), auth="Bearer ").status_code == 401


@pytest.mark.parametrize(
    ("body", "status", "field"), [(b"{", 400, "body"), (b"[]", 422, "body"), (b'{"alerts": 1}', 422, "alerts")]
)
def test_a_body_that_cannot_be_read_is_named_kept_and_told(
    client: TestClient, store: Store, body: bytes, status: int, field: str
) -> None:
    answer = _post(client, body)
    assert (answer.status_code, answer.json()["error"]["field"]) == (status, field)
    assert [row.body for row in _rows(store, quarantine)] == [body.decode()]
    assert [row.kind for row in _rows(store, messages)] == ["trouble"]
    assert _rows(store, inbox) == []


def test_of_a_group_with_one_bad_alert_the_good_one_is_taken(client: TestClient, store: Store) -> None:
    payload = json.loads(PAYLOAD)
    del payload["alerts"][0]["labels"]["alertname"]
    answer = _post(client, json.dumps(payload).encode())
    assert answer.status_code == 202
    assert len(answer.json()["receipts"]) == 1
    assert answer.json()["quarantined"] == 1
    assert "alerts[0].labels.alertname" in _rows(store, quarantine)[0].error


def test_a_body_past_the_limit_is_413_whether_it_says_its_length_or_not(client: TestClient, store: Store) -> None:
    assert _post(client, b"x" * 10_001).status_code == 413
    chunks = (b"x" * 1000 for _ in range(20))
    streamed = client.post("/alerts/alertmanager", content=chunks, headers={"Authorization": f"Bearer {TOKEN}"})
    assert streamed.status_code == 413
    assert [row.body[:9] for row in _rows(store, quarantine)] == ["x" * 9] * 2


def test_a_store_that_cannot_be_written_is_503_and_never_a_false_202(client: TestClient, store: Store) -> None:
    assert _post(client).status_code == 202
    with unwritable(str(store.engine.url)):
        answer = _post(client)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert len(_rows(store, inbox)) == 2
    assert _post(client).status_code == 202


def test_a_flood_of_bad_alerts_does_not_hold_the_store(settings: Settings, store: Store) -> None:
    settings = settings.model_copy(update={"body_limit": 1_000_000})
    client = TestClient(make_app(settings, store, wake=Wake(), alive=lambda: True))
    answer = _post(client, json.dumps({"alerts": [0] * 100_000}).encode())
    assert answer.json() == {"receipts": [], "quarantined": 100_000}
    assert 1 <= len(_rows(store, quarantine)) <= 21


def test_a_store_that_has_no_tables_yet_is_said_and_takes_nothing(settings: Settings, tmp_path: Path) -> None:
    empty = Store(f"sqlite:///{tmp_path}/empty.db")
    client = TestClient(make_app(settings, empty, wake=Wake(), alive=lambda: True))
    assert _post(client).status_code == 503
    assert client.get("/readyz").status_code == 503
    assert "paramedic_store_up 0.0" in _metrics(client)
    assert client.get(f"/ack/{sign(keys.link_key(settings), Acknowledgement('s', 1, 'ada'))}").status_code == 503


def test_ready_is_said_only_while_alerts_are_worked_on(settings: Settings, store: Store) -> None:
    app = make_app(settings, store, wake=Wake(), alive=lambda: False)
    assert TestClient(app).get("/readyz").status_code == 503
    assert TestClient(app).get("/healthz").status_code == 200


def test_metrics_count_alerts_and_refusals(client: TestClient) -> None:
    _post(client)
    _post(client, auth=None)
    text = _metrics(client)
    assert 'paramedic_alerts_total{source="alertmanager",status="firing"}' in text
    assert 'paramedic_refused_requests_total{reason="unknown sender"}' in text
    assert "paramedic_inbox_alerts 2.0" in text


def test_the_api_is_described(client: TestClient) -> None:
    responses = client.get("/openapi.json").json()["paths"]["/alerts/alertmanager"]["post"]["responses"]
    assert {"202", "400", "401", "413", "422", "503"} <= set(responses)


# --- the link in a message ------------------------------------------------------------------------------------------


@pytest.fixture
def number(store: Store) -> int:
    alert = Alert("alertmanager", "<b>Slow</b>", Severity.CRITICAL, Status.FIRING, datetime.now(UTC), "f", {})
    with store.record() as tx:
        incident = lifecycle.open_incident(
            tx, alert, service="s", target="t", policy="default", reason="a test", plan=None
        )
        lifecycle.hand_over(tx, incident.number, Outcome(Ending.HANDED_OVER, "a test"), actor="test")
    return incident.number


def _link(settings: Settings, store: Store, number: int, *, of: str | None = None) -> str:
    return f"/ack/{sign(keys.link_key(settings), Acknowledgement(of or store.uuid, number, 'ada'))}"


def _state(store: Store, number: int) -> State:
    with store.read() as tx:
        return incidents.get(tx, number).state


def test_looking_at_the_link_does_nothing_and_the_button_acknowledges(
    client: TestClient, settings: Settings, store: Store, number: int
) -> None:
    link = _link(settings, store, number)
    shown = client.get(link)
    assert shown.status_code == 200
    assert "&lt;b&gt;Slow&lt;/b&gt;" in shown.text
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    assert _state(store, number) is State.HANDED_OVER
    assert client.head(link).status_code == 405
    assert _state(store, number) is State.HANDED_OVER
    assert "is yours" in press(client, link).text
    assert press(client, link).status_code == 200, "twice is as good as once"
    with store.read() as tx:
        assert incidents.get(tx, number).acknowledged_by == "ada"


def test_an_expired_a_forged_and_a_strange_link_say_so_and_do_nothing(
    client: TestClient, settings: Settings, store: Store, number: int
) -> None:
    link = _link(settings, store, number)
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=25)):
        assert "expired" in press(client, link).text
    assert press(client, f"{link}x").status_code == 410
    assert press(client, _link(settings, store, number, of="another")).status_code == 410
    assert _state(store, number) is State.HANDED_OVER


def test_a_link_of_an_incident_that_is_over_says_so(
    client: TestClient, settings: Settings, store: Store, number: int
) -> None:
    with store.record() as tx:
        lifecycle.resolve(tx, number, Outcome(Ending.HANDED_OVER, "done"), actor="person:ben")
    assert press(client, _link(settings, store, number)).status_code == 409


def test_a_link_of_an_incident_that_this_store_does_not_know_is_gone(
    client: TestClient, settings: Settings, store: Store
) -> None:
    link = _link(settings, store, 77)
    assert (client.get(link).status_code, press(client, link).status_code) == (410, 410)


def test_without_its_key_a_link_is_answered_in_words(
    client: TestClient, settings: Settings, store: Store, number: int
) -> None:
    link = _link(settings, store, number)
    (settings.data / "link.key").write_text("cut")
    assert client.post(link).status_code == 503
    assert _state(store, number) is State.HANDED_OVER


def test_what_turns_a_line_around_is_shown_as_what_it_is(client: TestClient, settings: Settings, store: Store) -> None:
    alert = Alert("alertmanager", "a\u202eb\x1b", Severity.CRITICAL, Status.FIRING, datetime.now(UTC), "g", {})
    with store.record() as tx:
        number = lifecycle.open_incident(
            tx, alert, service="s", target="u", policy="default", reason="a test", plan=None
        ).number
    shown = client.get(_link(settings, store, number)).text
    assert "a\\u202eb\\x1b" in shown
