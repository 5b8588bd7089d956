"""Evidence: observations of a target before and after a change, kept with the incident."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, insert, select

from paramedic.incidents.evidence import Evidence
from paramedic.incidents.incident import State
from paramedic.store import Tx, as_dict
from paramedic.store.table_facts import Cutoffs, TableFacts, Unchanged
from paramedic.store.tables import evidence, incidents

#: A kind has at most this many characters.
LONGEST_KIND = 64


def add(
    tx: Tx, number: int, attempt: int, *, kind: str, taken_at: datetime, body: str, from_beginning: bool = False
) -> None:
    """Add a piece of evidence, redacted; `from_beginning`: its beginning says most."""
    said = {"kind": kind, "taken_at": taken_at, "body": body, "from_beginning": from_beginning}
    tx.conn.execute(insert(evidence).values(incident=number, attempt=attempt, **said))


def keep(tx: Tx, number: int, attempt: int, piece: Evidence) -> None:
    """As `add`, of a piece that was taken."""
    add(
        tx,
        number,
        attempt,
        kind=piece.kind,
        taken_at=piece.taken_at,
        body=piece.body,
        from_beginning=piece.from_beginning,
    )


def of(tx: Tx, number: int) -> list[dict[str, Any]]:
    """The incident's evidence, oldest first: kind, taken_at, attempt, body, from_beginning."""
    query = select(evidence).where(evidence.c.incident == number).order_by(evidence.c.id)
    return [as_dict(row) for row in tx.conn.execute(query)]


def _too_old(cutoffs: Cutoffs) -> ColumnElement[bool]:
    """Evidence of incidents that ended long ago."""
    over = select(incidents.c.number).where(incidents.c.state == State.RESOLVED, incidents.c.ended_at < cutoffs.ended)
    return evidence.c.incident.in_(over)


FACTS = (
    TableFacts(
        table=evidence,
        restore=Unchanged("it was seen then"),
        retention=_too_old,
        times=(),
    ),
)
