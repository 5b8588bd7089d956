"""What speaks to people. Only `paramedic/paging` may come through here."""

from typing import cast

from pydantic import BaseModel

from paramedic.doors import integration
from paramedic.kinds.faces import ChannelTeller


def teller(channel: str, settings: BaseModel) -> ChannelTeller:
    """What speaks through this channel (`email`, `webhook`), with its own settings. Raises PermanentError if nothing does."""
    return cast("ChannelTeller", integration("channels", channel, "Teller")(settings))
