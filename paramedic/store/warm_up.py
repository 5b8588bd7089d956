"""Warm-up: plays a typical run against a scratch store in memory, so that SQLAlchemy has compiled its statements."""

from datetime import timedelta
from typing import Any

from sqlalchemy import event, insert, text

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.machine.clock import utc_now
from paramedic.remediation import guardrail_rules
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.remediation.health import Health, Sight
from paramedic.remediation.hours import FREEZE_KEY, HOURS_KEY
from paramedic.remediation.quorum import Members
from paramedic.remediation.remedy import Remedy, Verb
from paramedic.remediation.target import Identity
from paramedic.remediation.touched import Touched
from paramedic.store import (
    REVISIONS,
    Store,
    Tx,
    acts,
    attempts,
    claims,
    evidence,
    incident_page,
    incidents,
    intents,
    leases,
    lifecycle,
    runbook_versions,
    tables,
)
from paramedic.store.acts import Act
from paramedic.store.claims import Claim
from paramedic.store.guardrail_facts import Around
from paramedic.store.runbook_versions import Plan

_BY_THE_CLOCK = (HOURS_KEY.key, FREEZE_KEY.key)
_ROLL_BACK = Remedy(1, Verb.ROLL_BACK)


def rehearse(store: Store) -> None:
    """Compile the statements of a playbook's run: some 50 ms that no run has to wait for.

    The store itself is not opened, and no connection is left open. Only for SQLite: PostgreSQL has no scratch store.
    """
    engine = store.engine
    if engine.dialect.name != "sqlite":
        return

    def elsewhere(_dialect: Any, _record: Any, arguments: list[Any], _given: dict[str, Any]) -> None:
        arguments[0] = ":memory:"

    event.listen(engine, "do_connect", elsewhere)
    try:
        tables.metadata.create_all(engine)
        with engine.begin() as conn:
            conn.execute(insert(tables.meta).values(id=1, store="scratch", generation=1))
            conn.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32))")
            conn.execute(text("INSERT INTO alembic_version VALUES (:at)"), {"at": REVISIONS[-1]})
        with Store.on(engine).record() as tx:
            _play(tx)
    finally:
        event.remove(engine, "do_connect", elsewhere)
        engine.dispose()


def _asked() -> dict[str, Any]:
    """The example of each key of the guardrails that does not depend on when it is played."""
    return {key: value for key, value in guardrail_rules.examples().items() if key not in _BY_THE_CLOCK}


def _around(tx: Tx, service: str, target: str) -> Around:
    """A service whose other targets are well."""
    others = ("a", "b", "c")
    members = Members(tx.now, dict.fromkeys(others, Health(Sight.WELL, "r")))
    return Around(members, touched=(Touched(service, (target,), dict.fromkeys(others, ())),))


def _play(tx: Tx) -> None:
    """Play one incident: open, begin, claim, sample, change, resolve."""
    alert = Alert("rehearsal", "Rehearsal", Severity.CRITICAL, Status.FIRING, utc_now(), "rehearsal")
    minute = timedelta(minutes=1)
    incident = lifecycle.open_incident(
        tx, alert, service="s", target="t", policy="p", reason="r", plan=Plan("r", "v", "text", 1)
    )
    number = incident.number
    leases.take(tx, "run:1", holder="me", lease=minute)
    attempts.dispatched(tx, number, 1, flow_run="1")
    attempts.begin_attempt(tx, number, 1, flow_run="1")
    runbook_versions.runbook_text(tx, "v")
    claim = claims.take(tx, target="t", incident=number, attempt=1, holder="run:1", lease=minute)
    acts.open_on(tx, "t")
    acts.of(tx, number)
    attempts.is_granted(tx, number, 1, 1)
    evidence.add(tx, number, 1, kind="memory", taken_at=tx.now, body="none")
    incidents.append_to_timeline(tx, number, actor="run:1", what="evidence.taken", reason="r")
    if isinstance(claim, Claim):
        limits = Guardrails("act", _asked()).of(_ROLL_BACK)  # no example asks a person about it
        act = intents.intend(
            tx,
            claim,
            rung=1,
            remedy="r",
            identity=Identity("RUNNING", {"started_at": 1.0}),
            deadline=minute,
            limits=limits,
            around=_around(tx, incident.service, "t"),
        )
        if isinstance(act, Act):
            acts.close(tx, act, result="cured", why="r", actor="run:1")
        claims.renew(tx, claim, minute)
        claims.release(tx, claim)
    acts.cures(tx, "t", minute)
    lifecycle.resolve(tx, number, Outcome(Ending.REMEDIATED, "r"), actor="run:1")
    incident_page.page(tx, incidents.get(tx, number), oncall=None)
