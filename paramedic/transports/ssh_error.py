"""Errors of a host's programs, as the errors of this one: by the words of strerror(3), which they end with."""

import errno
import os
import re

_NUMBERS = {os.strerror(number): number for number in sorted(errno.errorcode, reverse=True)}


def os_error(number: int) -> OSError:
    """The OSError of its kind (FileNotFoundError, …)."""
    return OSError(number, os.strerror(number))


def from_words(words: str) -> OSError:
    """The OSError that the last known words tell; an OSError with the words where none is known."""
    for line in reversed(words.splitlines()):
        for part in reversed(re.split(r": ", line.strip())):
            if part in _NUMBERS:
                return os_error(_NUMBERS[part])
    return OSError(errno.EIO, words.strip()[-300:] or os.strerror(errno.EIO))
