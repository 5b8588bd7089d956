"""The known name that somebody meant."""

import difflib
from collections.abc import Sequence

#: A fleet may have a thousand names, and a message that lists them says nothing.
_LISTED = 100


def nearest(name: str, known: Sequence[str], otherwise: str = "allowed:") -> str:
    """A hint: the known name nearest to `name`, else, after `otherwise`, the known names, the first hundred of them."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]}?"
    more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
    return f"{otherwise} {', '.join(known[:_LISTED])}{more}" if known else ""
