"""The alerts that fire and inhibit others, by rule and by the labels that must be equal."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, bindparam, delete, select, true

from paramedic.alerts.alert import Alert, Status
from paramedic.alerts.inhibition import Inhibition
from paramedic.store import Tx, held_alerts
from paramedic.store.table_facts import Cutoffs, TableFacts, Unchanged
from paramedic.store.tables import inhibitors
from paramedic.store.tables.columns import Moment
from paramedic.store.upsert import insert_or_update

#: A source that nobody has heard of for so long inhibits nothing: its sender may be gone, and never say that it is over.
FORGOTTEN = timedelta(days=1)

#: Built once, as many alerts ask it.
_FIRES = (
    select(inhibitors.c.name)
    .where(
        inhibitors.c.rule == bindparam("of"),
        inhibitors.c.equal == bindparam("alike"),
        inhibitors.c.heard_at > bindparam("since", type_=Moment),
    )
    .limit(1)
)
_FIRES_ON_ONE_SIDE = _FIRES.where(~inhibitors.c.both_sides)


def heard(tx: Tx, rules: Sequence[Inhibition], alert: Alert) -> None:
    """Note that this alert, the newest word under its fingerprint, fires or has ended, for the rules of which it is a source."""
    for rule in rules:
        if not rule.is_source(alert):
            continue
        key = {"rule": rule.key, "fingerprint": alert.fingerprint}
        if alert.status is Status.RESOLVED:
            mine = (inhibitors.c.rule == rule.key, inhibitors.c.fingerprint == alert.fingerprint)
            if tx.conn.execute(delete(inhibitors).where(*mine)).rowcount:
                held_alerts.look_again_for(tx, waits_for(rule, alert))
        else:
            values = {
                "equal": rule.equal_key(alert),
                "name": alert.name,
                "both_sides": rule.is_target(alert),
                "heard_at": tx.now,
            }
            insert_or_update(tx, inhibitors, key, values)


def inhibiting(tx: Tx, rules: Sequence[Inhibition], alert: Alert) -> tuple[Inhibition, str] | None:
    """The first rule that inhibits the alert now, and the name of an alert that does; None where none does."""
    for rule in rules:
        if rule.is_target(alert):
            query = _FIRES_ON_ONE_SIDE if rule.is_source(alert) else _FIRES
            given = {"of": rule.key, "alike": rule.equal_key(alert), "since": tx.now - FORGOTTEN}
            row = tx.conn.execute(query, given).first()
            if row is not None:
                return rule, row.name
    return None


def waits_for(rule: Inhibition, alert: Alert) -> str:
    """What the inbox says of an alert that the rule holds: it is looked at again when its source is over."""
    return f"inhibited:{rule.key}:{rule.equal_key(alert)}"


def _too_old(cutoffs: Cutoffs) -> ColumnElement[bool]:
    return inhibitors.c.heard_at < cutoffs.received


FACTS = (
    TableFacts(
        table=inhibitors,
        restore=Unchanged("what fires is said again, and what is not is forgotten after a day"),
        retention=_too_old,
        times=((inhibitors.c.heard_at, true()),),
    ),
)
