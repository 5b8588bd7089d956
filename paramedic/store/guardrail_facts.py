"""What each guardrail judges by: one query each, by the guardrail's name, all in one transaction."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, false, func, select

from paramedic.incidents.incident import Incident, State
from paramedic.remediation.approval import Approval
from paramedic.remediation.breaker import BREAKER, FLEET, Changed, Unhelpful
from paramedic.remediation.dependency import Down
from paramedic.remediation.guardrail import AtOnce, Budget, Busy, Earlier, Granted, Holding, Spent
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.remediation.kill_switch import Pause
from paramedic.remediation.maintenance import Window
from paramedic.remediation.parts import Counted, PartsOf
from paramedic.remediation.quorum import Healthy, Members
from paramedic.remediation.site_limits import BreakerLimit, FleetLimit
from paramedic.remediation.storm import Storm
from paramedic.remediation.touched import Touched
from paramedic.store import (
    Tx,
    acts,
    approvals,
    breakers,
    claims,
    dependencies,
    kill_switch,
    maintenance,
    members,
    storms,
)
from paramedic.store.claims import Claim
from paramedic.store.tables import acts as table
from paramedic.store.tables import grants
from paramedic.store.tables import incidents as incident_rows


@dataclass(frozen=True, slots=True)
class Run:
    """Who wants the change: an incident's run, with its claim, and the rung that it has come to."""

    incident: Incident
    claim: Claim
    rung: int


@dataclass(frozen=True, slots=True)
class Around:
    """What was read of the target's surroundings just before, outside of the transaction."""

    members: Members | None = None  # how the other targets of the touched services looked; None: nobody looked
    overlapping: tuple[str, ...] = ()  # the targets that it is a part of, and its parts
    touched: tuple[Touched, ...] = ()  # its service, and those of its parts; (): nobody read what is listed


NOTHING_AROUND = Around()


@dataclass(frozen=True, slots=True)
class Change:
    """What the queries are asked about."""

    service: str
    target: str
    runbook: str | None
    run: Run | None  # None: it is only foreseen, for a run that would have everything
    remedy: str = ""  # its name on the trail
    around: Around = NOTHING_AROUND

    @property
    def same_ladder(self) -> ColumnElement[bool]:
        """Acts of the same run: they are no repetition, for a verification lies between them, and each has its own grant."""
        if self.run is None:
            return false()
        return (table.c.incident == self.run.claim.incident) & (table.c.attempt == self.run.claim.attempt)

    @property
    def touched(self) -> ColumnElement[bool]:
        """Acts that touched the target, or may have."""
        return (table.c.target == self.target) & table.c.result.in_(acts.TOUCHED)


def seen(tx: Tx, change: Change, guardrails: Guardrails) -> dict[str, Any]:
    """What the queries of the guardrails that are asked say now, by name."""
    return {
        rule.name: QUERIES[rule.name](tx, change, guardrails.value(rule))
        for rule in guardrails.rules()
        if rule.name in QUERIES
    }


def _pauses(tx: Tx, change: Change, _asked: None) -> tuple[Pause, ...]:
    """Those of the service and the runbook, and of each service that a part is of."""
    found = list(kill_switch.stopping(tx, service=change.service, runbook=change.runbook))
    for touched in change.around.touched:
        if touched.has_parts:
            found += kill_switch.stopping(tx, service=touched.service, runbook=None)
    return tuple(dict.fromkeys(found))


def _window(tx: Tx, change: Change, _asked: None) -> Window | None:
    """That of the target, or of one of its parts."""
    own = maintenance.covering(tx, service=change.service, target=change.target)
    parts = [
        (touched.service, each) for touched in change.around.touched if touched.has_parts for each in touched.taken
    ]
    found = (maintenance.covering(tx, service=service, target=each) for service, each in parts)
    return own or next((window for window in found if window is not None), None)


def _dependency(tx: Tx, change: Change, _asked: None) -> Down | None:
    return dependencies.down(tx, [needed for touched in change.around.touched for needed in touched.needs])


def _state(_tx: Tx, change: Change, _asked: None) -> State:
    return State.WORKING if change.run is None else change.run.incident.state


def _holding(tx: Tx, change: Change, _asked: None) -> Holding:
    if change.run is None:
        return Holding(1, 1, is_ours=True, lease_until=tx.now + timedelta(seconds=1))
    incident, claim = change.run.incident, change.run.claim
    held = claims.current(tx, claim.target)
    return Holding(
        claim.attempt,
        incident.attempt,
        is_ours=held is not None and held[0].token == claim.token and held[0].holder == claim.holder,
        lease_until=held[0].lease_until if held is not None and held[1] else None,
    )


def _open_act(tx: Tx, change: Change, _asked: None) -> str | None:
    unsettled = acts.open_on(tx, change.target, *change.around.overlapping)
    return unsettled.words if unsettled else None


def _grant(tx: Tx, change: Change, _asked: None) -> Granted:
    if change.run is None:
        return Granted("open")
    query = select(grants.c.state).where(*grant_of(change.run.claim, change.run.rung))
    state = tx.conn.execute(query).scalar_one_or_none()
    if state == "open":
        return Granted(state)
    return Granted(state, had_before(tx, change.run.incident.number, change.target, change.run.rung))


def _cured_before(tx: Tx, change: Change, _asked: object) -> Earlier | None:
    return (
        None
        if change.run is None
        else had_before(tx, change.run.incident.number, change.target, change.run.rung, ("cured",))
    )


def had_before(
    tx: Tx, incident: int, target: str, rung: int, results: Collection[str] = acts.TOUCHED
) -> Earlier | None:
    """The last act of the incident on this target by this rung that has one of these results.

    None before a person's retry: that person knew of it.
    """
    retried = select(func.coalesce(incident_rows.c.retried_attempt, 0)).where(incident_rows.c.number == incident)
    query = select(table.c.remedy, table.c.written_at, table.c.result).where(
        table.c.incident == incident,
        table.c.target == target,
        table.c.rung == rung,
        table.c.attempt >= retried.scalar_subquery(),
        table.c.result.in_(results),
    )
    row = tx.conn.execute(query.order_by(table.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else Earlier(*row)


def grant_of(claim: Claim, rung: int) -> tuple[ColumnElement[bool], ...]:
    """The row of the one permission for the rung."""
    return (
        grants.c.incident == claim.incident,
        grants.c.attempt == claim.attempt,
        grants.c.rung == rung,
        grants.c.target == claim.target,
    )


def _last_act_at(tx: Tx, change: Change, _cooldown: timedelta) -> datetime | None:
    query = select(table.c.written_at).where(change.touched, ~change.same_ladder)
    return tx.conn.execute(query.order_by(table.c.written_at.desc()).limit(1)).scalar_one_or_none()


def _spent_on_target(tx: Tx, change: Change, budget: Budget) -> Spent:
    return _spent(tx, budget, change.touched)


def _spent_on_service(tx: Tx, change: Change, budget: Budget) -> Spent:
    """An act that is still open has its target to itself, and counts for the service."""
    touched = table.c.result.is_(None) | table.c.result.in_(acts.TOUCHED)
    return _spent(tx, budget, (incident_rows.c.service == change.service) & touched)


def _spent(tx: Tx, budget: Budget, which: ColumnElement[bool]) -> Spent:
    query = select(table.c.written_at).join(incident_rows, incident_rows.c.number == table.c.incident)
    query = query.where(which, table.c.written_at > tx.now - budget.per).order_by(table.c.written_at.desc())
    written: list[datetime] = list(tx.conn.execute(query).scalars())
    return Spent(len(written), written[budget.count - 1] + budget.per if len(written) >= budget.count else None)


def _own(change: Change) -> Touched:
    """The service of the changed target; with nobody else in it where nobody read services.yaml."""
    alone = Touched(change.service, (change.target,))
    return next((touched for touched in change.around.touched if touched.service == change.service), alone)


def _healthy(tx: Tx, change: Change, _quorum: object) -> Healthy | None:
    touched = _own(change)
    changing = members.being_changed(tx, touched, change.target)
    return members.healthy(tx, touched, change.around.members, changing)


def _busy(tx: Tx, change: Change, at_once: AtOnce) -> Busy:
    touched = _own(change)
    changing = members.being_changed(tx, touched, change.target)
    return members.busy(tx, touched, change.around.members, changing, at_once)


def _parts(tx: Tx, change: Change, _asked: None) -> tuple[PartsOf, ...]:
    return tuple(_parts_of(tx, change, touched) for touched in change.around.touched if touched.has_parts)


def _parts_of(tx: Tx, change: Change, touched: Touched) -> PartsOf:
    changing, looked_at = members.being_changed(tx, touched, change.target), change.around.members
    counted = [
        Counted(
            limits,
            None if limits.keep_healthy is None else members.healthy(tx, touched, looked_at, changing),
            Busy() if limits.at_once is None else members.busy(tx, touched, looked_at, changing, limits.at_once),
        )
        for limits in touched.limits
    ]
    return PartsOf(touched, tuple(counted))


def _unhelpful(tx: Tx, change: Change, limit: BreakerLimit) -> Unhelpful:
    return breakers.unhelpful(tx, change.target, change.remedy, limit)


def _changed(tx: Tx, change: Change, limit: FleetLimit) -> Changed:
    return breakers.changed(tx, change.target, limit)


def _storm(tx: Tx, _change: Change, _cooldown: timedelta) -> Storm | None:
    return storms.last(tx)


def _approval(tx: Tx, change: Change, _asks_from: object) -> Approval | None:
    if change.run is None:
        return None
    claim = change.run.claim
    return approvals.of(tx, claim.incident, claim.attempt, change.run.rung, claim.target)


#: By the guardrail's name; `runbook`, `mode`, `freeze` and `hours` are judged by what authors wrote, and the clock, alone.
QUERIES: Mapping[str, Callable[[Tx, Change, Any], Any]] = {
    "kill switch": _pauses,
    "maintenance": _window,
    "dependency": _dependency,
    "incident": _state,
    "claim": _holding,
    "open act": _open_act,
    "grant": _grant,
    FLEET: _changed,
    BREAKER: _unhelpful,
    "storm rest": _storm,
    "again": _cured_before,
    "cooldown": _last_act_at,
    "budget": _spent_on_target,
    "service budget": _spent_on_service,
    "quorum": _healthy,
    "at once": _busy,
    "parts": _parts,
    "approval": _approval,
}
