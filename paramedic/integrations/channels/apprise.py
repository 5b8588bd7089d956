"""Slack, Teams, PagerDuty and a hundred others, each by its apprise URL (https://github.com/caronc/apprise/wiki)."""

import logging
import re
import ssl
import threading
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict, SecretStr

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.channel_face import Able
from paramedic.kinds.message import SHORT_LIMIT, Message
from paramedic.text import chat_text
from paramedic.text.names import channel_name
from paramedic.text.sanitize import one_line, visible
from paramedic.transports.dial import dial

#: What apprise says of an HTTP status: "error=404". A "no" that another try does not change is one of 4xx but these.
_NO = re.compile(r"\berror=4(?!08|25|29)\d\d\b")

#: Of a message's kind, in apprise's words; all else informs.
_MOOD = {"page": "failure", "digest": "failure", "trouble": "warning"}

#: What hands the text on to a program of the operator's own, which reads it as it is. All else may be a chat.
_PROGRAMS = ("json", "jsons", "xml", "xmls", "form", "forms")

#: Characters. A service that takes fewer in one message (an SMS, a pager) would cut a whole page before its link.
_LITTLE = 1_000

_REACH_SECONDS = 5.0

ADDRESS = "NAME"
ABLE = Able(length=None, threads=False, buttons=False, receipts=False)


class Settings(BaseModel):
    """`url`: as apprise writes it."""

    model_config = ConfigDict(extra="forbid")

    url: SecretStr


def address(text: str) -> str:
    """The name of a channel in the settings. Raises ValueError."""
    return channel_name(text)


class _Heard(logging.Handler):
    """Captures apprise's log records of this thread: other threads send through it at the same time."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._thread = threading.get_ident()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.lines.append(record.getMessage())


class Teller:
    """Sends through one service."""

    def __init__(self, settings: Settings) -> None:
        """Raises PermanentError if the url names no service that apprise knows."""
        # Apprise takes a second to import, with all its services; only who sends through it pays.
        import apprise

        asset = apprise.AppriseAsset(
            app_id="Paramedic", app_desc="Paramedic", app_url="", async_mode=False, plugin_paths=[], secure_logging=True
        )
        url = settings.url.get_secret_value()
        service = apprise.Apprise.instantiate(url, asset=asset)
        if service is None:
            raise PermanentError("the channel's url is none that apprise knows")  # its words would repeat the url
        if service.overflow_mode is apprise.OverflowMode.UPSTREAM:
            service.overflow_mode = apprise.OverflowMode.TRUNCATE  # a page that is cut beats one that is refused
        schema = url.partition("://")[0].strip().lower()
        self._written = chat_text.uncalled if schema in _PROGRAMS else chat_text.plain
        self._takes = int(service.body_maxlen)
        self._service = service if schema in _PROGRAMS else None
        self._speaker = apprise.Apprise(asset=asset)
        self._speaker.add(service)

    def send(self, message: Message) -> None:
        """Hand one message to the service. Raises TemporaryError, or PermanentError where it refused."""
        import apprise

        title, body = self._texts(message)
        heard, log = _Heard(), logging.getLogger("apprise")
        log.addHandler(heard)
        try:
            left = self._speaker.notify(
                body=body,
                title=title,
                notify_type=apprise.NotifyType(_MOOD.get(message.kind, "info")),
                body_format=apprise.NotifyFormat.TEXT,
                interpret_escapes=False,
            )
        finally:
            log.removeHandler(heard)
        words = one_line("\n".join(heard.lines).strip())
        if not left:
            refused = PermanentError if _NO.search(words) else TemporaryError
            raise refused(words or "the service did not take it, and apprise does not say why")

    def reach(self, _recipients: Sequence[str]) -> Mapping[str, TemporaryError | PermanentError]:
        """Connect to a program of the operator's own, whose address the url has. Raises as `send` does.

        All other services are apprise's to know, which cannot ask without sending: their url is one that it takes.
        """
        if self._service is not None:
            host, port, secure = str(self._service.host), self._service.port, bool(self._service.secure)
            trust = ssl.create_default_context() if secure and self._service.verify_certificate else None
            dial(host, int(port or (443 if secure else 80)), _REACH_SECONDS, trust)
        return {}

    def _texts(self, message: Message) -> tuple[str, str]:
        """Title and body: a service with a short limit gets the short form, whose link is never cut."""
        title, body = self._written(one_line(message.subject)), self._written(visible(message.text))
        if self._takes < _LITTLE and len(title) + len(body) >= self._takes:
            return "", message.short(min(self._takes, SHORT_LIMIT), lambda text: self._written(one_line(text)))
        return title, body
