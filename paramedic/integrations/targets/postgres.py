"""PostgreSQL servers and databases: sessions that are idle in a transaction for too long are seen, and ended."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from paramedic.alerts.alert import Alert
from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TargetChanged, TemporaryError
from paramedic.kinds import postgres_activity as activity
from paramedic.kinds import postgres_evidence
from paramedic.kinds.evidence import ByDeadline, Gathered, collected
from paramedic.kinds.postgres_activity import Facts, Idle, Scope
from paramedic.kinds.probing import Seen
from paramedic.kinds.transport import Database, Transport
from paramedic.machine.clock import boottime, spoken
from paramedic.machine.kill_points import kill_point
from paramedic.remediation.target import Identity, Target, same_instance
from paramedic.text.template import as_it_is
from paramedic.text.units import duration

LABEL = "datname"
REMEDIES = ("end_idle_in_transaction",)

UP = "up"

#: A look at the server takes so long at most, and is repeated so often while sessions that were told to end roll back.
LOOK = timedelta(seconds=5)
AGAIN_SECONDS = 0.05


def _without_password(address: str) -> str:
    if address.startswith("service="):
        if not address.removeprefix("service=").strip() or any(char in address for char in " '\\"):
            raise ValueError("it names no service: write service=NAME alone, an entry of pg_service.conf")
        return address
    try:
        parts = urlsplit(address)
        asked = parse_qs(parts.query, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise ValueError(f"it is not an address: {error}") from None
    if parts.password is not None or {"password", "sslpassword"} & asked.keys():
        raise ValueError("a password does not stand here: name a file that has it, ?passfile=/etc/paramedic/pgpass")
    if strange := sorted({"options", "dbname", "application_name"} & asked.keys()):
        raise ValueError(f"`{strange[0]}` is not written in the address: Paramedic sets it")
    return address


_Name = Annotated[str, Field(min_length=1, max_length=150, pattern=r"\S"), AfterValidator(as_it_is)]


class _Spared(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    roles: list[_Name] = Field(default=[], description="roles whose sessions are never ended: etl")
    applications: list[_Name] = Field(
        default=[], description="beginnings of application names whose sessions are never ended: nightly-export"
    )


class Words(BaseModel):
    """`postgres: {database: orders, address: "postgresql://paramedic@db-1"}` in services.yaml."""

    model_config = ConfigDict(extra="forbid", strict=True)
    database: _Name | None = Field(default=None, description="the database whose sessions are meant: orders")
    server: _Name | None = Field(default=None, description="instead of it: a name for the whole server: main")
    address: Annotated[
        str,
        Field(pattern=r"^(postgres(ql)?://|service=)"),
        AfterValidator(as_it_is),
        AfterValidator(_without_password),
    ] = Field(description="where it is, without a password: postgresql://paramedic@db-1?passfile=/etc/paramedic/pgpass")
    idle_in_transaction: Annotated[timedelta, duration("1s", "30d")] = Field(
        default=timedelta(minutes=15), description="a session may be idle in a transaction for so long: 15m"
    )
    at_most: int = Field(default=5, ge=1, le=50, description="so many sessions are ended by one act: 5")
    spare: _Spared = Field(default=_Spared(), description="whose sessions are never ended")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.database is None) == (self.server is None):
            raise ValueError("write exactly one of `database: NAME` and, for all of them, `server: NAME`")
        return self

    @property
    def scope(self) -> Scope:
        """Which sessions count."""
        spared = self.spare
        return Scope(self.database, self.idle_in_transaction, tuple(spared.roles), tuple(spared.applications))

    @property
    def connection(self) -> str:
        """The libpq connection string of the database, or of the one that every server has."""
        database = self.database or "postgres"
        if self.address.startswith("service="):
            return f"{self.address} dbname='{_escaped(database)}'" if self.database else self.address
        joint = "&" if "?" in self.address else "?"
        if self.database is None and urlsplit(self.address).path.strip("/"):
            return self.address
        return f"{self.address}{joint}dbname={_in_url(database)}"


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace("'", "\\'")


def _in_url(name: str) -> str:
    return "".join(
        char if char.isascii() and char.isalnum() else "".join(f"%{byte:02X}" for byte in char.encode())
        for char in name
    )


def name_of(words: Words) -> str:
    """The database, or the server's name."""
    return words.database or words.server or ""


def address_of(words: Words) -> str:
    """Where it is, without a password."""
    return words.address


def covers(whole: Target, part: Target) -> bool:
    """Whether it is a database of the server, as far as their host tells: a host may have two servers."""
    if (whole.kind, whole.host) != (part.kind, part.host):
        return False
    return whole.words.server is not None and part.words.database is not None


def running(identity: Identity) -> bool:
    """Whether it answers, and none of its sessions is idle in a transaction for too long but those that services.yaml spares."""
    return identity.state == UP


def restarted(before: Identity, now: Identity) -> bool:
    """Whether the session that was to be ended first is gone or at work again, or all are by a restart of the server."""
    return before.instance.get("oldest") is not None and not same_instance(before.instance, now.instance)


def _open(target: Target, transport: Transport, deadline: float) -> Database:
    return transport.database(target.words.connection, deadline)


class Reader:
    """Looks at one server or database."""

    def __init__(self, target: Target, transport: Transport, timeout: timedelta = LOOK) -> None:
        self._target, self._transport, self._timeout = target, transport, timeout

    def identity(self) -> Identity:
        """How it is, and the session that would be ended first.

        Raises TemporaryError if it cannot be reached or does not answer, PermanentError if it refuses us, or our role cannot
        see what others' sessions do.
        """
        deadline = boottime() + self._timeout.total_seconds()
        with _open(self._target, self._transport, deadline) as database:
            return _identity(*_seen(self._target, database, deadline))


def _seen(target: Target, database: Database, deadline: float) -> tuple[Facts, list[Idle], timedelta]:
    """The server, its sessions that are idle for too long, and for how long they may be. Raises as `Reader.identity`."""
    facts = activity.facts(database, deadline)
    facts.must_see()
    return facts, activity.idle_in_transaction(database, target.words.scope, deadline), target.words.idle_in_transaction


def _identity(facts: Facts, idle: Sequence[Idle], longer_than: timedelta) -> Identity:
    counted = sum(session.kept != "spared" for session in idle)
    oldest = next((session.instance for session in idle if session.kept is None), None)
    sessions = "1 session" if counted == 1 else f"{counted} sessions"
    state = f"{sessions} idle in a transaction for longer than {spoken(longer_than)}" if counted else UP
    return Identity(state, {"started_at": facts.started_at, "oldest": oldest})


class Changer:
    """Ends sessions of one server or database."""

    def __init__(self, target: Target, transport: Transport, total_timeout: timedelta = timedelta(seconds=30)) -> None:
        self._target, self._transport, self._total = target, transport, total_timeout
        self.did = ""

    def end_idle_in_transaction(self, expected: Identity, last_look: Callable[[], None]) -> Identity:
        """End the sessions that are idle in a transaction for too long: those that are so for longest, at most `at_most` of them.

        None of a superuser, of a role that may replicate, of Paramedic's, or that services.yaml spares. Each is compared in the
        statement that ends it: one that went on meanwhile is left alone. It has helped where they are gone from the server.

        Nothing was sent if it raises Refused (another session is the first now, or none may be ended) or TemporaryError.
        PermanentError: the server ended none, as it says. OutcomeUnknown: one was sent, and no answer came, or a session was told
        to end and is still there.
        """
        deadline = boottime() + self._total.total_seconds()
        with _open(self._target, self._transport, deadline) as database:
            facts, idle, longer_than = _seen(self._target, database, deadline)
            self._check(expected, _identity(facts, idle, longer_than))
            chosen = [session for session in idle if session.kept is None]
            if not chosen:
                raise Refused(f"no session of {self._target.id} may be ended: {_why(idle, facts)}")
            last_look()
            if boottime() >= deadline:
                raise Refused(f"the {spoken(self._total)} for {self._target.id} were over before anything was sent")
            ended = self._end(database, chosen[: self._target.words.at_most], deadline)
            self._wait_until_gone(database, ended, deadline)
            self.did = _account(ended, left=len(chosen) - len(ended))
            try:
                return _identity(*_seen(self._target, database, deadline))
            except (TemporaryError, PermanentError):  # they are gone: only what came after is not known
                return Identity("UNKNOWN", {"started_at": facts.started_at})

    def _check(self, expected: Identity, now: Identity) -> None:
        """Raises TargetChanged where another session is the first one to end than the judged one."""
        if not same_instance(expected.instance, now.instance):
            was, is_now = (identity.instance.get("oldest") or "none" for identity in (expected, now))
            raise TargetChanged(f"the first session of {self._target.id} to end was {was}, and is {is_now}")

    def _end(self, database: Database, chosen: Sequence[Idle], deadline: float) -> list[Idle]:
        """Those of the chosen that were told to end, each by a statement of its own."""
        told: list[Idle] = []
        refused: list[str] = []
        for session in chosen:
            if boottime() >= deadline:
                break
            try:
                signalled = activity.end(database, self._target.words.scope, session, deadline)
            except PermanentError as error:  # of this one alone: it says no before it does anything
                refused.append(f"{session.words}: {error}")
                continue
            except TemporaryError as error:
                raise OutcomeUnknown(
                    f"{self._target.id} was told to end {_named([*told, session])}, and what came of the last is open: {error}"
                ) from error
            kill_point("act_sent", self._target.id)
            told += [session] if signalled else []
        if not told and refused:
            raise PermanentError(f"{self._target.id} ended no session: {'; '.join(refused)}")
        if not told:
            raise TargetChanged(f"every session of {self._target.id} that was to be ended went on, or ended by itself")
        return told

    def _wait_until_gone(self, database: Database, ended: list[Idle], deadline: float) -> None:
        """Raises OutcomeUnknown where one of them is still there at the deadline, or nobody knows."""
        try:
            while there := activity.still_there(database, ended, deadline):
                if boottime() >= deadline:
                    pids = ", ".join(map(str, there))
                    raise OutcomeUnknown(f"{self._target.id} was told to end {_named(ended)}; still there: pid {pids}")
                time.sleep(AGAIN_SECONDS)
        except (TemporaryError, PermanentError) as error:
            raise OutcomeUnknown(
                f"{self._target.id} was told to end {_named(ended)}, and does not say whether they are gone: {error}"
            ) from error


def _named(sessions: Iterable[Idle]) -> str:
    return ", ".join(session.words for session in sessions)


def _account(ended: Sequence[Idle], left: int) -> str:
    sessions = "1 session that was" if len(ended) == 1 else f"{len(ended)} sessions that were"
    more = f"; {left} more may be ended and were not" if left else ""
    return f"ended {sessions} idle in a transaction, and the server has it no more: {_named(ended)}{more}"


def _why(idle: Sequence[Idle], facts: Facts) -> str:
    """Why none of them may be ended."""
    if not idle:
        return "none is idle in a transaction for too long"
    counts = {kept: sum(session.kept == kept for session in idle) for kept in activity.KEPT}
    words = ", ".join(f"{count} {activity.KEPT[kept]}" for kept, count in counts.items() if count)
    return f"{words}; {facts.grant('pg_signal_backend')}" if counts["right"] else words


def forbidden(target: Target, transport: Transport, _remedy: str) -> str | None:
    """Why our role may not end others' sessions, and what grants it. Raises TemporaryError or PermanentError."""
    deadline = boottime() + LOOK.total_seconds()
    with _open(target, transport, deadline) as database:
        facts = activity.facts(database, deadline)
    facts.must_see()
    if facts.ends:
        return None
    return f"the role {activity.quoted(facts.role)} ends no sessions of other roles: {facts.grant('pg_signal_backend')}"


def foreseen(target: Target, transport: Transport, _remedy: str, _alerts: Sequence[Alert]) -> str:
    """Which sessions would be ended now. Raises Refused where none may be, and as `Reader.identity` does."""
    deadline = boottime() + LOOK.total_seconds()
    with _open(target, transport, deadline) as database:
        facts, idle, _ = _seen(target, database, deadline)
    chosen = [session for session in idle if session.kept is None][: target.words.at_most]
    if not chosen:
        raise Refused(f"no session of {target.id} may be ended: {_why(idle, facts)}")
    counted = "1 session" if len(chosen) == 1 else f"{len(chosen)} sessions"
    return "\n".join([f"{counted}, idle for longest first", *(session.words for session in chosen)])


def sessions(target: Target, transport: Transport) -> Seen:
    """For how long the session that is so for longest has been idle in a transaction, of those that count. 0: none is.

    Raises as `Reader.identity` does.
    """
    deadline = boottime() + LOOK.total_seconds()
    scope = replace(target.words.scope, longer_than=timedelta(0))
    with _open(target, transport, deadline) as database:
        activity.facts(database, deadline).must_see()
        idle = activity.idle_in_transaction(database, scope, deadline)
    first = next((session for session in idle if session.kept != "spared"), None)
    if first is None:
        return {"idle_for": 0.0}, "no session is idle in a transaction"
    return {
        "idle_for": first.idle.total_seconds()
    }, f"pid {first.pid} is idle in a transaction for {spoken(first.idle)}"


def _evidence(gather: postgres_evidence.Gather) -> ByDeadline:
    def gathered(target: Target, transport: Transport, deadline: float) -> Gathered:
        with _open(target, transport, deadline) as database:
            return collected(gather(database, target.words.scope, deadline))

    return ByDeadline(gathered)


EVIDENCE = {
    "sessions": _evidence(postgres_evidence.sessions),
    "locks": _evidence(postgres_evidence.locks),
    "queries": _evidence(postgres_evidence.queries),
}


def mark(_target: Target, _transport: Transport, _act: str) -> None:
    """Nothing: the server does what it is asked on a connection, and no machine keeps a mark of that."""
