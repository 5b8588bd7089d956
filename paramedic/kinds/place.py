"""From where a check is asked: the key `from`, shared by the probes whose question any machine can ask."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from paramedic.kinds.probing import Option

#: This machine, among the places of a check; all others are names of `hosts` in services.yaml.
LOCAL = "local"

#: So many places are asked side by side at most.
_MOST = 9


def _listed(written: object) -> object:
    return tuple(written) if isinstance(written, list) else written


def _each_once(places: tuple[str, ...]) -> tuple[str, ...]:
    if twice := next((place for place in places if places.count(place) > 1), None):
        raise ValueError(f"{twice!r:.80} is named twice: each place has one voice")
    return places


_Place = Annotated[str, Field(pattern=r"^[^/\s]+$", max_length=200)]

#: A probe that has it asks by `question.line`, where there is one.
FROM = Option(
    "from",
    Annotated[
        tuple[_Place, ...],
        BeforeValidator(_listed, json_schema_input_type=Sequence[_Place]),
        Field(min_length=1, max_length=_MOST),
        AfterValidator(_each_once),
    ],
    "from where it is asked, of which more than half must agree: [local, web-2, web-3], names of `hosts` in services.yaml",
)
