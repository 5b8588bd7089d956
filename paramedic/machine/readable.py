"""What can be read, of some files and sockets. Not by `select`, which refuses a descriptor above 1023."""

import selectors
from collections.abc import Iterable
from typing import Any


def readable(sources: Iterable[Any], seconds: float | None = None) -> list[Any]:
    """Those that can be read, or have ended; waits for one so long at most, and without end where nothing is said."""
    with selectors.PollSelector() as selector:
        for source in sources:
            selector.register(source, selectors.EVENT_READ)
        return [key.fileobj for key, _ in selector.select(seconds)]
