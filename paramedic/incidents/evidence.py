"""Evidence: observations from before the first change, what a command printed, and a second look where it did not help."""

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


def bounded(body: str, *, from_beginning: bool = False) -> str:
    """The body, cut to LIMIT, with a line that says how much was cut.

    Its end is kept, which is the newest in whatever grows; its beginning where `from_beginning`.
    """
    if (more := len(body) - LIMIT) <= 0:
        return body
    if from_beginning:
        return f"{body[:LIMIT]}\n… {more} more characters left out"
    return f"… {more} characters before this left out\n{body[-LIMIT:]}"
