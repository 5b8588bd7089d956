"""Of many processes that intend at once, as many act as the guardrails let."""

from contextlib import suppress
from datetime import timedelta

import pytest
from databases import at_once
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError
from store_states import ALIVE, DEADLINE, FREE, HOUR, TARGET, intended, look_at_the_trail, recorded, working

from paramedic.remediation.guardrail import AtOnce, Budget, Refusal
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.store import Store, StoreUnavailable, acts, claims, intents, kill_switch
from paramedic.store.acts import Act
from paramedic.store.claims import Claim
from paramedic.store.tables import acts as table


def _intend_elsewhere(url: str, claims_: list[Claim], limits: Guardrails, number: int) -> str:
    store = Store(url)
    judged = _intend(store, claims_[number], 1, limits)
    store.close()
    return judged.guardrail if isinstance(judged, Refusal) else "acts"


@pytest.mark.parametrize(
    ("limits", "guardrail", "allowed"),
    [
        (Guardrails("act", {"service_budget": Budget(2, HOUR)}), "service budget", 2),
        (Guardrails("act", {"at_once": AtOnce(1, 6)}), "at once", 1),
    ],
    ids=["service budget", "at once"],
)
def test_intents_at_once_on_many_targets_keep_the_service_s_limit(
    store_url: str, store: Store, limits: Guardrails, guardrail: str, allowed: int
) -> None:
    found = [working(store, target=f"web-{number}/tracking-api") for number in range(6)]
    with store.write() as tx:
        assert all(claims.renew(tx, claim, timedelta(minutes=5)) for claim in found)
    answers = at_once(6, _intend_elsewhere, store_url, found, limits)
    assert sorted(answers) == ["acts"] * allowed + [guardrail] * (6 - allowed)
    assert recorded(store).count("restart") == allowed


def _intend(store: Store, claim: Claim, rung: int, limits: Guardrails) -> Act | Refusal:
    while True:
        with suppress(StoreUnavailable), store.record() as tx:  # on a busy machine SQLite's lock is long in coming
            return intents.intend(
                tx, claim, rung=rung, remedy="restart", identity=ALIVE, deadline=DEADLINE, limits=limits
            )


def _intend_once(url: str, claim: Claim, number: int) -> str:
    store = Store(url)
    judged = _intend(store, claim, number + 1, FREE)
    store.close()
    return judged.guardrail if isinstance(judged, Refusal) else "acts"


def _act_when_free(url: str, claim: Claim, limits: Guardrails, number: int) -> str:
    store = Store(url)
    while isinstance(judged := _intend(store, claim, number + 1, limits), Refusal) and judged.guardrail == "open act":
        pass
    if isinstance(judged, Act):
        with store.record() as tx:
            acts.close(tx, judged, result="cured", why="well", actor=claim.holder)
    store.close()
    return judged.guardrail if isinstance(judged, Refusal) else "acts"


def _long_claim(store: Store) -> Claim:
    claim = working(store, rungs=20)
    with store.write() as tx:
        assert claims.renew(tx, claim, timedelta(minutes=5))
    return claim


def test_twenty_intents_at_once_on_one_target_are_one(store_url: str, store: Store) -> None:
    answers = at_once(20, _intend_once, store_url, _long_claim(store))
    assert sorted(answers) == ["acts"] + ["open act"] * 19
    what = recorded(store)
    assert what.count("restart") == 1
    assert what.count("restart.refused") == 19
    assert look_at_the_trail(store).verified


def test_the_budget_holds_under_concurrency(store_url: str, store: Store) -> None:
    answers = at_once(10, _act_when_free, store_url, _long_claim(store), Guardrails("act", {"budget": Budget(3, HOUR)}))
    assert sorted(answers) == ["acts"] * 3 + ["budget"] * 7
    assert recorded(store).count("restart") == 3


def _pause(url: str, number: int) -> str:
    store = Store(url)
    with store.record() as tx:
        kill_switch.pause(tx, by="ada", reason="now")
    store.close()
    return "paused"


def _pause_or_act(url: str, claim: Claim, number: int) -> str:
    return _pause(url, number) if number == 5 else _act_when_free(url, claim, FREE, number)


def test_after_a_pause_is_on_the_trail_no_intent_is(store_url: str, store: Store) -> None:
    at_once(10, _pause_or_act, store_url, _long_claim(store))
    what = recorded(store)
    assert "restart" not in what[what.index("acts.paused") :]


def test_the_database_itself_refuses_a_second_open_act(store: Store) -> None:
    claim = working(store)
    with store.record() as tx:
        intended(tx, claim)
    row = {"incident": claim.incident, "attempt": 1, "rung": 2, "target": TARGET, "remedy": "restart", "token": 1}
    row |= {"holder": "a", "identity": {}}
    with pytest.raises(IntegrityError), store.write() as tx:
        tx.conn.execute(insert(table).values(**row, written_at=tx.now, deadline_at=tx.now))


def test_intents_on_two_targets_do_not_wait_for_each_other(timed: Store) -> None:
    claim = working(timed)
    other = working(timed, target="web-2/tracking-api")
    with timed.record() as tx:
        intended(tx, claim)
        intended(tx, other)
    with timed.read() as tx:
        assert acts.open_on(tx, TARGET) != acts.open_on(tx, "web-2/tracking-api")
