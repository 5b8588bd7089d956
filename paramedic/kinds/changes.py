"""What changed at a target or on its host: each change with its moment, the newest first."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Change:
    """One change."""

    at: datetime
    what: str  # in words, safe to show


@dataclass(frozen=True, slots=True)
class Changes:
    """What was seen to change, and what could not be seen of it, each with the right or the tool that would have shown it."""

    found: Sequence[Change]
    unseen: Sequence[str] = ()


def told(changes: Iterable[Change], since: datetime) -> str:
    """The changes in words, the newest first, with a line where what is wrong began."""
    lines, marked = [], False
    for change in sorted(changes, key=lambda change: change.at, reverse=True):
        if not marked and change.at < since:
            lines.append(f"{since:%Y-%m-%d %H:%M:%SZ}  --- what is wrong began; the changes before it are below ---")
            marked = True
        lines.append(f"{change.at:%Y-%m-%d %H:%M:%SZ}  {change.what}")
    return "\n".join(lines) or "nothing changed in the last day"
