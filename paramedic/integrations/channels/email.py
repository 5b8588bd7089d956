"""E-mail by SMTP."""

import re
import smtplib
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.channel_face import Able
from paramedic.kinds.message import Message
from paramedic.machine.clock import utc_now
from paramedic.text.sanitize import one_line, visible

if TYPE_CHECKING:
    from email.headerregistry import Address
    from email.policy import EmailPolicy

SUBJECT_LIMIT = 300  # characters

ADDRESS = "ada@example.org"
ABLE = Able(length=None, threads=True, buttons=False, receipts=False)

#: Of Paramedic's own settings: everybody's mail leaves by one server.
FROM_SETTINGS = ("smtp_url", "mail_from", "mail_helo", "mail_ca_file")

#: In a refusal that is about the name that we gave, whichever command it answers: servers keep it until RCPT.
_HELO_REFUSED = re.compile(r"\b(HELO|EHLO)\b", re.IGNORECASE)

#: RFC 5321, 4.1.2 and 4.5.3.1: `Dot-string @ Domain`, without braces, which nobody fills in.
_LOCAL = re.compile(r"[\w!#$%&'*+/=?^`|~-]+(\.[\w!#$%&'*+/=?^`|~-]+)*", re.ASCII)
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


class Settings(BaseModel):
    """`smtp_url`: smtp://host, smtp://user:password@host:port or smtps://…; `mail_from`: the sender's address.

    `mail_helo`: the name that we give to the server; unset, this machine's, or its address where that name has no domain.
    `mail_ca_file`: the only certificate authorities whose server is trusted, as PEM; unset, the machine's own.
    """

    model_config = ConfigDict(extra="forbid")

    smtp_url: SecretStr
    mail_from: str
    mail_helo: str | None = None
    mail_ca_file: Path | None = None


def address(text: str) -> str:
    """One bare mailbox, `a@b`. Raises ValueError."""
    _mailbox(text)
    return text


def _mailbox(text: str) -> tuple[str, str]:
    """The local part, and the domain as it travels: in ASCII (RFC 5891). Raises ValueError."""
    local, at, domain = text.rpartition("@")
    if not at or "@" in local or re.search(r"[\s<>,;]", text):
        raise ValueError("an e-mail address has one @, no space, and none of < > , ;")
    if not local.isascii():
        raise ValueError("the part before the @ is in ASCII: not every mail server on the way takes another")
    if not _LOCAL.fullmatch(local) or len(local) > 64:
        raise ValueError("the part before the @ is up to 64 letters, digits, and single dots or signs between them")
    return local, _domain(domain)


def _domain(written: str) -> str:
    if written[:1] + written[-1:] == "[]":
        address = written[1:-1].removeprefix("IPv6:")
        try:
            ip_address(address)
        except ValueError:
            raise ValueError(f"{written} is not the address of a machine") from None
        return written
    domain = written
    if not written.isascii():
        import idna  # here: its tables are large, and few domains need them

        try:
            domain = idna.encode(written, uts46=True).decode()
        except idna.IDNAError as error:
            raise ValueError(f"the domain {written} cannot be written in ASCII: {error}") from error
    if len(domain) > 253 or not all(_LABEL.fullmatch(label) for label in domain.split(".")):
        raise ValueError(f"{written:.80} is not a domain: letters, digits and - between dots")
    return domain


class Teller:
    """Sends e-mail through one server."""

    def __init__(self, settings: Settings, timeout: timedelta = timedelta(seconds=10)) -> None:
        """Raises PermanentError if one of the settings cannot be right."""
        self._timeout = timeout.total_seconds()
        try:
            parts = urlsplit(settings.smtp_url.get_secret_value())
            self._sender = _address(settings.mail_from)
            port = parts.port
        except ValueError as error:
            raise PermanentError("the address of the mail server cannot be right") from error
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise PermanentError("the address of the mail server is neither smtp://… nor smtps://…")
        self._tls = parts.scheme == "smtps"
        self._host = parts.hostname
        self._login = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        self._port = port or (465 if self._tls else 587 if self._login else 25)
        self._helo, self._ca_file = settings.mail_helo, settings.mail_ca_file

    def send(self, message: Message) -> None:
        """Hand one message for one person to the server. Data can become neither a header nor a recipient.

        Raises TemporaryError if the server is away or answers 4xx, PermanentError if it answers 5xx, if the
        recipient is not an address, or if a password would travel in the clear. A repeat has the same Message-ID.
        """
        person = _address(message.recipient)
        letter = self._letter(person, message)
        with self._connected() as server:
            server.sendmail(self._sender.addr_spec, [person.addr_spec], _as_bytes(letter))
            _quit(server)

    def reach(self, recipients: Sequence[str]) -> Mapping[str, TemporaryError | PermanentError]:
        """Go the way of a message to each recipient, up to the answer to RCPT. Nothing is sent.

        Returns the error of each that the server does not take now. Raises as `send` does where no message gets so far.
        """
        refused: dict[str, TemporaryError | PermanentError] = {}
        with self._connected() as server:
            for recipient in recipients:
                try:
                    self._offer(server, _address(recipient))
                except (TemporaryError, PermanentError) as error:
                    refused[recipient] = error
                server.rset()
            _quit(server)
        return refused

    def _offer(self, server: smtplib.SMTP, person: "Address") -> None:
        for step, mailbox in ((server.mail, self._sender), (server.rcpt, person)):
            code, reply = step(mailbox.addr_spec)
            if code not in (250, 251):
                raise _refused(code, reply)

    def _letter(self, to: "Address", message: Message) -> EmailMessage:
        letter = EmailMessage(policy=_policy())
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
        """The server, as a page meets it: greeted, with TLS if it offers that, and logged in."""
        with _translated(f"{self._host}:{self._port}"):
            server = self._opened()
            try:
                server.local_hostname = self._helo or _own_name(server)
                server.ehlo_or_helo_if_needed()
                private = self._tls or _loopback(self._host)
                if not self._tls and server.has_extn("starttls"):
                    server.starttls(context=self._trust())
                    server.ehlo_or_helo_if_needed()
                    private = True
                if self._login and not private:
                    raise PermanentError(f"{self._host} offers no TLS, and a password is not sent in the clear")
                if self._login:
                    server.login(*self._login)
                yield server
            finally:
                server.close()

    def _opened(self) -> smtplib.SMTP:
        name = self._helo or "localhost"  # smtplib would ask the DNS for one, which may be what is down
        if self._tls:
            return smtplib.SMTP_SSL(self._host, self._port, name, timeout=self._timeout, context=self._trust())
        return smtplib.SMTP(self._host, self._port, name, timeout=self._timeout)

    def _trust(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self._ca_file)
        except OSError as error:
            raise PermanentError(f"mail_ca_file {self._ca_file} cannot be used: {error}") from error


def _own_name(server: smtplib.SMTP) -> str:
    """What RFC 5321 (4.1.4) has a client call itself: its name with a domain, or else its address."""
    name = socket.gethostname()
    if "." in name or server.sock is None:
        return name
    ours = str(server.sock.getsockname()[0])
    return f"[IPv6:{ours}]" if ":" in ours else f"[{ours}]"


def _quit(server: smtplib.SMTP) -> None:
    with suppress(smtplib.SMTPException, OSError):  # all has been answered: a rude farewell changes nothing
        server.quit()


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
    return letter.as_bytes(policy=_policy().clone(max_line_length=900) if plain else _policy())


def _message_id(what: str) -> str:
    """A message id that fits on its header's line."""
    return f"<{what}@paramedic.invalid>"


@contextmanager
def _translated(where: str) -> Iterator[None]:
    """What smtplib raises, as the errors that say whether it is worth to try again."""
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
        own = "; if it is your own, name its authority in mail_ca_file"
        raise PermanentError(f"the mail server's certificate is not trusted: {error.verify_message}{own}") from error
    except OSError as error:
        raise TemporaryError(f"the mail server {where} does not answer: {error}") from error
    except UnicodeError as error:
        raise PermanentError("the mail server's name or the login has characters that cannot be sent") from error


def _refused(code: int, reply: bytes | str) -> TemporaryError | PermanentError:
    words = one_line(reply.decode("utf-8", "backslashreplace") if isinstance(reply, bytes) else reply)
    kind = PermanentError if code >= 500 else TemporaryError
    hint = "; mail_helo is the name that we give it" if _HELO_REFUSED.search(words) else ""
    return kind(f"the mail server answered {code}: {words}{hint}")


def _address(written: str) -> "Address":
    """One mailbox, `a@b` or `Name <a@b>`. Raises PermanentError for none, several, or a line break."""
    from email.headerregistry import Address  # here, as below

    read = _policy().header_factory("To", one_line(written))
    if one_line(written) != written or read.defects or len(read.addresses) != 1 or not read.addresses[0].domain:
        raise PermanentError(f"{one_line(written)!r} is not an e-mail address")
    address = read.addresses[0]
    try:
        local, domain = _mailbox(address.addr_spec)
    except ValueError as error:
        raise PermanentError(f"{one_line(written)!r} is not an e-mail address: {error}") from error
    return Address(address.display_name, local, domain)


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@cache
def _policy() -> "EmailPolicy[EmailMessage]":
    from email import policy  # here: it loads a parser of headers, and whoever reads oncall.yaml only checks addresses

    return policy.SMTP
