"""Evidence of what services.yaml says of a target: where its request's time goes, and what is new in its log."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from recorded_evidence import Captured, gathered

from paramedic.change.gathering import Look, gather
from paramedic.errors import PermanentError
from paramedic.integrations.evidence import log_patterns
from paramedic.remediation.host import Host
from paramedic.remediation.target import Target
from paramedic.transports.http_timing import Timing

SINCE = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def looked(kind: str, *, seconds: float = 10, **target: str) -> Look:
    at = Target("web-7/shop", "shop", "web-7", "supervisord", "shop", "unix:///none", machine=Host("web-7"), **target)  # type: ignore[arg-type]
    [look] = gather(at, (kind,), since=SINCE, patience=timedelta(seconds=seconds))
    return look


def body(look: Look) -> str:
    assert look.piece is not None, look.fault
    return look.piece.body


@contextmanager
def server(answer: bytes | None) -> Iterator[str]:
    """It takes one request and answers with this; None: never."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = threading.Event()

        def serve() -> None:
            with listener.accept()[0] as client:
                client.recv(4096)
                if answer is None:
                    done.wait(20)
                else:
                    client.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/health"
        finally:
            done.set()


def test_a_request_s_time_is_split_into_its_phases() -> None:
    with server(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy") as url:
        text = body(looked("http-timing", health=url))
    assert text.startswith("failing: answered 503; ")
    assert "from 127.0.0.1, 4 B of body" in text
    rows = [line.split("  ")[0] for line in text.splitlines()[3:]]
    assert rows == ["name (DNS)", "connect", "first byte", "body"]
    assert "did not end" not in text


def test_the_phase_in_which_it_hangs_is_the_one_that_did_not_end() -> None:
    with server(None) as url:
        text = body(looked("http-timing", seconds=1.5, health=url))
    last = text.splitlines()[-1]
    assert last.startswith("first byte")
    assert last.endswith("ms  did not end")


def test_nobody_who_listens_is_told_by_the_connection() -> None:
    text = body(looked("http-timing", health="http://127.0.0.1:1/health"))
    assert "no connection" in text
    assert text.splitlines()[-1].startswith("connect")
    assert "names no `health`" in looked("http-timing").fault


def test_phases_of_tls_that_stopped_in_its_handshake() -> None:
    stopped = Timing(0.01, 0.03, 0, 0, 0, 2.0, secure=True)
    assert stopped.phases() == [
        ("name (DNS)", 0.01, True),
        ("connect", pytest.approx(0.02), True),
        ("TLS", pytest.approx(1.97), False),
    ]
    whole = Timing(0.01, 0.03, 0.1, 0.1, 0.5, 0.6, secure=True)
    assert [name for name, _, ended in whole.phases() if ended] == [
        "name (DNS)",
        "connect",
        "TLS",
        "first byte",
        "body",
    ]


def at(minutes: float, text: str) -> str:
    return f"{SINCE + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%S}.250Z {text}"


TIMED = [
    *(at(-50 + n, f'GET "/track/{n}" 200 in {n} ms') for n in range(50)),
    at(-1, "pool exhausted: 20 of 20 connections"),
    "  File app.py, line 7",
    at(0, 'GET "/track/9" 503 in 9000 ms'),
    at(1, "pool exhausted: 20 of 20 connections"),
]


def test_lines_whose_pattern_is_new_since_the_breach_come_first() -> None:
    text = log_patterns.told("log", TIMED, SINCE)
    head, new, known, around = text.split("\n\n")
    assert head == "log: 54 lines of 3 patterns, 2 of them new (new: not before 2026-01-31 11:58:00Z)"
    assert [line.split(maxsplit=1)[0] for line in new.splitlines()[2:]] == ["2", "1"]
    assert "pool exhausted" in new.splitlines()[2]
    assert "51  2026-01-31T12:00:00.250Z GET" in known, "one pattern, whatever its numbers and its quoted path"
    assert around.splitlines()[-1].endswith("pool exhausted: 20 of 20 connections")
    assert "the lines around 2026-01-31 12:00:00Z" in around


def test_a_log_whose_times_have_no_zone_is_judged_by_place_and_says_so() -> None:
    lines = [f"Jan 31 11:{n % 60:02}:00 web-7 app[{n}]: request {n} done" for n in range(90)]
    lines += ["Jan 31 12:00:00 web-7 app[7]: Traceback (most recent call last):"]
    text = log_patterns.told("log", lines, SINCE)
    assert "1 of them new (new: in the last quarter of these lines alone, which carry no time with a zone)" in text
    assert text.split("\n\n")[1].endswith("Traceback (most recent call last):")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1769860800.123 web-7 app[12]: took 5ms", "1769860900.9 web-7 app[13]: took 812ms"),
        ("user 3fa85f64-5717-4562-b3fc-2c963f66afa6 left", "user 00000000-0000-4000-8000-00000000000a left"),
        ("commit deadbeef01 by 'ann'", "commit 1234567 by 'a b c'"),
        ('[31/Jan/2026:12:00:00 +0000] "GET / HTTP/1.1" 200', '[01/Feb/2026:01:02:03 +0000] "GET /x HTTP/1.1" 200'),
    ],
)
def test_what_says_the_same_is_one_pattern(one: str, other: str) -> None:
    assert log_patterns.masked(one) == log_patterns.masked(other)
    assert log_patterns.masked("connection refused") != log_patterns.masked("connection reset")


def test_the_log_of_a_target_is_read_and_what_it_lacks_is_said(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("\n".join(TIMED) + "\ntoken=abcdefgh1234\n")
    seen = looked("log-patterns", log=str(tmp_path / "log"))
    assert "pool exhausted" in body(seen)
    assert "abcdefgh1234" not in body(seen)
    [why] = seen.unseen
    assert why.startswith("its owner's log: its stdout: the supervisord of web-7/shop is not there")
    assert looked("log-patterns").fault.startswith("its owner's log: its stdout: ")


def test_hostile_lines_are_read_in_time() -> None:
    lines = [
        "'" * 100_000,
        '"' * 99_999,
        "a" * 1_000_000,
        "1" * 100_000,
        "-" * 100_000,
        "9999999999 x",
        "2026-99-99T99:99:99Z x",
    ]
    assert log_patterns.told("log", lines, SINCE)
    assert log_patterns.told("log", [], SINCE)


def test_py_spy_s_answers() -> None:
    stack = 'Process 42: python app.py\nThread 42 (idle): "MainThread"\n    wait (app.py:7)'
    assert gathered("python_stacks", Captured({"stacks": stack})).text == stack
    for parts, errors, why in (
        ({"absent": ""}, "", "^py-spy is not installed on web-7; "),
        (
            {"stacks": "", "failed": "1"},
            "Permission Denied: Try running again with elevated permissions",
            "^not permitted; needs",
        ),
        (
            {"stacks": "", "failed": "1"},
            "Error: Failed to find python version",
            "shows nothing of process 42: Error: Failed",
        ),
    ):
        with pytest.raises(PermanentError, match=why):
            gathered("python_stacks", Captured(parts, errors=errors))
