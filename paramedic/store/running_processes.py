"""The processes of Paramedic that run on this store, on whichever machine: each holds a lease for as long as it does."""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, select

from paramedic.store import Tx, leases
from paramedic.store.tables import leases as table

#: What the lease of a process begins with; its role follows, then its machine.
_PROCESS = "process:"

#: What a process may be. A store has at least one of each, or not everything is done.
ROLES = ("gateway", "dispatch", "responder", "watchdog")

#: A lease lasts for `silent_after`, and this at least: each renewal is a write.
_SHORTEST = timedelta(seconds=10)

#: How often a process renews its lease in the time that it lasts.
RENEWALS = 6


@dataclass(frozen=True, slots=True)
class Running:
    """One process: its role, and where it runs: the machine's name and its data folder, as `place`."""

    role: str
    place: str

    @property
    def lease(self) -> str:
        """The name of its lease."""
        return f"{_PROCESS}{self.role}:{self.place}"


def lease_of(silent_after: timedelta) -> timedelta:
    """How long a lease lasts, by the setting `silent_after`."""
    return max(silent_after, _SHORTEST)


def show(tx: Tx, process: Running, *, lease: timedelta) -> None:
    """The process runs: it is counted among those that do, for `lease` from now."""
    leases.take(tx, process.lease, holder=process.place, lease=lease)


def withdraw(tx: Tx, process: Running) -> None:
    """The process ends as it should: nobody misses it."""
    leases.release(tx, process.lease, holder=process.place)


def counted(tx: Tx) -> dict[str, int]:
    """How many run now, for each role."""
    query = select(table.c.name).where(table.c.name.startswith(_PROCESS), table.c.until > tx.now)
    found = Counter(_parsed(name).role for name in tx.conn.execute(query).scalars())
    return {role: found[role] for role in ROLES}


def any_missed(tx: Tx) -> bool:
    """Whether `missed` would find one."""
    return bool(leases.run_out(tx, _PROCESS))


def missed(tx: Tx) -> list[Running]:
    """Those that ended without a word, each once: who asks reports them in the same transaction."""
    lapsed = delete(table).where(table.c.name.startswith(_PROCESS), table.c.until <= tx.now)
    return sorted(
        (_parsed(name) for name in tx.conn.execute(lapsed.returning(table.c.name)).scalars()),
        key=lambda process: process.lease,
    )


def _parsed(name: str) -> Running:
    role, _, place = name.removeprefix(_PROCESS).partition(":")
    return Running(role, place)
