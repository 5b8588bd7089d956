"""Each guardrail says no by its name, with its numbers, and says how a person goes on."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from paramedic.guardrail import Facts, Spent, Spread, agreed, judge
from paramedic.incident import State
from paramedic.maintenance import Window
from paramedic.pause import Pause

NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
FINE = Facts(
    now=NOW,
    incident="INC-7",
    service="api",
    target="web-1/api",
    pauses=(),
    window=None,
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
    budget=Spent(2, 3, timedelta(hours=1)),
    service_budget=Spent(4, 5, timedelta(hours=1)),
    at_once=Spread(("web-2/api",), 2, 4),
)

PAUSE = Pause("all", "ada", "we look ourselves", NOW)

NO: list[tuple[str, dict[str, Any], str]] = [
    ("kill switch", {"pauses": (PAUSE,)}, "everything, by ada since 2026-01-31T09:30:00.000000Z: we look ourselves"),
    (
        "maintenance",
        {"window": Window(3, "api", None, NOW, NOW + timedelta(hours=1), "ada", "a new disk")},
        "service api is in maintenance until 2026-01-31T10:30:00.000000Z, by ada: a new disk",
    ),
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
    (
        "budget",
        {"budget": Spent(3, 3, timedelta(hours=1), NOW + timedelta(minutes=5))},
        "3 of 3 acts on web-1/api within 1h, and the next is free at 2026-01-31T09:35:00.000000Z",
    ),
    (
        "service budget",
        {"service_budget": Spent(9, 5, timedelta(hours=1), NOW + timedelta(minutes=5))},
        "9 of 5 acts on service api within 1h, and the next is free at 2026-01-31T09:35:00.000000Z",
    ),
    (
        "at once",
        {"at_once": Spread(("web-2/api", "web-3/api"), 2, 4)},
        "2 of service api's 4 targets have a change that is not verified yet (web-2/api, web-3/api), and 2 may have one",
    ),
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
        {"budget": None, "service_budget": None, "at_once": None},
        {"at_once": Spread((), 1, 4)},
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
    assert set(Facts.__slots__) - asked == {
        "now",
        "incident",
        "service",
        "target",
        "attempt",
        "cooldown",
    }  # by what the others are measured


def test_what_agreed_is_said_with_its_numbers() -> None:
    assert agreed(FINE) == [
        "kill switch: off",
        "maintenance: none",
        "claim: ours",
        "grant: open",
        "mode: act",
        "cooldown: 10m, no act before",
        "budget: 2 of 3 within 1h",
        "service budget: 4 of 5 within 1h",
        "at once: 2 of 4 targets at once, 1 others are being changed",
    ]
    assert agreed(replace(FINE, cooldown=None, budget=None, service_budget=None, at_once=None))[5:] == []


@pytest.mark.parametrize("guardrail", ["incident", "grant", "mode", "cooldown", "budget", "service budget", "at once"])
def test_a_person_who_goes_on_by_hand_is_told_the_command(guardrail: str) -> None:
    change = next(change for name, change, _ in NO if name == guardrail)
    refusal = judge(replace(FINE, **change))
    assert refusal is not None
    assert "`paramedic incident resolve INC-7`" in refusal.by_hand
