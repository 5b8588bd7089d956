"""The members of a service, as the store knows them: what counts against one that was seen well just before."""

from collections.abc import Collection, Mapping

from sqlalchemy import or_, select

from paramedic.checks.threshold import Level
from paramedic.incidents.incident import State, name
from paramedic.remediation.quorum import Members
from paramedic.store import Tx
from paramedic.store.tables import check_states as states
from paramedic.store.tables import incidents


def missing(
    tx: Tx, service: str, target: str, looked_at: Members | None, changing: Collection[str]
) -> Mapping[str, str] | None:
    """Why each other member does not count as healthy, by its id; None where nobody has looked at them.

    A member counts that was seen well just before, whose checks are all well, that no unverified change is on (`changing`),
    and that has no open incident. Unknown is not healthy.
    """
    if looked_at is None:
        return None
    against = dict(looked_at.unseen(tx.now))
    for member, why in [*_by_checks(tx, service), *_by_incidents(tx, service)]:
        against.setdefault(member, why)
    against |= dict.fromkeys(changing, "has a change that is not verified yet")
    return {member: why for member, why in against.items() if member in looked_at.health and member != target}


def _by_checks(tx: Tx, service: str) -> list[tuple[str, str]]:
    unwell = or_(states.c.known != Level.OK, states.c.unknown_since.is_not(None), states.c.stale_at <= tx.now)
    query = select(states.c.target, states.c.name, states.c.metric).where(states.c.service == service, unwell)
    return [
        (row.target, f"is not well by its check {row.name} ({row.metric})")
        for row in tx.conn.execute(query.order_by(states.c.target, states.c.name, states.c.metric))
    ]


def _by_incidents(tx: Tx, service: str) -> list[tuple[str, str]]:
    query = select(incidents.c.target, incidents.c.number)
    query = query.where(incidents.c.service == service, incidents.c.state != State.RESOLVED)
    return [
        (row.target, f"has an open incident, {name(row.number)}")
        for row in tx.conn.execute(query.order_by(incidents.c.number))
    ]
