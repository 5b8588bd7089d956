"""Groups rows of the kill table: those of one victim are held at their boundaries together, and share one kill."""

from collections.abc import Iterable, Iterator
from itertools import groupby

import pytest
from kill.driver import Driver
from kill.play import play
from kill.table import DOORS, Row

#: Rows of one kill: with more, the first would wait for the last until the deadline of its act has passed.
_AT_ONCE = 6


def by_death(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Groups of rows that share one kill, each in the order in which its rows must reach their boundaries."""
    for _, of_victim in groupby(sorted(rows, key=lambda row: row.victim), key=lambda row: row.victim):
        known = list(of_victim)
        alone = [row for row in known if row.story == "telling" or row.point == "approval_decided"]
        doors = [row for row in known if row.point in DOORS]
        free = [row for row in known if row not in alone and row not in doors]
        free.sort(key=lambda row: row.point in ("intent_written", "act_sent"))  # an act's deadline runs
        groups = [free[first : first + _AT_ONCE] for first in range(0, len(free), _AT_ONCE)]
        groups += [[] for _ in range(len(doors) - len(groups))]
        for group, door in zip(groups, doors, strict=False):
            group.append(door)
        yield from groups
        yield from ([row] for row in alone)


def rows_among(items: Iterable[pytest.Item]) -> list[Row]:
    """The rows that these tests play."""
    return [
        item.callspec.params["row"]
        for item in items
        if isinstance(item, pytest.Function) and "deaths" in item.fixturenames
    ]


class Deaths:
    """Plays rows on one Paramedic: a whole group when its first row is asked for, with one result per row."""

    def __init__(self, up: Driver, rows: Iterable[Row], *, seconds: float = 150) -> None:
        """The incidents of a group must end within `seconds`."""
        self._up = up
        self._seconds = seconds
        self._groups = list(by_death(rows))
        self._judged: dict[str, Exception | None] = {}

    def judge(self, row: Row) -> None:
        """Raises the AssertionError that says what is wrong with the row."""
        if row.id not in self._judged:
            group = next(group for group in self._groups if row in group)
            self._judged |= play(self._up, group, seconds=self._seconds)
        wrong = self._judged[row.id]
        if wrong is not None:
            raise wrong
