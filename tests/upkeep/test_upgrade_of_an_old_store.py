"""A store that an earlier version made, with everything in it that one may hold, is upgraded, verified, read and worked on.

`stores/0008.sql` is a store of the last version of revision 0008 (commit 17d947f), made by that version's own code:

    git worktree add /tmp/before 17d947f && cd /tmp/before
    PYTHONPATH=.:tests python TREE/tests/upkeep/stores/0008.py.txt /tmp/store TREE/tests/upkeep/stores/0008.sql
"""

import json
import shutil
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from databases import Clock
from sqlalchemy import text
from store_states import look_at_the_trail

from paramedic import keys
from paramedic.cli import main
from paramedic.incidents.incident import Incident, State
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.kinds.process_target import process_identity
from paramedic.remediation.approval import Approval
from paramedic.remediation.guardrail import Refusal
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.remediation.observed_paging import Paging
from paramedic.remediation.remedy import RESTART
from paramedic.settings import Settings
from paramedic.store import (
    REVISIONS,
    Store,
    acts,
    approvals,
    attempts,
    claims,
    connect,
    deliveries,
    evidence,
    inbox,
    incidents,
    intents,
    kill_switch,
    lifecycle,
    maintenance,
    outbox,
    proposals,
)
from paramedic.store.acts import Act
from paramedic.store.claims import Claim
from paramedic.store.migrations import revision_of
from paramedic.upkeep.backup import upgrade
from paramedic.upkeep.restore import restore

STORES = Path(__file__).parent / "stores"
DUMP = (STORES / "0008.sql").read_text(encoding="utf-8")

#: What it is about by its incidents, in their order.
RESTARTED, ACKNOWLEDGED, APPROVED, ASKED, OPEN_ACT, ORDERED = range(1, 7)

FREE = Guardrails("act")


@pytest.fixture
def before(tmp_path: Path) -> Settings:
    """The settings of the store, which is not upgraded yet."""
    (tmp_path / "data").mkdir()
    settings = Settings(data=tmp_path / "data")
    database = sqlite3.connect(tmp_path / "data" / "paramedic.db")
    database.executescript(DUMP)
    database.close()
    shutil.copyfile(STORES / "0008.checkpoints.jsonl", settings.checkpoints())
    shutil.copyfile(STORES / "0008.pub", keys.public_key_file(settings))
    assert revision_of(settings.store()) == "0008"
    return settings


@pytest.fixture
def settings(before: Settings, tmp_path: Path, backend: str, empty_url: str) -> Settings:
    """Of this version: upgraded where it is, or its backup of before restored into PostgreSQL."""
    assert upgrade(before, tmp_path / "backup") == ("0008", REVISIONS[-1])
    if backend == "sqlite":
        return before
    (tmp_path / "fresh").mkdir()
    fresh = Settings(data=tmp_path / "fresh", store_url=empty_url)
    assert restore(fresh, tmp_path / "backup", by="ada").generation == 2
    return fresh


def rows(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Of every table that the dump has, by their columns of then."""
    then = sqlite3.connect(":memory:")
    then.executescript(DUMP)
    tables = [
        name
        for (name,) in then.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        if name != "alembic_version"
    ]
    columns = {name: ", ".join(f'"{row[1]}"' for row in then.execute(f"PRAGMA table_info({name})")) for name in tables}
    engine = connect(url)
    with engine.connect() as conn:
        found = {
            name: sorted(map(tuple, conn.execute(text(f"SELECT {columns[name]} FROM {name}"))), key=repr)
            for name in tables
        }
    engine.dispose()
    then.close()
    return found


def test_no_row_of_before_is_lost_or_another(before: Settings, tmp_path: Path) -> None:
    then = rows(before.store())
    assert all(
        then[name]
        for name in ("incidents", "trail", "acts", "approvals", "messages", "evidence", "inbox", "quarantine")
    )
    upgrade(before, tmp_path / "backup")
    assert rows(before.store()) == then


def test_its_trail_is_whole_and_not_rewritten(before: Settings, tmp_path: Path) -> None:
    hashes = "SELECT seq, hash FROM trail ORDER BY seq"
    database = sqlite3.connect(before.data / "paramedic.db")
    then = database.execute(hashes).fetchall()
    database.close()
    upgrade(before, tmp_path / "backup")
    store = Store(before.store())
    found = look_at_the_trail(store)
    with store.read() as tx:
        assert [tuple(row) for row in tx.conn.execute(text(hashes))][: len(then)] == then
    store.close()
    assert (found.faults, found.entries >= len(then) > 30) == ((), True)


def answer(capsys: pytest.CaptureFixture[str], *argv: str) -> Any:
    """What the command line says as JSON."""
    with pytest.raises(SystemExit) as ended:
        main([*argv, "--json"])
    captured = capsys.readouterr()
    assert ended.value.code == 0, captured
    return json.loads(captured.out)


def test_its_incidents_are_found_and_read_by_their_old_ids(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.as_env().items():
        monkeypatch.setenv(name, value)
    listed = answer(capsys, "incident", "list")
    assert sorted(row["id"] for row in listed) == [f"INC-{number}" for number in range(1, 7)]
    shown = answer(capsys, "incident", "show", "INC-1")
    assert (shown["target"], shown["state"], shown["ending"]) == ("web-1/tracking-api", "resolved", "remediated")
    whats = [entry["what"] for entry in shown["timeline"]]
    assert [what for what in whats if what.startswith(("evidence", "restart"))] == [
        "evidence.taken",
        "restart",
        "restart.done",
    ]
    assert answer(capsys, "incident", "show", "INC-2")["state"] == "acknowledged"


def test_its_trail_is_verified_against_the_checkpoint_of_then(
    before: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade(before, tmp_path / "backup")
    for name, value in before.as_env().items():
        monkeypatch.setenv(name, value)
    verified = answer(capsys, "audit", "verify")
    assert (verified["verified"], verified["faults"], verified["checkpoints"]) == (True, [], 1)


def at_work(store: Store, incident: Incident) -> Claim:
    with store.record() as tx:
        holder = f"run:run-{incident.attempt}"
        claim = claims.take(
            tx,
            target=incident.target,
            incident=incident.number,
            attempt=incident.attempt,
            holder=holder,
            lease=timedelta(minutes=1),
        )
    assert isinstance(claim, Claim), claim
    return claim


def intended(store: Store, claim: Claim, limits: Guardrails = FREE) -> Act | Refusal:
    identity = process_identity(4711, 1.0, "RUNNING")
    with store.record() as tx:
        return intents.intend(
            tx, claim, rung=1, remedy="restart", identity=identity, deadline=timedelta(seconds=30), limits=limits
        )


def test_what_it_had_begun_goes_on(before: Settings, tmp_path: Path) -> None:
    upgrade(before, tmp_path / "backup")
    clock = Clock()
    clock.advance(timedelta(minutes=11))
    store = Store(before.store(), now=clock.now)
    with store.read() as tx:
        waiting, opened = outbox.waiting(tx), acts.open_on(tx, "web-5/tracking-api")
        every = {number: incidents.get(tx, number) for number in range(1, 7)}
        assert [incident.number for incident in (every[order.incident] for order in waiting)] == [ORDERED]
        assert [approval.incident for approval in approvals.to_resume(tx)] == [APPROVED]
        assert evidence.of(tx, RESTARTED)[0]["body"].startswith("pid parent")
        assert maintenance.covering(tx, service="billing", target="web-9/x") is not None
        assert [pause.scope for pause in kill_switch.standing(tx)] == ["service:billing"]
        assert [receipt.alert.name for receipt in inbox.waiting(tx)] == ["Waiting"]
    assert opened is not None
    assert opened.identity == process_identity(4711, 1.0, "RUNNING")
    the_approved_one_acts_and_is_done(store, every[APPROVED])
    the_one_that_asks_is_answered(store)
    the_open_act_blocks_its_target_until_a_person_ends_it(store, every[OPEN_ACT])
    the_ordered_one_begins_and_what_is_queued_is_sent(store)
    the_ordered_one_proposes(store, every[ORDERED])
    found = look_at_the_trail(store)
    store.close()
    assert found.faults == ()


def the_approved_one_acts_and_is_done(store: Store, incident: Incident) -> None:
    """For the very instance that was approved."""
    claim = at_work(store, incident)
    act = intended(store, claim)
    assert isinstance(act, Act), act
    with store.record() as tx:
        acts.close(tx, act, result="done", why="it answered", actor=claim.holder)
        done = lifecycle.resolve(tx, APPROVED, Outcome(Ending.REMEDIATED, "well"), actor=claim.holder)
        assert done.state is State.RESOLVED


def the_one_that_asks_is_answered(store: Store) -> None:
    with store.record() as tx:
        asked = approvals.asked(tx, ASKED)
        assert asked is not None
        answered = approvals.decide(tx, asked.id, granted=False, by="ada", how="link")
        assert isinstance(answered, Approval)


def the_open_act_blocks_its_target_until_a_person_ends_it(store: Store, incident: Incident) -> None:
    refused = at_work_again(store, incident)
    assert refused.guardrail == "open act"
    with store.record() as tx:
        lifecycle.resolve(tx, OPEN_ACT, Outcome(Ending.HANDED_OVER, "done by hand"), actor="person:ada")
        assert acts.open_on(tx, "web-5/tracking-api") is None


def the_ordered_one_begins_and_what_is_queued_is_sent(store: Store) -> None:
    with store.record() as tx:
        assert outbox.sent(tx, ORDERED, 1)
        assert attempts.begin_attempt(tx, ORDERED, 1, flow_run="run-6") is None
        due = deliveries.due(tx)
        [trouble] = [message for message in due if message.subject == "the disk is full"]
        assert deliveries.take(tx, trouble.id)
        assert deliveries.sent(tx, trouble.id, person="ada")


def the_ordered_one_proposes(store: Store, incident: Incident) -> None:
    """As a runbook that observes does now."""
    observes = Guardrails("observe")
    with store.record() as tx:
        claim = claims.take(
            tx,
            target=incident.target,
            incident=ORDERED,
            attempt=1,
            holder="run:run-6",
            lease=timedelta(minutes=1),
        )
        assert isinstance(claim, claims.Claim), claim
        made = proposals.make(
            tx,
            claim,
            RESTART,
            identity=process_identity(4711, 1.0, "RUNNING"),
            why="it is slow",
            limits=observes,
            today=observes,
            paging=Paging.FIRST,
            within=timedelta(minutes=5),
        )
        assert proposals.of_runbook(tx, incident.runbook or "") == [made]


def at_work_again(store: Store, incident: Incident) -> Refusal:
    with store.record() as tx:
        attempts.raise_attempt(tx, incident.number, after=1, rungs=1, reason="its run is gone")
        assert attempts.begin_attempt(tx, incident.number, 2, flow_run="run-2") is None
        now = incidents.get(tx, incident.number)
    judged = intended(store, at_work(store, now))
    assert isinstance(judged, Refusal)
    return judged
