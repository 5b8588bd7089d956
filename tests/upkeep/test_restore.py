"""What begins when a store is brought back: nothing of the past acts, and what was lost is named."""

from datetime import timedelta
from pathlib import Path

import pytest
from backed_up_stores import found, handed_over_in, noted, opened, rows, signed
from incident_states import acting, alert, asking, handed_over, holding, ordered
from sqlalchemy import text, update

from paramedic.alerts.alert import Severity
from paramedic.dispatch.loop import Dispatch
from paramedic.dispatch.prefect_runs import CreatedRun
from paramedic.errors import Refused
from paramedic.incidents.incident import Incident, State
from paramedic.oncall.rotation import Override
from paramedic.remediation.approval import Answer, Approval
from paramedic.remediation.guardrail import Refusal
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.settings import Settings
from paramedic.store import (
    Tx,
    acts,
    approvals,
    attempts,
    claims,
    deliveries,
    inbox,
    incidents,
    intents,
    kill_switch,
    leases,
    lifecycle,
    maintenance,
    oncall_overrides,
    outbox,
)
from paramedic.store import trail as stored_trail
from paramedic.store.claims import Claim
from paramedic.store.migrations import migrate
from paramedic.store.snapshot import put, snapshot
from paramedic.store.tables import meta
from paramedic.upkeep import checkpoints
from paramedic.upkeep.backup import back_up
from paramedic.upkeep.restore import restore

LEASE = timedelta(seconds=10)


HOUR = timedelta(hours=1)


ASKS = Guardrails("act", {"approval": Severity.WARNING})


def goes_on_after_the_backup(settings: Settings, paged: Incident) -> Incident:
    """What a restore loses: a note on the incident, and the incident that is returned."""
    store = opened(settings)
    with store.record() as tx:
        incidents.note(tx, paged.number, by="ada", text="lost")
        lost = lifecycle.open_incident(
            tx, alert("Lost"), service="s", target="a/6", policy="default", reason="r", plan=None
        )
    store.close()
    signed(settings)
    return lost


def the_past_is_fenced_off(tx: Tx, works: Incident, claim: Claim, lost: Incident) -> None:
    """Neither a run, nor a claim, nor a link from before the restore means anything now."""
    assert attempts.begin_attempt(tx, works.number, 1, flow_run="run-1") is not None
    assert not claims.renew(tx, claim, timedelta(seconds=10))
    again = claims.take(tx, target="a/2", incident=1, attempt=1, holder="x", lease=timedelta(seconds=10))
    assert isinstance(again, Claim)
    assert again.token > claim.token + 1000, "who still holds a token of the lost life is fenced off"
    new = lifecycle.open_incident(tx, alert("New"), service="s", target="a/7", policy="default", reason="r", plan=None)
    assert new.number > lost.number + 1000, "a link in a message of the lost life means no other incident now"


def test_a_restore_brings_every_row_back_and_nothing_of_the_past_acts(settings: Settings, tmp_path: Path) -> None:
    store = opened(settings)
    waits, (works, claim), (open_act, act) = ordered(store, "a/1"), holding(store, "a/2"), acting(store, "a/3")
    paged = handed_over(store, title="Another")
    with store.record() as tx:
        theirs = lifecycle.acknowledge(tx, handed_over_in(tx, "a/5"), by="eve", reason="hers")
    inbox.receive(store, [alert("Undecided")], source="alertmanager", sender="x")
    with store.write() as tx:  # as it stands when the first rung has left
        tx.conn.execute(text("UPDATE messages SET state = 'sent', rung = 1 WHERE kind = 'rung'"))
    store.close()
    signed(settings)
    back_up(settings, tmp_path / "backup")
    before = rows(settings)
    lost = goes_on_after_the_backup(settings, paged)

    made = restore(settings, tmp_path / "backup", by="ada", replace=True)

    assert (made.generation, made.found.verified, made.found.left_behind) == (2, True, 1)
    after = rows(settings)
    for name in ("incident_alerts", "evidence", "fingerprints", "inbox", "quarantine", "runbook_versions"):
        assert after[name] == before[name], name
    assert set(before["trail"]) < set(after["trail"])
    store = opened(settings)
    with store.record() as tx:
        assert "restored from a backup" in kill_switch.standing(tx)[0].reason
        assert outbox.waiting(tx) == []
        assert attempts.open_attempts(tx) == []
        states = {incident.target: incident.state for incident in incidents.listed(tx)}
        assert states == dict.fromkeys(("a/1", "a/2", "a/3", paged.target), State.HANDED_OVER) | {
            "a/5": State.ACKNOWLEDGED
        }
        unsettled = acts.open_on(tx, "a/3")
        assert unsettled is not None
        assert unsettled.id == act.id, "whether it happened is still not known"
        assert "has no outcome" in (incidents.get(tx, open_act.number).because or "")
        due = deliveries.due(tx)
        assert {m.incident for m in due if m.kind == "rung" and m.step == 0} == {
            waits.number,
            works.number,
            open_act.number,
            paged.number,
        }
        trouble = next(m for m in due if m.kind == "trouble")
        assert theirs.id in trouble.body
        assert len(inbox.waiting(tx)) == 1, "an alert that got its 202 is not lost"
        the_past_is_fenced_off(tx, works, claim, lost)
    store.close()
    assert found(settings).verified


def test_a_question_that_waited_in_a_backup_can_no_longer_be_answered(settings: Settings, tmp_path: Path) -> None:
    store = opened(settings)
    (_, waits), (allowed, granted) = asking(store, "a/1"), asking(store, "a/2")
    with store.record() as tx:
        assert isinstance(approvals.decide(tx, granted.id, granted=True, by="eve", how="link"), Approval)
    store.close()
    back_up(settings, tmp_path / "backup")
    restore(settings, tmp_path / "backup", by="ada", replace=True)
    store = opened(settings)
    with store.record() as tx:
        kill_switch.resume(tx, by="ada", reason="all is looked at")
        void = approvals.get(tx, waits.id)
        assert (void.state, void.how) == (Answer.EXPIRED, "restore")
        assert approvals.decide(tx, waits.id, granted=True, by="eve", how="link") == f"too late: {void.decision}"
        assert void.decision.startswith("the question about the restart of a/1 is void: the store was restored from a")
        assert [message.kind for message in deliveries.due(tx, incident=waits.incident)] == ["rung"], (
            "nobody is asked any more"
        )
        assert [approval.id for approval in approvals.to_resume(tx)] == [granted.id, waits.id], (
            "Prefect lets their runs go"
        )
        for asked in (waits, granted):
            assert "is over (closed)" in (attempts.begin_attempt(tx, asked.incident, 1, flow_run="run-1") or "")
            claim = claims.take(
                tx, target=asked.target, incident=asked.incident, attempt=1, holder="run:run-1", lease=LEASE
            )
            assert isinstance(claim, Claim)
            answer = intents.intend(
                tx, claim, rung=1, remedy="restart", identity=asked.identity, deadline=LEASE, limits=ASKS
            )
            assert isinstance(answer, Refusal)
            assert "handed_over" in answer.reason
        (entry,) = (
            entry for entry in stored_trail.entries(tx, incident=waits.incident) if entry.what == "approval.expired"
        )
        assert (entry.actor, entry.reason) == ("restore", void.decision)
        assert [entry.what for entry in stored_trail.entries(tx, incident=allowed.number)].count(
            "approval.expired"
        ) == 0
    store.close()


def test_who_stands_in_what_is_paused_and_what_is_in_maintenance_stays_so(settings: Settings, tmp_path: Path) -> None:
    store = opened(settings)
    with store.record() as tx:
        oncall_overrides.add(tx, Override("eve", tx.now - LEASE, tx.now + HOUR, "ada"))
        window = maintenance.add(
            tx, service="s", target="a/1", starts_at=tx.now, ends_at=tx.now + HOUR, by="ada", reason="a new disk"
        )
        kill_switch.pause(tx, by="eve", reason="a look", scope="service:s")
    before = rows(settings)
    store.close()
    back_up(settings, tmp_path / "backup")
    restore(settings, tmp_path / "backup", by="ada", replace=True)
    after = rows(settings)
    assert (after["overrides"], after["maintenance"]) == (before["overrides"], before["maintenance"])
    store = opened(settings)
    with store.record() as tx:
        assert [override.person for override in oncall_overrides.current(tx)] == ["eve"]
        assert maintenance.covering(tx, service="s", target="a/1") == window
        assert [(pause.scope, pause.by) for pause in kill_switch.standing(tx)] == [("service:s", "eve"), ("all", "ada")]
        kill_switch.resume(tx, by="ada", reason="all is looked at")
        assert kill_switch.stopping(tx, service="s", runbook=None), "whose pause it was, says when it ends"
    store.close()


def test_a_round_of_the_past_keeps_no_other_from_its_lease(settings: Settings, tmp_path: Path) -> None:
    store = opened(settings)
    with store.write() as tx:
        assert leases.take(tx, "health-check/s", holder="run:then", lease=HOUR)
    store.close()
    back_up(settings, tmp_path / "backup")
    restore(settings, tmp_path / "backup", by="ada", replace=True)
    store = opened(settings)
    with store.write() as tx:
        assert not leases.held(tx, "health-check/s", holder="run:then")
        assert leases.take(tx, "health-check/s", holder="run:now", lease=LEASE)
    store.close()


class OnePrefect:
    """Gives the same run for the same key, as Prefect does."""

    def __init__(self) -> None:
        self.runs: dict[str, CreatedRun] = {}

    def create_run(self, deployment: str, *, idempotency_key: str, **_: object) -> CreatedRun:
        return self.runs.setdefault(idempotency_key, CreatedRun(f"run-{len(self.runs) + 1}", "SCHEDULED"))


def test_a_run_of_the_lost_life_is_never_taken_for_a_dispatch(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paramedic.store.restore.GAP", 0)  # the numbers alone would tell them apart
    monkeypatch.setattr("incident_states.RUNBOOK", RUNBOOK)
    prefect = OnePrefect()
    handed_over(store := opened(settings))
    store.close()
    back_up(settings, tmp_path / "backup")
    for at_generation in (1, 2):
        store = opened(settings)
        incident = ordered(store, "a/1", name="Later")
        Dispatch(store, prefect, lambda: None).work()
        with store.read() as tx:
            attempt = attempts.get(tx, incident.number, 1)
        assert attempt is not None
        assert (incident.number, attempt.flow_run) == (2, f"run-{at_generation}")
        store.close()
        if at_generation == 1:
            emptied(settings)  # the lost life is not there to be asked how far it counted
            restore(settings, tmp_path / "backup", by="ada", replace=True)


RUNBOOK = (Path(__file__).parents[2] / "runbooks" / "tracking-api-memory.md").read_text()


def emptied(settings: Settings) -> None:
    """A new machine: the database is as it was made."""
    migrate(f"sqlite:///{settings.data}/fresh.db")
    put(settings.data / "fresh.db", settings.store())


def test_the_checkpoints_of_the_lost_life_are_said_to_be_left_behind_and_no_others(
    settings: Settings, tmp_path: Path
) -> None:
    handed_over(store := opened(settings))
    store.close()
    signed(settings)
    back_up(settings, tmp_path / "first")
    for _ in range(2):
        store = opened(settings)
        with store.record() as tx:
            for _ in range(5):
                incidents.note(tx, 1, by="ada", text="lost")
        store.close()
        signed(settings)
        emptied(settings)  # what the lost life had come to, the checkpoints alone know
        restore(settings, tmp_path / "first", by="ada", replace=True)
    looked = found(settings)
    assert (looked.verified, looked.left_behind, [generation for _, generation in looked.restores]) == (True, 3, [3])
    store = opened(settings)
    with store.write() as tx:
        tx.conn.execute(update(meta).values(generation=9))
    store.close()
    noted(settings, "a generation that no restore made")
    before = checkpoints.read(settings.checkpoints())
    with pytest.raises(checkpoints.Unproven, match="generation 9"):
        signed(settings)
    assert checkpoints.read(settings.checkpoints()) == before


def test_an_older_store_that_was_put_there_without_a_restore_is_named(settings: Settings, tmp_path: Path) -> None:
    handed_over(store := opened(settings))
    store.close()
    snapshot(settings.store(), tmp_path / "secretly.db")
    noted(settings, "lost")
    signed(settings)
    put(tmp_path / "secretly.db", settings.store())
    assert "cut off" in found(settings).faults[0].what


def test_a_store_with_something_in_it_is_not_lost_unless_that_is_said(settings: Settings, tmp_path: Path) -> None:
    handed_over(store := opened(settings))
    store.close()
    back_up(settings, tmp_path / "backup")
    before = rows(settings)
    with pytest.raises(Refused, match="has something in it, which would be lost; nothing was changed"):
        restore(settings, tmp_path / "backup", by="ada")
    assert rows(settings) == before
