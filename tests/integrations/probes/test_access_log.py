"""An access log says what its users' requests met: whatever server wrote it, and what is no request is said and not guessed."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fake_service import target

from paramedic.checks.check import CheckSpec, Sample, check_spec
from paramedic.kinds import log_source
from paramedic.kinds.access_log import RequestWindow, combined
from paramedic.sampling import one_sample


@pytest.fixture(autouse=True)
def _new_process() -> Iterator[None]:
    log_source.forget()
    yield
    log_source.forget()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


def stamp(ago: float = 0) -> str:
    return datetime.fromtimestamp(time.time() - ago, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")


def line(status: int = 200, *, ago: float = 0, request: str = "GET / HTTP/1.1", more: str = ' "-" "curl"') -> str:
    return f'203.0.113.7 - - [{stamp(ago)}] "{request}" {status} 612{more}\n'


def look(log: Path, **words: Any) -> Sample:
    check = check_spec(CheckSpec)(check="access_log", **({"file": str(log)} | words)).build()
    return one_sample.sample(check, target(), now=lambda: datetime.now(UTC), last_heard=lambda _: None)


def values(sample: Sample) -> dict[str, float]:
    assert sample.values is not None, sample.why
    return dict(sample.values)


def test_the_share_of_errors_and_the_rate_are_those_of_the_window(log: Path) -> None:
    log.write_text(line(500, ago=100) * 50 + line() * 97 + line(502) * 2 + line(404))
    seen = look(log)
    assert values(seen)["error_rate"] == 2
    assert values(seen)["rate"] == pytest.approx(100 / 60)
    assert "100 requests within 1m" in seen.why
    assert values(look(log, errors=["5xx", 404]))["error_rate"] == 3
    with log.open("a") as file:
        file.write(line(500) * 100)
    assert values(look(log))["error_rate"] == 51


def test_few_requests_count_as_some_more_and_an_outage_at_night_is_seen_all_the_same(log: Path) -> None:
    log.write_text(line(500))
    seen = look(log, at_least=50)
    assert values(seen)["error_rate"] == 2
    assert "they count as 50" in seen.why
    log.write_text(line(500) * 5)
    assert values(look(log, window="2m"))["error_rate"] == 25


def test_no_request_at_all_is_well_and_slow_is_nobody(log: Path) -> None:
    log.write_text("")
    assert values(look(log)) == {
        "error_rate": 0,
        "rate": 0,
        "unread": 0,
        **{f"latency_p{rank}": 0 for rank in (50, 90, 95, 99)},
    }


@pytest.mark.parametrize(
    ("words", "written"),
    [
        ({"took": "last"}, lambda n: line(more=f' "-" "curl" 0.{n:03}')),
        ({"took": "rt="}, lambda n: line(more=f' "-" "curl" rt=0.{n:03} uct="-"')),
        ({"took": "last", "took_unit": "us"}, lambda n: line(more=f" {n * 1000}")),
        (
            {"lines": "json", "keys": {"took": "http.ms", "status": "http.code"}, "took_unit": "ms"},
            lambda n: json.dumps({"time": time.time(), "http": {"ms": n, "code": 200}}) + "\n",
        ),
        (
            {"lines": "json"},
            lambda n: json.dumps({"request_time": f"0.{n:03}", "status": "200", "time_local": stamp()}) + "\n",
        ),
    ],
)
def test_percentiles_are_within_a_percent_wherever_the_time_is_written(
    log: Path, words: Any, written: Callable[[int], str]
) -> None:
    log.write_text("".join(written(n) for n in range(1, 101)))  # now: collected it may have been long ago
    seen = values(look(log, **words))
    for rank in (50, 90, 95, 99):
        assert seen[f"latency_p{rank}"] == pytest.approx(rank / 1000, rel=0.011)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (line(), 200),
        (line(more=""), 200),
        (f'- - - [{stamp()}] "-" 408 0 "-" "-"', 408),
        (f'203.0.113.7 - - [{stamp()}] "" 400 0 "-" "-"', 400),
        (f'203.0.113.7 - - [{stamp()}]  "GET / HTTP/1.1" 200 22747 "-" "x" 0.567 0.567 .', 200),
        (f'203.0.113.7 - - [{stamp()}] "\\\\x16\\\\x03\\\\x01" 400 150 "-" "-"', 400),
        (f'203.0.113.7 - - [{stamp()}] "GET /\\\\" 200 1 HTTP/1.1" 503 5 "-" "-"'.replace("\\\\", "\\"), 503),
        (f'2001:db8::7 - a b [{stamp()}] "GET / HTTP/2.0" 499 0 "-" "-"', 499),
        (f'shop.example:443 203.0.113.7 - - [{stamp()}] "GET / HTTP/1.1" 304 - "-" "-"', 304),
        (f'203.0.113.7 - - [{stamp()}] "GET / HTTP/1.1" store=5 346 "-" "-"', None),
        (f"203.0.113.7 [{stamp()}] GET /x HTTP/1.1 200 5", None),
        ("", None),
        ("2026/11/30 19:12:56 [error] 1#1: connect() failed", None),
    ],
    ids=map(str, range(13)),  # the lines themselves have the time of their collection, which differs between processes
)
def test_lines_that_people_have_are_read_or_left(text: str, status: int | None) -> None:
    found = combined(text.rstrip("\n"), None, 1.0)
    assert (None if found is None else found.status) == status


def test_lines_that_are_no_requests_are_counted_and_said_and_where_all_are_nothing_is_seen(log: Path) -> None:
    log.write_text(line() * 30 + f"{stamp()} what is this\n" * 3 + line(more="") * 7)
    assert values(look(log, at_least=1))["unread"] == 0, "one without a time that can be trusted was there before us"
    with log.open("a") as file:
        file.write("what is this\n" * 3 + line() * 3)
    seen = look(log, at_least=1)
    assert values(seen)["unread"] == pytest.approx(100 * 3 / 43)
    assert "3 lines are no request" in seen.why
    log.unlink()
    log_source.forget()
    log.write_text(line() * 5)
    assert "none of 5 lines" in look(log, lines="json").why


def test_only_the_requests_that_count_are_counted(log: Path) -> None:
    log.write_text(line(500, request="GET /health HTTP/1.1") * 40 + line(request="GET /orders/1 HTTP/1.1") * 40)
    assert values(look(log, without="^GET /health"))["error_rate"] == 0
    assert values(look(log, only="^GET /health"))["error_rate"] == 100


def test_the_percentiles_of_few_requests_count_the_missing_ones_as_quick(log: Path) -> None:
    log.write_text(line(more=" 3.0") + line(more=" 0.1") * 3)
    seen = values(look(log, took="last"))
    assert seen["latency_p99"] == pytest.approx(3, rel=0.011)
    assert seen["latency_p95"] == pytest.approx(0.1, rel=0.011)
    assert seen["latency_p50"] == 0


def test_a_log_without_times_does_not_say_how_long_a_request_took(log: Path) -> None:
    log.write_text(line() * 30)
    seen = look(log, latency_p95={"critical": "1s"})
    assert "latency_p95" not in values(seen)
    assert "no line says how long a request took" in seen.why


def test_the_log_is_the_targets_own_where_none_is_named(log: Path) -> None:
    check = check_spec(CheckSpec)(check="access_log").build()
    seen = one_sample.sample(check, target(), now=lambda: datetime.now(UTC), last_heard=lambda _: None)
    assert seen.values is not None or "there is no" in seen.why or "name the log" in seen.why


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"lines": "json", "took": "last"}, "`took` is of combined lines"),
        ({"keys": {"took": "x"}}, "`keys` are of JSON"),
        ({"errors": ["6xx"]}, "no status"),
        ({"errors": [5]}, "no status"),
        ({"only": "("}, "no regular expression of RE2"),
        ({"lines": "clf"}, "combined"),
        ({"at_least": 0}, "at_least"),
    ],
)
def test_what_cannot_be_right_is_refused_when_it_is_written(words: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check_spec(CheckSpec)(check="access_log", file="/a", **words).build()


def test_the_memory_of_a_window_is_bounded_and_its_lines_are_read_quickly() -> None:
    window = RequestWindow(3600)
    for n in range(200_000):
        window.add(n / 40, error=n % 100 == 0, took=0.001 * (n % 997 + 1))
    window.forget(5000 - 3600)
    assert len(window._pieces) <= 202
    assert sum(len(piece.took) for piece in window._pieces.values()) < 100_000
    text, began = line().rstrip("\n"), time.monotonic()
    for _ in range(10_000):
        combined(text, "last", 1.0)
    assert time.monotonic() - began < 2
    for filler in (' "', " [", "\\\\", " 200 5"):
        began = time.monotonic()
        combined((f'x - - [{stamp()}] "' + filler * 20_000)[:32_000], "last", 1.0)
        assert time.monotonic() - began < 0.5
