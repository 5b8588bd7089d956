"""Evidence of a PostgreSQL server: its sessions, who blocks whom, its longest queries. Their texts are shown without values."""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds import postgres_activity as activity
from paramedic.kinds.evidence import Unseen
from paramedic.kinds.postgres_activity import Facts, Idle, Scope
from paramedic.kinds.transport import Database
from paramedic.machine.clock import spoken
from paramedic.text.sanitize import one_line
from paramedic.text.sql_text import without_values

#: Gathers one piece, line by line, by a deadline of `boottime()`. Raises TemporaryError or PermanentError.
Gather = Callable[[Database, Scope, float], Iterator[str]]

#: So many sessions are shown.
_SHOWN = 30

_STATES = """
    SELECT coalesce(a.state, 'not shown to us') AS state,
        count(*) AS sessions, extract(epoch FROM max(clock_timestamp() - a.xact_start))::float8 AS open
    FROM pg_stat_activity AS a
    WHERE (a.backend_type = 'client backend' OR a.backend_type IS NULL)
        AND (%(database)s::text IS NULL OR a.datname = %(database)s)
    GROUP BY 1 ORDER BY 2 DESC
"""

_PREPARED = """
    SELECT count(*) AS prepared, extract(epoch FROM max(clock_timestamp() - prepared))::float8 AS oldest
    FROM pg_prepared_xacts WHERE %(database)s::text IS NULL OR database = %(database)s
"""

#: Sessions that wait for a lock, and which sessions they wait for. Of one lock each: the one that was not granted.
_WAITING = """
    SELECT a.pid, a.usename::text AS role, a.application_name AS application, a.query,
        extract(epoch FROM clock_timestamp() - a.query_start)::float8 AS since, pg_blocking_pids(a.pid) AS blockers,
        (SELECT l.mode || coalesce(' on ' || l.relation::regclass::text, ' on a ' || l.locktype) FROM pg_locks AS l
            WHERE l.pid = a.pid AND NOT l.granted LIMIT 1) AS lock
    FROM pg_stat_activity AS a
    WHERE a.wait_event_type = 'Lock' AND (%(database)s::text IS NULL OR a.datname = %(database)s)
    ORDER BY a.query_start LIMIT 50
"""

_BLOCKING = """
    SELECT a.pid, a.usename::text AS role, a.application_name AS application, a.query, coalesce(a.state, a.backend_type) AS state,
        extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS open
    FROM pg_stat_activity AS a WHERE a.pid = ANY (%(pids)s::int[]) ORDER BY a.xact_start
"""

_RUNNING = """
    SELECT a.pid, a.usename::text AS role, a.application_name AS application, a.query,
        extract(epoch FROM clock_timestamp() - a.query_start)::float8 AS since,
        coalesce(a.wait_event_type || ': ' || a.wait_event, 'on the CPU') AS waits
    FROM pg_stat_activity AS a
    WHERE a.state = 'active' AND a.backend_type = 'client backend' AND a.pid <> pg_backend_pid()
        AND (%(database)s::text IS NULL OR a.datname = %(database)s)
    ORDER BY a.query_start LIMIT 20
"""


def sessions(database: Database, scope: Scope, deadline: float) -> Iterator[str]:
    """How many sessions there are by their state, and those that are idle in a transaction for too long, each with its fate."""
    facts = activity.facts(database, deadline)
    where = {"database": scope.database}
    yield from _not_seen(facts)
    states = database.rows(_STATES, where, deadline=deadline)
    yield "sessions by state:"
    for row in states:
        opened = "" if row["open"] is None else f", the oldest transaction open for {_span(row['open'])}"
        yield f"  {row['sessions']} {one_line(row['state'])}{opened}"
    [prepared] = database.rows(_PREPARED, where, deadline=deadline)
    if prepared["prepared"]:
        yield (
            f"  {prepared['prepared']} prepared transactions, the oldest of {_span(prepared['oldest'])} ago: no session "
            "holds them; a person commits them or rolls them back"
        )
    idle = activity.idle_in_transaction(database, scope, deadline)
    yield from ("", f"idle in a transaction for longer than {spoken(scope.longer_than)}: {len(idle) or 'none'}")
    for session in idle[:_SHOWN]:
        yield from _shown(session)
    yield from _rest(len(idle))


def locks(database: Database, scope: Scope, deadline: float) -> Iterator[str]:
    """Who waits for a lock, and for whom; first who blocks and does not wait itself."""
    yield from _not_seen(activity.facts(database, deadline))
    waiting = database.rows(_WAITING, {"database": scope.database}, deadline=deadline)
    if not waiting:
        yield "no session waits for a lock"
        return
    waits = {row["pid"] for row in waiting}
    pids = sorted({pid for row in waiting for pid in row["blockers"]} - waits)
    try:
        yield from _blocking(database.rows(_BLOCKING, {"pids": pids}, deadline=deadline), waiting)
    except (TemporaryError, PermanentError) as error:
        yield Unseen(f"who blocks them was not seen: {error}")
    if 0 in pids:  # what pg_blocking_pids says of a prepared transaction
        yield "  a prepared transaction, which no session holds"
    yield from ("", f"waiting for a lock: {len(waiting)}")
    for row in waiting[:_SHOWN]:
        blockers = ", ".join(map(str, sorted(set(row["blockers"])))) or "nobody now"
        wants = one_line(row["lock"] or "a lock")
        yield from _session(row, f"for {_span(row['since'])} waits for {wants}, which is kept by pid {blockers}")
    yield from _rest(len(waiting))


def _blocking(rows: list[Mapping[str, Any]], waiting: list[Mapping[str, Any]]) -> Iterator[str]:
    yield "blocking, and waiting for nobody:"
    for row in rows:
        blocked = sum(row["pid"] in other["blockers"] for other in waiting)
        opened = "" if row["open"] is None else f", its transaction open for {_span(row['open'])}"
        yield from _session(
            row, f"blocks {blocked}, {one_line(row['state'] or 'its state is not shown to us')}{opened}"
        )


def queries(database: Database, scope: Scope, deadline: float) -> Iterator[str]:
    """The queries that run now, the longest first."""
    yield from _not_seen(activity.facts(database, deadline))
    running = database.rows(_RUNNING, {"database": scope.database}, deadline=deadline)
    yield f"running queries: {len(running) or 'none'}"
    for row in running:
        yield from _session(row, f"for {_span(row['since'])}, {one_line(row['waits'])}")


def _not_seen(facts: Facts) -> list[str]:
    """What cannot be seen, and what would show it; and what our role may not do."""
    lines = list[str]()
    if not facts.sees:
        lines.append(Unseen(f"not seen: what sessions of other roles do. {facts.grant('pg_monitor')} shows it"))
    if not facts.ends:
        lines.append(f"sessions of other roles cannot be ended: {facts.grant('pg_signal_backend')}")
    if not facts.tracks:
        lines.append(Unseen("not seen: what sessions do. track_activities = on shows it"))
    return [*lines, ""] if lines else []


def _shown(session: Idle) -> list[str]:
    fate = "may be ended" if session.kept is None else f"is never ended: {activity.KEPT[session.kept]}"
    who = (
        f"  pid {session.pid}, role {session.role}, {session.application or 'no application name'}, from {session.client}, "
        f"database {session.database}: {session.state}, idle for {spoken(session.idle)}, "
        f"{'failed' if session.open is None else f'open for {spoken(session.open)}'}; {fate}"
    )
    return [who, f"    last: {without_values(session.query)}"]


def _session(row: Mapping[str, Any], does: str) -> list[str]:
    who = f"role {one_line(row['role'] or '-')}, {one_line(row['application'] or '') or 'no application name'}"
    return [f"  pid {row['pid']}, {who}: {does}", f"    {without_values(row['query'] or '')}"]


def _span(seconds: float | None) -> str:
    return "an unknown time" if seconds is None else spoken(timedelta(seconds=seconds)) or "0s"


def _rest(found: int) -> list[str]:
    return [f"  … and {found - _SHOWN} more"] if found > _SHOWN else []
