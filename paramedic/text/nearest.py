"""Names in a message: the known one that somebody meant, and many of them in few words."""

import difflib
from collections.abc import Iterable, Sequence

#: A fleet may have a thousand names, and a message that lists them says nothing.
_LISTED = 100


def several(names: Iterable[str], most: int = 20) -> str:
    """Each name once, as a list in words; of more than `most` the first, and how many more there are."""
    known = list(dict.fromkeys(names))
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return f"{', '.join(known[:most])}{more}"


def nearest(name: str, known: Sequence[str], otherwise: str = "allowed:") -> str:
    """A hint: the known name nearest to `name`, else, after `otherwise`, the known names, the first hundred of them."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]}?"
    return f"{otherwise} {several(known, _LISTED)}" if known else ""
