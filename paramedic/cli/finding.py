"""Findings of `paramedic doctor`, and its access to the store."""

from collections.abc import Sequence
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
    lines: tuple[str, ...] = ()  # the words, one part a line, where there are several


def listed(what: str, wrong: Sequence[str], advice: str = "") -> Finding:
    """The finding that these things are wrong, each on a line of its own in a terminal, and what to do about them at the end."""
    words = "; ".join(wrong)
    lines = (*wrong, advice) if advice else tuple(wrong)
    return Finding(what, well=False, words=f"{words}: {advice}" if advice else words, lines=lines)


#: Clocks that are further apart than this are mended.
APART = timedelta(seconds=5)


def store_of(settings: Settings) -> Store | None:
    """The store, if there is one; none is created."""
    if settings.store_url is None and not (settings.data / "paramedic.db").exists():
        return None
    return Store(settings.store())
