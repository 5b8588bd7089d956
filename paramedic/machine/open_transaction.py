"""Whether this thread is inside a transaction of the store: nothing outside the store may be waited for until it ends."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum


class Kind(IntEnum):
    """What a transaction may do; a higher kind blocks more others."""

    READ = 1  # a snapshot: writers go on
    WRITE = 2  # holds the one writer lock of SQLite, or row locks of PostgreSQL


class InsideTransaction(RuntimeError):
    """Our own code touched a target, a disk or the network while it held a transaction: always a bug."""


class _Open(threading.local):
    kinds: tuple[Kind, ...] = ()


_open = _Open()


@contextmanager
def entered(kind: Kind) -> Iterator[None]:
    """Mark this thread as inside a transaction until the block ends. Blocks nest."""
    before = _open.kinds
    _open.kinds = (*before, kind)
    try:
        yield
    finally:
        _open.kinds = before


def strongest() -> Kind | None:
    """The strongest transaction that this thread holds now; None outside of one."""
    return max(_open.kinds, default=None)


def must_be_closed(touching: str) -> None:
    """Call before touching anything outside the store: what hangs there would hold the transaction open.

    Raises InsideTransaction, naming what was about to be touched.
    """
    if _open.kinds:
        raise InsideTransaction(f"{touching} inside a transaction of the store: look first, then open the transaction")
