"""Slack, Teams, PagerDuty and a hundred others, each by its apprise URL (https://github.com/caronc/apprise/wiki)."""

import logging
import re
from collections.abc import Mapping
from io import StringIO

from paramedic.error import TryAgain, Useless
from paramedic.visible import one_line, visible

#: What apprise says of an HTTP status: "error=404". A "no" that another try does not change is one of 4xx but these.
_NO = re.compile(r"\berror=4(?!08|25|29)\d\d\b")

_MOOD = {"page": "failure", "trouble": "warning"}  # of a message's kind, in apprise's words; all else informs

#: Where a chat would see a call to all who are there, or a link by another name: a label wakes nobody, and hides nothing.
#: (`<!channel>`, `<@U123|ben>`, `<https://evil|safe>`: apprise's Slack lets them through, with or without their `<`.)
_MARKUP = re.compile(
    r"(?<=@)(?=(?:everyone|here|channel|all)\b)|(?<=[!@])(?=[^| \n]{1,200}[ \t]*[|>])|(?<=:)(?=//[^| \n]{1,2000}[ \t]*[|>])",
    re.IGNORECASE,
)


class Teller:
    """Speaks through one service."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        """`url`: as apprise writes it. Raises Useless if it is missing, or names no service that apprise knows."""
        # Apprise takes a second to import, with all its services; only who sends through it pays.
        import apprise

        asset = apprise.AppriseAsset(
            app_id="Paramedic", app_desc="Paramedic", app_url="", async_mode=False, plugin_paths=[], secure_logging=True
        )
        service = apprise.Apprise.instantiate(settings.get("url", ""), asset=asset)
        if service is None:
            raise Useless("the channel's url is none that apprise knows")  # its words would repeat the url
        if service.overflow_mode is apprise.OverflowMode.UPSTREAM:
            service.overflow_mode = apprise.OverflowMode.TRUNCATE  # a page that is cut beats one that is refused
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
        """Hand one message to the service. Raises TryAgain, or Useless where it answered with a no."""
        import apprise

        kind = headers.get("X-Paramedic-Kind", "")
        with apprise.LogCapture(level=logging.WARNING, fmt="%(message)s") as said:  # type: ignore[no-untyped-call]
            left = self._speaker.notify(
                body=_MARKUP.sub("\u200b", visible(text)),
                title=_MARKUP.sub("\u200b", one_line(subject)),
                notify_type=apprise.NotifyType(_MOOD.get(kind, "info")),
                body_format=apprise.NotifyFormat.TEXT,
                interpret_escapes=False,
            )
            words = one_line(said.getvalue().strip()) if isinstance(said, StringIO) else ""
        if not left:
            refused = Useless if _NO.search(words) else TryAgain
            raise refused(words or "the service did not take it, and apprise does not say why")
