"""What Paramedic has seen targets run: for those whose owner keeps no record of the releases that they ran before."""

from sqlalchemy import select, update

from paramedic.remediation.release import Release
from paramedic.store import Tx
from paramedic.store.table_facts import TableFacts, Unchanged
from paramedic.store.tables import noted_releases
from paramedic.store.upsert import insert_if_missing


def note(tx: Tx, target: str, release: str, *, well: bool) -> None:
    """The target runs this release now; `well`: it was seen well with it. What was once seen well stays so."""
    row = {"target": target, "release": release}
    insert_if_missing(tx, noted_releases, row, {"first_seen": tx.now, "last_seen": tx.now, "well_at": None})
    seen = {"last_seen": tx.now} | ({"well_at": tx.now} if well else {})
    is_it = (noted_releases.c.target == target) & (noted_releases.c.release == release)
    tx.conn.execute(update(noted_releases).where(is_it).values(**seen))


def of(tx: Tx, target: str) -> tuple[Release, ...]:
    """What the target was seen to run, the last first: healthy where it was seen well with it, of unknown health otherwise."""
    query = select(noted_releases).where(noted_releases.c.target == target)
    rows = tx.conn.execute(query.order_by(noted_releases.c.last_seen.desc(), noted_releases.c.first_seen.desc()))
    return tuple(Release(row.release, row.first_seen, None, True if row.well_at is not None else None) for row in rows)


FACTS = (
    TableFacts(
        table=noted_releases,
        restore=Unchanged("what ran was seen; what ran since the backup is noted at the next look"),
        retention=lambda cutoffs: noted_releases.c.last_seen < cutoffs.ended,
        times=(),
    ),
)
