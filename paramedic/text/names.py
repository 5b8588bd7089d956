"""Names shared by settings and authors' files."""

import re

#: What a channel is called: by its users, and in the settings that know where it leads.
CHANNEL_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}")


def channel_name(text: str) -> str:
    """The text, checked as a channel's name. Raises ValueError."""
    if not CHANNEL_NAME.fullmatch(text):
        raise ValueError(
            "a channel's name has letters, digits, `_`, `.`, `-`, at most 64, and begins with a letter or digit"
        )
    return text
