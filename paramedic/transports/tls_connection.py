"""TLS over a connection, wherever that leads: the other side is verified, and shown our certificate."""

import ssl
from pathlib import Path
from typing import Self

from paramedic.errors import PermanentError
from paramedic.kinds.transport import Connection, TcpPort, Tls, UnixSocket
from paramedic.machine.clock import boottime
from paramedic.text.sanitize import one_line

#: What the other side says, in an alert, of a certificate that it does not take.
_NOT_TAKEN = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED", "HANDSHAKE_FAILURE", "DECRYPT_ERROR")


def secured(to: UnixSocket | TcpPort, line: Connection, deadline: float) -> Connection:
    """The connection itself, or TLS over it where the port asks for that.

    Raises PermanentError where the other side is not trusted, does not trust us or speaks no TLS, or a file cannot be used;
    OSError where the connection breaks or the time is over. The connection is closed then.
    """
    if not isinstance(to, TcpPort) or to.tls is None:
        return line
    try:
        secure = TlsConnection(to, to.tls, line)
        secure.shake_hands(deadline)
    except BaseException:  # raised again: no connection is left open, whatever ends us
        line.__exit__()
        raise
    return secure


class TlsConnection:
    """An open connection by TLS. Raises OSError, and PermanentError where the other side refuses our certificate."""

    def __init__(self, to: TcpPort, tls: Tls, line: Connection) -> None:
        self._to, self._line, self._files = f"{to.host}:{to.port}", line, tls
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = _context(tls).wrap_bio(self._in, self._out, server_hostname=to.host)
        self._early = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._line.__exit__()

    def shake_hands(self, deadline: float) -> None:
        """Agree on keys, and verify who answers."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush(deadline)
                self._more(deadline)
            except ssl.SSLCertVerificationError as error:
                raise PermanentError(
                    f"the certificate of {self._to} is not trusted: {one_line(error.verify_message)} (by {self._files.ca})"
                ) from error
            except ssl.SSLError as error:
                raise self._refused(error) or PermanentError(
                    f"{self._to} speaks no TLS that can be used: {_reason(error)}"
                ) from error
            else:
                self._flush(deadline)
                return

    def outlive_us(self) -> None:
        """Keep it open also if this process dies. Raises TemporaryError where that fails.

        What waits for the answer then takes any byte for it: what came already, such as session tickets, is read before.
        """
        try:
            while True:
                self._more(boottime())
                self._early += self._tls.read(65_536)
        except (TimeoutError, BlockingIOError):
            pass
        except ssl.SSLWantReadError:
            pass
        self._line.outlive_us()

    def send(self, data: bytes, deadline: float) -> None:
        """Send all of it."""
        self._tls.write(data)
        try:
            self._flush(deadline)
        except OSError:
            self._heed_a_refusal()
            raise

    def receive(self, deadline: float) -> bytes:
        """The next bytes, b"" where the other side has closed; ConnectionResetError where it is gone without a word."""
        if self._early:
            early, self._early = self._early, b""
            return early
        while True:
            try:
                return self._tls.read(65_536)
            except ssl.SSLWantReadError:
                self._more(deadline)
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLEOFError as error:
                raise ConnectionResetError(f"{self._to} is gone in the middle") from error
            except ssl.SSLError as error:
                raise self._refused(error) or ConnectionResetError(_reason(error)) from error

    def _heed_a_refusal(self) -> None:
        """Raise PermanentError where the other side has refused our certificate before it was gone.

        By TLS 1.3 it does so after the handshake is over for us: what is sent then may meet a connection that is reset.
        """
        while True:
            try:
                self._more(boottime())
                self._tls.read(65_536)
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                if (refused := self._refused(error)) is not None:
                    raise refused from error
                return
            except OSError:
                return

    def _refused(self, error: ssl.SSLError) -> PermanentError | None:
        reason = error.reason or ""
        if "ALERT" not in reason or not any(word in reason for word in _NOT_TAKEN):
            return None
        return PermanentError(f"{self._to} does not take the certificate {self._files.certificate}: {_reason(error)}")

    def _flush(self, deadline: float) -> None:
        if data := self._out.read():
            self._line.send(data, deadline)

    def _more(self, deadline: float) -> None:
        if data := self._line.receive(deadline):
            self._in.write(data)
        else:
            self._in.write_eof()


def _context(tls: Tls) -> ssl.SSLContext:
    """Raises PermanentError where a file cannot be used. They are read anew for each connection: certificates are renewed."""
    try:
        if Path(tls.key).stat().st_mode & 0o007:
            raise PermanentError(f"the key {tls.key} may be read by everybody on this machine: chmod 600 {tls.key}")
        context = ssl.create_default_context(cafile=tls.ca)
        context.load_cert_chain(tls.certificate, tls.key, password=_no_password)
    except ssl.SSLError as error:
        raise PermanentError(
            f"{tls.ca}, {tls.certificate} and {tls.key} are not a CA, a certificate and its key without a password, in PEM: "
            f"{_reason(error)}"
        ) from error
    except OSError as error:
        raise PermanentError(f"a file for TLS cannot be read: {error.strerror}: {_which(tls)}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _no_password() -> str:
    """A key with a password must not ask a terminal for it."""
    return ""


def _which(tls: Tls) -> str:
    """The first of the files that cannot be read."""
    for path in (tls.ca, tls.certificate, tls.key):
        try:
            Path(path).open("rb").close()
        except OSError:
            return path
    return tls.ca


def _reason(error: ssl.SSLError) -> str:
    return one_line((error.reason or str(error)).replace("_", " ").lower())[:200]
