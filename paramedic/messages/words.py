"""Text from outside for a message: redacted, bounded, and unable to pass for a word of ours (P7, P8)."""

from collections.abc import Callable, Mapping
from typing import Any

from paramedic.incidents.evidence import bounded
from paramedic.text.redaction import redact
from paramedic.text.sanitize import one_line, visible

_WORDS_LIMIT = 500  # characters of a title, of a reason, of a line of the timeline


def short(text: str, *, without: Callable[[str], str] = redact) -> str:
    """Text from outside, on one line, redacted and cut to a bounded length; `without`: how it is redacted.

    Secrets are removed before the text is cut: half a secret is no longer recognized.
    """
    words = one_line(without(text[:65_536])[: 4 * _WORDS_LIMIT])
    return words if len(words) <= _WORDS_LIMIT else f"{words[:_WORDS_LIMIT]} …"


def data(body: str, *, first: int, without: Callable[[str], str] = redact) -> str:
    """The body, redacted and bounded to its first characters; how many are left out is said.

    `without`: how it is redacted; `redact_known` for what an author of runbooks wrote.
    """
    words = visible(without(body))
    if len(words) > first:
        words = f"{words[:first]}\n… {len(words) - first} characters after this are left out"
    return words


def evidence(piece: Mapping[str, Any], *, characters: int, lines: int) -> str:
    """The end of a stored piece of evidence that says most, redacted and bounded; how much is left out is said."""
    return bounded(
        visible(redact(piece["body"])),
        from_beginning=bool(piece.get("from_beginning")),
        characters=characters,
        lines=lines,
        rest="are in `paramedic incident show --evidence`",
    )
