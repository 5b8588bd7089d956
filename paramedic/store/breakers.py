"""Circuit breakers: derived from acts that did not help, until a person resets them; and the incidents that wait for that."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, delete, func, insert, or_, select, update

from paramedic.incidents.incident import State
from paramedic.incidents.outcome import Ending
from paramedic.remediation.breaker import BREAKER, FLEET, Changed, Unhelpful
from paramedic.remediation.guardrail import Refusal
from paramedic.remediation.kill_switch import FLEET as FLEET_SCOPE
from paramedic.remediation.kill_switch import RESET_FLEET
from paramedic.remediation.site_limits import BreakerLimit, FleetLimit
from paramedic.store import Tx, acts, incidents, kill_switch, messages, retrying
from paramedic.store.claims import Claim
from paramedic.store.table_facts import TableFacts, Unchanged
from paramedic.store.tables import acts as act_rows
from paramedic.store.tables import breaker_resets as resets
from paramedic.store.tables import breaker_waits as waits
from paramedic.store.trail import append

#: Stands for the fleet, in place of a target.
_FLEET = "*"

#: Results that say that the act did not help, or that nobody saw it help. What a person decided, that person has judged.
_UNHELPFUL = ("done", "failed", "unknown")


class NotTripped(LookupError):
    """No breaker is tripped there; the message says which are."""


@dataclass(frozen=True, slots=True)
class Tripped:
    """One tripped breaker, and the incidents that it refused and that nobody has taken since."""

    unhelpful: Unhelpful
    waiting: tuple[int, ...]


def unhelpful(tx: Tx, target: str, remedy: str, limit: BreakerLimit) -> Unhelpful:
    """The last acts by the remedy that did not help the target, since its breaker was reset."""
    query = select(act_rows.c.written_at).where(_since_reset(target, remedy)).order_by(act_rows.c.id.desc())
    return Unhelpful(target, acts.stored_name(remedy), tuple(tx.conn.execute(query.limit(limit.count)).scalars()))


def changed(tx: Tx, target: str, limit: FleetLimit) -> Changed:
    """The different targets that were changed within the fleet's time, or may have been, since its breaker was reset."""
    touched = or_(act_rows.c.result.is_(None), act_rows.c.result.in_(acts.TOUCHED))
    query = select(act_rows.c.target).where(
        touched, act_rows.c.written_at > tx.now - limit.within, act_rows.c.id > _reset_at(_FLEET, "")
    )
    targets = set(tx.conn.execute(query.distinct()).scalars())
    return Changed(len(targets), target in targets)


def refused(tx: Tx, claim: Claim, remedy: str, refusal: Refusal) -> None:
    """Note that the incident waits for a breaker, where one refused; the fleet's is tripped by its first refusal."""
    if refusal.guardrail == FLEET:
        _trip_fleet(tx, refusal)
    if refusal.guardrail == BREAKER:
        _wait(tx, claim, claim.target, acts.stored_name(remedy))
    elif refusal.guardrail == FLEET or fleet_is_tripped(tx):
        _wait(tx, claim, _FLEET, "")


def fleet_is_tripped(tx: Tx) -> bool:
    """Whether every act is stopped, because too much of the fleet was changed."""
    return any(pause.scope == FLEET_SCOPE for pause in kill_switch.standing(tx))


def tripped(tx: Tx, limit: BreakerLimit, *, target: str | None = None) -> list[Tripped]:
    """Every tripped breaker of a remedy at a target, by their names."""
    query = (
        select(act_rows.c.target, act_rows.c.remedy)
        .where(act_rows.c.result.in_(_UNHELPFUL))
        .group_by(act_rows.c.target, act_rows.c.remedy)
        .having(func.count() >= limit.count)
        .order_by(act_rows.c.target, act_rows.c.remedy)
    )
    if target is not None:
        query = query.where(act_rows.c.target == target)
    found = [unhelpful(tx, row.target, row.remedy, limit) for row in tx.conn.execute(query)]
    return [Tripped(one, tuple(_waiting(tx, one.target, one.remedy))) for one in found if one.trips(limit)]


def reset(tx: Tx, limit: BreakerLimit, *, target: str, remedy: str | None, by: str, because: str) -> list[Tripped]:
    """Allow the remedy at the target again, or every one that is blocked there; what waited for that is measured again.

    Returns the breakers, with the incidents that are measured again. Raises NotTripped. `tx` must come from `Store.record`.
    """
    named = None if remedy is None else acts.stored_name(remedy)
    found = [one for one in tripped(tx, limit, target=target) if named in (None, one.unhelpful.remedy)]
    if not found:
        there = ", ".join(f"{one.unhelpful.remedy} at {one.unhelpful.target}" for one in tripped(tx, limit)) or "none"
        raise NotTripped(f"no breaker is tripped for {remedy or 'any remedy'} at {target}; tripped are: {there}")
    for one in found:
        _reset(tx, target, one.unhelpful.remedy, by=by, because=because)
    return [
        replace(one, waiting=_measure_again(tx, target, one.unhelpful.remedy, by=by, because=because)) for one in found
    ]


def reset_fleet(tx: Tx, *, by: str, because: str) -> tuple[int, ...]:
    """Allow acts again, after too much of the fleet was changed; returns the incidents that are measured again.

    Raises NotTripped. `tx` must come from `Store.record`.
    """
    if kill_switch.resume(tx, by=by, reason=because, scope=FLEET_SCOPE) is None:
        raise NotTripped("the fleet's breaker is not tripped, so that there is nothing to reset")
    _reset(tx, _FLEET, "", by=by, because=because)
    return _measure_again(tx, _FLEET, "", by=by, because=because)


def fleet_waiting(tx: Tx) -> tuple[int, ...]:
    """The incidents that wait for the fleet's breaker."""
    return tuple(_waiting(tx, _FLEET, ""))


def _reset_at(target: str, remedy: str) -> ColumnElement[int]:
    at = select(resets.c.act).where(resets.c.target == target, resets.c.remedy == remedy)
    return func.coalesce(at.scalar_subquery(), 0)


def _since_reset(target: str, remedy: str) -> ColumnElement[bool]:
    named = acts.stored_name(remedy)
    return (
        (act_rows.c.target == target)
        & (act_rows.c.remedy == named)
        & act_rows.c.result.in_(_UNHELPFUL)
        & (act_rows.c.id > _reset_at(target, named))
    )


def _reset(tx: Tx, target: str, remedy: str, *, by: str, because: str) -> None:
    last_act = tx.conn.execute(select(func.coalesce(func.max(act_rows.c.id), 0))).scalar_one()
    stands = {"act": last_act, "by": by, "reason": because, "at": tx.now}
    where = (resets.c.target == target, resets.c.remedy == remedy)
    if not tx.conn.execute(update(resets).where(*where).values(**stands)).rowcount:
        tx.conn.execute(insert(resets).values(target=target, remedy=remedy, **stands))
    append(
        tx,
        actor=f"person:{by}",
        phase="decision",
        what="breaker.reset",
        target=None if target == _FLEET else target,
        reason=because,
        data={"breaker": FLEET} if target == _FLEET else {"breaker": BREAKER, "remedy": remedy},
    )


def _trip_fleet(tx: Tx, refusal: Refusal) -> None:
    """Stop every act until a person resets it, and page about it once."""
    kill_switch.pause(tx, by="guardrails", reason=refusal.reason, scope=FLEET_SCOPE, actor="guardrails")
    messages.queue_internal_alert(
        tx,
        subject="Too much was changed: every act is stopped",
        body=f"{refusal.reason}.\n\nNothing is changed anywhere until a person has looked what is behind it: "
        f"`{RESET_FLEET} --by NAME`. What waits is measured again then, and what is well by then ends.",
        same_within_minutes=30,
    )


def _wait(tx: Tx, claim: Claim, target: str, remedy: str) -> None:
    tx.conn.execute(delete(waits).where(waits.c.incident == claim.incident))
    tx.conn.execute(
        insert(waits).values(
            incident=claim.incident, attempt=claim.attempt, target=target, remedy=remedy, refused_at=tx.now
        )
    )


def _waiting(tx: Tx, target: str, remedy: str) -> Iterator[int]:
    """The incidents that were refused and have had no other attempt or person since."""
    query = select(waits.c.incident, waits.c.attempt).where(waits.c.target == target, waits.c.remedy == remedy)
    for row in tx.conn.execute(query.order_by(waits.c.incident)).all():
        incident = incidents.get(tx, row.incident)
        refused_then = incident.state is State.HANDED_OVER and incident.ending is Ending.REFUSED
        if refused_then and incident.attempt == row.attempt:
            yield row.incident


def _measure_again(tx: Tx, target: str, remedy: str, *, by: str, because: str) -> tuple[int, ...]:
    """Give back what waited, each to a new attempt: it looks first, and what is well by now ends."""
    found = tuple(number for number in _waiting(tx, target, remedy) if retrying.measure_again(tx, number, by, because))
    tx.conn.execute(delete(waits).where(waits.c.target == target, waits.c.remedy == remedy))
    return found


FACTS = (
    TableFacts(
        table=resets,
        restore=Unchanged("a person's word about acts that the backup has too"),
        retention=Unchanged("one row for each remedy at a target that was ever blocked"),
        times=(),
    ),
    TableFacts(
        table=waits,
        restore=Unchanged("their incidents are people's already"),
        retention=Unchanged("at most one row an incident"),
        times=(),
    ),
)
