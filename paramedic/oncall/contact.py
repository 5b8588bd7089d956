"""A way to reach a person or a channel: `email:ada@example.org`, `webhook:NAME`, `apprise:NAME`."""

import re
from dataclasses import dataclass

from paramedic.text.names import CHANNEL_NAME

_ADDRESS = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+")


@dataclass(frozen=True, slots=True)
class ContactMethod:
    """`to` is an address for email, else the name of a channel in the settings, which alone know its URL and secret."""

    kind: str
    to: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.to}"

    @property
    def spoken(self) -> str:
        """Without an address: the trail knows people by their id."""
        return "email" if self.kind == "email" else str(self)


def parse_contact_method(text: object) -> ContactMethod:
    """The way that the text says. Raises ValueError, saying what is allowed."""
    kind, _, to = text.partition(":") if isinstance(text, str) else ("", "", "")
    wanted = {"email": _ADDRESS, "webhook": CHANNEL_NAME, "apprise": CHANNEL_NAME}.get(kind)
    if wanted is None or not wanted.fullmatch(to):
        raise ValueError(
            f"{text!r:.80} is no way to tell somebody; write email:ada@example.org, webhook:NAME, apprise:NAME"
        )
    return ContactMethod(kind, to)
