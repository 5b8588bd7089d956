"""A real mail server that keeps what it is sent, and says no, later, or nothing at all when it is told to."""

import email
import email.policy
import threading
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller

from paramedic.demo.world import free_port


class Postbox:
    """`says` maps a recipient (or `*`) to the answer to their mail. `arriving` runs before a letter is answered."""

    def __init__(self) -> None:
        self.says: dict[str, str] = {}
        self.arriving: Callable[[], None] | None = None
        self._kept: list[EmailMessage] = []
        self._lock = threading.Lock()
        self.port = free_port()
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, to: str, _options: Any) -> str:  # noqa: N802
        refusal = self.says.get(to) or self.says.get("*")
        if refusal:
            return refusal
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        with self._lock:
            self._kept.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        if self.arriving:
            self.arriving()
        return "250 kept"

    @property
    def letters(self) -> list[EmailMessage]:
        with self._lock:
            return list(self._kept)

    @property
    def subjects(self) -> list[str]:
        return [str(letter["Subject"]) for letter in self.letters]

    @property
    def told(self) -> list[str]:
        """To whom, in order."""
        return [str(letter["To"]) for letter in self.letters]

    def open(self) -> None:
        self._controller.start()

    def close(self) -> None:
        self._controller.stop(no_assert=True)


def text_of(letter: EmailMessage) -> str:
    body = letter.get_body(("plain",))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")
