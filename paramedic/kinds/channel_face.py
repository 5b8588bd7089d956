"""The interface that a kind of channel offers in its one file."""

from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel

from paramedic.kinds.message import Message


@dataclass(frozen=True, slots=True)
class Able:
    """What a channel can do with a message."""

    length: int | None  # characters of a text; None: as many as there are, or as the service behind it takes
    threads: bool  # messages of one incident are shown together
    buttons: bool  # a link is shown as something to press
    receipts: bool  # it says later whether the message was delivered


class ChannelTeller(Protocol):
    """Sends through one channel.

    It may have `reach(recipients) -> Mapping[str, TemporaryError | PermanentError]`, which goes the way of a message to each
    recipient as far as that is possible with nothing sent: the same server, login, trust. It returns the error that `send`
    would raise for each recipient that is not taken now, and raises it where it is the same for all. `doctor` asks it.
    """

    def send(self, message: Message) -> None:
        """Hand over one message. A repeat is better than a loss.

        Raises TemporaryError where another try may help, PermanentError where it cannot.
        """


class ChannelKind(Protocol):
    """A module of `channels`: one kind of channel to people. Its name is the word before the colon in `ways` and `notify`.

    Where it has no `FROM_SETTINGS`, an address is the name of a channel in the setting `channels`, and what stands there is
    its `Settings`. `FROM_SETTINGS`, a tuple, says that addresses are people's own: they never stand on the trail, all of them
    share one connection, and its `Settings` come from the setting `channels` under the kind's own name, but for those of
    Paramedic's settings that the tuple names.
    """

    #: An address as an example, for the words of an error.
    ADDRESS: str

    #: What it can do.
    ABLE: Able

    #: The pydantic model of what it has to know, secrets as SecretStr.
    Settings: type[BaseModel]

    @staticmethod
    def address(text: str) -> str:
        """The address after the colon, checked. Raises ValueError, saying what is allowed."""

    @staticmethod
    def Teller(settings: Any) -> ChannelTeller:  # noqa: N802 - a class of the module
        """The sender, with its settings. Raises PermanentError where they cannot be right."""
