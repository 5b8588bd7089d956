"""Text inside Markdown of ours: its signs stand for themselves, and nothing of it becomes a link, a block or a heading (P7)."""

import re
from collections.abc import Callable

from paramedic.text.redaction import redact
from paramedic.text.sanitize import one_line, visible

_WORDS_LIMIT = 1_000

#: What Markdown, and its extensions that make links of plain text, may take for a sign of theirs.
_SIGNS = re.compile(r"[\\`*_\[\]<>&~|$#@^]|:(?=//)|(?<=[wW]{3})\.|(?<=\w)\.(?=[^\W\d_])")

#: What may begin a block of its own where a line begins.
_BLOCK = re.compile(r"^(\d{0,9})([-+=:.)])")

_BACKTICKS = re.compile(r"`+")

#: What stands where nothing was said: a sign alone would be markup.
NOTHING = "(nothing)"


def words(text: object, *, without: Callable[[str], str] = redact) -> str:
    """Text on one line, redacted by `without` and bounded: Markdown's characters in it stand for themselves."""
    line = one_line(without(str(text)))
    if len(line) > _WORDS_LIMIT:
        line = f"{line[:_WORDS_LIMIT]} …"
    # An invisible joiner after an @: some readers make mail links of text that is escaped already.
    return _SIGNS.sub(r"\\\g<0>", line).replace("@", "@\u2060") or NOTHING


def first_words(text: object, *, without: Callable[[str], str] = redact) -> str:
    """As `words`, where a line begins."""
    return _BLOCK.sub(r"\1\\\2", words(text, without=without))


def block(text: str) -> str:
    """Text as an indented block: no run of characters inside can end it. It follows a heading or a paragraph, never a list."""
    shown = visible(text)
    return "\n".join(f"    {line}" for line in (shown if shown.strip() else NOTHING).split("\n"))


def fenced(text: str) -> str:
    """Text as a block between fences that are longer than any inside, wherever a block may stand."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}\n{visible(text)}\n{fence}"


def code(text: str) -> str:
    """Text on one line as code, to be copied. CommonMark: "Code spans"."""
    line = one_line(text) or NOTHING
    tick = "`" * (_longest_run(line) + 1)
    edge = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{tick}{edge}{line}{edge}{tick}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in _BACKTICKS.findall(text)), default=0)
