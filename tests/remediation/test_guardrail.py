"""Each guardrail says no by its name, with its numbers, and says how a person goes on."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from paramedic.alerts.alert import Severity
from paramedic.incidents.incident import State
from paramedic.kinds.process_target import process_identity
from paramedic.remediation.approval import Answer, Approval
from paramedic.remediation.guardrail import Facts, Spent, Spread, agreed, asks, judge
from paramedic.remediation.kill_switch import Pause
from paramedic.remediation.maintenance import Window

NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
ALIVE = process_identity(pid=4242, started_at=1769850000.25, state="RUNNING")
ASKED = Approval(
    id=1,
    incident=1,
    attempt=1,
    rung=1,
    target="web-1/api",
    remedy="restart",
    identity=ALIVE,
    asked_at=NOW - timedelta(minutes=5),
    expires_at=NOW + timedelta(minutes=10),
    state=Answer.ASKED,
    decided_by=None,
    decided_at=None,
    how=None,
    flow_run="run-1",
    resumed_at=None,
    wrong_codes=0,
)
GRANTED = replace(ASKED, state=Answer.GRANTED, decided_by="ada", decided_at=NOW, how="link")
DENIED = replace(GRANTED, state=Answer.DENIED)
VOID = replace(ASKED, state=Answer.EXPIRED, decided_at=NOW - timedelta(minutes=1))
LATE = replace(VOID, decided_at=ASKED.expires_at)
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
    asks=False,
    approval=None,
    identity=ALIVE,
)

PAUSE = Pause("all", "ada", "we look ourselves", NOW)
QUARTER = timedelta(minutes=15)

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
    ("runbook", {"withdrawn": "the runbook was withdrawn: it is gone"}, "it is gone"),
    ("mode", {"mode": "observe"}, "observe"),
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
    ("approval", {"asks": True}, "nobody was asked"),
    ("approval", {"mode": "ask"}, "nobody was asked"),
    ("approval", {"asks": True, "approval": ASKED}, "nobody has approved the restart of web-1/api yet"),
    ("approval", {"asks": True, "approval": replace(ASKED, asked_at=NOW - QUARTER, expires_at=NOW)}, "within 15m"),
    ("approval", {"asks": True, "approval": DENIED}, "ada denied the restart of web-1/api at 2026-01-31T09:30"),
    ("approval", {"asks": True, "approval": VOID}, "is void since 2026-01-31T09:29:00.000000Z: the incident went on"),
    ("approval", {"asks": True, "approval": LATE}, "nobody approved the restart of web-1/api within 15m"),
    (
        "approval",
        {"asks": True, "approval": GRANTED, "identity": replace(ALIVE, instance={**ALIVE.instance, "pid": 4243})},
        "ada approved it for pid 4242 since 2026-01-31T09:00:00.250000Z, RUNNING, and now it is pid 4243",
    ),
    (
        "approval",
        {"asks": True, "approval": GRANTED, "identity": process_identity(None, None, "FATAL")},
        "no process, FATAL",
    ),
    (
        "approval",
        {"asks": True, "approval": GRANTED, "identity": replace(ALIVE, instance={**ALIVE.instance, "started_at": 1.0})},
        "since 1970-01-01",
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
        {"asks": True, "approval": GRANTED},
        {"mode": "ask", "approval": GRANTED},
        {"asks": True, "approval": GRANTED, "identity": replace(ALIVE, state="STARTING")},
        {"asks": True, "approval": replace(GRANTED, expires_at=NOW)},  # granted in time
    ],
)
def test_at_its_limit_a_guardrail_agrees_again(change: dict[str, Any]) -> None:
    assert judge(replace(FINE, **change)) is None


@pytest.mark.parametrize(
    ("severity", "asks_from", "asked"),
    [
        (Severity.WARNING, None, False),
        (Severity.CRITICAL, None, False),
        (Severity.WARNING, Severity.CRITICAL, False),
        (Severity.CRITICAL, Severity.CRITICAL, True),
        (Severity.WARNING, Severity.WARNING, True),
        (Severity.CRITICAL, Severity.WARNING, True),
    ],
)
def test_a_person_is_asked_from_the_named_severity_on(
    severity: Severity, asks_from: Severity | None, asked: bool
) -> None:
    assert asks(severity, asks_from) is asked


def test_nobody_is_asked_about_what_could_not_be_done_anyway() -> None:
    refusal = judge(replace(FINE, asks=True, budget=Spent(3, 3, timedelta(hours=1), NOW)))
    assert refusal is not None
    assert refusal.guardrail == "budget"


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


def test_the_page_about_guardrails_has_each_of_them_in_the_order_of_asking() -> None:
    page = (Path(__file__).parents[2] / "docs" / "guardrails.md").read_text()
    listed = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert listed == list(dict.fromkeys(guardrail for guardrail, _, _ in NO))
