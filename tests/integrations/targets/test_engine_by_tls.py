"""A Docker Engine that listens on a port: by TLS with certificates on both sides, or on loopback."""

import signal
import socket
import ssl
import struct
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from certificates import Authority
from lying_engine import AFTER, BEFORE, JUDGED, answering, said
from tls_engine import port_before, strict
from waiting import soon

from paramedic.errors import PermanentError, TemporaryError
from paramedic.integrations.targets.container import Changer, Reader, restarted
from paramedic.kinds.transport import TcpPort, Tls
from paramedic.remediation.target import Target
from paramedic.transports.local import Local


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def ours(authority: Authority) -> Tls:
    """Our files, signed by this authority, and trusting it."""
    certificate, key = authority.issued("paramedic")
    return Tls(str(authority.file), str(certificate), str(key))


def by(port: int, tls: Tls | None, host: str = "127.0.0.1") -> Target:
    words = SimpleNamespace(tls=tls)
    return Target("web-1/container:web", "shop", "localhost", "container", "web", f"tcp://{host}:{port}", words=words)


def test_an_engine_is_looked_at_and_changed_by_tls_with_certificates_on_both_sides(
    authority: Authority, tmp_path: Path
) -> None:
    with (
        answering(BEFORE, BEFORE, said("204 No Content"), AFTER) as (engine, asked),
        port_before(engine.address, strict(authority, tmp_path)) as port,
    ):
        assert restarted(JUDGED, Changer(by(port, ours(authority)), Local()).restart(JUDGED, lambda: None))
    assert [line.split()[0] for line in asked] == [b"GET", b"GET", b"POST", b"GET"]


def test_an_engine_on_loopback_without_tls_is_looked_at() -> None:
    with answering(BEFORE) as (engine, _), port_before(engine.address) as port:
        assert Reader(by(port, None), Local()).identity() == JUDGED


def test_a_server_whose_certificate_somebody_else_signed_is_sent_nothing(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    with (
        answering(BEFORE) as (engine, asked),
        port_before(engine.address, strict(other, tmp_path)) as port,
        pytest.raises(PermanentError, match="the certificate of 127.0.0.1:.* is not trusted: "),
    ):
        Reader(by(port, ours(authority)), Local()).identity()
    assert asked == []


def test_a_server_whose_certificate_names_another_host_is_sent_nothing(authority: Authority, tmp_path: Path) -> None:
    context = strict(authority, tmp_path, host="docker-8")
    with (
        answering(BEFORE) as (engine, asked),
        port_before(engine.address, context) as port,
        pytest.raises(PermanentError, match="is not trusted: IP address mismatch"),
    ):
        Reader(by(port, ours(authority)), Local()).identity()
    assert asked == []


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_does_not_take_our_certificate_says_so(
    authority: Authority, tmp_path: Path, newest: ssl.TLSVersion
) -> None:
    (tmp_path / "other").mkdir()
    certificate, key = Authority(tmp_path / "other").issued("paramedic")
    context = strict(authority, tmp_path)
    context.maximum_version = newest
    with (
        answering(BEFORE) as (engine, asked),
        port_before(engine.address, context) as port,
        pytest.raises(
            PermanentError, match=f"does not take the certificate {certificate}: tls.* alert (unknown ca|decrypt error)"
        ),
    ):
        Reader(by(port, Tls(str(authority.file), str(certificate), str(key))), Local()).identity()
    assert asked == []


def test_a_port_that_speaks_no_tls_is_never_asked_in_plain_text(authority: Authority) -> None:
    with (
        answering(BEFORE) as (engine, asked),
        port_before(engine.address) as port,
        pytest.raises((PermanentError, TemporaryError)),
    ):
        Reader(by(port, ours(authority)), Local()).identity()
    assert not any(b"containers" in line for line in asked)


def test_files_that_cannot_be_used_are_named_before_anything_is_sent(authority: Authority, tmp_path: Path) -> None:
    files, (_, other) = ours(authority), authority.issued("somebody else")
    with port_before("/nowhere", strict(authority, tmp_path)) as port:
        with pytest.raises(PermanentError, match="cannot be read: No such file or directory: /not/there"):
            Reader(by(port, Tls("/not/there", files.certificate, files.key)), Local()).identity()
        with pytest.raises(PermanentError, match="are not a CA, a certificate and its key without a password"):
            Reader(by(port, Tls(files.ca, files.certificate, str(other))), Local()).identity()
        Path(files.key).chmod(0o604)
        with pytest.raises(PermanentError, match=f"may be read by everybody .* chmod 600 {files.key}"):
            Reader(by(port, files), Local()).identity()


def test_a_key_with_a_password_asks_no_terminal(authority: Authority, tmp_path: Path) -> None:
    files = ours(authority)
    locked = tmp_path / "locked.pem"
    convert = ["openssl", "pkcs8", "-topk8", "-in", files.key, "-passout", "pass:hunter2", "-out", str(locked)]
    subprocess.run(convert, check=True, capture_output=True)
    locked.chmod(0o600)
    with (
        port_before("/nowhere", strict(authority, tmp_path)) as port,
        pytest.raises(PermanentError, match="without a password"),
    ):
        Reader(by(port, Tls(files.ca, files.certificate, str(locked))), Local()).identity()


@contextmanager
def one_answer_later(context: ssl.SSLContext) -> Iterator[tuple[int, list[bytes], threading.Event]]:
    """A server by TLS 1.3, with its session tickets, that hears one request and answers when it is let; what it has heard.

    Nothing but the end of the connection is heard before that: then b"" is.
    """
    heard: list[bytes] = []
    answers = threading.Event()

    def serve() -> None:
        with suppress(OSError):
            line, _ = server.accept()
            with context.wrap_socket(line, server_side=True) as client:
                heard.append(client.recv(65_536))
                client.settimeout(1.5)
                try:
                    heard.append(client.recv(1))
                except TimeoutError:
                    heard.append(b"still there")
                answers.set()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1], heard, answers


def test_a_connection_by_tls_outlives_a_client_that_dies_after_it_has_sent(
    authority: Authority, tmp_path: Path
) -> None:
    """Its session tickets, which nobody has read, must not pass for the answer."""
    files = ours(authority)
    with one_answer_later(strict(authority, tmp_path)) as (port, heard, done):
        dying = textwrap.dedent(f"""
            import os, signal, time
            from paramedic.kinds.transport import TcpPort, Tls
            from paramedic.machine.clock import boottime
            from paramedic.transports.local import Local
            to = TcpPort("127.0.0.1", {port}, Tls("{files.ca}", "{files.certificate}", "{files.key}"))
            with Local().connect(to, boottime() + 20, outlives_us=True) as line:
                time.sleep(0.3)  # the tickets come
                line.outlive_us()
                line.send(b"POST", boottime() + 20)
                os.kill(os.getpid(), signal.SIGKILL)
        """)
        client = subprocess.run([sys.executable, "-c", dying], start_new_session=True, check=False)
        assert client.returncode == -signal.SIGKILL
        assert done.wait(30)
    assert heard == [b"POST", b"still there"]


def test_a_server_that_hangs_in_the_handshake_is_waited_for_until_the_deadline(authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(TimeoutError):
        Local().connect(TcpPort("127.0.0.1", server.getsockname()[1], ours(authority)), soon(0.3))


@pytest.mark.parametrize("reset", [True, False])
def test_a_refusal_that_came_before_the_connection_was_reset_is_heard(
    authority: Authority, tmp_path: Path, reset: bool
) -> None:
    """By TLS 1.3 our certificate is judged once our side of the handshake is over: the request may come too late."""
    (tmp_path / "other").mkdir()
    certificate, key = Authority(tmp_path / "other").issued("paramedic")
    context, gone = strict(authority, tmp_path), threading.Event()

    def refuse() -> None:
        line, _ = server.accept()
        if reset:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with suppress(OSError), context.wrap_socket(line, server_side=True):
            pass
        gone.set()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=refuse, daemon=True).start()
        to = TcpPort("127.0.0.1", server.getsockname()[1], Tls(str(authority.file), str(certificate), str(key)))
        with Local().connect(to, soon(20)) as line:
            assert gone.wait(20)
            with pytest.raises(PermanentError, match="does not take the certificate"):  # noqa: PT012 - at whichever it comes
                line.send(b"GET", soon(20))
                line.receive(soon(20))
