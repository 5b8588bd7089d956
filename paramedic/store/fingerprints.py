"""Fingerprints: the last report of each alert by its sender."""

from datetime import datetime

from sqlalchemy import ColumnElement, and_, bindparam, exists, or_, select, true

from paramedic.alerts.alert import Alert, Status
from paramedic.alerts.last_word import LastWord
from paramedic.incidents.incident import State
from paramedic.store import Tx
from paramedic.store.table_facts import Cutoffs, TableFacts, Unchanged
from paramedic.store.tables import fingerprints, incident_alerts, incidents
from paramedic.store.upsert import insert_or_update

#: Built once, as every alert asks it: building a statement costs more than running it.
_LAST_WORD = select(fingerprints).where(fingerprints.c.fingerprint == bindparam("of"))


def last_word(tx: Tx, fingerprint: str) -> LastWord | None:
    """The last report under this fingerprint."""
    row = tx.conn.execute(_LAST_WORD, {"of": fingerprint}).one_or_none()
    return None if row is None else LastWord(Status(row.status), row.starts_at, row.heard_at)


def remember(tx: Tx, alert: Alert, *, heard_at: datetime | None = None) -> None:
    """Store the newest report under the alert's fingerprint, and when it was received: now unless given."""
    values = {"status": alert.status, "starts_at": alert.effective_at, "heard_at": heard_at or tx.now}
    insert_or_update(tx, fingerprints, {"fingerprint": alert.fingerprint}, values)


def _too_old(cutoffs: Cutoffs) -> ColumnElement[bool]:
    """Alerts that began long ago, were not reported since, and are not part of an open incident."""
    still_open = select(incidents.c.number).where(incidents.c.state != State.RESOLVED)
    said_since = exists().where(
        incident_alerts.c.fingerprint == fingerprints.c.fingerprint,
        or_(incident_alerts.c.last_seen >= cutoffs.received, incident_alerts.c.incident.in_(still_open)),
    )
    return and_(fingerprints.c.starts_at < cutoffs.received, ~said_since)


FACTS = (
    TableFacts(
        table=fingerprints,
        restore=Unchanged("the last word that is known counts, and its sender says a newer one again"),
        retention=_too_old,
        times=((fingerprints.c.heard_at, true()),),  # how late an older word may still come is counted from it
    ),
)
