"""What becomes of a table's rows in a restore, with age, and when the clock goes back: declared beside what writes them.

Each module of the store declares its tables in `FACTS`; restore, retention and clock jumps walk `declared()`.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import Column, ColumnElement, Table

from paramedic import store
from paramedic.store import Tx
from paramedic.store.tables import metadata


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Nothing becomes of the rows; `because` says why."""

    because: str


@dataclass(frozen=True, slots=True)
class Restoration:
    """A restore from a backup: the generation that the store begins with it, and in words where it comes from."""

    generation: int
    reason: str


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """What was received before `received`, or belongs to what ended before `ended`, is too old."""

    received: datetime
    ended: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFacts:
    """What becomes of one table's rows.

    `restore` makes of the past what the next generation begins with. `retention` says which rows are too old.
    `times` are the moments that something waits for, or that a wait is counted from, each with the rows for which it
    does: they go back with a clock that goes back. A moment that only records the past is none of them.
    """

    table: Table
    restore: Callable[[Tx, Restoration], None] | Unchanged
    retention: Callable[[Cutoffs], ColumnElement[bool]] | Unchanged
    times: tuple[tuple[Column[datetime], ColumnElement[bool]], ...]


@cache
def declared() -> tuple[TableFacts, ...]:
    """The facts of every table, in the order of the tables."""
    names = [found.name for found in pkgutil.iter_modules(store.__path__) if not found.ispkg]
    modules = [importlib.import_module(f"{store.__name__}.{name}") for name in names]
    facts: list[TableFacts] = [one for module in modules for one in getattr(module, "FACTS", ())]
    order = list(metadata.tables)
    return tuple(sorted(facts, key=lambda one: order.index(one.table.name)))
