"""The known name that somebody meant."""

import difflib
from collections.abc import Sequence


def nearest(name: str, known: Sequence[str], otherwise: str = "allowed:") -> str:
    """A hint: the known name nearest to `name`, else, after `otherwise`, all known names."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"{otherwise} {', '.join(known)}" if known else ""
