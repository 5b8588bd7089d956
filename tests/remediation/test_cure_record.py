"""The record of a runbook's remedies: each act counts once, for its remedy and target, with what became of the cures."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from paramedic.remediation.cure import CureLook, Held
from paramedic.remediation.cure_record import lines, sum_up
from paramedic.remediation.target import Identity

NINE = datetime(2026, 1, 31, 9, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Act:
    result: str | None
    remedy: str = "restart"
    target: str = "web-1/shop"


def look(after: timedelta, verdict: Held | None, remedy: str = "restart") -> CureLook:
    who = Identity("RUNNING")
    return CureLook(3, 7, "web-1/shop", "shop-down", remedy, after, NINE, NINE + after, who, who, verdict=verdict)


ACTS = [
    *[Act("cured")] * 3,
    Act("done"),
    Act("failed"),
    Act("not_sent"),
    Act(None),
    Act("decided"),
    Act("unknown"),
    Act("cured", "roll_back"),
    Act("done", target="web-2/shop"),
]
LOOKS = [
    *[look(HOUR, Held.HELD)] * 2,
    look(HOUR, Held.LOST),
    look(DAY, Held.HELD),
    look(DAY, Held.UNSEEN),
    look(DAY, None),
    look(HOUR, Held.UNDONE, "roll_back"),
    look(DAY, Held.REPLACED, "roll_back"),
]


def test_each_act_counts_once_for_its_remedy_and_target() -> None:
    record = sum_up(ACTS, LOOKS)
    assert [(one.remedy, one.target, one.acts) for one in record] == [
        ("restart", "web-1/shop", 9),
        ("restart", "web-2/shop", 1),
        ("roll_back", "web-1/shop", 1),
    ]
    assert sum(one.acts for one in record) == len(ACTS)
    first = record[0]
    assert (first.cured, first.in_vain, first.unknown, first.not_sent) == (3, 2, 3, 1)


def test_a_person_reads_what_helped_and_what_held() -> None:
    helped = "3 helped, 2 did not, 3 nobody knows, 1 not sent"
    later = "1h later 2 held, 1 did not hold; 24h later 1 held, 1 not seen, 1 not looked at yet"
    assert list(lines(sum_up(ACTS, LOOKS))) == [
        "  acted 11 times, and 4 of them helped:",
        f"    restart of web-1/shop, 9 times: {helped}; {later}",
        "    restart of web-2/shop, once: 1 did not",
        "    roll_back of web-1/shop, once: 1 helped; 1h later 1 undone by somebody; 24h later 1 replaced by another release",
    ]


def test_a_program_reads_the_same_numbers() -> None:
    first = sum_up(ACTS, LOOKS)[0].as_json()
    assert (first["acts"], first["cured"], first["in_vain"]) == (9, 3, 2)
    hour, day = first["looks"]
    assert hour == {
        "after_seconds": 3600.0,
        "held": 2,
        "lost": 1,
        "undone": 0,
        "replaced": 0,
        "unseen": 0,
        "pending": 0,
    }
    assert (day["after_seconds"], day["held"], day["pending"]) == (86400.0, 1, 1)


def test_a_runbook_that_never_acted_has_no_lines() -> None:
    assert list(lines(sum_up([], []))) == []
