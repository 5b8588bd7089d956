"""What a store brought back from a backup begins with: nothing of the past acts, and somebody is told of all of it."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import case, delete, select, update

from paramedic.audit.chain import RESTORED
from paramedic.incidents.incident import State, name
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.machine.clock import iso
from paramedic.remediation.approval import RESTORE
from paramedic.store import Tx, acts, approvals, generation, incidents, lifecycle, messages, pauses
from paramedic.store.claims import first_token
from paramedic.store.snapshot import count_on, counters
from paramedic.store.tables import claims, leases, meta, metadata
from paramedic.store.tables import incidents as table
from paramedic.store.trail import append

#: So many numbers are left out after a restore. The life that is lost went on counting: its runs in Prefect, the links
#: in its messages and their ids must not mean something else now.
GAP = 10_000

_NUMBERED = [one.name for one in metadata.sorted_tables if one.dialect_options["sqlite"]["autoincrement"]]


def begin_again(tx: Tx, *, new_generation: int, taken_at: datetime, by: str, counted: Mapping[str, int]) -> list[int]:
    """Make a store of the past the one that goes on from now; the incidents that are handed over with it.

    `tx` must come from `Store.record`. Table by table: claims are released, and their tokens go on above all that
    were ever given; leases are given back. Incidents that automation had go to a person, and with it their attempts
    and grants end, their orders are withdrawn, and what they asked a person is void. Those that a person was being told
    of climb again from the first rung. An act without its outcome stays open and blocks its target. Alerts without a
    decision get one as ever. Overrides, maintenance and pauses stand. Acts wait for `resume`. `counted` is how far the
    life that is lost is known to have numbered its rows.
    """
    before = generation(tx)
    tx.conn.execute(update(meta).values(generation=new_generation))
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
    token = first_token(new_generation)
    tx.conn.execute(
        update(claims).values(released=True, token=case((claims.c.token < token, token), else_=claims.c.token))
    )
    tx.conn.execute(delete(leases))
    climbing = _numbers(tx, State.HANDED_OVER)
    at_work = _numbers(tx, State.OPEN, State.WORKING)
    for number in at_work:
        waits = approvals.asked(tx, number)
        if waits is not None:
            approvals.expire(tx, waits.id, actor="restore", how=RESTORE)
        lifecycle.hand_over(tx, number, Outcome(Ending.HANDED_OVER, _because(tx, number, words)), actor="restore")
    for number in climbing:
        messages.withdraw(tx, number)
        incidents.climb(tx, incidents.get(tx, number))
    _tell(tx, words, by, [*at_work, *climbing], _numbers(tx, State.ACKNOWLEDGED))
    here = counters(tx.conn)
    count_on(tx.conn, {one: max(here.get(one, 0), counted.get(one, 0)) + GAP for one in _NUMBERED})
    return at_work


def _numbers(tx: Tx, *states: State) -> list[int]:
    return list(
        tx.conn.execute(select(table.c.number).where(table.c.state.in_(states)).order_by(table.c.number)).scalars()
    )


def _because(tx: Tx, number: int, words: str) -> str:
    unsettled = acts.open_on(tx, incidents.get(tx, number).target)
    known = f"; {unsettled.words} has no outcome" if unsettled is not None else ""
    return f"{words}: what became of it since is not known{known}"


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
