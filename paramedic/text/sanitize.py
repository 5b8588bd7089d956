"""Text from outside, made safe to show on a terminal or in a message."""


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
