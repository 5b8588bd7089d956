"""Deployments: those that senders and people tell of, and those that Paramedic saw while it looked at a target."""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, insert, or_, select

from paramedic.errors import Refused
from paramedic.remediation.deployment import Deployment, seen
from paramedic.remediation.release import Release
from paramedic.store import Tx, trail
from paramedic.store.table_facts import TableFacts, Unchanged
from paramedic.store.tables import deployments, noted_releases
from paramedic.store.upsert import insert_if_missing

#: More than this that one sender tells within an hour are a mistake of it: each is an entry of the trail.
MOST_AN_HOUR = 600

#: An incident shows at most so many.
_SHOWN = 50

_FIELDS = tuple(column.name for column in deployments.columns if column.name != "received_at")


class OtherDeployment(ValueError):
    """There is a deployment with this id, and it is another one."""


class TooMany(Refused):
    """The sender tells of too many."""


def tell(tx: Tx, told: Deployment, *, actor: str) -> bool:
    """Record what somebody told; False where it is known already. Raises OtherDeployment, TooMany.

    `tx` must come from `Store.record`.
    """
    known = tx.conn.execute(select(deployments).where(deployments.c.id == told.id)).one_or_none()
    if known is not None:
        if _same(_deployment(known), told):
            return False
        raise OtherDeployment(f"{known.service} {known.version} has this id already")
    since = tx.now - timedelta(hours=1)
    recent = select(func.count()).where(deployments.c.told_by == told.told_by, deployments.c.received_at > since)
    if tx.conn.execute(recent.select_from(deployments)).scalar_one() >= MOST_AN_HOUR:
        raise TooMany(f"{told.told_by} has told of {MOST_AN_HOUR} deployments within an hour")
    tx.conn.execute(insert(deployments).values(**asdict(told), received_at=tx.now))
    trail.append(
        tx,
        actor=actor,
        phase="decision",
        what="deployment.told",
        reason="a deployment was told of",
        content={key: str(value) for key, value in asdict(told).items() if value is not None},
    )
    return True


def see(tx: Tx, service: str, target: str, releases: Sequence[Release]) -> None:
    """Record the releases that a look at the target showed, once each; those without a time say nothing."""
    for release in releases:
        if release.deployed_at is not None:
            one = asdict(seen(service, target, release.id, release.deployed_at))
            insert_if_missing(tx, deployments, {"id": one.pop("id")}, one | {"received_at": tx.now})


def _same(known: Deployment, told: Deployment) -> bool:
    """Whether it is the one that is known; one that is told again without its time is the same at whatever moment."""
    parts = ("service", "version", "target", "environment")
    return all(getattr(known, part) == getattr(told, part) for part in parts)


def before(
    tx: Tx, *, service: str, target: str, others: Collection[str], since: datetime, until: datetime
) -> list[Deployment]:
    """Those of the service, of these `others`, and of the target from `since` to `until`, the newest first, at most 50.

    Also what the target was noted to run first in that time, where it had run something else before.
    """
    timely = and_(deployments.c.at >= since, deployments.c.at <= until)
    query = select(deployments).where(timely, _of(service, target, others))
    rows = tx.conn.execute(query.order_by(deployments.c.at.desc(), deployments.c.id).limit(_SHOWN))
    return [*map(_deployment, rows), *_noted(tx, service, target, since, until)]


def last(tx: Tx, *, service: str, target: str, until: datetime) -> Deployment | None:
    """The last one of the service or target before this moment."""
    query = select(deployments).where(deployments.c.at < until, _of(service, target, ()))
    row = tx.conn.execute(query.order_by(deployments.c.at.desc()).limit(1)).one_or_none()
    return None if row is None else _deployment(row)


def _of(service: str, target: str, others: Collection[str]) -> ColumnElement[bool]:
    """Those of the other services, of the target, and of the service where they name no target of another one."""
    host = target.partition("/")[0]
    return or_(
        deployments.c.service.in_([service, *others]),
        deployments.c.target.in_([target, host]),
    )


def _noted(tx: Tx, service: str, target: str, since: datetime, until: datetime) -> list[Deployment]:
    query = select(noted_releases).where(noted_releases.c.target == target)
    rows = tx.conn.execute(query.order_by(noted_releases.c.first_seen)).all()
    return [seen(service, target, row.release, row.first_seen) for row in rows[1:] if since <= row.first_seen <= until]


def listed(
    tx: Tx, *, service: str | None = None, limit: int = 50, before: str | None = None
) -> list[tuple[Deployment, datetime]]:
    """Those told and seen, each with when Paramedic heard of it, newest first; `before` continues from an id.

    Raises LookupError for an id that there is none of.
    """
    query = select(deployments).order_by(deployments.c.at.desc(), deployments.c.id.desc()).limit(limit)
    if service is not None:
        query = query.where(deployments.c.service == service)
    if before is not None:
        at = tx.conn.execute(select(deployments.c.at).where(deployments.c.id == before)).scalar_one_or_none()
        if at is None:
            raise LookupError(f"there is no deployment {before}; `paramedic deployment list` shows them")
        query = query.where(or_(deployments.c.at < at, and_(deployments.c.at == at, deployments.c.id < before)))
    return [(_deployment(row), row.received_at) for row in tx.conn.execute(query)]


def _deployment(row: Row[Any]) -> Deployment:
    return Deployment(**{field: getattr(row, field) for field in _FIELDS})


FACTS = (
    TableFacts(
        table=deployments,
        restore=Unchanged("it was told or seen then"),
        retention=lambda cutoffs: deployments.c.received_at < cutoffs.ended,
        times=(),
    ),
)
