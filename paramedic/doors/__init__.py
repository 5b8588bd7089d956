"""The only way to integrations, found by the kind of a target or a channel, and loaded when used."""

from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Literal

from paramedic import integrations
from paramedic.errors import PermanentError
from paramedic.machine.open_transaction import must_be_closed


def integration(room: Literal["targets", "channels"], kind: str, role: str) -> Any:
    """The class `role` (Reader, Changer, Teller) of paramedic/integrations/<room>/<kind>.

    A kind is data: only the name of a module that lies there is ever imported. Raises PermanentError on any other, and on one
    that does not play the role, InsideTransaction where this thread holds a transaction of the store.
    """
    must_be_closed(f"the integration {kind!r:.80} is asked for")
    known = sorted(module.name for module in iter_modules([f"{path}/{room}" for path in integrations.__path__]))
    if kind not in known:
        raise PermanentError(f"there is no integration {kind!r:.80} among the {room}; there are {', '.join(known)}")
    found = getattr(import_module(f"{integrations.__name__}.{room}.{kind}"), role, None)
    if found is None:
        raise PermanentError(f"the integration {kind} has no {role}")
    return found
