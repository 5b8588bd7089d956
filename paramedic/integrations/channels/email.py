"""E-mail by SMTP."""

import re
import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from ipaddress import ip_address
from typing import cast
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.faces import Able
from paramedic.kinds.message import Message
from paramedic.machine.clock import utc_now
from paramedic.text.sanitize import one_line, visible

SUBJECT_LIMIT = 300  # characters

ADDRESS = "ada@example.org"
ABLE = Able(length=None, threads=True, buttons=False, receipts=False)

#: Of Paramedic's own settings: everybody's mail leaves by one server.
FROM_SETTINGS = ("smtp_url", "mail_from")

_MAILBOX = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+")


class Settings(BaseModel):
    """`smtp_url`: smtp://host, smtp://user:password@host:port or smtps://…; `mail_from`: the sender's address."""

    model_config = ConfigDict(extra="forbid")

    smtp_url: SecretStr
    mail_from: str


def address(text: str) -> str:
    """One bare mailbox, `a@b`. Raises ValueError."""
    if not _MAILBOX.fullmatch(text):
        raise ValueError("an e-mail address has one @, no space, and none of < > , ;")
    return text


class Teller:
    """Sends e-mail through one server."""

    def __init__(self, settings: Settings, timeout: timedelta = timedelta(seconds=10)) -> None:
        """Raises PermanentError if one of the settings cannot be right."""
        self._timeout = timeout.total_seconds()
        try:
            parts = urlsplit(settings.smtp_url.get_secret_value())
            self._sender = _address(settings.mail_from)
            self._port = parts.port
        except ValueError as error:
            raise PermanentError("the address of the mail server cannot be right") from error
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise PermanentError("the address of the mail server is neither smtp://… nor smtps://…")
        self._tls = parts.scheme == "smtps"
        self._host = parts.hostname
        self._login = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None

    def send(self, message: Message) -> None:
        """Hand one message for one person to the server. Data can become neither a header nor a recipient.

        Raises TemporaryError if the server is away or answers 4xx, PermanentError if it answers 5xx, if the
        recipient is not an address, or if a password would travel in the clear. A repeat has the same Message-ID.
        """
        person = _address(message.recipient)
        letter = self._letter(person, message)
        with _translated(), self._connected() as server:
            server.sendmail(self._sender.addr_spec, [person.addr_spec], _as_bytes(letter))
            with suppress(smtplib.SMTPException, OSError):  # it has been accepted: a rude farewell changes nothing
                server.quit()

    def _letter(self, to: Address, message: Message) -> EmailMessage:
        letter = EmailMessage(policy=policy.SMTP)
        letter["From"] = self._sender
        letter["To"] = to
        letter["Subject"] = one_line(message.subject)[:SUBJECT_LIMIT]
        letter["Date"] = format_datetime(utc_now())
        letter["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday reply comes back
        for name, value in _headers(message).items():
            letter[name] = one_line(value)
        letter.set_content(visible(message.text), cte="quoted-printable")
        if message.html:
            letter.add_alternative(visible(message.html), subtype="html", cte="quoted-printable")
        return letter

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


def _headers(message: Message) -> dict[str, str]:
    """The headers for mail filters, and the ids of the message and its thread."""
    about = {"kind": message.kind, "incident": message.incident, "severity": message.severity}
    marks = {name: value for name, value in about.items() if value} | dict(message.marks)
    headers = {"X-Paramedic": message.store} | {f"X-Paramedic-{name.title()}": value for name, value in marks.items()}
    if message.thread:
        headers["References"] = _message_id(message.thread)
    return headers | {"Message-ID": _message_id(message.id)}


def _as_bytes(letter: EmailMessage) -> bytes:
    """The letter for the wire. A subject is not folded, where none of the headers needs encoded words.

    Folded, one of 70 characters begins on a line of its own, and some readers show it with a space before it. A line may
    have 998 characters (RFC 5322), an encoded word 75 (RFC 2047).
    """
    plain = all(str(value).isascii() for value in letter.values())
    return letter.as_bytes(policy=policy.SMTP.clone(max_line_length=900) if plain else policy.SMTP)


def _message_id(what: str) -> str:
    """A message id that fits on its header's line."""
    return f"<{what}@paramedic.invalid>"


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except smtplib.SMTPRecipientsRefused as error:
        code, reply = next(iter(error.recipients.values()))
        raise _refused(code, reply) from error
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


def _refused(code: int, reply: bytes | str) -> TemporaryError | PermanentError:
    words = one_line(reply.decode("utf-8", "backslashreplace") if isinstance(reply, bytes) else reply)
    kind = PermanentError if code >= 500 else TemporaryError
    return kind(f"the mail server answered {code}: {words}")


def _address(written: str) -> Address:
    """One mailbox, `a@b` or `Name <a@b>`. Raises PermanentError for none, several, or a line break."""
    read = policy.SMTP.header_factory("To", one_line(written))
    if one_line(written) != written or read.defects or len(read.addresses) != 1 or not read.addresses[0].domain:
        raise PermanentError(f"{one_line(written)!r} is not an e-mail address")
    return cast("Address", read.addresses[0])


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
