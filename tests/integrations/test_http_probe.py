"""One look at a health page, against servers that are well, ill, slow and sly."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from paramedic.error import Useless
from paramedic.integrations.http_probe import probe

SECOND = timedelta(seconds=1)


@contextmanager
def answering(*pieces: bytes, every: float = 0.0, hold: bool = False) -> Iterator[str]:
    """A server that gives its one caller these pieces, one `every` so many seconds, and then hangs up, or holds on."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            line, _ = server.accept()
            with line:
                line.recv(65_536)
                for piece in pieces:
                    try:
                        line.sendall(piece)
                    except OSError:
                        return
                    if over.wait(every):
                        return
                if hold:
                    over.wait(10)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/health"
        over.set()
        thread.join(5)


def test_a_whole_2xx_is_well() -> None:
    with answering(b"HTTP/1.1 204 No Content\r\n\r\n") as url:
        seen = probe(url, SECOND)
    assert (seen.ok, seen.status, seen.why) == (True, 204, "answered 204")
    assert 0 < seen.took_ms < 1000


@pytest.mark.parametrize("status", [b"404 Not Found", b"500 Oops", b"503 Later"])
def test_another_status_is_not_well_and_is_told(status: bytes) -> None:
    with answering(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n") as url:
        seen = probe(url, SECOND)
    assert (seen.ok, seen.status, seen.why) == (False, int(status[:3]), f"answered {int(status[:3])}")


def test_a_redirect_is_told_and_not_followed() -> None:
    with answering(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n") as url:
        seen = probe(url, SECOND)
    assert not seen.ok
    assert "not followed" in seen.why


def test_nobody_there_is_an_answer() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        seen = probe(f"http://127.0.0.1:{free.getsockname()[1]}/", SECOND)
    assert (seen.ok, seen.status) == (False, None)
    assert "could not connect" in seen.why
    assert "refused" in seen.why


def test_silence_is_an_answer_after_the_time_out() -> None:
    begun = time.monotonic()
    with answering(hold=True) as url:
        seen = probe(url, timedelta(milliseconds=200))
    assert (seen.ok, seen.status, seen.why) == (False, None, "no whole answer within 200ms")
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_drip_is_cut_at_the_time_out(begun: bytes) -> None:
    start = time.monotonic()
    with answering(begun + b"H", *[b"H"] * 100, every=0.05) as url:
        seen = probe(url, timedelta(milliseconds=300))
    assert not seen.ok
    assert seen.why == "no whole answer within 300ms"
    assert time.monotonic() - start < 2


@pytest.mark.parametrize(
    "lie", [b"", b"\x00\xff" * 100, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfour", b"HTTP/1.1 9999 X\r\n\r\n"]
)
def test_a_broken_answer_is_not_well(lie: bytes) -> None:
    with answering(lie) as url:
        seen = probe(url, SECOND)
    assert not seen.ok
    assert "broke off" in seen.why
    assert seen.why.isprintable()


def test_an_endless_body_is_read_to_its_bound_and_the_status_counts() -> None:
    with answering(b"HTTP/1.1 200 OK\r\n\r\n", *[b"x" * 65_536] * 1000) as url:
        assert probe(url, timedelta(seconds=5)).ok


def test_a_proxy_in_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as url:
        assert probe(url, SECOND).ok


@pytest.mark.parametrize("url", ["", "ftp://here/", "file:///etc/passwd", "http://", "http://[::1", "http://a\nb/"])
def test_what_cannot_be_probed_is_useless(url: str) -> None:
    with pytest.raises(Useless, match="cannot be probed"):
        probe(url, SECOND)
