"""What a PostgreSQL server shows of its sessions: those idle in a transaction, and which of them must never be ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from paramedic.errors import PermanentError
from paramedic.kinds.transport import Database
from paramedic.machine.clock import iso, spoken
from paramedic.text.sanitize import one_line

#: Programs that keep a transaction open for as long as a copy takes, by the beginnings of their application names: the session
#: that holds the snapshot waits while others work.
COPYING = ("pg_dump", "pg_restore", "pgcopydb", "pg_repack", "barman", "pgBackRest", "greenmask")

#: Why a session is never ended, in words.
KEPT = {
    "own": "Paramedic's own, or of its role",
    "spared": "spared in services.yaml, or at work on a copy",
    "superuser": "a superuser's",
    "replication": "of a role that may replicate",
    "right": "of a role that ours may not signal",
}

#: Of each session idle in a transaction for longer than `longer_than` seconds: how long, and why it is never ended (NULL: it may
#: be). Idle since it last did something: a transaction with one short statement after the other is not idle.
_IDLE = """
    SELECT a.pid, a.backend_start, a.xact_start, a.state_change, a.state, a.query, a.datname::text AS database,
        a.usename::text AS role, a.application_name AS application, host(a.client_addr) AS client,
        extract(epoch FROM clock_timestamp() - a.state_change)::float8 AS idle,
        extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS open,
        CASE
            WHEN a.pid = pg_backend_pid() OR a.usename = session_user OR starts_with(a.application_name, 'paramedic')
                THEN 'own'
            WHEN a.usename::text = ANY (%(roles)s::text[])
                OR EXISTS (SELECT FROM unnest(%(applications)s::text[]) AS spared (beginning)
                    WHERE starts_with(a.application_name, beginning))
                THEN 'spared'
            WHEN r.rolsuper IS NOT FALSE THEN 'superuser'
            WHEN r.rolreplication THEN 'replication'
            WHEN NOT pg_has_role('pg_signal_backend'::name, 'USAGE') AND NOT pg_has_role(a.usesysid, 'USAGE')
                THEN 'right'
        END AS kept
    FROM pg_stat_activity AS a LEFT JOIN pg_roles AS r ON r.oid = a.usesysid
    WHERE a.backend_type = 'client backend'
        AND a.state IN ('idle in transaction', 'idle in transaction (aborted)')
        AND a.state_change < clock_timestamp() - make_interval(secs => %(longer_than)s)
        AND (%(database)s::text IS NULL OR a.datname = %(database)s)
"""

_LISTED = f"{_IDLE} ORDER BY a.state_change, a.pid LIMIT 200"

#: The one statement that ends a session compares it first: the session with this pid may be another one by now, or at work again.
_END = f"""
    WITH same AS MATERIALIZED (
        SELECT pid FROM ({_IDLE}) AS idle
        WHERE kept IS NULL AND xact_start IS NOT DISTINCT FROM %(xact_start)s::timestamptz
            AND (pid, backend_start, state_change)
                = (%(pid)s::int, %(backend_start)s::timestamptz, %(state_change)s::timestamptz)
    )
    SELECT pg_terminate_backend(pid) AS signalled FROM same
"""  # noqa: S608 - of this module's own words

_STILL_THERE = """
    SELECT a.pid FROM pg_stat_activity AS a
    JOIN unnest(%(pids)s::int[], %(starts)s::timestamptz[]) AS told (pid, backend_start)
        ON (a.pid, a.backend_start) = (told.pid, told.backend_start)
"""

_FACTS = """
    SELECT extract(epoch FROM pg_postmaster_start_time())::float8 AS started_at, session_user::text AS role,
        pg_has_role('pg_read_all_stats'::name, 'USAGE') AS sees, pg_has_role('pg_signal_backend'::name, 'USAGE') AS ends,
        current_setting('track_activities')::bool AS tracks
"""


@dataclass(frozen=True, slots=True)
class Idle:
    """One session that is idle in a transaction, at the time of the look."""

    pid: int
    backend_start: datetime
    xact_start: datetime | None  # None: it failed, and its client has not noticed
    state_change: datetime
    state: str
    role: str
    application: str
    client: str
    database: str
    idle: timedelta
    open: timedelta | None
    query: str  # the last one: data, with all its values
    kept: str | None  # why it is never ended, a key of KEPT

    @property
    def words(self) -> str:
        """Which session it is, for the trail."""
        return f"pid {self.pid} (idle for {spoken(self.idle)})"

    @property
    def instance(self) -> str:
        """The very session and its very transaction."""
        within = "a failed one" if self.xact_start is None else f"one since {iso(self.xact_start)}"
        return f"pid {self.pid} of {iso(self.backend_start)}, in a transaction, {within}, silent since {iso(self.state_change)}"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the server says of itself and of our role."""

    started_at: float  # seconds since the epoch
    role: str
    sees: bool  # whether our role sees what others' sessions do
    ends: bool  # whether it may end them
    tracks: bool  # whether the server notes what sessions do

    def must_see(self) -> None:
        """Raises PermanentError where other sessions cannot be seen: then nothing says that none is idle."""
        if not self.sees:
            raise PermanentError(f"the role {quoted(self.role)} sees only its own sessions: {self.grant('pg_monitor')}")
        if not self.tracks:
            raise PermanentError("this server does not note what its sessions do: set track_activities = on")

    def grant(self, to: str) -> str:
        """The statement that gives our role the rights of another."""
        return f"GRANT {to} TO {quoted(self.role)}"


@dataclass(frozen=True, slots=True)
class Scope:
    """Which sessions count: of which database (None: of all), idle for how long, and what is spared."""

    database: str | None
    longer_than: timedelta
    roles: tuple[str, ...] = ()
    applications: tuple[str, ...] = ()

    @property
    def parameters(self) -> dict[str, Any]:
        """For the statements."""
        return {
            "database": self.database,
            "longer_than": self.longer_than.total_seconds(),
            "roles": list(self.roles),
            "applications": [*COPYING, *self.applications],
        }


def facts(database: Database, deadline: float) -> Facts:
    """What the server says of itself. Raises as `Database.rows` does."""
    [row] = database.rows(_FACTS, deadline=deadline)
    return Facts(**row)


def idle_in_transaction(database: Database, scope: Scope, deadline: float) -> list[Idle]:
    """The sessions that are idle in a transaction for too long, the one that is so for longest first. Raises as `rows` does."""
    return [_idle(row) for row in database.rows(_LISTED, scope.parameters, deadline=deadline)]


def end(database: Database, scope: Scope, session: Idle, deadline: float) -> bool:
    """End this very session, if it is still idle in the same transaction: whether it was told to. Raises as `rows` does."""
    parameters = scope.parameters | {
        name: getattr(session, name) for name in ("pid", "backend_start", "xact_start", "state_change")
    }
    found = database.rows(_END, parameters, deadline=deadline)
    return any(row["signalled"] for row in found)


def still_there(database: Database, sessions: list[Idle], deadline: float) -> list[int]:
    """The pids of those that the server still has. Raises as `rows` does."""
    told = {"pids": [one.pid for one in sessions], "starts": [one.backend_start for one in sessions]}
    return [row["pid"] for row in database.rows(_STILL_THERE, told, deadline=deadline)]


def quoted(name: str) -> str:
    """The name as SQL has it."""
    return '"{}"'.format(one_line(name).replace('"', '""'))


def _idle(row: Mapping[str, Any]) -> Idle:
    spans = {name: None if row[name] is None else timedelta(seconds=row[name]) for name in ("idle", "open")}
    words = {name: one_line(row[name] or "") for name in ("role", "application", "database")}
    return Idle(**(dict(row) | spans | words | {"client": row["client"] or "a local socket"}))
