"""The only way to integrations, which are found by the kind of a target or a channel, and loaded when used."""

from typing import Any, Literal

from paramedic.errors import PermanentError
from paramedic.kinds import registry
from paramedic.kinds.registry import Room
from paramedic.machine.open_transaction import must_be_closed


def integration(room: Literal["targets", "channels"], kind: str, role: str) -> Any:
    """The class `role` (Reader, Changer, Teller) of the plug-in `kind` of the room.

    A kind is data: only what `paramedic.kinds` found is ever imported. Raises PermanentError for any other, and for one
    that does not play the role, InsideTransaction where this thread holds a transaction of the store.
    """
    must_be_closed(f"the integration {kind!r:.80} is asked for")
    found = getattr(registry.current().plugin(Room(room), kind), role, None)
    if found is None:
        raise PermanentError(f"the integration {kind} has no {role}")
    return found
