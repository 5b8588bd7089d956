"""E-mail, by SMTP."""

import smtplib
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from ipaddress import ip_address
from typing import cast
from urllib.parse import unquote, urlsplit

from paramedic.errors import PermanentError, TemporaryError
from paramedic.machine.clock import utc_now
from paramedic.text.sanitize import one_line, visible

SUBJECT_LIMIT = 300  # characters


class Teller:
    """Sends e-mail through one server."""

    def __init__(self, settings: Mapping[str, str], timeout: timedelta = timedelta(seconds=10)) -> None:
        """`url`: smtp://host, smtp://user:password@host:port or smtps://…; `sender`: whom the mail comes from.

        Raises PermanentError if one of them is missing or cannot be right.
        """
        self._timeout = timeout.total_seconds()
        try:
            parts = urlsplit(settings["url"])
            self._sender = _address(settings["sender"])
            self._port = parts.port
        except KeyError as error:
            raise PermanentError(f"e-mail cannot be sent without the setting {error}") from error
        except ValueError as error:
            raise PermanentError("the address of the mail server cannot be right") from error
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise PermanentError("the address of the mail server is neither smtp://… nor smtps://…")
        self._tls = parts.scheme == "smtps"
        self._host = parts.hostname
        self._login = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None

    def send(  # noqa: PLR0917 - the parts of a letter, in their order
        self, to: str, subject: str, text: str, html: str | None, headers: Mapping[str, str], message_id: str
    ) -> None:
        """Hand one message for one person to the server. What is data can become neither a header nor a recipient.

        Raises TemporaryError if the server is away or says "later" (4xx), PermanentError if it says no (5xx), if `to` is no
        address, or if a password would travel in the clear. A repeated call is a repeated message, with the same id.
        """
        person = _address(to)
        message = self._message(person, subject, text, html, headers={**headers, "Message-ID": message_id})
        with _translated(), self._connected() as server:
            server.sendmail(self._sender.addr_spec, [person.addr_spec], message.as_bytes())
            with suppress(smtplib.SMTPException, OSError):  # it has been accepted: a rude farewell changes nothing
                server.quit()

    def _message(
        self, to: Address, subject: str, text: str, html: str | None, *, headers: Mapping[str, str]
    ) -> EmailMessage:
        message = EmailMessage(policy=policy.SMTP)
        message["From"] = self._sender
        message["To"] = to
        message["Subject"] = one_line(subject)[:SUBJECT_LIMIT]
        message["Date"] = format_datetime(utc_now())
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday reply comes back
        for name, value in headers.items():
            message[name] = one_line(value)
        message.set_content(visible(text), cte="quoted-printable")
        if html is not None:
            whole = html.encode("utf-8", "backslashreplace").decode()
            message.add_alternative(whole, subtype="html", cte="quoted-printable")
        return message

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        name = socket.gethostname()  # smtplib would ask the DNS for it, which may be what is down
        if self._tls:
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                self._host, self._port or 465, name, timeout=self._timeout, context=ssl.create_default_context()
            )
        else:
            port = self._port or (587 if self._login else 25)
            server = smtplib.SMTP(self._host, port, name, timeout=self._timeout)
        try:
            server.ehlo_or_helo_if_needed()
            private = self._tls or _loopback(self._host)
            if not self._tls and server.has_extn("starttls"):
                server.starttls(context=ssl.create_default_context())
                private = True
            if self._login and not private:
                raise PermanentError(f"{self._host} offers no TLS, and a password is not sent in the clear")
            if self._login:
                server.login(*self._login)
            yield server
        finally:
            server.close()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except smtplib.SMTPRecipientsRefused as error:
        code, said = next(iter(error.recipients.values()))
        raise _refused(code, said) from error
    except smtplib.SMTPResponseException as error:
        raise _refused(error.smtp_code, error.smtp_error) from error
    except smtplib.SMTPNotSupportedError as error:
        raise PermanentError(f"the mail server cannot do what is needed: {error}") from error
    except ssl.SSLCertVerificationError as error:
        raise PermanentError(f"the mail server's certificate is not trusted: {error.verify_message}") from error
    except OSError as error:
        raise TemporaryError(f"the mail server is not there: {error}") from error
    except UnicodeError as error:
        raise PermanentError("the mail server's name or the login has characters that cannot be sent") from error


def _refused(code: int, said: bytes | str) -> TemporaryError | PermanentError:
    words = one_line(said.decode("utf-8", "backslashreplace") if isinstance(said, bytes) else said)
    kind = PermanentError if code >= 500 else TemporaryError
    return kind(f"the mail server answered {code}: {words}")


def _address(written: str) -> Address:
    """One mailbox, `a@b` or `Name <a@b>`. Raises PermanentError on none, on several, and on a line break."""
    read = policy.SMTP.header_factory("To", one_line(written))
    if one_line(written) != written or read.defects or len(read.addresses) != 1 or not read.addresses[0].domain:
        raise PermanentError(f"{one_line(written)!r} is no e-mail address")
    return cast("Address", read.addresses[0])


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
