"""A check: what authors may write, what its samples tell, and the alert that it raises."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.checks.check import Check, CheckAtTarget, CheckSpec, Sample, check_spec
from paramedic.checks.threshold import Level, Threshold
from paramedic.kinds.percentile import percentile
from paramedic.remediation.target import Target
from paramedic.text.quantity import Unit

NINE = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
TARGET = Target("web-1/tracking-api", "tracking-api", "web-1", "supervisord", "tracking-api", "unix:///s")


def made(**words: Any) -> Check:
    return check_spec(CheckSpec)(**words).build()


def bounds(check: Check) -> dict[str, tuple[float | None, float | None]]:
    return {threshold.metric: (threshold.warning, threshold.critical) for threshold in check.thresholds}


def test_the_bounds_that_are_shipped_hold_where_none_are_written() -> None:
    assert bounds(made(check="health")) == {"latency_p95": (0.2, 0.3), "error_rate": (1, 3)}
    assert bounds(made(check="process")) == {"cpu": (80, 90), "memory": (80, 90)}
    of_a_machine = ("cpu", "memory", "disk", "inodes", "open_files")
    assert bounds(made(check="host")) == dict.fromkeys(of_a_machine, (80, 90))
    assert bounds(made(check="tls://here:443")) == {"expires_in": (21 * 86_400, 7 * 86_400)}


def test_a_check_is_what_its_author_wrote() -> None:
    check = made(
        check="http://tracking.internal/health",
        latency_p95={"warning": "250ms", "for": "2m", "hysteresis": "5%"},
        every="5s",
        timeout="1s",
        window="2m",
    )
    assert (check.kind, check.where, check.name) == ("http", "http://tracking.internal/health", "http")
    assert (check.every, check.timeout, check.window) == (5 * SECOND, SECOND, 120 * SECOND)
    assert check.thresholds == (Threshold("latency_p95", Unit.SECONDS, 0.25, None, 120 * SECOND, 0.05),)


def test_what_is_a_date_needs_no_time_to_be_believed() -> None:
    assert made(check="tls://here:443").thresholds[0].held_for == timedelta(0)
    assert made(check="health").thresholds[0].held_for == timedelta(minutes=1)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"check": "htp://here"}, "'htp://here' is nothing to check; write dns://NAME, http://"),
        ({"check": "tcp://here"}, "write tcp://HOST:PORT"),
        ({"check": "tls://here:port"}, "is not an address"),
        ({"check": "health", "cpu": {"warning": "80%"}}, "`cpu` is not measured there; allowed: latency_p50"),
        ({"check": "health", "error_rate": {"warning": "200ms"}}, "write a percentage: 3%"),
        ({"check": "health", "error_rate": {"warning": "3%", "critical": "1%"}}, "`critical` lies over `warning`"),
        ({"check": "health", "error_rate": {}}, "name `warning`, `critical` or both"),
        ({"check": "process", "memory": {"warning": "1GB", "critical": "90%"}}, "of one unit"),
        ({"check": "health", "every": "1s", "timeout": "2s"}, "`timeout` is at most `every`"),
        ({"check": "health", "every": "1h"}, "`every` is at most `unknown_after`"),
        ({"check": "health", "every": "0s"}, "too short; allowed: from 50ms to 1d"),
        ({"check": "health", "path": "/var"}, "`path` belongs to `check: host`"),
        ({"check": "heartbeat"}, "`name` the heartbeat"),
        ({"check": "heartbeat", "name": "backup"}, "name a bound for missing_for"),
        ({"check": "heartbeat", "name": "a b"}, "should match pattern"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_is_allowed(words: dict[str, Any], says: str) -> None:
    with pytest.raises((ValueError, ValidationError), match=says.replace("`", "`")):
        made(**words)


def http(at: int, latency: float = 0.1, error: float = 0) -> Sample:
    return Sample(NINE + at * SECOND, {"latency": latency, "error": error}, "answered")


def test_percentiles_and_rates_are_of_the_window() -> None:
    check = made(check="health", every="500ms", window="1m")
    old = [http(0, latency=9.0, error=1)]
    samples = old + [http(60 + 3 * number, latency=number / 100) for number in range(1, 20)] + [http(118, error=1)]
    assert check.metrics(samples) == {"latency_p95": 0.18, "error_rate": 5}


def test_a_look_that_saw_nothing_tells_no_metric_whatever_was_seen_before() -> None:
    check = made(check="health")
    assert check.metrics([]) == {}
    assert check.metrics([http(0), Sample(NINE + SECOND, None, "blind")]) == {}
    assert check.metrics([Sample(NINE, None, "blind"), http(1, error=1)])["error_rate"] == 100


def test_memory_is_told_in_the_unit_that_its_author_wrote() -> None:
    sample = Sample(NINE, {"cpu": 7, "memory": 1.5e9, "memory_percent": 40}, "")
    assert made(check="process", memory={"warning": "1GB"}).metrics([sample]) == {"memory": 1.5e9}
    assert made(check="process", memory={"warning": "80%"}).metrics([sample]) == {"memory": 40}


@given(st.lists(st.floats(0, 100), min_size=1), st.integers(1, 100))
def test_a_percentile_is_one_of_the_values_and_so_many_do_not_exceed_it(values: list[float], rank: int) -> None:
    found = percentile(values, rank)
    assert found in values
    assert sum(value <= found for value in values) >= rank / 100 * len(values)
    assert sum(value < found for value in values) < rank / 100 * len(values)


def test_an_alert_says_what_where_and_how_much_and_stays_the_same_when_it_gets_worse() -> None:
    check = made(check="http://{host}:8080/health")
    placed = CheckAtTarget("tracking-api-slow", check, TARGET)
    latency = check.thresholds[0]
    mild = placed.alert(latency, Level.WARNING, value=0.25, began_at=NINE, ended_at=None)
    worse = placed.alert(latency, Level.CRITICAL, value=0.31, began_at=NINE, ended_at=None)
    over = placed.alert(latency, Level.OK, value=0.1, began_at=NINE, ended_at=NINE + SECOND)
    assert mild.fingerprint == worse.fingerprint == over.fingerprint
    assert (worse.severity, worse.status, worse.value) == (Severity.CRITICAL, Status.FIRING, "310ms")
    assert (over.status, over.ends_at) == (Status.RESOLVED, NINE + SECOND)
    expected = {"alertname", "service", "instance", "program", "severity", "check", "metric", "runbook"}
    assert expected <= set(worse.labels)
    assert worse.annotations == {
        "summary": "latency_p95 of web-1/tracking-api is 310ms (warning 200ms, critical 300ms)",
        "measured": "http://web-1:8080/health",
    }
    assert Alert.from_json(worse.as_json()) == worse
