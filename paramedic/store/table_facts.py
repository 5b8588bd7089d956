"""How a table's rows behave in a restore, in retention, and when the clock is set back, declared beside their writer.

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
    """A restore leaves the rows as they are; `because` says why."""

    because: str


@dataclass(frozen=True, slots=True)
class Restoration:
    """A restore from a backup: the generation that begins with it, and its origin in words."""

    generation: int
    reason: str


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """The cutoffs of retention: rows received before `received`, or of what ended before `ended`, are too old."""

    received: datetime
    ended: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFacts:
    """The declarations of one table.

    `restore` prepares the rows for the next generation. `retention` says which rows are too old.
    `times` are the timestamps that something waits for, or that a wait is counted from, each with the rows for which it
    does: they move back with a clock that is set back. A timestamp that only records the past is not one of them.
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
    facts: list[TableFacts] = [fact for module in modules for fact in getattr(module, "FACTS", ())]
    order = list(metadata.tables)
    return tuple(sorted(facts, key=lambda fact: order.index(fact.table.name)))
