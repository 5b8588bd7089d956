"""What a store brought back from a backup begins with: nothing of the past acts, and somebody is told of all of it."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import update

from paramedic.audit.chain import RESTORED
from paramedic.incidents.incident import State, name
from paramedic.machine.clock import iso
from paramedic.store import Tx, generation, incidents, messages, pauses
from paramedic.store.facts import Restoration, TableFacts, Unchanged, declared
from paramedic.store.snapshot import count_on, counters
from paramedic.store.tables import meta
from paramedic.store.trail import append

#: So many numbers are left out after a restore. The life that is lost went on counting: its runs in Prefect, the links
#: in its messages and their ids must not mean something else now.
GAP = 10_000


def begin_again(tx: Tx, *, new_generation: int, taken_at: datetime, by: str, counted: Mapping[str, int]) -> list[int]:
    """Make a store of the past the one that goes on from now; the incidents that are handed over with it.

    `tx` must come from `Store.record`. What becomes of each table's rows is declared beside it (`TableFacts.restore`).
    Acts wait for `resume`. `counted` is how far the life that is lost is known to have numbered its rows.
    """
    before = generation(tx)
    words = f"restored from a backup of {iso(taken_at)}"
    append(
        tx,
        actor=f"person:{by}",
        phase="decision",
        what=RESTORED,
        reason=words,
        data={"generation": new_generation, "before": before, "taken_at": iso(taken_at)},
    )
    pauses.pause(tx, by=by, reason=f"{words}; look at what is open, then `paramedic resume`")
    climbing, at_work = incidents.numbers(tx, State.HANDED_OVER), incidents.numbers(tx, State.OPEN, State.WORKING)
    restoration = Restoration(new_generation, words)
    for facts in declared():
        if not isinstance(facts.restore, Unchanged):
            facts.restore(tx, restoration)
    _tell(tx, words, by, [*at_work, *climbing], incidents.numbers(tx, State.ACKNOWLEDGED))
    here = counters(tx.conn)
    count_on(tx.conn, {one: max(here.get(one, 0), counted.get(one, 0)) + GAP for one in _numbered()})
    return at_work


def _tell(tx: Tx, words: str, by: str, told: list[int], theirs: list[int]) -> None:
    def named(numbers: list[int]) -> str:
        return ", ".join(map(name, numbers)) or "none"

    messages.queue_trouble(
        tx,
        subject="The store was restored from a backup",
        body=f"{by} brought it back, {words}. What came and was decided since then is lost: look at what your senders "
        "still say. Nothing acts until `paramedic resume`.\n\n"
        f"Somebody is told again of: {named(told)}.\nThese had their person then: {named(theirs)}.",
        same_within_minutes=1,
    )


def _numbered() -> list[str]:
    """Tables whose rows the database counts."""
    tables = [one.table for one in declared()]
    return [table.name for table in tables if table.dialect_options["sqlite"]["autoincrement"]]


def _begin_generation(tx: Tx, restoration: Restoration) -> None:
    tx.conn.execute(update(meta).values(generation=restoration.generation))


FACTS = (
    TableFacts(
        table=meta,
        restore=_begin_generation,
        retention=Unchanged("the store's own row"),
        times=(),
    ),
)
