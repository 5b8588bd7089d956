"""CloudWatch's alarms by SNS: who signed a message, for which topic, and which subscription is confirmed."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from pydantic import SecretStr, ValidationError
from starlette.testclient import TestClient

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.alerts.severity_words import DEFAULT
from paramedic.gateway.app import make_app
from paramedic.intake.intake import Wake
from paramedic.settings import Settings
from paramedic.sources import cloudwatch
from paramedic.sources.cloudwatch import EXAMPLE, authentic, fetched, read
from paramedic.store import Store, quarantine
from paramedic.store.tables import inbox

TOPIC = "arn:aws:sns:eu-west-1:123456789012:alarms"
CERTIFICATE = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem"
CONFIRM = f"https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=abc"
KEY = rsa.generate_private_key(65537, 2048)


def _certificate() -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    builder = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY.public_key()).serial_number(1)
    )
    begun = builder.not_valid_before(datetime.now(UTC) - timedelta(days=1))
    made = begun.not_valid_after(datetime.now(UTC) + timedelta(days=1)).sign(KEY, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What SNS is asked for, whose certificate is ours."""
    asked: list[str] = []

    def answer(url: str) -> bytes:
        asked.append(url)
        return _certificate() if url == CERTIFICATE else b"<ConfirmSubscriptionResponse/>"

    monkeypatch.setattr(cloudwatch, "fetched", answer)
    monkeypatch.setattr(cloudwatch, "_certificates", {})
    return asked


def _signed(kind: str = "Notification", **changes: Any) -> bytes:
    """A message as SNS signs it (its documentation's order of names)."""
    message: dict[str, Any] = {**json.loads(EXAMPLE), "Type": kind, "TopicArn": TOPIC, "SigningCertURL": CERTIFICATE}
    if kind != "Notification":
        message |= {"SubscribeURL": CONFIRM, "Token": "abc"}
        del message["Subject"]
    message |= changes
    names = {
        "Notification": ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
    }.get(kind, ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"])
    words = "".join(f"{name}\n{message[name]}\n" for name in names if message.get(name) is not None)
    digest = hashes.SHA1() if message["SignatureVersion"] == "1" else hashes.SHA256()
    message["Signature"] = base64.b64encode(KEY.sign(words.encode(), padding.PKCS1v15(), digest)).decode()
    return json.dumps({name: value for name, value in message.items() if value is not None}).encode()


def _alert(**alarm: Any) -> Alert:
    body = json.loads(EXAMPLE)
    body["Message"] = json.dumps({**json.loads(body["Message"]), **alarm})
    return DEFAULT.judged(read({}, json.dumps(body).encode()).alerts[0])


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", ["ALARM: slow", None])
def test_what_sns_signed_for_a_topic_of_ours_is_authentic(version: str, subject: str | None, asked: list[str]) -> None:
    body = _signed(SignatureVersion=version, Subject=subject)
    assert authentic({}, body, TOPIC)
    assert authentic({}, body, TOPIC)
    assert asked == [CERTIFICATE], "its certificate is asked for once"


def test_of_another_topic_nothing_is_even_asked(asked: list[str]) -> None:
    assert not authentic({}, _signed(TopicArn="arn:aws:sns:eu-west-1:666666666666:alarms"), TOPIC)
    assert asked == []


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.eu-west-1.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com.evil.example/a.pem",
        "https://evil.example/sns.eu-west-1.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com@evil.example/a.pem",
        "https://s3.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com:8443/a.pem",
        "https://sns.eu-west-1.amazonaws.com/a.txt",
        "file:///etc/passwd",
        "",
    ],
)
def test_a_certificate_from_elsewhere_is_never_asked_for(url: str, asked: list[str]) -> None:
    assert not authentic({}, _signed(SigningCertURL=url), TOPIC)
    assert asked == []


@pytest.mark.parametrize(
    "change",
    [
        {"Message": "another"},
        {"Signature": "AAAA"},
        {"Signature": "no base64"},
        {"SignatureVersion": "3"},
        {"Type": "Other"},
        {"Subject": "x"},
    ],
)
def test_a_word_that_was_changed_is_nobody_s(change: dict[str, str]) -> None:
    assert not authentic({}, json.dumps({**json.loads(_signed()), **change}).encode(), TOPIC)


@pytest.mark.parametrize("body", [b"", b"[]", b"[" * 100_000, b'{"TopicArn": ["x"]}'])
def test_what_is_no_message_is_nobody_s(body: bytes) -> None:
    assert not authentic({}, body, TOPIC)


def test_an_alarm_is_one_alert_until_it_is_ok() -> None:
    over = _alert(NewStateValue="OK", StateChangeTime="2026-01-31T10:30:00.000+0000")
    assert (over.status, over.fingerprint) == (Status.RESOLVED, _alert().fingerprint)
    assert over.ends_at == datetime(2026, 1, 31, 10, 30, tzinfo=UTC)
    assert _alert(AWSAccountId="2").fingerprint != over.fingerprint


def test_its_description_says_how_bad_it_is_and_whose() -> None:
    alert = _alert()
    assert (alert.severity, alert.labels["service"], alert.labels["LoadBalancer"]) == (
        Severity.CRITICAL,
        "tracking-api",
        "app/shop/1",
    )
    assert _alert(AlarmDescription="no severity: critical in a sentence").severity is Severity.WARNING
    assert _alert(Trigger={"Dimensions": [{"name": "InstanceId", "value": "i-1"}]}).labels["instance"] == "i-1"


@pytest.mark.parametrize(
    "message", ["plain text", "[1]", '{"AlarmName": "x", "NewStateValue": "INSUFFICIENT_DATA"}', "{}"]
)
def test_what_is_no_alarm_is_kept_beside_the_alerts(message: str) -> None:
    reading = read({}, json.dumps({**json.loads(EXAMPLE), "Message": message}).encode())
    assert (reading.alerts, [aside.tell for aside in reading.asides]) == ((), [False])


@contextmanager
def _server(status: int, body: bytes) -> Iterator[str]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.parametrize(("status", "body", "why"), [(500, b"", "500"), (200, b"x" * 70_000, "200"), (302, b"", "302")])
def test_an_answer_of_sns_that_cannot_be_used_is_said(
    status: int, body: bytes, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    with _server(status, body) as url, pytest.raises(OSError, match=f"SNS answers {why}"):
        fetched(url)
    with pytest.raises(OSError, match="does not answer"):
        fetched(url)


@pytest.fixture
def client(tmp_path: Path, store: Store) -> TestClient:
    settings = Settings(
        data=tmp_path, sns_topics={"alarms": TOPIC}, gateway_tokens={"me": SecretStr("a-token-of-good-length")}
    )
    return TestClient(make_app(settings, store, wake=Wake(), alive=lambda: True), base_url="http://127.0.0.1")


def _post(client: TestClient, body: bytes, **headers: str) -> int:
    return client.post("/alerts/cloudwatch", content=body, headers=headers).status_code


def test_an_alarm_of_a_topic_of_ours_needs_no_token(client: TestClient, store: Store) -> None:
    assert _post(client, _signed()) == 202
    with store.read() as tx:
        assert [row.sender for row in tx.conn.execute(inbox.select())] == ["alarms"]


def test_a_subscription_of_a_topic_of_ours_is_confirmed_once_it_is_kept(
    client: TestClient, store: Store, asked: list[str]
) -> None:
    assert _post(client, _signed("SubscriptionConfirmation")) == 202
    assert asked == [CERTIFICATE, CONFIRM]
    with store.read() as tx:
        assert "asks to confirm" in quarantine.listed(tx, beside=True)[0]["error"]


def test_a_subscription_of_somebody_else_s_topic_is_not(client: TestClient, asked: list[str]) -> None:
    theirs = _signed("SubscriptionConfirmation", TopicArn="arn:aws:sns:eu-west-1:666666666666:alarms")
    assert _post(client, theirs) == 401
    assert _post(client, theirs, Authorization="Bearer a-token-of-good-length") == 202
    assert asked == []


def test_a_confirmation_leads_to_sns_and_nowhere_else(client: TestClient, asked: list[str]) -> None:
    away = _signed("SubscriptionConfirmation", SubscribeURL="https://169.254.169.254/latest")
    assert _post(client, away) == 202
    assert asked == [CERTIFICATE]


@pytest.mark.parametrize(
    "topic", ["alarms", "arn:aws:sqs:eu-west-1:123456789012:x", "arn:aws:sns:eu-west-1:1:x", f"{TOPIC}:sub"]
)
def test_a_topic_is_written_as_its_arn(topic: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="is no topic of SNS; write its ARN"):
        Settings(data=tmp_path, sns_topics={"alarms": topic})
