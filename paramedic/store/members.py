"""The members of a service, as the store knows them: what counts against one that was seen well just before."""

from collections.abc import Collection, Mapping

from sqlalchemy import or_, select

from paramedic.checks.threshold import Level
from paramedic.incidents.incident import State, name
from paramedic.remediation.guardrail import AtOnce, Busy
from paramedic.remediation.quorum import Healthy, Members
from paramedic.remediation.touched import Touched
from paramedic.store import Tx
from paramedic.store.tables import acts, incidents
from paramedic.store.tables import check_states as states


def being_changed(tx: Tx, touched: Touched, changed: str) -> tuple[str, ...]:
    """The service's targets, beside those that the change of `changed` takes, that another change is not verified on.

    Nor on what such a target is a part of, or on a part of it. A change is not verified while its act is open, and until its
    incident has ended if it was not verified well.
    """
    unverified = acts.c.result.is_(None) | (
        acts.c.result.in_(("done", "failed", "unknown")) & (incidents.c.state != State.RESOLVED)
    )
    query = select(acts.c.target, incidents.c.service).join(incidents, incidents.c.number == acts.c.incident).distinct()
    rows = tx.conn.execute(query.where(unverified, acts.c.target != changed)).all()
    at = {row.target for row in rows}
    found = {row.target for row in rows if row.service == touched.service}
    found |= {other for other, overlapping in touched.others.items() if not at.isdisjoint((other, *overlapping))}
    return tuple(sorted(found.difference(touched.taken)))


def healthy(tx: Tx, touched: Touched, looked_at: Members | None, changing: Collection[str]) -> Healthy | None:
    """How many of the service's members there are, and why some do not count; None where nobody has looked at them."""
    against = _missing(tx, touched, looked_at, changing)
    return None if against is None else Healthy(touched.members, against, touched.taken)


def busy(tx: Tx, touched: Touched, looked_at: Members | None, changing: tuple[str, ...], at_once: AtOnce) -> Busy:
    """Which members are being changed (`changing`), and which of the others are not healthy, as `at_once` counts them."""
    if not at_once.counts_healthy:
        return Busy(changing, taken=touched.taken)
    against = _missing(tx, touched, looked_at, changing)
    if against is None:
        left = at_once.of - len(touched.taken) - len(changing)
        against = {f"another that nobody looked at ({number})": "" for number in range(left)}
    return Busy(changing, tuple(target for target in against if target not in changing), touched.taken)


def _missing(
    tx: Tx, touched: Touched, looked_at: Members | None, changing: Collection[str]
) -> Mapping[str, str] | None:
    """Why each other member does not count as healthy, by its id; None where nobody has looked at them.

    A member counts that was seen well just before, whose checks are all well, that no unverified change is on (`changing`),
    and that has no open incident. Unknown is not healthy.
    """
    if looked_at is None:
        return None
    against = dict.fromkeys((other for other in touched.others if other not in looked_at.health), "was not looked at")
    against |= looked_at.unseen(tx.now)
    for member, why in [*_by_checks(tx, touched.service), *_by_incidents(tx, touched.service)]:
        against.setdefault(member, why)
    against |= dict.fromkeys(changing, "has a change that is not verified yet")
    return {member: why for member, why in against.items() if member in touched.others}


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
