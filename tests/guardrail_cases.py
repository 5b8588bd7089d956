"""What each guardrail refuses, in which words, and what it agrees to at its limit: one more guardrail is one more row."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from paramedic.alerts.alert import Severity
from paramedic.incidents.incident import State
from paramedic.kinds.process_target import process_identity
from paramedic.remediation.approval import Answer, Approval
from paramedic.remediation.breaker import Changed, Unhelpful
from paramedic.remediation.dependency import Down
from paramedic.remediation.guardrail import (
    OUT_OF_HOURS,
    AtOnce,
    Budget,
    Busy,
    Case,
    Earlier,
    Granted,
    Holding,
    Refusal,
    Spent,
)
from paramedic.remediation.guardrail_rules import RULES, Guardrails, agreed, judge
from paramedic.remediation.kill_switch import Pause
from paramedic.remediation.maintenance import Window
from paramedic.remediation.parts import Counted, PartsOf
from paramedic.remediation.quorum import Healthy, Quorum
from paramedic.remediation.site_limits import FleetLimit, SiteLimits
from paramedic.remediation.storm import Storm
from paramedic.remediation.target import Identity
from paramedic.remediation.touched import ServiceLimits, Touched
from paramedic.text.local_span import parse as parse_span

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
    "dependency": None,
    "incident": State.WORKING,
    "claim": OURS,
    "open act": None,
    "grant": Granted("open"),
    "fleet": Changed(2, is_among=False),
    "breaker": Unhelpful("web-1/api", "restart", ()),
    "storm rest": None,
    "again": None,
    "cooldown": None,
    "budget": Spent(2),
    "service budget": Spent(4),
    "quorum": Healthy(4, {}),
    "at once": Busy(("web-2/api",)),
    "parts": (),
    "approval": None,
}
ASKS: dict[str, Any] = {
    "again": False,
    "cooldown": timedelta(minutes=10),
    "budget": Budget(3, HOUR),
    "service_budget": Budget(5, HOUR),
    "at_once": AtOnce(2, 4),
    "keep_healthy": Quorum("51%", 51, 100),
    "hours": (parse_span("Sat 10:00 to 18:00 Europe/Berlin"),),  # NOW is a Saturday, 10:30 there
    "freeze": (parse_span("Mon-Fri Europe/Berlin"),),
}

#: What the settings of the tried change ask; services.yaml lists 20 targets.
SITE = SiteLimits(fleet=FleetLimit(50, HOUR, 20))


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
        asks = Guardrails(self.mode, asked, self.withdrawn, SITE)
        return replace(FINE, **self.case), {**SEEN, **self.seen}, asks


PAUSE = Pause("all", "ada", "we look ourselves", NOW)
QUARTER = timedelta(minutes=15)

AT_FIVE_PAST = NOW + timedelta(minutes=5)


def seen(name: str, what: object, **asked: object) -> Tried:
    return Tried(seen={name: what}, asked=asked)


#: A service that has two of its four targets on the target of the case.
SHOP = ("s-1", "s-2")
OF_SHOP = ServiceLimits("shop-down", Quorum("50%", 50, 100), AtOnce(2, 4))


def parts(*counted: Counted, unknown: str | None = None) -> Tried:
    shop = Touched("shop", SHOP, {"a": (), "b": ()}, has_parts=True, unknown=unknown)
    return seen("parts", (PartsOf(shop, counted),))


def asked(*, granted: bool = False, **written: Any) -> Tried:
    """What the author asks, stretches of time as they are written."""
    spans = {key: (parse_span(text),) if key in ("hours", "freeze") and text else text for key, text in written.items()}
    return Tried(asked=spans, seen={"approval": GRANTED} if granted else {})


def unhelpful(*minutes_ago: int) -> Unhelpful:
    return Unhelpful("web-1/api", "restart", tuple(NOW - timedelta(minutes=minutes) for minutes in minutes_ago))


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
        ("scale", NOW - timedelta(minutes=1)),
        "unknown",
        "did scale 1m ago, nobody saw what came of it: a second scale",
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
    (
        "dependency",
        seen("dependency", Down("db", 3, NOW - HOUR)),
        "db is down (INC-3, since 2026-01-31T08:30:00.000000Z), and api depends on it",
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
    (
        "fleet",
        seen("fleet", Changed(10, is_among=False)),
        "10 of 20 targets were changed within 1h, and 10 may be (50%): one fault does not need so many changes",
    ),
    (
        "breaker",
        seen("breaker", unhelpful(10, 90, 250)),
        (
            "restart did not help web-1/api 3 times within 4h, the last at 2026-01-31T09:20:00.000000Z (the limit is 3 within "
            "4h): it is blocked there until a person resets it"
        ),
    ),
    ("breaker", seen("breaker", unhelpful(6000, 6001, 6002)), "it is blocked there until a person resets it"),
    (
        "storm rest",
        seen("storm rest", Storm(NOW - timedelta(minutes=4), "7 checks were broken")),
        (
            "a mass failure (7 checks were broken) was over at 2026-01-31T09:26:00.000000Z, and 5m of rest follow: "
            "until 2026-01-31T09:31:00.000000Z"
        ),
    ),
    (
        "freeze",
        asked(freeze="Fri 16:00 to Mon 08:00 Europe/Berlin"),
        "nothing is changed within Fri 16:00 to Mon 08:00 Europe/Berlin: until 2026-02-02T07:00:00.000000Z",
    ),
    (
        "hours",
        asked(hours="Mon-Fri 08:00 to 18:00 Europe/Berlin"),
        (
            "it is Sat 31 Jan 2026 10:30:00 CET, and it acts only within Mon-Fri 08:00 to 18:00 Europe/Berlin: the next begin at "
            "2026-02-02T07:00:00.000000Z"
        ),
    ),
    ("hours", asked(hours="2026-01-01 to 2026-01-30 UTC"), "they are over for good"),
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
        "quorum",
        seen("quorum", Healthy(4, {"web-2/api": "fails: it is down"})),
        (
            "2 of service api's 4 targets are seen healthy beside web-1/api, and 3 must be (keep_healthy: 51%): web-2/api fails: "
            "it is down"
        ),
    ),
    ("quorum", seen("quorum", None), "nobody has looked how the service's other targets are"),
    ("quorum", seen("quorum", Healthy(4, {"web-2/api": ""}), keep_healthy=Quorum("3 of 4", 3, 4)), "and 3 must be"),
    ("quorum", seen("quorum", Healthy(5, {"web-2/api": ""}), keep_healthy=Quorum("3 of 4", 3, 4)), "and 4 must be"),
    (
        "at once",
        seen("at once", Busy(("web-2/api",), ("web-3/api",))),
        (
            "1 of service api's 4 targets have a change that is not verified yet (web-2/api), and 1 may have one at a time, for "
            "web-3/api is not seen healthy"
        ),
    ),
    (
        "at once",
        seen("at once", Busy(("web-2/api", "web-3/api"))),
        "2 of service api's 4 targets have a change that is not verified yet (web-2/api, web-3/api), and 2 may have one",
    ),
    (
        "at once",
        seen("at once", Busy(("web-2/api",), taken=("web-1/api", "web-1/job"))),
        (
            "1 of service api's 4 targets have a change that is not verified yet (web-2/api), it would change 2, web-1/api with "
            "web-1/job, and 2 may have one at a time"
        ),
    ),
    (
        "quorum",
        seen("quorum", Healthy(4, {}, ("web-1/api", "web-1/job"))),
        "2 of service api's 4 targets are seen healthy beside web-1/api with web-1/job, and 3 must be",
    ),
    (
        "parts",
        parts(Counted(OF_SHOP, Healthy(4, {"b": "has an open incident, INC-3"}, SHOP), Busy())),
        (
            "by runbook shop-down of service shop: 1 of service shop's 4 targets are seen healthy beside s-1, s-2 (parts of "
            "web-1/api), and 2 must be (keep_healthy: 50%): b has an open incident, INC-3"
        ),
    ),
    (
        "parts",
        parts(Counted(ServiceLimits("shop-down", None, AtOnce(1, 4)), None, Busy(taken=SHOP))),
        (
            "by runbook shop-down of service shop: 0 of service shop's 4 targets have a change that is not verified yet, it "
            "would change 2, s-1, s-2 (parts of web-1/api), and 1 may have one at a time"
        ),
    ),
    ("parts", parts(Counted(OF_SHOP, None, Busy())), "of service shop: nobody has looked how the service's other"),
    (
        "parts",
        parts(Counted(OF_SHOP, Healthy(4, {}, SHOP), Busy(("b",), taken=SHOP))),
        (
            "by runbook shop-down of service shop: 1 of service shop's 4 targets have a change that is not verified yet (b), it "
            "would change 2, s-1, s-2 (parts of web-1/api), and 2 may have one at a time"
        ),
    ),
    (
        "parts",
        parts(unknown="a runbook of it cannot be used: shop-down.md:3:1: no such key"),
        "s-1, s-2 (parts of web-1/api): what service shop asks of a change there is not known: a runbook of it cannot be used",
    ),
    ("approval", approval(None), "nobody was asked"),
    ("approval", Tried(mode="ask"), "nobody was asked"),
    ("approval", asked(hours="Mon-Fri 08:00 to 18:00 Europe/Berlin", approval=OUT_OF_HOURS), "nobody was asked"),
    ("approval", Tried(asked={"approval": OUT_OF_HOURS}, mode="ask"), "nobody was asked"),
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
    ("fleet", seen("fleet", Changed(9, is_among=False))),
    ("fleet", seen("fleet", Changed(10, is_among=True))),
    ("breaker", seen("breaker", unhelpful(10, 90))),
    ("breaker", seen("breaker", unhelpful(10, 90, 251))),
    ("storm rest", seen("storm rest", Storm(NOW - timedelta(minutes=5), "much was broken"))),
    ("freeze", asked(freeze=None)),
    ("freeze", asked(freeze="Fri 16:00 to Sat 10:30 Europe/Berlin")),
    ("hours", asked(hours=None)),
    ("hours", asked(hours="Sat 10:30 to 10:31 Europe/Berlin")),
    ("hours", asked(hours="Mon-Fri 08:00 to 18:00 Europe/Berlin", approval=OUT_OF_HOURS, granted=True)),
    ("quorum", seen("quorum", Healthy(4, {"web-2/api": "", "web-3/api": ""}), keep_healthy=None)),
    ("quorum", seen("quorum", Healthy(4, {"web-2/api": ""}), keep_healthy=Quorum("50%", 50, 100))),
    ("quorum", seen("quorum", Healthy(4, {}), keep_healthy=Quorum("3 of 4", 3, 4))),
    ("at once", seen("at once", Busy(), at_once=AtOnce(1, 4))),
    ("at once", seen("at once", Busy((), ("web-2/api", "web-3/api", "web-4/api")))),
    ("at once", seen("at once", Busy(("web-2/api", "web-3/api")), at_once=None)),
    ("at once", seen("at once", Busy(taken=("web-1/api", "web-1/job")))),
    ("at once", seen("at once", Busy(taken=("web-1/api", "b", "c")))),  # one change always may, with its parts
    ("quorum", seen("quorum", Healthy(5, {}, ("web-1/api", "web-1/job")))),
    ("parts", parts(Counted(OF_SHOP, Healthy(4, {}, SHOP), Busy(taken=SHOP)))),
    ("parts", parts(Counted(ServiceLimits("shop-down"), None, Busy(("b", "c", "d"), taken=SHOP)))),
    ("parts", parts()),
    ("approval", Tried(asked={"approval": OUT_OF_HOURS})),
    ("approval", approval(GRANTED)),
    ("approval", Tried(mode="ask", seen={"approval": GRANTED})),
    ("approval", approval(GRANTED, identity=replace(ALIVE, state="STARTING"))),
    ("approval", approval(replace(GRANTED, expires_at=NOW))),  # granted in time
    ("approval", Tried(asked={"approval": Severity.CRITICAL})),
]
