"""What the one file of each kind of plug-in offers."""

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Protocol

from paramedic.alerts.reading import Reading


class Source(Protocol):
    """A module of `sources`: reads what one kind of sender posts to `/alerts/NAME`.

    It may have `authentic(headers, body, credential) -> bool` where its vendor signs what it sends and names no token: who
    has posted is then the sender of `gateway_tokens` whose token makes it return True. It compares in constant time.
    """

    #: What a body is, in one line, for the gateway's OpenAPI document.
    BODY: str

    #: An example of a body as the vendor writes it; where the vendor has templates, the one to paste there.
    EXAMPLE: str

    @staticmethod
    def read(headers: Mapping[str, str], body: bytes) -> Reading:
        """The alerts of the body; `headers` by their names in small letters. Raises BadPayload if it is none of the vendor's."""


#: What each face must have: a name, and whether it is callable (else it is a text).
_FACES: Mapping[str, Mapping[str, bool]] = {"sources": {"BODY": False, "EXAMPLE": False, "read": True}}


def missing(room: str, module: ModuleType) -> str | None:
    """What the module lacks of its room's face, in words; None where it is whole."""
    for name, is_callable in _FACES.get(room, {}).items():
        found = getattr(module, name, None)
        if is_callable and not callable(found):
            return f"it has no function or class {name!r}"
        if not is_callable and not isinstance(found, str):
            return f"it has no text {name!r}"
    return None


Authentic = Callable[[Mapping[str, str], bytes, str], bool]
