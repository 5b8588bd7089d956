"""Text from outside, made safe to show on a terminal or in a message."""

import re

#: A colour, a move or a title for a terminal, as `visible` shows it.
_FOR_A_TERMINAL = re.compile(r"\\x1b(?:\[[0-?]{0,40}[ -/]{0,4}[@-~]|\][^\\]{0,200}(?:\\x07|\\x1b\\\\))")


def visible(text: str) -> str:
    """The text with every control character, bidi override and lone surrogate as an escape that a person can read.

    Newline and tab stay; CRLF becomes a newline.
    """
    return "".join(
        char if char.isprintable() or char in "\n\t" else char.encode("unicode_escape").decode("ascii")
        for char in text.replace("\r\n", "\n")
    )


def one_line(text: str) -> str:
    """As `visible`, on one line: every run of white space is one space."""
    return visible(" ".join(text.split()))


def without_colours(text: str) -> str:
    """The text that `visible` has made safe, without what was a colour, a move or a title for a terminal."""
    return _FOR_A_TERMINAL.sub("", text)
