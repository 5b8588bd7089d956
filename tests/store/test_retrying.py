"""A person has an incident tried again: the ladder is granted anew, and nothing else; whoever may be at work on it is told."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from databases import Clock, at_once
from store_states import (
    ALIVE,
    DEADLINE,
    FREE,
    HANDED_OVER,
    TARGET,
    WELL,
    alert,
    asked,
    claimed,
    granted,
    intended,
    look_at_the_trail,
    opened,
    recorded,
    refused,
    working,
)

from paramedic.incidents.incident import IllegalMove, Incident, State, retry
from paramedic.remediation.guardrail import Budget
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.store import (
    Store,
    Tx,
    acts,
    attempts,
    claims,
    incidents,
    intents,
    kill_switch,
    lifecycle,
    messages,
    outbox,
    retrying,
    trail,
)
from paramedic.store.acts import Act
from paramedic.store.claims import Claim
from paramedic.store.retrying import NotRetried

WHY = "the disk has room again"


@pytest.mark.parametrize("state", State)
def test_only_what_people_have_is_tried_again(state: State) -> None:
    if state in (State.HANDED_OVER, State.ACKNOWLEDGED):
        assert retry(state) is State.OPEN
    else:
        with pytest.raises(IllegalMove, match="is not tried again"):
            retry(state)


def _failed(store: Store, *, rungs: int = 1) -> Claim:
    """Rung 1 was carried out and did not help: the incident is handed over, its run has ended."""
    claim = working(store, rungs=rungs)
    with store.record() as tx:
        acts.close(tx, intended(tx, claim), result="done", why="it answered", actor=claim.holder)
        claims.release(tx, claim)
        lifecycle.hand_over(tx, claim.incident, HANDED_OVER, actor=claim.holder)
    return claim


def _retry(store: Store, number: int, by: str = "ada", *, take_over: bool = False) -> Incident:
    with store.record() as tx:
        return retrying.retry(tx, number, by=by, because=WHY, take_over=take_over)


def _begun(store: Store, number: int, attempt: int) -> Claim:
    with store.record() as tx:
        assert attempts.begin_attempt(tx, number, attempt, flow_run=f"run-{attempt}") is None
        return claimed(tx, number, attempt=attempt, run=f"run-{attempt}")


def test_a_retry_raises_an_attempt_that_may_do_again_what_was_done(timed: Store) -> None:
    number = _failed(timed, rungs=2).incident
    incident = _retry(timed, number)
    assert (incident.state, incident.attempt, incident.ending, incident.because) == (State.OPEN, 2, None, None)
    with timed.record() as tx:
        assert granted(tx, number)[2:] == [(2, 1, "open"), (2, 2, "open")]
        assert [order.attempt for order in outbox.waiting(tx)] == [2]
        assert [message.state for message in messages.of(tx, number)] == ["withdrawn"], "the pages stop"
    claim = _begun(timed, number, 2)
    with timed.record() as tx:
        assert intended(tx, claim).attempt == 2


def test_the_trail_says_who_had_it_tried_again_and_why(timed: Store) -> None:
    number = _failed(timed).incident
    _retry(timed, number)
    with timed.read() as tx:
        *_, word, raised = trail.entries(tx, incident=number)
    assert (word.what, word.actor, word.reason, word.data) == ("incident.retried", "person:ada", WHY, {"attempt": 2})
    assert (raised.what, raised.actor, raised.data["attempt"]) == ("attempt.raised", "person:ada", 2)
    assert look_at_the_trail(timed).verified


def test_what_a_retry_used_up_is_not_granted_to_the_attempt_after_it(timed: Store) -> None:
    number = _failed(timed, rungs=2).incident
    _retry(timed, number)
    with timed.record() as tx:
        assert attempts.raise_attempt(tx, number, after=2, rungs=2, reason="its run died before it acted")
        assert granted(tx, number)[4:] == [(3, 1, "open"), (3, 2, "open")], "the person's word holds until it is used"
    claim = _begun(timed, number, 3)
    with timed.record() as tx:
        acts.close(tx, intended(tx, claim), result="done", why="it answered", actor=claim.holder)
        assert attempts.raise_attempt(tx, number, after=3, rungs=2, reason="its run died after it acted")
        assert granted(tx, number)[6:] == [(4, 2, "open")], "without a person's word no rung is granted twice"


def test_only_what_was_done_since_is_the_attempts_own(timed: Store) -> None:
    number = _failed(timed).incident
    _retry(timed, number)
    claim = _begun(timed, number, 2)
    with timed.record() as tx:
        assert acts.since_begun(tx, incidents.get(tx, number)) == []
        act = intended(tx, claim)
        assert acts.since_begun(tx, incidents.get(tx, number)) == [act]


@pytest.mark.parametrize(
    ("limits", "guardrail"),
    [
        (Guardrails("observe"), "mode"),
        (Guardrails("act", {"cooldown": timedelta(minutes=10)}), "cooldown"),
        (Guardrails("act", {"budget": Budget(1, timedelta(hours=1))}), "budget"),
        (Guardrails("ask"), "approval"),
    ],
)
def test_every_other_guardrail_judges_a_retry(timed: Store, limits: Guardrails, guardrail: str) -> None:
    number = _failed(timed).incident
    _retry(timed, number)
    assert refused(timed, _begun(timed, number, 2), limits=limits).guardrail == guardrail


def test_a_cure_that_did_not_last_is_repeated_by_a_persons_word_and_by_no_other(timed: Store, clock: Clock) -> None:
    claim = working(timed)
    number = claim.incident
    with timed.record() as tx:
        acts.close(tx, intended(tx, claim), result="cured", why="well", actor=claim.holder)
        claims.release(tx, claim)
        lifecycle.resolve(tx, number, WELL, actor=claim.holder)
        lifecycle.reopen(tx, number, alert(starts_at=clock.now()), reason="again")
    no = refused(timed, _begun(timed, number, 2))
    assert (no.guardrail, f"`paramedic incident retry INC-{number} --by NAME`" in (no.by_hand or "")) == ("grant", True)
    clock.advance(timedelta(seconds=11))
    with timed.record() as tx:
        lifecycle.hand_over(tx, number, HANDED_OVER, actor="run:2")
    _retry(timed, number)
    claim = _begun(timed, number, 3)
    with timed.record() as tx:
        assert intended(tx, claim).attempt == 3


def test_a_pause_stops_a_retry(timed: Store) -> None:
    number = _failed(timed).incident
    _retry(timed, number)
    with timed.record() as tx:
        kill_switch.pause(tx, by="ben", reason="we look ourselves")
    assert refused(timed, _begun(timed, number, 2)).guardrail == "kill switch"


def test_what_its_holder_gives_back_is_nobodys_and_may_be_taken_again(timed: Store) -> None:
    number = _failed(timed).incident
    with timed.record() as tx:
        lifecycle.acknowledge(tx, number, by="ada", reason="by the link")
    incident = _retry(timed, number)
    assert (incident.acknowledged_by, incident.acknowledged_at, incident.acknowledged_severity) == (None, None, None)
    assert incident.first_acknowledged_at is not None
    with timed.record() as tx:
        assert lifecycle.hand_over(tx, number, HANDED_OVER, actor="run:2").state is State.HANDED_OVER
        assert [message.state for message in messages.of(tx, number)][-1] == "due", "people are paged again"
        lifecycle.acknowledge(tx, number, by="ben", reason="by the link")
    assert recorded(timed, number)[-1] == "incident.acknowledged"


def _updates(store: Store, number: int) -> list[tuple[str | None, str]]:
    with store.read() as tx:
        return [(message.recipient, message.subject) for message in messages.of(tx, number) if message.kind == "update"]


def test_what_another_person_has_is_tried_again_only_by_saying_so(timed: Store) -> None:
    number = _failed(timed).incident
    with timed.record() as tx:
        lifecycle.acknowledge(tx, number, by="ada", reason="by the link")
    with pytest.raises(NotRetried, match=r"INC-1 is ada's: .*`paramedic incident retry INC-1 --by ben --take-over`"):
        _retry(timed, number, "ben")
    assert _updates(timed, number) == []
    _retry(timed, number, "ben", take_over=True)
    with timed.read() as tx:
        *_, word, _ = trail.entries(tx, incident=number)
    assert word.reason == f"ben took it over from ada and gave it back: {WHY}"
    assert (word.data["from"], _updates(timed, number)) == (
        "ada",
        [("ada", "ben has taken it over from you and given it back to Paramedic, which tries again")],
    )


def test_whoever_was_paged_hears_that_paramedic_has_it_again(timed: Store) -> None:
    number = _failed(timed).incident
    with timed.record() as tx:
        tx.conn.execute(messages.messages.update().values(state="sent", person="ben", sent_at=tx.now))
    _retry(timed, number)
    assert _updates(timed, number) == [("ben", "ada has given it back to Paramedic, which tries again")]


def _is_over(tx: Tx) -> int:
    number = opened(tx)
    lifecycle.hand_over(tx, number, HANDED_OVER, actor="run:1")
    lifecycle.resolve(tx, number, HANDED_OVER, actor="person:ben")
    return number


def _is_worked_on(tx: Tx) -> int:
    number = opened(tx)
    assert attempts.begin_attempt(tx, number, 1, flow_run="run-1") is None
    return number


def _asks(tx: Tx) -> int:
    number = _is_worked_on(tx)
    asked(tx, number)
    return number


def _has_no_runbook(tx: Tx) -> int:
    number = opened(tx, plan=False)
    lifecycle.hand_over(tx, number, HANDED_OVER, actor="triage")
    return number


def _has_an_open_act(tx: Tx) -> int:
    number = _is_worked_on(tx)
    claim = claimed(tx, number)
    intended(tx, claim)
    claims.release(tx, claim)
    lifecycle.hand_over(tx, number, HANDED_OVER, actor="watchdog")
    return number


def _another_has_an_open_act(tx: Tx) -> int:
    other = opened(tx, target="web-2/x")
    attempts.begin_attempt(tx, other, 1, flow_run="run-1")
    act = intended(tx, claimed(tx, other))
    number = opened(tx)
    tx.conn.execute(acts.acts.update().where(acts.acts.c.id == act.id).values(target=TARGET))
    lifecycle.hand_over(tx, number, HANDED_OVER, actor="watchdog")
    return number


def _has_its_run(tx: Tx) -> int:
    number = _is_worked_on(tx)
    claimed(tx, number)
    lifecycle.hand_over(tx, number, HANDED_OVER, actor="run:1")
    return number


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (_is_over, r"INC-1 is over \(resolved by ben\): .*its alert opens a new incident"),
        (opened, "attempt 1 works on INC-1 already"),
        (_is_worked_on, "attempt 1 works on INC-1 already"),
        (_asks, "INC-1 waits for an approval: `paramedic incident approve INC-1 --by ada`"),
        (_has_no_runbook, "INC-1 has no runbook, .*`paramedic incident resolve INC-1 --by ada`"),
        (_has_an_open_act, r"the restart of .* has no outcome: .*`paramedic incident resolve INC-1 --by ada`"),
        (_another_has_an_open_act, r"by INC-1 .* has no outcome: .*`paramedic incident resolve INC-1 --by ada`"),
        (_has_its_run, "run:run-1 of attempt 1 still has web-1/tracking-api"),
    ],
)
def test_what_cannot_be_tried_again_is_refused_in_words_and_nothing_is_written(
    timed: Store, before: Callable[[Tx], int], words: str
) -> None:
    with timed.record() as tx:
        number = before(tx)
    with timed.read() as tx:
        as_it_was = (incidents.get(tx, number), trail.head(tx), granted(tx, number))
    with pytest.raises(NotRetried, match=words):
        _retry(timed, number)
    with timed.read() as tx:
        assert (incidents.get(tx, number), trail.head(tx), granted(tx, number)) == as_it_was


def test_a_dead_runs_claim_stops_no_retry(timed: Store, clock: Clock) -> None:
    with timed.record() as tx:
        number = _has_its_run(tx)
    clock.advance(timedelta(seconds=11))
    assert _retry(timed, number).attempt == 2


def test_a_retry_is_whole_or_nothing(timed: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    number = _failed(timed).incident
    with timed.read() as tx:
        as_it_was = (incidents.get(tx, number), trail.head(tx), granted(tx, number), messages.of(tx, number))

    def dies(*_: object, **__: object) -> None:
        raise SystemExit("killed")

    monkeypatch.setattr(outbox, "put", dies)
    with pytest.raises(SystemExit):
        _retry(timed, number)
    with timed.read() as tx:
        assert (incidents.get(tx, number), trail.head(tx), granted(tx, number), messages.of(tx, number)) == as_it_was


def _retry_once(url: str, incident: int, number: int) -> bool:
    store = Store(url)
    try:
        return _retry(store, incident, f"person-{number}").attempt == 2
    except NotRetried:
        return False
    finally:
        store.close()


def test_of_many_who_retry_at_once_one_does(store_url: str, store: Store) -> None:
    number = _failed(store).incident
    assert sum(at_once(4, _retry_once, store_url, number)) == 1
    with store.read() as tx:
        assert incidents.get(tx, number).attempt == 2
    assert recorded(store, number).count("incident.retried") == 1


def test_a_retried_incident_that_is_well_is_ended_by_its_playbook(timed: Store) -> None:
    number = _failed(timed).incident
    _retry(timed, number)
    claim = _begun(timed, number, 2)
    with timed.record() as tx:
        act = intents.intend(tx, claim, rung=1, remedy="restart", identity=ALIVE, deadline=DEADLINE, limits=FREE)
        assert isinstance(act, Act)
        acts.close(tx, act, result="cured", why="well", actor=claim.holder)
        incident = lifecycle.resolve(tx, number, WELL, actor=claim.holder)
    assert (incident.state, incident.outcome) == (State.RESOLVED, "remediated")


def test_one_that_somebody_else_moved_meanwhile_keeps_its_pages(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    number = _failed(store, rungs=2).incident
    with store.read() as tx:
        stale = incidents.get(tx, number)
        before = [message.id for message in messages.of(tx, number)]
    assert before
    with store.record() as tx:
        lifecycle.acknowledge(tx, number, by="bob", reason="taken")
        mine = [message.id for message in messages.of(tx, number)]
    monkeypatch.setattr(retrying, "get", lambda *_: stale)
    withdrawn: list[int] = []
    monkeypatch.setattr(retrying.messages, "withdraw", lambda _, incident: withdrawn.append(incident))
    with store.record() as tx:
        assert not retrying.measure_again(tx, number, "ada", WHY)
    assert withdrawn == []
    with store.read() as tx:
        assert [message.id for message in messages.of(tx, number)] == mine
