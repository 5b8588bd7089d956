"""Findings of `paramedic doctor`, and its access to the store."""

from dataclasses import dataclass
from datetime import timedelta

from paramedic.settings import Settings
from paramedic.store import Store


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one look."""

    what: str
    well: bool
    words: str


#: Clocks that are further apart than this are mended.
APART = timedelta(seconds=5)


def store_of(settings: Settings) -> Store | None:
    """The store, if there is one; none is created."""
    if settings.store_url is None and not (settings.data / "paramedic.db").exists():
        return None
    return Store(settings.store())
