"""E-mail that really arrives, at a server that can also say no."""

import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from paramedic.errors import PermanentError, TemporaryError
from paramedic.integrations.channels.email import Settings, Teller
from paramedic.kinds.message import Message

pytestmark = pytest.mark.real


class Sink:
    """Keeps what arrives; `says` is its answer to the next recipient or message, if it is to say no."""

    def __init__(self) -> None:
        self.arrived: list[Envelope] = []
        self.logins: list[tuple[bytes, bytes]] = []
        self.tls: list[bool] = []
        self.says: dict[str, str] = {}

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, to: str, options: Any) -> str:  # noqa: N802
        if "RCPT" in self.says:
            return self.says["RCPT"]
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if "DATA" in self.says:
            return self.says["DATA"]
        self.tls.append(session.ssl is not None)
        self.arrived.append(envelope)
        return "250 OK"

    def login(self, _server: SMTP, _session: Session, _: Envelope, _how: str, data: LoginPassword) -> AuthResult:
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"p@ss", handled=False)

    def letter(self) -> EmailMessage:
        return message_from_bytes(self.arrived[-1].original_content, policy=policy.default)


@pytest.fixture
def serve() -> Iterator[Callable[..., tuple[Sink, int]]]:
    running: list[Controller] = []

    def start(**options: Any) -> tuple[Sink, int]:
        sink = Sink()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        controller = Controller(sink, hostname="127.0.0.1", port=port, authenticator=sink.login, **options)
        controller.start()
        running.append(controller)
        return sink, port

    yield start
    for controller in running:
        controller.stop(no_assert=True)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A file with a key and a certificate of its own for 127.0.0.1."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    path = tmp_path / "server.pem"
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + signed.public_bytes(pem))
    return path


def speaking_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def teller(port: int, login: str = "", scheme: str = "smtp") -> Teller:
    url = SecretStr(f"{scheme}://{login}127.0.0.1:{port}")
    return Teller(Settings(smtp_url=url, mail_from="Paramedic <paramedic@example.org>"), timedelta(seconds=3))


def send(by: Teller, **parts: Any) -> None:
    message = Message("down", "It is down.\n", store="incident=42", recipient="ann@example.org", id="1.store")
    by.send(replace(message, **parts))


def test_a_message_arrives_whole(serve: Callable[..., tuple[Sink, int]]) -> None:
    sink, port = serve()
    text = "Größe: 3 GiB\n.\nFrom here\n" + "x" * 2000 + "\n"
    send(teller(port), subject="tracking-api läuft nicht", text=text)
    letter = sink.letter()
    assert sink.arrived[0].mail_from == "paramedic@example.org"
    assert sink.arrived[0].rcpt_tos == ["ann@example.org"]
    assert letter["From"] == "Paramedic <paramedic@example.org>"
    assert letter["To"] == "ann@example.org"
    assert letter["Subject"] == "tracking-api läuft nicht"
    assert letter["X-Paramedic"] == "incident=42"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["Message-ID"] == "<1.store@paramedic.invalid>"
    assert letter["Date"].datetime.tzinfo is not None
    assert letter.get_body(("plain",)).get_content().replace("\r\n", "\n") == text
    assert max(len(line) for line in sink.arrived[0].original_content.split(b"\r\n")) <= 998


def test_no_data_becomes_a_header_a_recipient_or_a_terminals_control(serve: Callable[..., tuple[Sink, int]]) -> None:
    sink, port = serve()
    sly = "up\r\nBcc: eve@example.org\nX-Evil: 1\r\n\r\nbody\x1b[2J\ud800\u2028"
    send(
        teller(port),
        subject=sly * 50,
        text=sly,
        store=sly,
        id="1\r\nX-Evil: 2",
    )
    letter = sink.letter()
    assert sink.arrived[0].rcpt_tos == ["ann@example.org"]
    assert letter["Bcc"] is None
    assert letter["X-Evil"] is None
    assert letter["Subject"].startswith("up Bcc: eve@example.org X-Evil: 1 body\\x1b[2J\\ud800")
    assert len(letter["Subject"]) <= 300
    assert "\x1b" not in letter.get_body(("plain",)).get_content()
    for to in ("ann@example.org, eve@example.org", "ann@example.org\nBcc: eve@example.org", "ann", "", "a@b;c@d"):
        with pytest.raises(PermanentError, match="not an e-mail address"):
            send(teller(port), recipient=to)
    assert len(sink.arrived) == 1


@pytest.mark.parametrize("at", ["RCPT", "DATA"])
def test_a_later_is_try_again_and_a_no_is_useless(serve: Callable[..., tuple[Sink, int]], at: str) -> None:
    sink, port = serve()
    sink.says[at] = "451 4.7.1 greylisted"
    with pytest.raises(TemporaryError, match=r"451.*greylisted"):
        send(teller(port))
    sink.says[at] = "550 5.1.1 no such person"
    with pytest.raises(PermanentError, match=r"550.*no such person"):
        send(teller(port))
    sink.says.clear()
    send(teller(port))
    assert len(sink.arrived) == 1


def test_a_server_that_is_gone_or_silent_is_try_again() -> None:
    with socket.socket() as quiet:
        quiet.bind(("127.0.0.1", 0))
        port = quiet.getsockname()[1]
        with pytest.raises(TemporaryError, match="refused"):
            send(teller(port))
        quiet.listen()
        settings = Settings(smtp_url=SecretStr(f"smtp://127.0.0.1:{port}"), mail_from="p@example.org")
        with pytest.raises(TemporaryError, match="timed out"):
            send(Teller(settings, timedelta(seconds=0.2)))


def test_starttls_is_used_when_it_is_offered(
    serve: Callable[..., tuple[Sink, int]], certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink, port = serve(tls_context=speaking_tls(certificate))
    with pytest.raises(PermanentError, match="certificate is not trusted"):
        send(teller(port))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    send(teller(port, "ann:p%40ss@"))
    assert sink.tls == [True]
    assert sink.logins == [(b"ann", b"p@ss")]


def test_smtps_speaks_tls_from_the_first_byte(
    serve: Callable[..., tuple[Sink, int]], certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    sink, port = serve(ssl_context=speaking_tls(certificate))
    send(teller(port, scheme="smtps"))
    assert len(sink.arrived) == 1


def test_a_wrong_password_is_useless_and_is_not_told(serve: Callable[..., tuple[Sink, int]]) -> None:
    sink, port = serve(auth_require_tls=False)
    with pytest.raises(PermanentError, match="535") as refusal:
        send(teller(port, "ann:hunter22@"))
    assert "hunter22" not in str(refusal.value)
    assert sink.arrived == []


def test_a_password_does_not_travel_in_the_clear(
    serve: Callable[..., tuple[Sink, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    sink, port = serve(auth_require_tls=False)
    monkeypatch.setattr("paramedic.integrations.channels.email._loopback", lambda _: False)
    with pytest.raises(PermanentError, match="not sent in the clear"):
        send(teller(port, "ann:p%40ss@"))
    assert sink.logins == []


@pytest.mark.parametrize(
    "settings",
    [
        {"smtp_url": "http://here", "mail_from": "p@example.org"},
        {"smtp_url": "smtp://", "mail_from": "p@example.org"},
        {"smtp_url": "smtp://here:port", "mail_from": "p@example.org"},
        {"smtp_url": "smtp://here", "mail_from": "nobody"},
    ],
)
def test_settings_that_cannot_be_right_are_useless(settings: dict[str, str]) -> None:
    with pytest.raises(PermanentError):
        Teller(Settings.model_validate(settings))
