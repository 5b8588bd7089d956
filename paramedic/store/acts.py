"""Changes to production that were begun: the instance of the target that each was meant for, its deadline and its result."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, func, insert, select, true, update

from paramedic.incidents.incident import Incident, name
from paramedic.machine.clock import iso
from paramedic.remediation.figures import Figure
from paramedic.remediation.target import Identity
from paramedic.store import Tx
from paramedic.store.claims import Claim
from paramedic.store.table_facts import TableFacts, Unchanged
from paramedic.store.tables import acts, incidents
from paramedic.store.trail import append

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Act:
    """One change: the remedy, the target's instance, its deadline, and its result (None: open)."""

    id: int
    incident: int
    attempt: int
    rung: int
    target: str
    remedy: str
    holder: str
    identity: Identity
    written_at: datetime
    deadline_at: datetime
    result: str | None
    figures: tuple[Figure, ...] = ()  # what was measured before it and after it

    @property
    def verb(self) -> str:
        """The first word of the act's events on the trail: of `run: clear-cache` it is `run`."""
        return verb_of(self.remedy)

    def mark(self, store: str) -> str:
        """The id by which another machine keeps a mark of it; `store` is the store's UUID.

        Its moment is part of it: a store that was restored counts its acts anew.
        """
        return f"act-{store}-{self.id}-{(self.written_at - _EPOCH) // timedelta(microseconds=1)}"

    @property
    def words(self) -> str:
        """The act, its incident and its time, in words."""
        when = f"attempt {self.attempt}, {iso(self.written_at)}"
        return f"the {self.remedy} of {self.target} by {name(self.incident)} ({when})"


#: A remedy's name has at most this many characters in the table; the trail has it whole.
_LONGEST_REMEDY = 64


def stored_name(remedy: str) -> str:
    """A remedy's name as the table has it."""
    return remedy if len(remedy) <= _LONGEST_REMEDY else f"{remedy[: _LONGEST_REMEDY - 1]}…"


def verb_of(remedy: str) -> str:
    """The verb of a remedy's name: `run` of `run: clear-cache`."""
    return remedy.partition(":")[0]


def reason_for(remedy: str, words: str) -> str:
    """The words as a reason on the trail, with the remedy's name where the event's name lacks it."""
    return words if verb_of(remedy) == remedy else f"{remedy}: {words}"


def data_for(remedy: str) -> dict[str, str]:
    """The remedy's name for an entry's data, where the event's name lacks it."""
    return {} if verb_of(remedy) == remedy else {"remedy": remedy}


#: Results that say the target was touched, or may have been.
TOUCHED = ("done", "cured", "failed", "unknown", "decided")


def begin(
    tx: Tx,
    claim: Claim,
    *,
    rung: int,
    remedy: str,
    identity: Identity,
    deadline: timedelta,
    figures: Sequence[Figure] = (),
) -> Act:
    """A new act, its outcome open; `figures` is what was measured before it."""
    act: int = tx.conn.execute(
        insert(acts)
        .values(
            incident=claim.incident,
            attempt=claim.attempt,
            rung=rung,
            target=claim.target,
            remedy=stored_name(remedy),
            token=claim.token,
            holder=claim.holder,
            identity=identity.as_json(),
            written_at=tx.now,
            deadline_at=tx.now + deadline,
            figures=[figure.as_json() for figure in figures],
        )
        .returning(acts.c.id)
    ).scalar_one()
    return get(tx, act)


def close(tx: Tx, act: Act, *, result: str, why: str, actor: str, identity: Identity | None = None) -> bool:
    """Write the outcome: done, cured, failed, not_sent, unknown. False if it has one already; the trail records either."""
    still_open: ColumnElement[bool] = acts.c.result.is_(None)
    if result == "cured":
        still_open = acts.c.result.is_(None) | (acts.c.result == "done")
    changed = tx.conn.execute(
        update(acts).where(acts.c.id == act.id, still_open).values(result=result, why=why, closed_at=tx.now)
    )
    append(
        tx,
        actor=actor,
        phase="outcome",
        what=f"{act.verb}.{result}",
        incident=act.incident,
        target=act.target,
        reason=reason_for(
            act.remedy, why if changed.rowcount else f"{why} (told too late: the act was already judged)"
        ),
        data={"act": act.id, "identity": identity.as_json() if identity else None} | data_for(act.remedy),
    )
    return changed.rowcount == 1


def keep_figures(tx: Tx, act: Act, figures: Sequence[Figure]) -> None:
    """Keep what was measured before the act and after it, in place of what is kept."""
    kept = [figure.as_json() for figure in figures]
    tx.conn.execute(update(acts).where(acts.c.id == act.id).values(figures=kept))


def open_on(tx: Tx, target: str, *overlapping: str) -> Act | None:
    """The act whose outcome is open on this target, or else on one that it is a part of or that is a part of it."""
    query = select(acts).where(acts.c.target.in_((target, *overlapping)), acts.c.result.is_(None))
    found = [_act(row) for row in tx.conn.execute(query.order_by(acts.c.id))]
    return next((act for act in found if act.target == target), found[0] if found else None)


def of(tx: Tx, incident: int) -> list[Act]:
    """Every act of the incident, oldest first."""
    query = select(acts).where(acts.c.incident == incident).order_by(acts.c.id)
    return [_act(row) for row in tx.conn.execute(query)]


def of_runbook(tx: Tx, runbook: str) -> list[Act]:
    """Every act by the runbook, oldest first."""
    by_it = select(incidents.c.number).where(incidents.c.runbook == runbook)
    return [_act(row) for row in tx.conn.execute(select(acts).where(acts.c.incident.in_(by_it)).order_by(acts.c.id))]


def since_begun(tx: Tx, incident: Incident) -> list[Act]:
    """The incident's acts that its present attempts answer for, oldest first.

    What was done before it was reopened was verified then; what was done before a person's retry, that person has judged.
    """
    return [
        act
        for act in of(tx, incident.number)
        if (incident.reopened_at is None or act.written_at >= incident.reopened_at)
        and act.attempt >= (incident.retried_attempt or 0)
    ]


def get(tx: Tx, act: int) -> Act:
    """The act with this number."""
    return _act(tx.conn.execute(select(acts).where(acts.c.id == act)).one())


def _act(row: Row[Any]) -> Act:
    values = {field: getattr(row, field) for field in Act.__slots__ if field not in {"identity", "figures"}}
    figures = tuple(Figure.from_json(kept) for kept in row.figures or ())
    return Act(**values, identity=Identity.from_json(row.identity), figures=figures)


def cures(tx: Tx, target: str, within: timedelta) -> int:
    """How often a change healed this target within the past period."""
    query = select(func.count()).where(
        acts.c.target == target, acts.c.result == "cured", acts.c.closed_at > tx.now - within
    )
    return tx.conn.execute(query).scalar_one()


FACTS = (
    TableFacts(
        table=acts,
        restore=Unchanged("one without its outcome stays open and blocks its target"),
        retention=Unchanged("cooldowns and budgets are counted from them, and reports show them"),
        # cooldowns and budgets count from when they were written, and whether an incident was reopened since
        times=((acts.c.deadline_at, acts.c.result.is_(None)), (acts.c.written_at, true()), (acts.c.closed_at, true())),
    ),
)
