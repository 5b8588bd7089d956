"""Evidence: observations from before the first change."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Evidence:
    """One observation: its kind (`memory`, `process-tree`, `log-tail`, …) and its text."""

    kind: str
    taken_at: datetime
    body: str


#: A piece of evidence is cut to this many characters, and says so.
LIMIT = 32_768


def bounded(body: str) -> str:
    """The body, cut to LIMIT, with a line that says how much was cut."""
    if len(body) <= LIMIT:
        return body
    return f"{body[:LIMIT]}\n… {len(body) - LIMIT} more characters left out"
