"""The demo's mail server, which also says no, later, or nothing at all when it is told to."""

from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

from paramedic.demo.world import Mailbox, text_of

__all__ = ["Postbox", "text_of"]


class Postbox(Mailbox):
    """`says` maps a recipient (or `*`) to the answer to their mail. `arriving` runs before a letter is answered."""

    def __init__(self) -> None:
        super().__init__()
        self.says: dict[str, str] = {}
        self.arriving: Callable[[], None] | None = None

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, to: str, _options: Any) -> str:  # noqa: N802
        refusal = self.says.get(to) or self.says.get("*")
        if refusal:
            return refusal
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:  # noqa: N802
        answer = await super().handle_DATA(server, session, envelope)
        if self.arriving:
            self.arriving()
        return answer

    @property
    def letters(self) -> list[EmailMessage]:
        return self.messages

    @property
    def subjects(self) -> list[str]:
        return [str(letter["Subject"]) for letter in self.messages]

    @property
    def recipients(self) -> list[str]:
        """To whom, in order."""
        return [str(letter["To"]) for letter in self.messages]
