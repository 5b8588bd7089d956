"""An alert about sessions that are idle in a transaction: evidence, the sessions ended, verified, by a real responder."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from databases import Postgres
from incident_states import PEOPLE, alert
from pool import Pool
from prefect_server import Prefect
from waiting import until

from paramedic.catalog.library import open_library
from paramedic.incidents.incident import Incident, State
from paramedic.intake import routing
from paramedic.settings import Settings
from paramedic.store import acts, evidence, incidents, lifecycle, trail
from paramedic.store.runbook_versions import Plan

pytestmark = [pytest.mark.real, pytest.mark.costly]

SERVICES = """\
services:
  shop:
    targets:
      - host: db-1
        postgres:
          database: till
          address: postgresql://medic@127.0.0.1:{port}
          idle_in_transaction: 1s
        also: ["db-1:9187"]
"""

RUNBOOK = """\
---
runbook: idle-in-transaction
service: shop
when:
  - alert: PostgresIdleInTransaction
  - {check: sessions, idle_for: {critical: 1s}}
mode: act
playbook: restore-service
with:
  target: {postgres: "{datname}", host: "{instance}"}
  remedies: [end_idle_in_transaction]
  evidence: [sessions, locks, queries]
  verify: {check: idle_for, stable: 200ms, within: 10s}
---
**Meaning.** An application has left a transaction open.
**Impact.** It keeps its locks, and vacuum from its work.
## Diagnosis
c
## Mitigation
d
"""


@dataclass
class Played:
    pool: Pool
    incident: Incident
    ended: dict[str, object]
    abandoned: "psycopg.Connection[Any]"
    pid: int
    waiting: "psycopg.Connection[Any]"


@pytest.fixture(scope="module")
def played(prefect: Prefect, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """The run of the incident that the alert opens, to its end."""
    folder = tmp_path_factory.mktemp("postgres-story")
    books = folder / "runbooks"
    books.mkdir()
    files = {
        "services.yaml": SERVICES.format(port=postgres.port),
        "oncall.yaml": PEOPLE,
        "idle-in-transaction.md": RUNBOOK,
    }
    for name, text in files.items():
        (books / name).write_text(text)
    postgres.run("CREATE ROLE medic LOGIN; GRANT pg_monitor, pg_signal_backend TO medic; CREATE ROLE till LOGIN")
    postgres.run("CREATE DATABASE till OWNER till")
    pool = Pool(prefect, folder)
    abandoned = psycopg.connect(postgres.url("till", "till"), application_name="till")
    boss = psycopg.connect(postgres.url("till"), application_name="admin")
    try:
        abandoned.execute("CREATE TABLE sold (what text); INSERT INTO sold VALUES ('card 4929-1')")
        boss.execute("SELECT 1")
        boss.commit()
        pool.deploy("restore_service.restore_service")
        pool.start(PARAMEDIC_RUNBOOKS=str(books))
        until("it is idle for too long", lambda: _idle_for(postgres, abandoned) > 1)
        incident = opened(pool, Settings(data=folder, runbooks=books))
        run = pool.create("restore_service", notified=True, run={"incident": incident.ref, "attempt": 1})
        pid = abandoned.info.backend_pid
        yield Played(pool, incident, pool.ends(run, 200), abandoned, pid, boss)
    finally:
        pool.close()
        abandoned.close()
        boss.close()
        postgres.run("DROP DATABASE till WITH (FORCE)")


def _idle_for(postgres: Postgres, session: "psycopg.Connection[Any]") -> float:
    pid = session.info.backend_pid
    idle = "SELECT extract(epoch FROM clock_timestamp() - state_change)::float8 FROM pg_stat_activity"
    [[seconds]] = postgres.run(f"{idle} WHERE pid = {pid}")
    return float(seconds)


def opened(pool: Pool, settings: Settings) -> Incident:
    library = open_library(settings)
    received = alert("PostgresIdleInTransaction", datname="till", instance="db-1:9187")
    place = routing.place(received, library)
    assert library.problems == ()
    assert place.runbook is not None, place.why
    assert place.target == "db-1/postgres:till"
    plan = Plan(place.runbook.name, place.runbook.version, place.runbook.text, rungs=1)
    with pool.store.record() as tx:
        return lifecycle.open_incident(
            tx, received, service=place.service, target=place.target, policy="default", reason=place.why, plan=plan
        )


def test_the_session_is_ended_and_the_incident_is_verified(played: Played) -> None:
    assert (played.ended["state_type"], played.ended["state_name"]) == ("COMPLETED", "Remediated"), played.pool.log()
    with pytest.raises(psycopg.OperationalError):
        played.abandoned.execute("SELECT 1")
    assert played.waiting.execute("SELECT 1").fetchall() == [(1,)], "nobody else's is ended"
    with played.pool.store.read() as tx:
        assert incidents.get(tx, played.incident.number).state is State.RESOLVED


def test_the_trail_names_the_session_before_and_after_it_is_ended(played: Played) -> None:
    with played.pool.store.read() as tx:
        entries = {entry.what: entry for entry in trail.entries(tx, incident=played.incident.number)}
        [act] = acts.of(tx, played.incident.number)
    assert str(act.identity.instance["oldest"]).startswith(f"pid {played.pid} of ")
    assert f"pid {played.pid} (idle for" in entries["end_idle_in_transaction.done"].reason
    order = [
        what for what in entries if what in ("evidence.taken", "end_idle_in_transaction.done", "verification.well")
    ]
    assert order == ["evidence.taken", "end_idle_in_transaction.done", "verification.well"]


def test_the_evidence_was_taken_before_and_has_no_value_of_a_statement(played: Played) -> None:
    with played.pool.store.read() as tx:
        pieces = {piece["kind"]: piece["body"] for piece in evidence.of(tx, played.incident.number)}
    assert f"pid {played.pid}, role till, till" in pieces["sessions"]
    assert "INSERT INTO sold VALUES (?)" in pieces["sessions"]
    assert {"locks", "queries"} <= pieces.keys()
    assert not any("4929" in body for body in pieces.values())
