"""What each guardrail refuses, in which words, and what it agrees to at its limit: one more guardrail is one more row."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from paramedic.alerts.alert import Severity
from paramedic.incidents.incident import State
from paramedic.kinds.process_target import process_identity
from paramedic.remediation.approval import Answer, Approval
from paramedic.remediation.guardrail import AtOnce, Budget, Case, Earlier, Granted, Holding, Refusal, Spent
from paramedic.remediation.guardrail_rules import RULES, Guardrails, agreed, judge
from paramedic.remediation.kill_switch import Pause
from paramedic.remediation.maintenance import Window
from paramedic.remediation.target import Identity

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
HOUR = timedelta(hours=1)
FINE = Case(now=NOW, incident="INC-7", service="api", target="web-1/api", severity=Severity.WARNING, identity=ALIVE)
OURS = Holding(1, 1, is_ours=True, lease_until=NOW + timedelta(seconds=10))
SEEN: dict[str, Any] = {
    "kill switch": (),
    "maintenance": None,
    "incident": State.WORKING,
    "claim": OURS,
    "open act": None,
    "grant": Granted("open"),
    "again": None,
    "cooldown": None,
    "budget": Spent(2),
    "service budget": Spent(4),
    "at once": ("web-2/api",),
    "approval": None,
}
ASKS: dict[str, Any] = {
    "again": False,
    "cooldown": timedelta(minutes=10),
    "budget": Budget(3, HOUR),
    "service_budget": Budget(5, HOUR),
    "at_once": AtOnce(2, 4),
}


@dataclass(frozen=True)
class Tried:
    """What is changed of a change that everything agrees to: the case, what the store sees, what the author asks."""

    case: Mapping[str, Any] = field(default_factory=dict)
    seen: Mapping[str, Any] = field(default_factory=dict)
    asked: Mapping[str, Any] = field(default_factory=dict)
    mode: str = "act"
    withdrawn: str | None = None

    def judged(self) -> Refusal | None:
        return judge(*self.facts())

    def agreed(self) -> list[str]:
        return agreed(*self.facts())

    def facts(self) -> tuple[Case, dict[str, Any], Guardrails]:
        asked = {key: value for key, value in {**ASKS, **self.asked}.items() if value is not None}
        return replace(FINE, **self.case), {**SEEN, **self.seen}, Guardrails(self.mode, asked, self.withdrawn)


PAUSE = Pause("all", "ada", "we look ourselves", NOW)
QUARTER = timedelta(minutes=15)

AT_FIVE_PAST = NOW + timedelta(minutes=5)


def seen(name: str, what: object, **asked: object) -> Tried:
    return Tried(seen={name: what}, asked=asked)


def approval(what: Approval | None, **case: object) -> Tried:
    return Tried(case=case, seen={"approval": what}, asked={"approval": Severity.WARNING})


def another(**instance: object) -> Identity:
    return replace(ALIVE, instance={**ALIVE.instance, **instance})


#: An act of the incident by the same remedy, its result, and what is said of it.
BEFORE: list[tuple[tuple[str, datetime], str | None, str]] = [
    (
        ("restart", NOW - timedelta(minutes=10)),
        "cured",
        "restarted 10m ago, it did not last: a second restart is a person's",
    ),
    (("roll_back", NOW - timedelta(minutes=3)), "done", "rolled back 3m ago, it did not help: a second roll_back is"),
    (
        ("run: flush", NOW - timedelta(hours=3)),
        "failed",
        "ran flush 3h ago, it failed: a second run: flush is a person's",
    ),
    (
        ("reload", NOW - timedelta(minutes=1)),
        "unknown",
        "did reload 1m ago, nobody saw what came of it: a second reload",
    ),
    (("restart", NOW - timedelta(minutes=1)), None, "restarted 1m ago, nobody saw what came of it"),
]

NO: list[tuple[str, Tried, str]] = [
    (
        "kill switch",
        seen("kill switch", (PAUSE,)),
        "everything, by ada since 2026-01-31T09:30:00.000000Z: we look ourselves",
    ),
    (
        "maintenance",
        seen("maintenance", Window(3, "api", None, NOW, NOW + HOUR, "ada", "a new disk")),
        "service api is in maintenance until 2026-01-31T10:30:00.000000Z, by ada: a new disk",
    ),
    *(("incident", seen("incident", state), str(state)) for state in State if state is not State.WORKING),
    ("claim", seen("claim", replace(OURS, current_attempt=2)), "attempt 1 was given up; attempt 2"),
    ("claim", seen("claim", replace(OURS, is_ours=False)), "lost or taken over"),
    ("claim", seen("claim", replace(OURS, lease_until=None)), "lease has run out"),
    ("claim", seen("claim", replace(OURS, lease_until=NOW)), "lease has run out"),
    ("open act", seen("open act", "the restart of web-1/api by INC-7"), "the restart of web-1/api by INC-7"),
    ("grant", seen("grant", Granted("spent")), "is spent"),
    ("grant", seen("grant", Granted("revoked")), "is revoked"),
    ("grant", seen("grant", Granted(None)), "is missing"),
    *(("grant", seen("grant", Granted(None, Earlier(*act, result))), words) for act, result, words in BEFORE),
    ("runbook", Tried(withdrawn="the runbook was withdrawn: it is gone"), "it is gone"),
    ("mode", Tried(mode="observe"), "observe"),
    ("mode", Tried(mode=""), "mode"),
    ("again", seen("again", Earlier("restart", NOW - timedelta(minutes=10), "cured")), BEFORE[0][2]),
    ("cooldown", seen("cooldown", NOW - timedelta(minutes=9, seconds=59)), "2026-01-31T09:20:01.000000Z"),
    ("cooldown", seen("cooldown", NOW - timedelta(minutes=1)), "the cooldown is 10m"),
    ("cooldown", seen("cooldown", NOW + timedelta(minutes=1)), "the cooldown is 10m"),
    (
        "budget",
        seen("budget", Spent(3, AT_FIVE_PAST)),
        "3 of 3 acts on web-1/api within 1h, and the next is free at 2026-01-31T09:35:00.000000Z",
    ),
    (
        "service budget",
        seen("service budget", Spent(9, AT_FIVE_PAST)),
        "9 of 5 acts on service api within 1h, and the next is free at 2026-01-31T09:35:00.000000Z",
    ),
    (
        "at once",
        seen("at once", ("web-2/api", "web-3/api")),
        "2 of service api's 4 targets have a change that is not verified yet (web-2/api, web-3/api), and 2 may have one",
    ),
    ("approval", approval(None), "nobody was asked"),
    ("approval", Tried(mode="ask"), "nobody was asked"),
    ("approval", approval(ASKED), "nobody has approved the restart of web-1/api yet"),
    ("approval", approval(replace(ASKED, asked_at=NOW - QUARTER, expires_at=NOW)), "within 15m"),
    ("approval", approval(DENIED), "ada denied the restart of web-1/api at 2026-01-31T09:30"),
    ("approval", approval(VOID), "is void since 2026-01-31T09:29:00.000000Z: the incident went on"),
    ("approval", approval(LATE), "nobody approved the restart of web-1/api within 15m"),
    (
        "approval",
        approval(GRANTED, identity=another(pid=4243)),
        "ada approved it for pid 4242 since 2026-01-31T09:00:00.250000Z, RUNNING, and now it is pid 4243",
    ),
    ("approval", approval(GRANTED, identity=process_identity(None, None, "FATAL")), "no process, FATAL"),
    ("approval", approval(GRANTED, identity=another(started_at=1.0)), "since 1970-01-01"),
]

#: At its limit each agrees again.
YES: list[tuple[str, Tried]] = [
    *((rule.name, Tried()) for rule in RULES),
    ("claim", seen("claim", replace(OURS, lease_until=NOW + timedelta(microseconds=1)))),
    ("again", seen("again", Earlier("restart", NOW - timedelta(minutes=10), "cured"), again=True)),
    ("cooldown", seen("cooldown", NOW - timedelta(minutes=10))),
    ("cooldown", seen("cooldown", NOW, cooldown=None)),
    ("budget", seen("budget", Spent(9, NOW), budget=None)),
    ("service budget", seen("service budget", Spent(9, NOW), service_budget=None)),
    ("at once", seen("at once", (), at_once=AtOnce(1, 4))),
    ("at once", seen("at once", ("web-2/api", "web-3/api"), at_once=None)),
    ("approval", approval(GRANTED)),
    ("approval", Tried(mode="ask", seen={"approval": GRANTED})),
    ("approval", approval(GRANTED, identity=replace(ALIVE, state="STARTING"))),
    ("approval", approval(replace(GRANTED, expires_at=NOW))),  # granted in time
    ("approval", Tried(asked={"approval": Severity.CRITICAL})),
]
