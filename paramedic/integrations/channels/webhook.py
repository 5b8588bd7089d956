"""A signed webhook, as Standard Webhooks 1.0 has it (https://www.standardwebhooks.com): the receiver can tell that it is ours."""

import base64
import hashlib
import hmac
import json
import re
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.channel_face import Able
from paramedic.kinds.message import Message
from paramedic.machine.clock import iso, spoken, utc_now
from paramedic.text.names import channel_name
from paramedic.text.sanitize import one_line, visible
from paramedic.transports.dial import dial

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
        self._url = settings.url.get_secret_value()
        try:
            parts = urlsplit(self._url)
            self._key = base64.b64decode(settings.secret.get_secret_value().removeprefix("whsec_"), validate=True)
            host, _ = parts.hostname, parts.port  # which raises where it is none
        except ValueError as error:
            raise PermanentError(
                "the webhook's url cannot be right, or its secret is not `whsec_` and base64"
            ) from error
        if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
            raise PermanentError("the webhook's url is neither http://HOST/… nor https://HOST/…, without a login")
        if not 24 <= len(self._key) <= 64:
            raise PermanentError(f"the webhook's secret has {len(self._key)} bytes; it has 24 to 64, written in base64")
        if not f"{parts.path}{parts.query}".isascii() or re.search(r"[\x00-\x20\x7f]", self._url):
            raise PermanentError("the webhook's url has characters that cannot be sent")

    def send(self, message: Message) -> None:
        """Post one message, whole and answered within the time-out. A repeated call is a repeat with the same id.

        Raises TemporaryError on no answer, 408, 425, 429 (with how long it asks to wait) and 5xx, PermanentError on any other
        answer but 2xx: a redirect is not followed.
        """
        now = utc_now()
        data = {
            "to": message.recipient,
            "subject": one_line(message.subject)[:_SUBJECT_LIMIT],
            "short": message.short(),
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
                "Accept-Encoding": "identity",
                "Connection": "close",
                "webhook-id": number,
                "webhook-timestamp": stamp,
                "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
            },
        )

    def reach(self, _recipients: Sequence[str]) -> Mapping[str, TemporaryError | PermanentError]:
        """Connect as a message does, to a certificate that is trusted; nothing is posted. Raises as `send` does."""
        parts = urlsplit(self._url)
        trust = self._trust()
        dial(parts.hostname or "", parts.port or (443 if trust else 80), self._timeout.total_seconds(), trust)
        return {}

    def _trust(self) -> ssl.SSLContext | None:
        """The machine's own certificate authorities: a receiver may be a company's own. None over plain HTTP."""
        return ssl.create_default_context() if self._url.startswith("https:") else None

    def _post(self, body: bytes, headers: Mapping[str, str]) -> None:
        # httpx takes a quarter of a second to import, and every file that authors write loads this module; only a message pays.
        import httpx

        from paramedic.transports import http_deadline

        verify = self._trust() or False
        try:
            with (
                http_deadline.client(seconds=self._timeout.total_seconds(), verify=verify) as client,
                client.stream("POST", self._url, content=body, headers=headers) as answer,
            ):
                status, reply = answer.status_code, ""
                if not answer.is_success:
                    with suppress(httpx.HTTPError):  # the status alone says enough
                        for chunk in answer.iter_raw(_ANSWER_LIMIT):
                            reply = one_line(chunk.decode("utf-8", "backslashreplace"))
                            break
                _judge(status, reply, _asked_to_wait(answer.headers))
        except (httpx.InvalidURL, UnicodeError) as error:
            raise PermanentError("the webhook's url has characters that cannot be sent") from error
        except httpx.HTTPError as error:
            fault = http_deadline.certificate_fault(error)
            if fault is not None:
                raise PermanentError(f"the webhook's certificate is not trusted: {fault}") from error
            words = one_line(str(error)) or type(error).__name__
            raise TemporaryError(f"the webhook gave no whole answer within {spoken(self._timeout)}: {words}") from error


def _judge(status: int, reply: str, wait: timedelta | None) -> None:
    """Return for a 2xx. Raises TemporaryError where it may be sent again, PermanentError for every other answer."""
    if 200 <= status < 300:
        return
    words = f"the webhook answered {status}"
    if 300 <= status < 400:
        raise PermanentError(f"{words}, and redirects are not followed")
    words += f": {reply}" if reply else ""
    if status in _LATER or status >= 500:
        raise TemporaryError(words, after=wait)
    raise PermanentError(words)


def _asked_to_wait(headers: Mapping[str, str]) -> timedelta | None:
    """RFC 9110, 10.2.3: seconds, or a date, which is by the receiver's clock, as its `Date` is: ours may differ."""
    header = headers.get("Retry-After", "")
    if re.fullmatch(r"\d{1,9}", header, re.ASCII):
        return timedelta(seconds=int(header))
    until = _moment(header)
    return None if until is None else max(until - (_moment(headers.get("Date", "")) or utc_now()), timedelta(0))


def _moment(header: str) -> datetime | None:
    """A date of HTTP; None for anything else, and for one without a zone."""
    try:
        moment = parsedate_to_datetime(header)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if moment.tzinfo is None else moment


def _bounded(text: str) -> str:
    left_out = len(text) - TEXT_LIMIT
    return text if left_out <= 0 else f"{text[:TEXT_LIMIT]}\n… {left_out} characters after this are left out"
