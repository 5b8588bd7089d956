"""The kill switch: a pause of one service, one runbook or everything stops the intents in its scope."""

import pytest
from store_states import ALIVE, DEADLINE, FREE, recorded, refused, working

from paramedic.remediation.guardrail import Refusal
from paramedic.store import Store, intents, kill_switch


def test_a_pause_stands_until_it_is_resumed(timed: Store) -> None:
    with timed.record() as tx:
        kill_switch.pause(tx, by="ada", reason="first")
        kill_switch.pause(tx, by="bob", reason="second")
        assert [pause.words for pause in kill_switch.standing(tx)] == [
            "everything, by ada since 2026-01-31T09:30:00.000000Z: first"
        ]
        assert kill_switch.resume(tx, by="bob", reason="it is over")
        assert not kill_switch.resume(tx, by="bob", reason="it is over")
        assert kill_switch.standing(tx) == []
    assert recorded(timed) == ["acts.paused", "acts.resumed"]


@pytest.mark.parametrize(
    ("scope", "stops"),
    [
        ("all", True),
        ("mass", True),
        ("service:tracking", True),
        ("service:trackin", False),
        ("service:tracking-web", False),
        ("runbook:tracking-api-memory", True),
        ("runbook:tracking", False),
        ("restored", True),  # what a later version may write: unknown is not a permission
    ],
)
def test_a_pause_stops_what_is_in_its_scope_and_nothing_else(timed: Store, scope: str, stops: bool) -> None:
    claim = working(timed)
    with timed.record() as tx:
        kill_switch.pause(tx, by="ada", reason="we look ourselves", scope=scope)
        judged = intents.intend(tx, claim, rung=1, remedy="restart", identity=ALIVE, deadline=DEADLINE, limits=FREE)
    assert isinstance(judged, Refusal) == stops


def test_the_refusal_names_every_pause_that_applies_and_how_each_ends(timed: Store) -> None:
    claim = working(timed)
    with timed.record() as tx:
        kill_switch.pause(tx, by="ada", reason="a look", scope="service:tracking")
        kill_switch.pause(tx, by="checks", reason="5 of 6 services", scope="mass")
        kill_switch.pause(tx, by="bob", reason="elsewhere", scope="service:shop")
    no = refused(timed, claim)
    assert "service tracking, by ada since 2026-01-31T09:30:00.000000Z: a look" in no.reason
    assert "everything (many breaches at once), by checks" in no.reason
    assert "shop" not in no.reason
    assert no.by_hand == "to allow acts again: `paramedic resume --mass`, `paramedic resume --service tracking`"


def test_each_scope_is_resumed_by_itself(timed: Store) -> None:
    with timed.record() as tx:
        for scope in ("all", "service:tracking", "mass"):
            kill_switch.pause(tx, by="ada", reason="a look", scope=scope)
        assert kill_switch.resume(tx, by="ada", reason="seen", scope="service:tracking")
        assert [pause.scope for pause in kill_switch.standing(tx)] == ["all", "mass"]
        assert kill_switch.stopping(tx, service="shop", runbook=None) == tuple(kill_switch.standing(tx))
