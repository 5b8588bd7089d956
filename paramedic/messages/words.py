"""Text from outside for a message: redacted, bounded, and unable to pass for a word of ours (P7, P8)."""

from collections.abc import Callable

from paramedic.text.redaction import redact
from paramedic.text.sanitize import one_line, visible

_WORDS_LIMIT = 500  # characters of a title, of a reason, of a line of the timeline


def short(text: str, *, without: Callable[[str], str] = redact) -> str:
    """Text from outside, on one line, redacted and cut to a bounded length; `without`: how it is redacted.

    Secrets are removed before the text is cut: half a secret is no longer recognized.
    """
    words = one_line(without(text[:65_536])[: 4 * _WORDS_LIMIT])
    return words if len(words) <= _WORDS_LIMIT else f"{words[:_WORDS_LIMIT]} …"


def data(
    body: str,
    *,
    first: int | None = None,
    last: int | None = None,
    last_lines: int | None = None,
    without: Callable[[str], str] = redact,
) -> str:
    """The body, redacted and bounded to its first or last characters, or its last lines; what is left out is said.

    `without`: how it is redacted; `redact_known` for what an author of runbooks wrote.
    """
    words = visible(without(body))
    if first is not None and len(words) > first:
        words = f"{words[:first]}\n… {len(words) - first} characters after this are left out"
    lines = words.rstrip("\n").split("\n")
    if last_lines is not None and len(lines) > last_lines:
        words = "\n".join(lines[-last_lines:])
        words = f"… {len(lines) - last_lines} lines before this are in `paramedic incident show --evidence`\n{words}"
    if last is not None and len(words) > last:
        words = (
            f"… {len(words) - last} characters before this are in `paramedic incident show --evidence`\n{words[-last:]}"
        )
    return words
