"""The certificates that a server shows: good, old and none; its own and its authorities'."""

import socket
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from certificates import Authority, showing

from paramedic.errors import PermanentError, TemporaryError
from paramedic.integrations.probes.tls import first_to_end, look
from paramedic.kinds.probing import ProcessUse, Question
from paramedic.remediation.target import Target

SECOND = timedelta(seconds=5)


def in_days(days: int) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)


def question(port: int) -> Question:
    target = Target("web-1/shop", "shop", "web-1", "supervisord", "shop", "")
    return Question(f"tls://127.0.0.1:{port}", target, SECOND, datetime.now(UTC), no_process, lambda _name: None)


def no_process() -> tuple[ProcessUse, str]:
    raise AssertionError("a certificate is asked of no process")


@pytest.mark.parametrize("days", [30, -30], ids=["good", "run-out"])
def test_the_date_is_read_whether_or_not_anybody_would_trust_it(tmp_path: Path, days: int) -> None:
    until = in_days(days)
    with showing(tmp_path, until) as port:
        assert first_to_end("127.0.0.1", port, SECOND).ends == until


@pytest.mark.parametrize(
    ("leaf", "lower", "upper", "first", "whose"),
    [
        (299, -1, 400, -1, "the authority's certificate (Lower CA; certificate 2 of the 3 in its chain)"),
        (299, 90, 20, 20, "the authority's certificate (Upper CA; certificate 3 of the 3 in its chain)"),
        (9, 90, 400, 9, "the certificate (shop.example)"),
        (-3, -1, -2, -3, "the certificate (shop.example)"),
    ],
)
def test_the_first_of_the_chain_to_end_counts_and_is_named(
    tmp_path: Path, leaf: int, lower: int, upper: int, first: int, whose: str
) -> None:
    authority = Authority(tmp_path).intermediate("Upper CA", in_days(upper)).intermediate("Lower CA", in_days(lower))
    with authority.serving("shop.example", in_days(leaf)) as port:
        values, why = look(question(port))
    assert values["expires_in"] == pytest.approx(first * 86_400, abs=60)
    assert why == f"{whose} {'is' if first > 0 else 'was'} good until {in_days(first):%Y-%m-%d %H:%M} UTC"


def test_a_name_in_a_certificate_is_data(tmp_path: Path) -> None:
    authority = Authority(tmp_path).intermediate("Evil\n\x1b[31mCA " + "x" * 40, in_days(-1))
    with authority.serving("shop.example", in_days(30)) as port:
        _, why = look(question(port))
    assert why.startswith("the authority's certificate (Evil \\x1b[31mCA x")
    assert "\n" not in why


def test_a_server_without_tls_and_one_that_is_silent_show_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(TemporaryError, match="no certificate within 200ms"):
            first_to_end("127.0.0.1", port, timedelta(milliseconds=200))
    with pytest.raises(TemporaryError, match="no certificate was shown"):
        first_to_end("127.0.0.1", port, SECOND)


def test_a_server_that_drips_its_handshake_takes_no_longer_than_the_look_may() -> None:
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            line, _ = server.accept()
            with line:
                line.sendall(b"\x16\x03\x03\x40\x00")  # a record of 16 KiB, and then a byte of it now and again
                while not stop.wait(0.05):
                    try:
                        line.sendall(b"\x02")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        with pytest.raises(TemporaryError, match="no certificate within 500ms"):
            first_to_end("127.0.0.1", server.getsockname()[1], timedelta(milliseconds=500))
        stop.set()
        thread.join()


def test_what_cannot_be_asked_is_useless() -> None:
    with pytest.raises(PermanentError, match="cannot be asked"):
        first_to_end("a" * 70 + ".example", 443, SECOND)
