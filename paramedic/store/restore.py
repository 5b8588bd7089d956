"""What a restore makes of the store: nothing from before the backup acts, and a person is paged about all of it."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import update

from paramedic.audit.chain import RESTORED
from paramedic.incidents.incident import State, name
from paramedic.machine.clock import iso
from paramedic.store import Tx, generation, incidents, kill_switch, messages
from paramedic.store.snapshot import count_on, counters
from paramedic.store.table_facts import Restoration, TableFacts, Unchanged, declared
from paramedic.store.tables import meta
from paramedic.store.trail import append

#: So many numbers are left out after a restore. The life that is lost went on counting: its runs in Prefect, the links
#: in its messages and their ids must not mean something else now.
GAP = 10_000


def begin_again(tx: Tx, *, new_generation: int, taken_at: datetime, by: str, counted: Mapping[str, int]) -> list[int]:
    """Begin the store's next generation from restored data; returns the incidents that are handed over with it.

    `tx` must come from `Store.record`. What becomes of each table's rows is declared beside it (`TableFacts.restore`).
    Acts wait for `resume`. `counted` gives the last known row numbers of the lost generation.
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
    kill_switch.pause(tx, by=by, reason=f"{words}; look at what is open, then `paramedic resume`")
    escalating, at_work = incidents.numbers(tx, State.HANDED_OVER), incidents.numbers(tx, State.OPEN, State.WORKING)
    restoration = Restoration(new_generation, words)
    for facts in declared():
        if not isinstance(facts.restore, Unchanged):
            facts.restore(tx, restoration)
    _report(tx, words, by, [*at_work, *escalating], incidents.numbers(tx, State.ACKNOWLEDGED))
    here = counters(tx.conn)
    count_on(tx.conn, {table: max(here.get(table, 0), counted.get(table, 0)) + GAP for table in _numbered()})
    return at_work


def _report(tx: Tx, words: str, by: str, paged: list[int], acknowledged: list[int]) -> None:
    def named(numbers: list[int]) -> str:
        return ", ".join(map(name, numbers)) or "none"

    messages.queue_internal_alert(
        tx,
        subject="The store was restored from a backup",
        body=f"{by} brought it back, {words}. What came and was decided since then is lost: look at what your senders "
        "still say. Nothing acts until `paramedic resume`.\n\n"
        f"Somebody is told again of: {named(paged)}.\nThese had their person then: {named(acknowledged)}.",
        same_within_minutes=1,
    )


def _numbered() -> list[str]:
    """The tables whose rows the database numbers."""
    tables = [fact.table for fact in declared()]
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
