"""What speaks to people. Only `paramedic/paging` may come through here."""

from collections.abc import Mapping
from typing import Protocol, cast

from paramedic.doors import integration


class Teller(Protocol):
    """Speaks through one channel."""

    def send(  # noqa: PLR0917 - the parts of a letter, in their order
        self, to: str, subject: str, text: str, html: str | None, headers: Mapping[str, str], message_id: str
    ) -> None:
        """Hand over one message for one person. Raises TemporaryError or PermanentError; a repeat is better than a loss."""


def teller(channel: str, settings: Mapping[str, str]) -> Teller:
    """What speaks through this channel (`email`, `webhook`), with its own settings. Raises PermanentError if nothing does."""
    return cast("Teller", integration("channels", channel, "Teller")(settings))
