"""How many samples tell a bound from chance: what lint refuses, what it says instead, and a window that has only begun."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from looked_at import made
from pydantic import ValidationError

from paramedic.checks import arithmetic
from paramedic.checks.check import Check, Sample
from paramedic.kinds.metric import EXCHANGE
from paramedic.text.units import between

NOW = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)
ERRORS = next(metric for metric in EXCHANGE if metric.name == "error_rate")


@pytest.mark.parametrize(
    ("bound", "needs"),
    [("1%", 101), ("3%", 34), ("2%", 51), ("25%", 5), ("50%", 3), ("100%", 1), ("99%", 2)],
)
def test_one_bad_sample_of_a_share_stays_inside_its_bound(bound: str, needs: int) -> None:
    words: dict[str, Any] = {"check": "health", "every": "1s", "error_rate": {"critical": bound}}
    assert made(**words, window=f"{needs}s").window == timedelta(seconds=needs)
    if needs > 1:
        with pytest.raises(ValidationError, match="cannot be told from one bad sample"):
            made(**words, window=f"{needs - 1}s")


@given(st.floats(0.001, 100, exclude_max=True))
def test_the_number_that_a_share_needs_is_the_least(bound: float) -> None:
    needs = ERRORS.needs(bound)
    assert 100 / needs < bound
    assert needs == 1 or 100 / (needs - 1) >= bound


@pytest.mark.parametrize(("metric", "needs"), [("p50", 2), ("p90", 10), ("p95", 20), ("p99", 100)])
def test_a_percentile_needs_so_many_that_it_is_not_the_worst_one(metric: str, needs: int) -> None:
    words: dict[str, Any] = {"check": "tcp://here:1", "every": "1s", f"latency_{metric}": {"critical": "1s"}}
    check = made(**words, window=f"{needs}s")
    good = [Sample(NOW + timedelta(seconds=n), {"latency": 0.1, "error": 0}, "") for n in range(needs - 1)]
    one_slow = [*good, Sample(NOW + timedelta(seconds=needs - 1), {"latency": 9, "error": 0}, "")]
    assert check.metrics(one_slow) == {f"latency_{metric}": 0.1}
    with pytest.raises(ValidationError, match="percentile of so few samples is the worst of them"):
        made(**words, window=f"{needs - 1}s")


@pytest.mark.parametrize(
    ("every", "window", "bound", "says"),
    [
        ("15s", "1m", "1%", "`every: 15s` has 4 samples, and it takes 101; write `window: 30m` or `every: 500ms`"),
        ("1m", "5m", "3%", "has 5 samples, and it takes 34; write `window: 45m` or `every: 5s`"),
        ("1s", "1s", "1%", "which is all of them: `window: 1s` at `every: 1s` has 1 sample, and it takes 101"),
        ("1s", "30m", "0.05%", "it takes 2001; no more than 1900 are kept: write a bound that fewer can tell"),
        ("1d", "7d", "1%", "has 7 samples, and it takes 101; write `every: 1h"),
    ],
)  # fmt: skip
def test_lint_says_which_times_would_do(every: str, window: str, bound: str, says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        made(check="health", every=every, window=window, unknown_after="7d", error_rate={"critical": bound})
    assert says in str(refused.value)


@given(st.floats(0.06, 99), st.sampled_from(["100ms", "1s", "15s", "1m", "10m"]))
def test_what_lint_says_instead_it_takes(bound: float, every: str) -> None:
    parsed = between("50ms", "1d")(every)
    shipped = f"{bound:.2f}%"
    with pytest.raises(ValidationError) as refused:
        made(check="health", every=every, window=every, unknown_after="7d", error_rate={"critical": shipped})
    said = str(refused.value)
    for key in ("window", "every"):
        if (found := said.partition("; write ")[2].partition(f"`{key}: ")[2].partition("`")[0]) and "," not in found:
            words = {"every": every, "window": every} | {key: found}
            made(check="health", unknown_after="7d", error_rate={"critical": shipped}, **words)
    assert arithmetic.window_for(1, parsed) >= parsed


@pytest.mark.parametrize(
    ("words", "window"),
    [
        ({"check": "process"}, "1m"),
        ({"check": "ready"}, "1m"),
        ({"check": "health"}, "30m"),
        ({"check": "health", "every": "1s"}, "2m"),
        ({"check": "health", "error_rate": {"critical": "50%"}}, "1m"),
        ({"check": "health", "latency_p95": {"critical": "1s"}}, "5m"),
        ({"check": "heartbeat", "name": "b", "missing_for": {"critical": "26h"}, "every": "4m"}, "4m"),
    ],
)
def test_without_a_window_it_is_as_long_as_its_bounds_need(words: dict[str, Any], window: str) -> None:
    assert made(**words).window == between("50ms", "7d")(window)


def test_shipped_bounds_that_no_window_can_tell_are_refused_too() -> None:
    with pytest.raises(ValidationError, match="1% cannot be told from one bad sample"):
        made(check="health", every="3h", unknown_after="1d")


# --- a window that has only begun -------------------------------------------------------------------------------------


def errors(check: Check, *bad: int, filled: bool = True) -> float:
    samples = [
        Sample(NOW + timedelta(seconds=number), {"latency": 0.1, "error": each}, "") for number, each in enumerate(bad)
    ]
    return check.metrics(samples, filled=filled)["error_rate"]


def test_one_bad_sample_of_a_window_that_has_only_begun_breaks_no_bound_and_two_do() -> None:
    check = made(check="health", every="1s", error_rate={"critical": "3%"})
    assert errors(check, 0, 1) < 3, "as in a window that is full"
    assert errors(check, 1, 0) < 3
    assert errors(check, 0, 1, 1) > 3
    assert errors(check, 1) == errors(check, 1, 1, 1) == 100, "nothing well was seen"
    assert errors(check, 0, 1, filled=False) == 50, "a look of a run judges its own samples alone"


def test_a_slow_answer_after_a_restart_is_not_the_95th_percentile() -> None:
    check = made(check="health", latency_p95={"critical": "300ms"})
    samples = [Sample(NOW + timedelta(seconds=n), {"latency": each}, "") for n, each in enumerate((0.05, 2.0, 0.06))]
    assert check.metrics(samples, filled=True) == {"latency_p95": 0.06}
    assert check.metrics(samples) == {"latency_p95": 2.0}
