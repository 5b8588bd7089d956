"""A round says in words what it measured: a line for each change, whatever the number of samples, and one at its end."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from fake_service import target

from paramedic.checks.check import Check, CheckAtTarget
from paramedic.checks.threshold import CheckState, Level, Threshold
from paramedic.sampling.round_log import RoundLog
from paramedic.store.checks import Metric, Recorded
from paramedic.text.quantity import Unit

NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ERRORS = Threshold("error_rate", Unit.PERCENT, None, 3.0, held_for=MINUTE, hysteresis=0.1)

CHECK = Check("http", "http", "http://x/", (ERRORS,), 5 * MINUTE, MINUTE, MINUTE, 5 * MINUTE, ())
PLACED = CheckAtTarget("tracking-api-slow", CHECK, target("http://127.0.0.1:1/"))
CALLED = "tracking-api-slow/http at web-1/tracking-api"

WELL = CheckState(Level.OK, NOW, NOW)
PAST = CheckState(Level.OK, NOW, NOW, over={Level.CRITICAL: NOW})
BROKEN = CheckState(Level.CRITICAL, NOW, NOW + 2 * MINUTE, over={Level.CRITICAL: NOW})
UNSEEN = CheckState(Level.OK, NOW, NOW, unknown_since=NOW)


def sample(standing: CheckState, value: float | None, why: str, held_back: str | None = None) -> Recorded:
    return Recorded(why, (Metric(ERRORS, value, standing),), (), held_back)


def fires(value: float, why: str, *, over: bool = False) -> Recorded:
    alert = PLACED.alert(ERRORS, Level.CRITICAL, value=value, began_at=NOW, ended_at=NOW if over else None)
    return Recorded(why, (Metric(ERRORS, value, WELL if over else BROKEN),), (alert,))


def told(seen: Sequence[Recorded], checks: int = 1) -> list[str]:
    lines: list[str] = []
    log = RoundLog(lines.append)
    for recorded in seen:
        log.see(PLACED, recorded)
    log.sum_up(checks)
    return lines


def test_a_round_in_which_all_is_well_is_one_line_however_long_it_is() -> None:
    assert told([sample(WELL, 0.0, "answered 200")] * 500, checks=12) == ["500 samples of 12 checks: all well"]


def test_each_change_is_a_line_with_its_numbers_and_what_followed() -> None:
    seen = [
        sample(WELL, 0.0, "answered 200"),
        sample(PAST, 50.0, "answered 503"),
        sample(PAST, 60.0, "answered 503"),
        fires(100.0, "answered 503"),
        sample(BROKEN, 100.0, "answered 503"),
        fires(0.0, "answered 200", over=True),
    ]
    assert told(seen) == [
        f"{CALLED}: error_rate 50% is past its bound (critical 3%, for 1m): answered 503",
        f"{CALLED}: error_rate 100% is critical for 2m now (critical 3%, for 1m): answered 503; its alert fires",
        f"{CALLED}: error_rate 0% is well (critical 3%, for 1m): answered 200; its alert is over",
        f"6 samples of 1 check; not well, in so many samples: {CALLED} (4)",
    ]


def test_what_was_broken_before_the_round_is_said_once_in_it() -> None:
    lines = told([sample(BROKEN, 100.0, "answered 503")] * 20)
    assert len(lines) == 2
    assert "is critical for 2m now" in lines[0]


def test_what_cannot_be_seen_and_what_is_held_back_say_why() -> None:
    [unseen, _] = told([sample(UNSEEN, None, "no route to host", "we cannot see: no control probe answers")])
    assert unseen == (
        f"{CALLED}: error_rate is not seen (critical 3%, for 1m): no route to host; "
        "not reported: we cannot see: no control probe answers"
    )


def test_what_the_store_did_not_take_is_said_once_and_counted() -> None:
    lines: list[str] = []
    log = RoundLog(lines.append)
    for _ in range(300):
        log.lose(PLACED, "database is locked")
    log.sum_up(1)
    assert lines == [
        f"a sample of {CALLED} could not be kept, and further ones are counted: database is locked",
        "0 samples of 1 check, and 300 that could not be kept",
    ]


@pytest.mark.parametrize("turns", [50, 500])
def test_one_that_is_well_and_broken_by_turns_fills_no_log(turns: int) -> None:
    lines = told([sample(PAST, 50.0, "answered 503"), sample(WELL, 0.0, "answered 200")] * turns)
    assert len(lines) == 22
    assert lines[20].endswith("further changes in this round are not written here")
