"""A signed webhook, as Standard Webhooks 1.0 has it (https://www.standardwebhooks.com): the receiver can tell that it is ours."""

import base64
import hashlib
import hmac
import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, InvalidURL
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.faces import Able
from paramedic.kinds.message import Message
from paramedic.machine.clock import iso, spoken, utc_now
from paramedic.text.names import channel_name
from paramedic.text.sanitize import one_line, visible

TEXT_LIMIT = 100_000  # characters; what is left out is said

_SUBJECT_LIMIT = 300  # characters
_ANSWER_LIMIT = 1_000  # bytes of a refusal that are worth repeating
_LATER = (408, 425, 429)

ADDRESS = "NAME"
ABLE = Able(length=TEXT_LIMIT, threads=False, buttons=False, receipts=False)


class Settings(BaseModel):
    """`url`: http:// or https://…; `secret`: `whsec_` and 24 to 64 bytes in base64."""

    model_config = ConfigDict(extra="forbid")

    url: SecretStr
    secret: SecretStr


def address(text: str) -> str:
    """The name of a channel in the settings. Raises ValueError."""
    return channel_name(text)


class Teller:
    """Posts to one address."""

    def __init__(self, settings: Settings, timeout: timedelta = timedelta(seconds=10)) -> None:
        """Raises PermanentError if one of the settings cannot be right."""
        self._timeout = timeout
        try:
            parts = urlsplit(settings.url.get_secret_value())
            self._key = base64.b64decode(settings.secret.get_secret_value().removeprefix("whsec_"), validate=True)
            self._host, self._port = parts.hostname, parts.port
        except ValueError as error:
            raise PermanentError(
                "the webhook's url cannot be right, or its secret is not `whsec_` and base64"
            ) from error
        if parts.scheme not in ("http", "https") or not self._host or "@" in parts.netloc:
            raise PermanentError("the webhook's url is neither http://HOST/… nor https://HOST/…, without a login")
        if not 24 <= len(self._key) <= 64:
            raise PermanentError(f"the webhook's secret has {len(self._key)} bytes; it has 24 to 64, written in base64")
        self._tls = parts.scheme == "https"
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def send(self, message: Message) -> None:
        """Post one message, whole and answered within the time-out. A repeated call is a repeat with the same id.

        Raises TemporaryError on no answer, 408, 425, 429 (with how long it asks to wait) and 5xx, PermanentError on any other
        answer but 2xx: a redirect is not followed.
        """
        now = utc_now()
        data = {
            "to": message.recipient,
            "subject": one_line(message.subject)[:_SUBJECT_LIMIT],
            "text": _bounded(visible(message.text)),
            "store": message.store,
        }
        about = {"incident": message.incident, "severity": message.severity}
        data |= {name: value for name, value in about.items() if value} | dict(message.marks)
        payload = {"type": f"paramedic.{message.kind or 'message'}", "timestamp": iso(now), "data": data}
        body = json.dumps(payload, separators=(",", ":")).encode()
        # A full stop separates what is signed: none may stand in the id.
        number = re.sub(r"[^a-zA-Z0-9_-]", "_", message.id)
        stamp = str(int(now.timestamp()))
        signature = hmac.digest(self._key, b".".join([number.encode(), stamp.encode(), body]), hashlib.sha256)
        self._post(
            body,
            {
                "Content-Type": "application/json",
                "User-Agent": "paramedic",
                "Connection": "close",
                "webhook-id": number,
                "webhook-timestamp": stamp,
                "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
            },
        )

    def _post(self, body: bytes, headers: Mapping[str, str]) -> None:
        seconds = self._timeout.total_seconds()
        line = (
            HTTPSConnection(self._host or "", self._port, timeout=seconds, context=ssl.create_default_context())
            if self._tls
            else HTTPConnection(self._host or "", self._port, timeout=seconds)
        )
        try:
            line.connect()
            with _cut_after(seconds, line.sock) as was_cut:
                line.request("POST", self._path, body, dict(headers))
                answer = line.getresponse()
                if was_cut.is_set():  # what the cut left of an answer may look like a whole one
                    raise TimeoutError("it was cut off")
                _judge(answer)
        except (InvalidURL, UnicodeError) as error:
            raise PermanentError("the webhook's url has characters that cannot be sent") from error
        except ssl.SSLCertVerificationError as error:
            raise PermanentError(f"the webhook's certificate is not trusted: {error.verify_message}") from error
        except (OSError, HTTPException) as error:
            words = one_line(str(error)) or type(error).__name__
            raise TemporaryError(f"the webhook gave no whole answer within {spoken(self._timeout)}: {words}") from error
        finally:
            line.close()


def _judge(answer: HTTPResponse) -> None:
    if 200 <= answer.status < 300:
        return
    words = f"the webhook answered {answer.status}"
    if 300 <= answer.status < 400:
        raise PermanentError(f"{words}, and redirects are not followed")
    with suppress(OSError, HTTPException):  # the status alone says enough
        reply = one_line(answer.read(_ANSWER_LIMIT).decode("utf-8", "backslashreplace"))
        words += f": {reply}" if reply else ""
    if answer.status in _LATER or answer.status >= 500:
        raise TemporaryError(words, after=_asked_to_wait(answer.headers.get("Retry-After", "")))
    raise PermanentError(words)


def _asked_to_wait(header: str) -> timedelta | None:
    """RFC 9110, 10.2.3: seconds, or a date."""
    if re.fullmatch(r"\d{1,9}", header, re.ASCII):
        return timedelta(seconds=int(header))
    try:
        return max(parsedate_to_datetime(header) - utc_now(), timedelta(0))
    except (TypeError, ValueError, OverflowError):  # TypeError: a date without a zone
        return None


def _bounded(text: str) -> str:
    left_out = len(text) - TEXT_LIMIT
    return text if left_out <= 0 else f"{text[:TEXT_LIMIT]}\n… {left_out} characters after this are left out"


@contextmanager
def _cut_after(seconds: float, line: socket.socket) -> Iterator[threading.Event]:
    """Shut the connection when the time is up: a socket's own time-out begins anew with every byte that drips in."""
    was_cut = threading.Event()

    def cut() -> None:
        was_cut.set()
        with suppress(OSError):
            socket.socket.shutdown(line, socket.SHUT_RDWR)  # of the socket, below any TLS that is being read

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield was_cut
    finally:
        timer.cancel()
