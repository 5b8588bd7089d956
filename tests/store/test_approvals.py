"""A person's answer is one, is theirs by name, and is for exactly what was asked."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from databases import Clock, at_once
from incident_states import asking, begun
from store_states import LEASE, look_at_the_trail, recorded

from paramedic.alerts.alert import Severity
from paramedic.incidents.incident import Incident
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.kinds.process_target import process_identity
from paramedic.remediation.approval import Answer, Approval
from paramedic.remediation.guardrail import Refusal
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.remediation.remedy import RESTART
from paramedic.remediation.target import Identity
from paramedic.store import (
    Store,
    StoreUnavailable,
    acts,
    approvals,
    attempts,
    claims,
    incidents,
    intents,
    lifecycle,
    messages,
    trail,
)
from paramedic.store.acts import Act
from paramedic.store.claims import Claim

ASKS = Guardrails("act", {"approval": Severity.WARNING})
IDENTITY = process_identity(4711, 1.0, "RUNNING")


def decide(
    store: Store, asked: Approval, *, granted: bool = True, by: str = "ada", how: str = "link"
) -> Approval | str:
    with store.record() as tx:
        return approvals.decide(tx, asked.id, granted=granted, by=by, how=how)


def back(store: Store, incident: Incident, *, attempt: int = 1, target: str | None = None) -> Claim:
    """The run came back and has the claim again."""
    where = target or incident.target
    with store.record() as tx:
        claim = claims.take(
            tx, target=where, incident=incident.number, attempt=attempt, holder=f"run:run-{attempt}", lease=LEASE
        )
    assert isinstance(claim, Claim), claim
    return claim


def intend(
    store: Store, claim: Claim, *, rung: int = 1, identity: Identity = IDENTITY, limits: Guardrails = ASKS
) -> Act | Refusal:
    with store.record() as tx:
        return intents.intend(
            tx, claim, rung=rung, remedy="restart", identity=identity, deadline=timedelta(seconds=30), limits=limits
        )


def of(store: Store, incident: Incident) -> list[tuple[str, str]]:
    with store.read() as tx:
        return [(message.kind, message.state) for message in messages.of(tx, incident.number)]


def now(store: Store, asked: Approval) -> Approval:
    with store.read() as tx:
        return approvals.get(tx, asked.id)


def test_what_is_asked_is_on_the_trail_whole_and_told_once(timed: Store, clock: Clock) -> None:
    incident, asked = asking(timed)
    assert (asked.state, asked.asked_at, asked.expires_at) == (
        Answer.ASKED,
        clock.now(),
        clock.now() + timedelta(minutes=15),
    )
    with timed.read() as tx:
        entry = trail.head(tx)
    assert entry is not None
    assert (entry.actor, entry.phase, entry.what) == ("run:run-1", "decision", "approval.asked")
    assert entry.data == {
        "approval": asked.id,
        "attempt": 1,
        "rung": 1,
        "remedy": "restart",
        "life": "pid 4711 since 1970-01-01T00:00:01.000000Z, RUNNING",
        "expires": "2026-01-31T09:45:00.000000Z",
    }
    with timed.record() as tx:
        again = approvals.ask(
            tx,
            incident=incident.number,
            attempt=1,
            rung=1,
            target=asked.target,
            remedy="restart",
            identity=replace(IDENTITY, instance={**IDENTITY.instance, "pid": 1}),
            within=timedelta(hours=9),
            flow_run="run-1",
            policy="default",
            severity=incident.severity,
        )
    assert again == asked
    assert of(timed, incident) == [("approval", "due")]


@pytest.mark.parametrize("how", ["link", "command line", "prefect"])
def test_a_granted_change_may_be_made_and_once(timed: Store, how: str) -> None:
    incident, asked = asking(timed)
    done = decide(timed, asked, how=how)
    assert isinstance(done, Approval)
    assert (done.state, done.decided_by, done.how) == (Answer.GRANTED, "ada", how)
    with timed.read() as tx:
        entry = trail.head(tx)
    assert entry is not None
    assert (entry.actor, entry.what) == ("prefect-form" if how == "prefect" else "person:ada", "approval.granted")
    claim = back(timed, incident)
    act = intend(timed, claim)
    assert isinstance(act, Act)
    with timed.record() as tx:
        acts.close(tx, act, result="done", why="it answered", actor=claim.holder)
    no = intend(timed, claim)
    assert isinstance(no, Refusal)
    assert no.guardrail == "grant"


def _nothing(store: Store, asked: Approval, clock: Clock) -> None:
    pass


def _denied(store: Store, asked: Approval, clock: Clock) -> None:
    assert isinstance(decide(store, asked, granted=False), Approval)


def _late(store: Store, asked: Approval, clock: Clock) -> None:
    clock.advance(timedelta(minutes=15))


def _expired(store: Store, asked: Approval, clock: Clock) -> None:
    clock.advance(timedelta(minutes=15))
    with store.record() as tx:
        assert approvals.expire(tx, asked.id, actor="watchdog") is not None


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (_nothing, "nobody has approved the restart of web-1/tracking-api yet"),
        (_denied, "ada denied the restart of web-1/tracking-api at 2026-01-31T09:30:00.000000Z"),
        (_late, "nobody approved the restart of web-1/tracking-api within 15m"),
        (_expired, "nobody approved the restart of web-1/tracking-api within 15m"),
    ],
)
def test_without_a_grant_the_intent_is_refused(
    timed: Store, clock: Clock, before: Callable[[Store, Approval, Clock], None], words: str
) -> None:
    incident, asked = asking(timed)
    before(timed, asked, clock)
    no = intend(timed, back(timed, incident))
    assert isinstance(no, Refusal)
    assert (no.guardrail, no.reason) == ("approval", words)
    assert "restart.refused" in recorded(timed, incident.number)


def test_a_grant_is_for_the_life_that_was_shown_and_for_no_other(timed: Store) -> None:
    incident, asked = asking(timed)
    decide(timed, asked)
    claim = back(timed, incident)
    for other in (
        replace(IDENTITY, instance={**IDENTITY.instance, "pid": 4712}),
        replace(IDENTITY, instance={**IDENTITY.instance, "started_at": 2.0}),
        process_identity(None, None, "FATAL"),
    ):
        no = intend(timed, claim, identity=other)
        assert isinstance(no, Refusal)
        assert no.guardrail == "approval"
        assert "ada approved it for pid 4711" in no.reason
    assert isinstance(intend(timed, claim, identity=replace(IDENTITY, state="STARTING")), Act)


def test_a_grant_is_for_its_attempt_and_for_no_other(timed: Store) -> None:
    incident, asked = asking(timed)
    decide(timed, asked)
    with timed.record() as tx:
        assert attempts.raise_attempt(tx, incident.number, after=1, rungs=1, reason="silent")
        assert attempts.begin_attempt(tx, incident.number, 2, flow_run="run-2") is None
    no = intend(timed, back(timed, incident, attempt=2))
    assert isinstance(no, Refusal)
    assert (no.guardrail, no.reason) == ("approval", "it needs a person's approval, and nobody was asked")


def test_a_grant_is_for_its_rung_and_target_and_for_no_other(timed: Store) -> None:
    incident, asked = asking(timed)
    decide(timed, asked)
    with timed.read() as tx:
        assert approvals.of(tx, incident.number, 1, 1, asked.target) is not None
        assert approvals.of(tx, incident.number, 1, 2, asked.target) is None
        assert approvals.of(tx, incident.number, 1, 1, "web-2/tracking-api") is None


def test_the_incidents_severity_at_the_intent_decides_whether_a_person_is_needed(timed: Store) -> None:
    incident = begun(timed)
    claim = back(timed, incident)
    never, critical = Guardrails("act"), Guardrails("act", {"approval": Severity.CRITICAL})
    with timed.read() as tx:
        assert intents.would_refuse(tx, claim, RESTART, identity=IDENTITY, limits=never) is None
        no = intents.would_refuse(tx, claim, RESTART, identity=IDENTITY, limits=critical)
    assert no is not None
    assert no.guardrail == "approval"


def test_the_first_answer_counts_and_a_second_hears_who_was_first(timed: Store) -> None:
    _, asked = asking(timed)
    first = decide(timed, asked)
    assert decide(timed, asked) == first, "the same answer of the same person is not a second one"
    assert decide(timed, asked, by="bob") == (
        "too late: ada approved the restart of web-1/tracking-api at 2026-01-31T09:30:00.000000Z"
    )
    assert isinstance(decide(timed, asked, granted=False), str)
    assert recorded(timed).count("approval.granted") == 1


def test_after_its_time_no_answer_counts_whether_or_not_somebody_noticed(timed: Store, clock: Clock) -> None:
    _, asked = asking(timed)
    clock.advance(timedelta(minutes=15) - timedelta(microseconds=1))
    with timed.read() as tx:
        assert approvals.overdue(tx) == []
    clock.advance(timedelta(microseconds=1))
    assert decide(timed, asked) == "too late: nobody approved the restart of web-1/tracking-api within 15m"
    with timed.read() as tx:
        assert approvals.overdue(tx) == [asked]
    with timed.record() as tx:
        assert approvals.expire(tx, asked.id, actor="watchdog") is not None
        assert approvals.expire(tx, asked.id, actor="watchdog") is None
    assert decide(timed, asked) == "too late: nobody approved the restart of web-1/tracking-api within 15m"


def _acknowledged(tx: incidents.Tx, number: int) -> None:
    lifecycle.acknowledge(tx, number, by="ada", reason="by the link")


def _handed_over(tx: incidents.Tx, number: int) -> None:
    lifecycle.hand_over(tx, number, Outcome(Ending.HANDED_OVER, "cancelled"), actor="watchdog")


def _resolved(tx: incidents.Tx, number: int) -> None:
    lifecycle.resolve(tx, number, Outcome(Ending.HANDED_OVER, "over"), actor="person:ada")


def _given_up(tx: incidents.Tx, number: int) -> None:
    assert attempts.raise_attempt(tx, number, after=1, rungs=1, reason="silent")


@pytest.mark.parametrize("move", [_acknowledged, _handed_over, _resolved, _given_up])
def test_where_the_incident_goes_on_without_the_answer_the_question_is_void(
    timed: Store, clock: Clock, move: Callable[[incidents.Tx, int], None]
) -> None:
    incident, asked = asking(timed)
    clock.advance(timedelta(minutes=1))
    with timed.record() as tx:
        move(tx, incident.number)
    assert now(timed, asked).state is Answer.EXPIRED
    assert "is void since 2026-01-31T09:31:00.000000Z: the incident went on" in str(decide(timed, asked))
    assert ("approval", "withdrawn") in of(timed, incident)
    with timed.read() as tx:
        assert [approval.id for approval in approvals.to_resume(tx)] == [asked.id], (
            "its run waits in Prefect for nothing"
        )


def test_a_decided_run_is_to_be_resumed_until_it_was(timed: Store, clock: Clock) -> None:
    _, asked = asking(timed)

    def due() -> list[int]:
        with timed.read() as tx:
            return [approval.id for approval in approvals.to_resume(tx)]

    assert due() == []
    decide(timed, asked)
    assert due() == [asked.id]
    with timed.write() as tx:
        approvals.resume_later(tx, asked.id, until=tx.now + timedelta(seconds=1))
    assert due() == []
    clock.advance(timedelta(seconds=1))
    assert due() == [asked.id]
    with timed.write() as tx:
        approvals.resumed(tx, asked.id)
        approvals.resume_later(tx, asked.id, until=tx.now)
    assert due() == []


def test_who_answers_through_prefect_has_resumed_the_run(timed: Store) -> None:
    _, asked = asking(timed)
    done = decide(timed, asked, how="prefect")
    assert isinstance(done, Approval)
    assert done.resumed_at is not None
    with timed.read() as tx:
        assert approvals.to_resume(tx) == []


def _answer(url: str, asked: Approval, number: int) -> str:
    store = Store(url)
    while True:
        with suppress(StoreUnavailable):  # on a busy machine SQLite's lock is long in coming
            decision = decide(store, asked, granted=number % 2 == 0, by=f"person-{number}")
            break
    store.close()
    return "too late" if isinstance(decision, str) else decision.state


def test_twenty_answers_at_once_are_one(store_url: str, store: Store) -> None:
    incident, asked = asking(store)
    answers = at_once(20, _answer, store_url, asked)
    assert answers.count("too late") == 19
    [counted] = [answer for answer in answers if answer != "too late"]
    assert now(store, asked).state == counted
    what = recorded(store, incident.number)
    assert what.count("approval.granted") + what.count("approval.denied") == 1
    assert look_at_the_trail(store).verified


def test_a_name_that_was_typed_into_prefects_form_is_nobodys_signature(timed: Store) -> None:
    for granted, word in ((True, "approved"), (False, "denied")):
        incident, asked = asking(timed, f"web-{granted:d}/tracking-api")
        done = decide(timed, asked, granted=granted, by="ada", how="prefect")
        assert isinstance(done, Approval)
        assert f"somebody with Prefect's form, who said to be ada, {word} " in done.decision
        assert f"somebody with Prefect's form, who said to be ada, {word} " in str(decide(timed, asked, by="bob"))
        with timed.read() as tx:
            newest = list(trail.entries(tx, incident=incident.number))[-1]
        assert (newest.actor, newest.what) == ("prefect-form", f"approval.{done.state}")
        assert "who said to be ada" in newest.reason


def test_what_the_form_approved_and_may_not_is_told_once_and_the_question_stands(timed: Store) -> None:
    incident, asked = asking(timed)
    for question in (0, 0, 1, 0, 1):  # a run that begins again meets its earlier answers
        with timed.record() as tx:
            approvals.refuse_form(tx, asked, by="ada", question=question, because="it proves nothing")
    with timed.read() as tx:
        refused = [
            entry for entry in trail.entries(tx, incident=incident.number) if entry.what == "approval.form_refused"
        ]
    assert [(entry.actor, entry.data["question"]) for entry in refused] == [("prefect-form", 0), ("prefect-form", 1)]
    assert "who said to be ada, does not count: it proves nothing" in refused[0].reason
    assert now(timed, asked).state is Answer.ASKED
    assert isinstance(decide(timed, asked), Approval)
