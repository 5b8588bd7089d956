"""Claims: one per target, with holder, a token that only grows, and a lease by the database's clock (P2)."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, case, exists, insert, select, update

from paramedic.incidents.incident import name
from paramedic.store import Tx, generation
from paramedic.store.table_facts import Restoration, TableFacts, Unchanged
from paramedic.store.tables import claims
from paramedic.store.trail import append


@dataclass(frozen=True, slots=True)
class Claim:
    """The exclusive, fenced right to work on a target, until its lease runs out."""

    target: str
    token: int
    incident: int
    attempt: int
    holder: str
    lease_until: datetime


def first_token(generation: int) -> int:
    """A generation's first token: above all that holders from before a restore may still have."""
    return ((generation - 1) << 32) + 1


def take(
    tx: Tx,
    *,
    target: str,
    incident: int,
    attempt: int,
    holder: str,
    lease: timedelta,
    overlapping: Collection[str] = (),
) -> Claim | str:
    """Take the claim, or say in words who has it. `tx` must come from `Store.record`.

    A claim is free when it was released or its lease has run out; a higher token fences off whoever had it before. While a
    claim on one of the `overlapping` targets holds, a whole of this one or a part of it, it is not free either.
    """
    beside = select(claims).where(claims.c.target.in_(overlapping), _held(tx)).order_by(claims.c.target).limit(1)
    other = tx.conn.execute(beside).one_or_none() if overlapping else None
    if other is not None:
        return f"{_holder_of(other)}, and {target} is a part of it or contains it"
    if overlapping:  # a clock that is set back must not give a lapsed one its lease again, beside this one
        lapsed = (claims.c.target.in_(overlapping), claims.c.released.is_(False))
        tx.conn.execute(update(claims).where(*lapsed).values(released=True))
    row = tx.conn.execute(select(claims).where(claims.c.target == target)).one_or_none()
    mine = {
        "incident": incident,
        "attempt": attempt,
        "holder": holder,
        "taken_at": tx.now,
        "lease_until": tx.now + lease,
        "released": False,
    }
    if row is None:
        token = first_token(generation(tx))
        tx.conn.execute(insert(claims).values(target=target, token=token, **mine))
    elif row.released or row.lease_until <= tx.now:
        token = row.token + 1
        tx.conn.execute(update(claims).where(claims.c.target == target).values(token=token, **mine))
    else:
        return _holder_of(row)
    append(
        tx,
        actor=holder,
        phase="decision",
        what="claim.taken",
        incident=incident,
        target=target,
        reason="nobody else has it",
        data={"attempt": attempt, "token": token},
    )
    return Claim(target, token, incident, attempt, holder, tx.now + lease)


def _holder_of(row: Row[Any]) -> str:
    return f"{name(row.incident)} (attempt {row.attempt}, {row.holder}) has the claim on {row.target}"


def renew(tx: Tx, claim: Claim, lease: timedelta) -> bool:
    """Renew the lease. False: the claim was lost, and renewing does not take it back."""
    changed = tx.conn.execute(
        update(claims)
        .where(
            claims.c.target == claim.target,
            claims.c.token == claim.token,
            claims.c.released.is_(False),
            claims.c.lease_until > tx.now,
        )
        .values(lease_until=tx.now + lease)
    )
    return changed.rowcount == 1


def release(tx: Tx, claim: Claim) -> None:
    """Release the claim, if it is still ours."""
    tx.conn.execute(
        update(claims).where(claims.c.target == claim.target, claims.c.token == claim.token).values(released=True)
    )


def current(tx: Tx, target: str) -> tuple[Claim, bool] | None:
    """The newest claim on the target and whether it holds now."""
    row = tx.conn.execute(select(claims).where(claims.c.target == target)).one_or_none()
    if row is None:
        return None
    claim = Claim(row.target, row.token, row.incident, row.attempt, row.holder, row.lease_until)
    return claim, not row.released and row.lease_until > tx.now


@dataclass(frozen=True, slots=True)
class LastClaim:
    """The claim that an attempt took last: since when, until when, and whether it was released or is held now."""

    taken_at: datetime
    lease_until: datetime
    released: bool
    holds: bool


def of_attempt(tx: Tx, incident: int, attempt: int) -> LastClaim | None:
    """The claim that this attempt took last; None if it never had one, or another took it."""
    row = tx.conn.execute(
        select(claims).where(claims.c.incident == incident, claims.c.attempt == attempt)
    ).one_or_none()
    if row is None:
        return None
    return LastClaim(row.taken_at, row.lease_until, row.released, not row.released and row.lease_until > tx.now)


def is_holder(tx: Tx, holder: str) -> bool:
    """Whether this holder has a claim now."""
    return tx.conn.execute(select(exists().where(claims.c.holder == holder, _held(tx)))).scalar_one()


def any_held(tx: Tx) -> bool:
    """Whether any target is claimed now."""
    return tx.conn.execute(select(exists().where(_held(tx)))).scalar_one()


def _held(tx: Tx) -> ColumnElement[bool]:
    return and_(claims.c.released.is_(False), claims.c.lease_until > tx.now)


def _release(tx: Tx, restoration: Restoration) -> None:
    """Release every claim; tokens continue above all that were ever given."""
    token = first_token(restoration.generation)
    tx.conn.execute(
        update(claims).values(released=True, token=case((claims.c.token < token, token), else_=claims.c.token))
    )


FACTS = (
    TableFacts(
        table=claims,
        restore=_release,
        retention=Unchanged("one row a target, and its token only grows"),
        times=((claims.c.lease_until, ~claims.c.released),),
    ),
)
