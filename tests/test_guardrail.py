"""Each guardrail says no by its name, with its numbers, and says how a person goes on."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from paramedic.guardrail import Facts, judge
from paramedic.incident import State
from paramedic.pause import Pause

NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
FINE = Facts(
    now=NOW,
    pauses=(),
    mode="act",
    state=State.WORKING,
    attempt=1,
    current_attempt=1,
    claim_is_ours=True,
    lease_until=NOW + timedelta(seconds=10),
    grant="open",
    open_act=None,
    last_act_at=None,
    cooldown=timedelta(minutes=10),
    acts_in_period=0,
    budget=(3, timedelta(hours=1)),
)

PAUSE = Pause("all", "ada", "we look ourselves", NOW)

NO: list[tuple[str, dict[str, Any], str]] = [
    ("kill switch", {"pauses": (PAUSE,)}, "everything, by ada since 2026-01-31T09:30:00.000000Z: we look ourselves"),
    *(("incident", {"state": state}, str(state)) for state in State if state is not State.WORKING),
    ("claim", {"current_attempt": 2}, "attempt 1 was given up; attempt 2"),
    ("claim", {"claim_is_ours": False}, "lost or taken over"),
    ("claim", {"lease_until": None}, "lease has run out"),
    ("claim", {"lease_until": NOW}, "lease has run out"),
    ("open act", {"open_act": "the restart of web-1/api by INC-7"}, "the restart of web-1/api by INC-7"),
    ("grant", {"grant": "spent"}, "is spent"),
    ("grant", {"grant": "revoked"}, "is revoked"),
    ("grant", {"grant": None}, "is missing"),
    ("mode", {"mode": "observe"}, "observe"),
    ("mode", {"mode": "ask"}, "ask"),
    ("mode", {"mode": ""}, "mode"),
    ("cooldown", {"last_act_at": NOW - timedelta(minutes=9, seconds=59)}, "2026-01-31T09:20:01.000000Z"),
    ("cooldown", {"last_act_at": NOW - timedelta(minutes=1)}, "the cooldown is 10m"),
    ("cooldown", {"last_act_at": NOW + timedelta(minutes=1)}, "the cooldown is 10m"),
    ("budget", {"acts_in_period": 3}, "3 acts within 1h, and the budget is 3"),
    ("budget", {"acts_in_period": 9}, "9 acts within 1h, and the budget is 3"),
]


def test_where_every_guardrail_agrees_nothing_is_refused() -> None:
    assert judge(FINE) is None


@pytest.mark.parametrize(("guardrail", "change", "words"), NO)
def test_a_guardrail_that_does_not_agree_refuses_in_words(guardrail: str, change: dict[str, Any], words: str) -> None:
    refusal = judge(replace(FINE, **change))
    assert refusal is not None
    assert refusal.guardrail == guardrail
    assert words in refusal.reason
    assert refusal.by_hand


@pytest.mark.parametrize(
    "change",
    [
        {"last_act_at": NOW - timedelta(minutes=10)},
        {"last_act_at": NOW, "cooldown": None},
        {"acts_in_period": 2},
        {"acts_in_period": 99, "budget": None},
    ],
)
def test_at_its_limit_a_guardrail_agrees_again(change: dict[str, Any]) -> None:
    assert judge(replace(FINE, **change)) is None


def test_a_pause_is_told_before_anything_else() -> None:
    worst = replace(FINE, pauses=(PAUSE,), state=State.RESOLVED, mode="observe", claim_is_ours=False, grant=None)
    refusal = judge(worst)
    assert refusal is not None
    assert refusal.guardrail == "kill switch"


def test_every_fact_that_can_be_wrong_is_asked() -> None:
    asked = {field for _, change, _ in NO for field in change}
    assert set(Facts.__slots__) - asked == {"now", "attempt", "cooldown", "budget"}  # what the others are measured by
