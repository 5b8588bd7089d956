"""TLS servers of our own, with certificates made for the moment."""

import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def own_certificate(folder: Path, until: datetime | None = None) -> ssl.SSLContext:
    """What a server shows that has signed its certificate itself, which is good until then, or for a while."""
    until = until or datetime.now(UTC) + timedelta(days=30)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody.else.example")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(until - timedelta(days=90))
        .not_valid_after(until)
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


@contextmanager
def showing(folder: Path, until: datetime) -> Iterator[int]:
    """A server on loopback whose certificate is good until then; its port."""
    context = own_certificate(folder, until)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)

        def serve() -> None:
            with suppress(OSError):
                while True:
                    line, _ = server.accept()
                    line.settimeout(5)
                    with line, suppress(OSError), context.wrap_socket(line, server_side=True) as secured:
                        secured.recv(1)

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield server.getsockname()[1]
        finally:
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)  # a thread that waits for a client would keep it open


def _named(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


class Authority:
    """A certificate authority of our own, and servers that show what it, or an authority under it, has signed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._above: list[x509.Certificate] = []
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An Authority")])
        self.file = folder / "authority.pem"
        made = self._signed(self._name, self._key.public_key(), datetime.now(UTC) + timedelta(days=300), authority=True)
        self.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def intermediate(self, name: str, until: datetime) -> "Authority":
        """An authority under this one, good until then: servers show its certificate after their own."""
        under = object.__new__(Authority)
        under._folder, under.file = self._folder, self.file
        under._key = ec.generate_private_key(ec.SECP256R1())
        under._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        under._above = [self._signed(under._name, under._key.public_key(), until, authority=True), *self._above]
        return under

    def _signed(
        self,
        name: x509.Name,
        key: ec.EllipticCurvePublicKey,
        until: datetime,
        *,
        authority: bool = False,
        host: str = "x",
    ) -> x509.Certificate:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(until - timedelta(days=400))
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([_named(host)]), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def issued(self, host: str, until: datetime | None = None) -> tuple[Path, Path]:
        """A certificate for the host (a name, or an IP address) and its key, as files that nobody else may read."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        signed = self._signed(name, key.public_key(), until or datetime.now(UTC) + timedelta(days=30), host=host)
        files = self._folder / f"{signed.serial_number}-cert.pem", self._folder / f"{signed.serial_number}-key.pem"
        files[0].write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        files[1].touch(mode=0o600)
        files[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return files

    @contextmanager
    def serving(self, host: str, until: datetime) -> Iterator[int]:
        """A server on loopback that answers 200, with a certificate for the host that is good until then; its port."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        file = self._folder / "served.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        signed = self._signed(name, key.public_key(), until, host=host)
        file.write_bytes(
            private
            + b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in (signed, *self._above))
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        with socket.create_server(("127.0.0.1", 0)) as server:

            def serve() -> None:
                with suppress(OSError):
                    while True:
                        line, _ = server.accept()
                        line.settimeout(5)
                        with line, suppress(OSError), context.wrap_socket(line, server_side=True) as secured:
                            secured.recv(65_536)
                            secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

            threading.Thread(target=serve, daemon=True).start()
            yield server.getsockname()[1]
