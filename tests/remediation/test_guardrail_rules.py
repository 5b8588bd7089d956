"""Each guardrail refuses by its name, with its numbers, and says how a person goes on."""

import pytest
from guardrail_cases import ASKS, NO, NOW, YES, Tried, seen

from paramedic.alerts.alert import Severity
from paramedic.remediation.guardrail import Earlier, Granted, Spent
from paramedic.remediation.guardrail_judgements import asks
from paramedic.remediation.guardrail_rules import RULES


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
        "dependency: nothing that it needs is down",
        "claim: ours",
        "grant: open",
        "mode: act",
        "fleet: 2 of 10 targets changed within 1h",
        "breaker: 0 of 3 unhelpful within 4h",
        "storm rest: 5m, no mass failure before",
        "freeze: not within Mon-Fri Europe/Berlin",
        "hours: within Sat 10:00 to 18:00 Europe/Berlin",
        "again: the first of this incident",
        "cooldown: 10m, no act before",
        "budget: 2 of 3 within 1h",
        "service budget: 4 of 5 within 1h",
        "quorum: 3 of 4 healthy beside it, and 3 must be",
        "at once: 2 of 4 targets at once, 1 others are being changed",
        "parts: none",
    ]
    assert Tried(asked=dict.fromkeys(ASKS)).agreed()[9:] == ["parts: none"]


@pytest.mark.parametrize(
    "guardrail",
    [
        "incident",
        "grant",
        "mode",
        "storm rest",
        "freeze",
        "hours",
        "cooldown",
        "budget",
        "service budget",
        "quorum",
        "at once",
    ],
)
def test_a_person_who_goes_on_by_hand_is_told_the_command(guardrail: str) -> None:
    refusal = next(tried for name, tried, _ in NO if name == guardrail).judged()
    assert refusal is not None
    assert "`paramedic incident resolve INC-7`" in refusal.by_hand
