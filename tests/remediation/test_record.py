"""The record of a runbook that observed: each proposal counts once, and what would have been right is said with its numbers."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from paramedic.remediation.observed_paging import Paging
from paramedic.remediation.proposal import Proposal, Verdict
from paramedic.remediation.record import lines, sum_up
from paramedic.remediation.target import Identity

NINE = datetime(2026, 1, 31, 9, tzinfo=UTC)
MADE = Proposal(
    id=1,
    incident=7,
    attempt=1,
    rung=1,
    target="web-1/shop",
    runbook="shop-down",
    remedy="restart",
    why="answered 503",
    identity=Identity(""),
    refused_by=None,
    refusal=None,
    paging=Paging.FIRST,
    made_at=NINE,
    judge_by=NINE + timedelta(minutes=7),
)


def judged(verdict: Verdict, after: timedelta = timedelta(minutes=5), **fields: object) -> Proposal:
    return replace(MADE, verdict=verdict, judged_at=NINE + after, **fields)  # type: ignore[arg-type]


WEEK = [
    judged(Verdict.NEEDED),
    judged(Verdict.NEEDED, target="web-2/shop"),
    judged(Verdict.BY_OTHERS, refused_by="approval", refusal="nobody was asked"),
    judged(Verdict.RECOVERED, timedelta(seconds=70.4)),
    judged(Verdict.RECOVERED, timedelta(seconds=130)),
    judged(Verdict.NEEDED, refused_by="cooldown", refusal="until 09:10"),
    judged(Verdict.UNSEEN),
    replace(MADE, made_at=NINE + timedelta(days=7)),
]


def test_each_proposal_counts_once() -> None:
    record = sum_up(WEEK)
    counted = record.needed + record.by_others + record.recovered + sum(record.refused.values())
    assert (record.proposals, counted + record.unknown + record.pending) == (8, 8)
    assert (record.right, record.needed, record.by_others) == (3, 2, 1)
    assert record.refused == {"cooldown": 1}, "a question to a person refuses nothing by itself"


def test_a_person_reads_how_many_would_have_been_right() -> None:
    assert list(lines("shop-down", sum_up(WEEK))) == [
        "shop-down: 8 proposals on 2 targets, from 2026-01-31T09:00Z to 2026-02-07T09:00Z",
        "  3 would have been right: 2 still failing after the time that a remedy has, 1 done by somebody else meanwhile",
        "  2 would not have been needed: well by itself, after 1m 10s to 2m 10s",
        "  1 a guardrail would have refused: cooldown 1",
        "  1 nobody could judge, 1 not judged yet",
    ]


def test_a_program_reads_the_same_numbers() -> None:
    answer = sum_up(WEEK).as_json()
    assert (answer["proposals"], answer["right"], answer["not_needed"], answer["refused"]) == (8, 3, 2, {"cooldown": 1})
    assert answer["recovered_after_seconds"] == {"shortest": 70.4, "longest": 130.0}


def test_what_never_proposed_anything_says_so() -> None:
    assert list(lines("shop-down", sum_up([]))) == [
        "shop-down has proposed nothing: no incident came to its first change while it observed"
    ]
    assert sum_up([]).as_json()["first_at"] is None


@pytest.mark.parametrize(
    ("remedy", "words"),
    [
        ("restart", "would have restarted web-1/shop"),
        ("rollback-if-deployed-within: 30m", "would have rolled back web-1/shop"),
        ("rollback", "would have rolled back web-1/shop"),
        ("run: flush", "would have run flush on web-1/shop"),
        ("reload", "would have reloaded web-1/shop"),
        ("scale", "would have done scale on web-1/shop"),
    ],
)
def test_each_remedy_has_its_words(remedy: str, words: str) -> None:
    assert replace(MADE, remedy=remedy).words == words


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (Verdict.NEEDED, "still failing 5m later: answered 503"),
        (Verdict.BY_OTHERS, "well 5m later, and not by itself: another instance runs: answered 503"),
        (Verdict.RECOVERED, "well by itself 5m later: nothing was needed: answered 503"),
        (Verdict.UNSEEN, "nobody knows whether it was needed: answered 503"),
    ],
)
def test_each_verdict_has_its_words(verdict: Verdict, words: str) -> None:
    assert judged(verdict, verdict_why="answered 503").judged == words
