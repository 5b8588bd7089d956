"""Contact methods, `KIND:ADDRESS`, where the kind is a plug-in of `channels` (`email:ada@example.org`)."""

import difflib
from dataclasses import dataclass
from typing import Annotated, cast

from pydantic import BeforeValidator, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from paramedic.errors import PermanentError
from paramedic.kinds import registry
from paramedic.kinds.channel_face import ChannelKind
from paramedic.kinds.registry import Room


@dataclass(frozen=True, slots=True)
class ContactMethod:
    """A kind of channel, and `to`: a channel's name in the settings, which hold its URL and secret, or a recipient's address."""

    kind: str
    to: str
    is_named: bool = False  # `to` is a name of the settings

    def __str__(self) -> str:
        return f"{self.kind}:{self.to}"

    @property
    def spoken(self) -> str:
        """The method without an address, for the trail. Methods with the same text share one connection."""
        return str(self) if self.is_named else self.kind


def parse_contact_method(text: object) -> ContactMethod:
    """The contact method in the text. Raises ValueError, saying what is allowed."""
    kind, _, to = text.partition(":") if isinstance(text, str) else ("", "", "")
    try:
        module = cast("ChannelKind", registry.current().plugin(Room.CHANNELS, kind))
    except PermanentError as error:
        known = kind in registry.current().names(Room.CHANNELS)
        raise ValueError(str(error) if known else _unknown(text, kind)) from None
    try:
        return ContactMethod(kind, module.address(to), is_named=not hasattr(module, "FROM_SETTINGS"))
    except ValueError as error:
        raise ValueError(f"{text!r:.80} is not a contact method: {error}; write {kind}:{module.ADDRESS}") from None


class _Kinds:
    """The JSON Schema of a contact method: the kinds of channels that there are now, each with an example."""

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        kinds = registry.current().usable(Room.CHANNELS)
        examples = [f"{name}:{module.ADDRESS}" for name, module in kinds.items()]
        return {"type": "string", "pattern": f"^({'|'.join(kinds)}):", "examples": examples}


#: As authors write it, in oncall.yaml and in runbooks.
WrittenContactMethod = Annotated[ContactMethod, BeforeValidator(parse_contact_method), _Kinds]


def _unknown(text: object, kind: str) -> str:
    kinds = registry.current().usable(Room.CHANNELS)
    meant = difflib.get_close_matches(kind, kinds, 1)
    allowed = ", ".join(f"{name}:{module.ADDRESS}" for name, module in kinds.items())
    return f"{text!r:.80} is not a contact method; " + (
        f"did you mean {meant[0]}:{kinds[meant[0]].ADDRESS}? There are {allowed}"
        if meant
        else f"write one of {allowed}"
    )
