"""The door to channels. Only `paramedic/paging` may use it."""

from typing import cast

from pydantic import BaseModel

from paramedic.doors import integration
from paramedic.kinds.channel_face import ChannelTeller


def teller(channel: str, settings: BaseModel) -> ChannelTeller:
    """The Teller of this kind of channel (`email`, `webhook`), with its settings. Raises PermanentError if there is none."""
    return cast("ChannelTeller", integration("channels", channel, "Teller")(settings))
