"""Regular expressions of authors, searched for in text of anybody's: in linear time, so that no text makes one hang (RE2)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

#: An expression takes so much memory at most.
_BYTES = 8 * 1024 * 1024

#: And has so many characters.
LONGEST = 2000


@dataclass(frozen=True, slots=True)
class LinearSearch:
    """One expression."""

    _compiled: Any

    @property
    def groups(self) -> Collection[str]:
        """The names of its groups."""
        return tuple(self._compiled.groupindex)

    def of(self, text: str) -> Mapping[str, str] | None:
        """Its named groups, where it is in the text; None where it is not."""
        found = self._compiled.search(text)
        return None if found is None else found.groupdict()

    def is_in(self, text: str) -> bool:
        """Whether it is in the text."""
        return self._compiled.search(text) is not None


@lru_cache(maxsize=256)
def linear_search(pattern: str) -> LinearSearch:
    """The expression. Raises ValueError, saying what is wrong with it: RE2 knows no look-around and no back-references."""
    import re2  # a check's file names an expression rarely, and every such file loads this module

    if len(pattern) > LONGEST:
        raise ValueError(f"the expression has {len(pattern)} characters, and {LONGEST} are allowed")
    options = re2.Options()
    options.max_mem, options.log_errors = _BYTES, False
    try:
        return LinearSearch(re2.compile(pattern, options))
    except re2.error as error:
        why = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise ValueError(
            f"{pattern!r:.80} is no regular expression of RE2, which searches in linear time: {why}"
        ) from error
