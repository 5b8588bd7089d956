"""A server that takes a connection and says nothing, or too little, is told so, whichever time-out notices it first."""

import socket
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from paramedic.errors import TemporaryError
from paramedic.machine.clock import boottime
from paramedic.remediation.host import Host, SshAccess
from paramedic.transports.ssh_connection import SshConnection
from paramedic.transports.ssh_paramiko import SshTransport


@pytest.mark.parametrize(
    ("banner", "words"),
    [(b"", "said nothing"), (b"SSH-2.0-slow\r\n", "answered, and the handshake did not end in time")],
)
def test_a_handshake_whose_time_is_over_without_a_word_of_paramiko_s(
    banner: bytes, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = SshTransport.start_client

    def silently(transport: SshTransport, timeout: float) -> None:
        start(transport, timeout=0.5)

    monkeypatch.setattr(SshTransport, "start_client", silently)
    with socket.create_server(("127.0.0.1", 0)) as server:
        known = tmp_path / "known_hosts"
        known.write_text("")
        key = tmp_path / "key"
        key.write_bytes(_key())
        key.chmod(0o600)
        access = SshAccess(
            address="127.0.0.1", user="ada", port=server.getsockname()[1], key=str(key), known_hosts=str(known)
        )
        connection = SshConnection(Host("web-1", ssh=access))
        server.settimeout(10)

        def answer() -> None:
            line, _ = server.accept()
            line.sendall(banner)
            lines.append(line)

        lines: list[socket.socket] = []
        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(TemporaryError, match=words):
            connection.opened(lambda *_: None, boottime() + timedelta(seconds=5).total_seconds())  # type: ignore[arg-type]
        for line in lines:
            line.close()


def _key() -> bytes:
    made = ed25519.Ed25519PrivateKey.generate()
    form = serialization.PrivateFormat.OpenSSH
    return made.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
