"""Evidence: observations from before the first change, what a command printed, and a second look where it did not help."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Evidence:
    """One observation: its kind (`memory`, `process-tree`, `log-tail`, …) and its text.

    `from_beginning`: its beginning says most, such as a tree's root, and is kept wherever the text is too long; else its
    end, which is the newest of whatever grows.
    """

    kind: str
    taken_at: datetime
    body: str
    from_beginning: bool = False


#: A piece of evidence is cut to this many characters, and says so.
LIMIT = 32_768


def bounded(
    body: str,
    *,
    from_beginning: bool = False,
    characters: int = LIMIT,
    lines: int | None = None,
    rest: str = "left out",
) -> str:
    """The body, cut to so many characters and lines; a line says how much is missing, and by `rest` what became of it.

    Its end is kept, or its beginning where `from_beginning`. All that shows a part of a piece of evidence cuts it here.
    """
    all_lines = body.rstrip("\n").split("\n")
    if lines is not None and len(all_lines) > lines:
        kept = all_lines[:lines] if from_beginning else all_lines[-lines:]
        missing, of = len(all_lines) - lines, "lines"
    else:
        kept, missing, of = [body], 0, ""
    words = "\n".join(kept)
    if len(words) > characters:
        words = words[:characters] if from_beginning else words[-characters:]
        missing, of = len(body) - characters, "characters"
    if not missing:
        return body
    return (
        f"{words}\n… {missing} {of} after this {rest}"
        if from_beginning
        else f"… {missing} {of} before this {rest}\n{words}"
    )
