"""Each guardrail says no by its name, with its numbers, and says how a person goes on; one more is a rule and a query."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field
from store_states import working

from paramedic.alerts.alert import Severity
from paramedic.catalog.runbook_file import parse, schema
from paramedic.incidents.incident import State
from paramedic.kinds.process_target import process_identity
from paramedic.remediation import guardrail_rules
from paramedic.remediation.approval import Answer, Approval
from paramedic.remediation.guardrail import (
    About,
    AtOnce,
    Budget,
    Case,
    Earlier,
    Granted,
    Guardrail,
    Holding,
    No,
    Refusal,
    Spent,
    Written,
)
from paramedic.remediation.guardrail_judgements import asks
from paramedic.remediation.guardrail_rules import RULES, Guardrails, agreed, judge
from paramedic.remediation.kill_switch import Pause
from paramedic.remediation.maintenance import Window
from paramedic.remediation.remedy import RESTART
from paramedic.remediation.target import Identity
from paramedic.store import Store, guardrail_facts, intents, trail
from paramedic.store.acts import Act
from paramedic.store.guardrail_facts import QUERIES
from paramedic.text.yaml_document import BadDocument

DOCS = Path(__file__).parents[2] / "docs"

FRONT: dict[str, Any] = {
    "runbook": "r",
    "service": "api",
    "when": [{"alert": "Slow"}],
    "mode": "act",
    "playbook": "restart-service",
    "with": {
        "target": {"supervisord": "api", "host": "web-1"},
        "verify": {"health": "ok", "stable": "1m", "within": "5m"},
    },
}


def runbook(more: Mapping[str, Any]) -> str:
    """JSON is YAML."""
    prose = "\n".join(f"## {heading}" for heading in ("Meaning", "Impact", "Diagnosis", "Mitigation"))
    return f"---\n{json.dumps({**FRONT, **more})}\n---\n{prose}\n"


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


def test_where_every_guardrail_agrees_nothing_is_refused() -> None:
    assert Tried().judged() is None


@pytest.mark.parametrize(("guardrail", "tried", "words"), NO)
def test_a_guardrail_that_does_not_agree_refuses_in_words(guardrail: str, tried: Tried, words: str) -> None:
    refusal = tried.judged()
    assert refusal is not None
    assert refusal.guardrail == guardrail
    assert words in refusal.reason
    assert refusal.by_hand


@pytest.mark.parametrize(("guardrail", "tried"), YES)
def test_at_its_limit_a_guardrail_agrees_again(guardrail: str, tried: Tried) -> None:
    assert tried.judged() is None


# --- the list of all of them ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])
def test_each_has_its_words_its_query_a_case_that_refuses_and_one_that_passes(rule: Guardrail) -> None:
    refusing = [tried for name, tried, _ in NO if name == rule.name]
    assert refusing
    assert any(name == rule.name for name, _ in YES)
    assert (rule.name in QUERIES) is (rule.name not in {"runbook", "mode"})  # those are judged by authors' words alone
    assert all((rule.about.reads, rule.about.says, rule.about.go_on))
    if rule.written is not None:
        key, written = rule.written.key, {"guardrails": {rule.written.key: rule.written.example}}
        assert key in schema()["properties"]["guardrails"]["properties"]
        assert parse(runbook(written), "r.md").guardrails.asked[key] not in (None, rule.written.nothing)
        with pytest.raises(
            BadDocument, match=f"guardrails.{key}z: no such key, or one that is not enforced; did you mean"
        ):
            parse(runbook({"guardrails": {f"{key}z": rule.written.example}}), "r.md")
        assert f"| `guardrails.{key}` |" in (DOCS / "runbooks.md").read_text()


def test_no_query_is_nobody_s_and_no_two_rules_have_one_name() -> None:
    assert set(QUERIES) < {rule.name for rule in RULES}
    assert len({rule.name for rule in RULES}) == len(RULES)


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


@pytest.mark.parametrize("result", ["cured", "done", "failed", "unknown"])
def test_only_of_a_cure_that_did_not_last_it_says_how_to_allow_more(result: str) -> None:
    refusal = seen("grant", Granted(None, Earlier("restart", NOW, result))).judged()
    assert refusal is not None
    assert ("`again: true` beside the `budget`" in refusal.by_hand) is (result == "cured")


def test_nobody_is_asked_about_what_could_not_be_done_anyway() -> None:
    refusal = Tried(seen={"budget": Spent(3, NOW)}, asked={"approval": Severity.WARNING}).judged()
    assert refusal is not None
    assert refusal.guardrail == "budget"


def test_a_pause_is_told_before_anything_else() -> None:
    worst = {name: tried for name, tried, _ in NO}
    refusal = Tried(
        seen={fact: value for tried in worst.values() for fact, value in tried.seen.items()}, mode="observe"
    ).judged()
    assert refusal is not None
    assert refusal.guardrail == "kill switch"


def test_each_is_asked_in_the_order_of_the_list() -> None:
    """Of all that refuse, the first in the list speaks: with each one that agrees, the next does."""
    worst = {name: tried for name, tried, _ in reversed(NO)}
    names = [rule.name for rule in RULES]
    for at, name in enumerate(names):
        wrong = [worst[rule] for rule in names[at:]]
        tried = Tried(
            seen={fact: value for each in wrong for fact, value in each.seen.items()},
            asked={fact: value for each in wrong for fact, value in each.asked.items()},
            mode="observe" if "mode" in names[at:] else "act",
            withdrawn="it is gone" if "runbook" in names[at:] else None,
        )
        refusal = tried.judged()
        assert refusal is not None
        assert refusal.guardrail == name


def test_what_agreed_is_said_with_its_numbers() -> None:
    assert Tried().agreed() == [
        "kill switch: off",
        "maintenance: none",
        "claim: ours",
        "grant: open",
        "mode: act",
        "again: the first of this incident",
        "cooldown: 10m, no act before",
        "budget: 2 of 3 within 1h",
        "service budget: 4 of 5 within 1h",
        "at once: 2 of 4 targets at once, 1 others are being changed",
    ]
    assert Tried(asked=dict.fromkeys(ASKS)).agreed()[5:] == []


@pytest.mark.parametrize("guardrail", ["incident", "grant", "mode", "cooldown", "budget", "service budget", "at once"])
def test_a_person_who_goes_on_by_hand_is_told_the_command(guardrail: str) -> None:
    refusal = next(tried for name, tried, _ in NO if name == guardrail).judged()
    assert refusal is not None
    assert "`paramedic incident resolve INC-7`" in refusal.by_hand


def test_the_page_about_guardrails_has_each_of_them_in_the_order_of_asking() -> None:
    page = (DOCS / "guardrails.md").read_text()
    listed = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert listed == [rule.name for rule in RULES]


# --- one more ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def moonlit(monkeypatch: pytest.MonkeyPatch) -> Guardrail:
    """A guardrail that is a rule and a query, and nothing else: no change while the moon is full enough."""

    def no(_case: Case, light: int, at_most: int) -> No | None:
        return No(f"the moon is at {light}%, and {at_most}% is allowed", "wait") if light > at_most else None

    rule = Guardrail(
        "moon",
        no,
        About("the sky", "how light it is", "wait"),
        yes=lambda _case, light, at_most: f"{light}% of {at_most}%",
        written=Written("moon_below", Annotated[int, Field(ge=0, le=100)], 50),
    )
    monkeypatch.setattr(guardrail_rules, "RULES", (*RULES[:-1], rule, RULES[-1]))
    monkeypatch.setattr(guardrail_facts, "QUERIES", {**QUERIES, "moon": lambda _tx, _change, _at_most: 80})
    return rule


def test_one_more_is_a_rule_and_a_query_read_linted_judged_and_foreseen(moonlit: Guardrail, timed: Store) -> None:
    strict = parse(runbook({"guardrails": {"moon_below": 50}}), "r.md").guardrails.of(RESTART)
    loose = parse(runbook({"guardrails": {"moon_below": 90}}), "r.md").guardrails.of(RESTART)
    assert (
        strict.asked["moon_below"],
        schema()["properties"]["guardrails"]["properties"]["moon_below"]["anyOf"][0],
    ) == (
        50,
        {"maximum": 100, "minimum": 0, "type": "integer"},
    )
    with pytest.raises(BadDocument, match="guardrails.moon_below: Input should be less than or equal to 100"):
        parse(runbook({"guardrails": {"moon_below": 101}}), "r.md")
    with pytest.raises(BadDocument, match="guardrails.moon_bellow: .* did you mean moon_below?"):
        parse(runbook({"guardrails": {"moon_bellow": 50}}), "r.md")
    claim = working(timed)
    with timed.record() as tx:
        refusal = intents.intend(
            tx, claim, rung=1, remedy="restart", identity=ALIVE, deadline=HOUR, limits=loose, today=strict
        )
        foreseen = intents.foreseen(
            tx, service="api", target="web-9/api", runbook="r", severity=Severity.WARNING, limits=strict
        )
        assert isinstance(refusal, Refusal)
        assert foreseen is not None
        assert (refusal.guardrail, refusal.reason) == (
            "moon",
            "by the runbook as it is now, not as it was: the moon is at 80%, and 50% is allowed",
        )
        assert foreseen.reason == "the moon is at 80%, and 50% is allowed"
        act = intents.intend(tx, claim, rung=1, remedy="restart", identity=ALIVE, deadline=HOUR, limits=loose)
        assert isinstance(act, Act)
        entry = trail.head(tx)
    assert entry is not None
    assert "moon: 80% of 90%" in entry.data["guardrails"]
