"""Slack, Teams, PagerDuty and a hundred others, each by its apprise URL (https://github.com/caronc/apprise/wiki)."""

import logging
import re
import threading
from collections.abc import Mapping

from paramedic.errors import PermanentError, TemporaryError
from paramedic.text import chat_text
from paramedic.text.sanitize import one_line, visible

#: What apprise says of an HTTP status: "error=404". A "no" that another try does not change is one of 4xx but these.
_NO = re.compile(r"\berror=4(?!08|25|29)\d\d\b")

#: Of a message's kind, in apprise's words; all else informs.
_MOOD = {"page": "failure", "digest": "failure", "trouble": "warning"}

#: What hands the text on to a program of the operator's own, which reads it as it is. All else may be a chat.
_PROGRAMS = ("json", "jsons", "xml", "xmls", "form", "forms")


class _Heard(logging.Handler):
    """What apprise's log says in this thread: other threads send through it at the same time."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._thread = threading.get_ident()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.lines.append(record.getMessage())


class Teller:
    """Speaks through one service."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        """`url`: as apprise writes it. Raises PermanentError if it is missing, or names no service that apprise knows."""
        # Apprise takes a second to import, with all its services; only who sends through it pays.
        import apprise

        asset = apprise.AppriseAsset(
            app_id="Paramedic", app_desc="Paramedic", app_url="", async_mode=False, plugin_paths=[], secure_logging=True
        )
        service = apprise.Apprise.instantiate(settings.get("url", ""), asset=asset)
        if service is None:
            raise PermanentError("the channel's url is none that apprise knows")  # its words would repeat the url
        if service.overflow_mode is apprise.OverflowMode.UPSTREAM:
            service.overflow_mode = apprise.OverflowMode.TRUNCATE  # a page that is cut beats one that is refused
        schema = settings.get("url", "").partition("://")[0].strip().lower()
        self._written = chat_text.uncalled if schema in _PROGRAMS else chat_text.plain
        self._speaker = apprise.Apprise(asset=asset)
        self._speaker.add(service)

    def send(  # noqa: PLR0917 - the parts of a letter, in their order
        self,
        to: str,  # noqa: ARG002 - the URL says to whom
        subject: str,
        text: str,
        html: str | None,  # noqa: ARG002 - apprise makes of the text what the service takes
        headers: Mapping[str, str],
        message_id: str,  # noqa: ARG002 - few services know one; a repeat is told as it is
    ) -> None:
        """Hand one message to the service. Raises TemporaryError, or PermanentError where it answered with a no."""
        import apprise

        kind = headers.get("X-Paramedic-Kind", "")
        heard, log = _Heard(), logging.getLogger("apprise")
        log.addHandler(heard)
        try:
            left = self._speaker.notify(
                body=self._written(visible(text)),
                title=self._written(one_line(subject)),
                notify_type=apprise.NotifyType(_MOOD.get(kind, "info")),
                body_format=apprise.NotifyFormat.TEXT,
                interpret_escapes=False,
            )
        finally:
            log.removeHandler(heard)
        words = one_line("\n".join(heard.lines).strip())
        if not left:
            refused = PermanentError if _NO.search(words) else TemporaryError
            raise refused(words or "the service did not take it, and apprise does not say why")
