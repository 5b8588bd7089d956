"""Silences: who silenced what until when, which kinds of failures each hid, and which match nothing."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, insert, select, true, update

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.alerts.silence import Kind, Silence, check_matchers, check_times
from paramedic.incidents.incident import State
from paramedic.machine.clock import iso, spoken
from paramedic.store import Tx, held_alerts, messages
from paramedic.store.table_facts import Cutoffs, Restoration, TableFacts, Unchanged
from paramedic.store.tables import inbox as inbox_rows
from paramedic.store.tables import incident_alerts, incidents, silence_kinds, silences
from paramedic.store.trail import append
from paramedic.store.upsert import insert_if_missing

#: A silence that has matched nothing for so long is reported, once.
IDLE = timedelta(days=3)

#: How exactly it is known when a silence last matched.
_MATCHED_AGAIN = timedelta(minutes=1)

#: Longer names of alerts are told apart by so many characters.
_NAME = 500


class NoSuchSilence(LookupError):
    """The store has no silence with this number."""


def add(
    tx: Tx,
    *,
    matchers: Sequence[str],
    ends_at: datetime,
    author: str,
    reason: str,
    incident: int | None = None,
) -> Silence:
    """Begin a silence now. Raises ValueError for matchers or times that cannot be meant. `tx` is of `Store.record`.

    What fires now and matches is what it is meant for: of that no new kind of failure is reported.
    """
    texts = tuple(matchers)
    check_matchers(texts)
    check_times(tx.now, ends_at)
    values = {"starts_at": tx.now, "ends_at": ends_at, "author": author, "reason": reason, "incident": incident}
    number: int = tx.conn.execute(
        insert(silences).values(matchers=list(texts), **values).returning(silences.c.id)
    ).scalar_one()
    silence = get(tx, number)
    for kind in {Kind.of(alert) for alert in firing(tx) if silence.matches(alert)}:
        _remember(tx, silence, kind)
    append(
        tx,
        actor=f"person:{author}",
        phase="decision",
        what="silence.added",
        incident=incident,
        reason=reason,
        data={"silence": number, "matchers": list(texts), "to": iso(ends_at)},
    )
    return silence


def expire(tx: Tx, number: int, *, by: str, reason: str) -> Silence:
    """End the silence now; what it holds is decided now. Idempotent once it is over. Raises NoSuchSilence."""
    silence = get(tx, number)
    if silence.ends_at <= tx.now:
        return silence
    tx.conn.execute(update(silences).where(silences.c.id == number).values(ends_at=tx.now))
    held_alerts.look_again_for(tx, silence.waits_for)
    append(
        tx,
        actor=f"person:{by}",
        phase="decision",
        what="silence.expired",
        incident=silence.incident,
        reason=reason,
        data={"silence": number, "planned": iso(silence.ends_at)},
    )
    return get(tx, number)


def in_force(tx: Tx) -> list[Silence]:
    """The silences in force, the one that ends last first: of several that match that one holds an alert."""
    query = select(silences).where(silences.c.starts_at <= tx.now, silences.c.ends_at > tx.now)
    return _all(tx, query.order_by(silences.c.ends_at.desc(), silences.c.id))


def listed(tx: Tx, *, past: bool = False, limit: int = 50, before: int | None = None) -> list[Silence]:
    """Silences, newest first: those in force, or with `past` all; `before` continues from a number."""
    query = select(silences).order_by(silences.c.id.desc()).limit(limit)
    if not past:
        query = query.where(silences.c.ends_at > tx.now)
    if before is not None:
        query = query.where(silences.c.id < before)
    return _all(tx, query)


def get(tx: Tx, number: int) -> Silence:
    """The silence with this number. Raises NoSuchSilence."""
    found = _all(tx, select(silences).where(silences.c.id == number))
    if not found:
        raise NoSuchSilence(f"there is no silence {number}; `paramedic silence list --past` has them all")
    return found[0]


def held_by(tx: Tx, silence: Silence) -> int:
    """How many alerts it holds now."""
    query = select(func.count()).where(inbox_rows.c.state == "held", inbox_rows.c.waits_for == silence.waits_for)
    return tx.conn.execute(query.select_from(inbox_rows)).scalar_one()


def kinds(tx: Tx, number: int) -> list[Kind]:
    """The kinds of failures that it was meant for or has hidden."""
    query = select(silence_kinds).where(silence_kinds.c.silence == number).order_by(silence_kinds.c.first_at)
    return [Kind(row.name, Severity(row.severity)) for row in tx.conn.execute(query)]


def hides(tx: Tx, silence: Silence, alert: Alert) -> None:
    """Note that it holds this alert. A kind of failure that is new for it, the first apart, is reported to a person."""
    if silence.last_matched_at is None or tx.now - silence.last_matched_at >= _MATCHED_AGAIN:
        tx.conn.execute(update(silences).where(silences.c.id == silence.id).values(last_matched_at=tx.now))
    kind, known = Kind(alert.name[:_NAME], alert.severity), kinds(tx, silence.id)
    if not kind.is_new_beside(known):
        return
    _remember(tx, silence, kind)
    if known:
        reason = (
            f"{kind.name} ({kind.severity}); before it hid {', '.join(f'{one.name} ({one.severity})' for one in known)}"
        )
        append(
            tx,
            actor="triage",
            phase="decision",
            what="silence.hides_more",
            incident=silence.incident,
            reason=reason,
            data={"silence": silence.id, "severity": kind.severity.value},
        )
        messages.queue_internal_alert(
            tx,
            subject=f"Silence {silence.id} hides a failure that it did not hide before",
            body=f"{reason}.\n\n{silence.words}.\nIts matchers: {', '.join(silence.matchers)}\n"
            f"If that is not meant: `paramedic silence expire {silence.id}`, and what it holds is handled at once.",
            same_within_minutes=60,
        )


def report_idle(tx: Tx) -> int:
    """Report, once each, the silences that have matched nothing for IDLE; returns how many are new. `tx` is of `Store.record`."""
    since = func.coalesce(silences.c.last_matched_at, silences.c.starts_at)
    query = select(silences).where(
        silences.c.ends_at > tx.now, silences.c.idle_told_at.is_(None), since <= tx.now - IDLE
    )
    idle = _all(tx, query.order_by(silences.c.id))
    if idle:
        told = update(silences).where(silences.c.id.in_([silence.id for silence in idle]))
        tx.conn.execute(told.values(idle_told_at=tx.now))
        lines = "\n".join(f"{silence.id}: {', '.join(silence.matchers)} ({silence.words})" for silence in idle)
        messages.queue_internal_alert(
            tx,
            subject="Silences that match nothing",
            body=f"For {spoken(IDLE)} these have held no alert: what they were for is over, or their matchers are wrong.\n\n"
            f"{lines}\n\n`paramedic silence expire ID` ends one.",
            same_within_minutes=60,
        )
    return len(idle)


def firing(tx: Tx, incident: int | None = None) -> list[Alert]:
    """The alerts that fire in open incidents, of all or of one."""
    query = (
        select(incident_alerts)
        .join(incidents, incidents.c.number == incident_alerts.c.incident)
        .where(incidents.c.state != State.RESOLVED, incident_alerts.c.status == Status.FIRING)
        .order_by(incident_alerts.c.first_seen, incident_alerts.c.fingerprint)
    )
    if incident is not None:
        query = query.where(incident_alerts.c.incident == incident, incident_alerts.c.affects.is_(None))
    return [
        Alert(
            source=row.source or "",
            name=row.name,
            severity=Severity(row.severity),
            status=Status(row.status),
            starts_at=row.starts_at,
            fingerprint=row.fingerprint,
            labels=row.labels,
        )
        for row in tx.conn.execute(query)
    ]


def _remember(tx: Tx, silence: Silence, kind: Kind) -> None:
    key = {"silence": silence.id, "name": kind.name[:_NAME], "severity": kind.severity}
    insert_if_missing(tx, silence_kinds, key, {"first_at": tx.now})


def _all(tx: Tx, query: Select[Any]) -> list[Silence]:
    return [_silence(row) for row in tx.conn.execute(query)]


def _silence(row: Row[Any]) -> Silence:
    columns: Collection[str] = Silence.__slots__
    return Silence(**{name: getattr(row, name) for name in columns} | {"matchers": tuple(row.matchers)})


def _restored(tx: Tx, restoration: Restoration) -> None:
    """In a restore every silence ends: one that was ended since the backup must not hide anything again."""
    for silence in in_force(tx):
        expire(tx, silence.id, by="restore", reason=restoration.reason)


def _too_old(cutoffs: Cutoffs) -> ColumnElement[bool]:
    """Silences that ended long ago."""
    return silences.c.ends_at < cutoffs.ended


def _of_none(_cutoffs: Cutoffs) -> ColumnElement[bool]:
    """What silences hid that are gone."""
    return silence_kinds.c.silence.not_in(select(silences.c.id))


FACTS = (
    TableFacts(
        table=silences,
        restore=_restored,
        retention=_too_old,
        times=(
            (silences.c.ends_at, true()),
            (silences.c.starts_at, true()),
            (silences.c.last_matched_at, true()),
        ),
    ),
    TableFacts(
        table=silence_kinds,
        restore=Unchanged("it is known what a silence hid"),
        retention=_of_none,
        times=(),
    ),
)
