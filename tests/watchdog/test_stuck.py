"""What hangs, drips or answers garbage holds up no other look, and is told."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from endless_servers import scripted
from mail_server import text_of
from watchdog_harness import Harness

from paramedic.settings import Settings
from paramedic.transports import prefect_http
from paramedic.transports.prefect_http import PrefectApi
from paramedic.watchdog.look import Look
from paramedic.watchdog.prefect_status import PrefectStatus


@contextmanager
def _stuck(harness: Harness, name: str) -> Iterator[None]:
    """The look of this name hangs until the end, and is waited for 240 times as briefly as those that are well."""
    end = threading.Event()
    looks = harness.watchdog._looks
    (number,) = (at for at, look in enumerate(looks) if look.__name__ == name)
    before, look = looks[number], harness.watchdog._threads[number]
    look.take = lambda it, seconds: Look.take(look, it, seconds / 240)  # type: ignore[method-assign]

    def hang() -> None:
        end.wait()

    hang.__qualname__ = before.__qualname__
    looks[number] = hang
    try:
        yield
    finally:
        end.set()
        if look._thread is not None:
            look._thread.join(5)
        del look.take
        looks[number] = before


LOOKS = [
    "keep_pace",
    "listen_to_the_store",
    "listen_to_prefect",
    "listen_to_the_gateway",
    "unapproved",
    "orders",
    "waiting_alerts",
    "end_acknowledgements",
    "deliver_due",
    "checkpoint",
]


@pytest.mark.parametrize("name", LOOKS)
def test_a_look_that_hangs_holds_up_no_other(harness: Harness, name: str) -> None:
    with _stuck(harness, name):
        harness.after(61)
        (out,) = (thread for thread in harness.watchdog._threads if thread.stuck_seconds() is not None)
        began_at = out._began_at
        harness.after(61, looks=2)
        assert out._began_at == began_at, "it is not begun again"
        assert len(harness.outside.heartbeats) == 2
        if name != "listen_to_prefect":
            assert "GET /api/health" in harness.outside.asked


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("listen_to_the_store", "the store does not answer"),
        ("listen_to_prefect", "the Prefect server does not answer"),
        ("listen_to_the_gateway", "the gateway does not answer"),
    ],
)
def test_what_lets_the_look_at_it_hang_is_told_as_not_answering(harness: Harness, name: str, subject: str) -> None:
    with _stuck(harness, name):
        harness.after(5)
        harness.after(61)
        harness.after(61)
        assert harness.postbox.subjects == [f"[Paramedic] {subject}"]
        assert "has not come back" in text_of(harness.postbox.letters[0])
    harness.after(5, looks=2)
    assert f"[Paramedic] {subject.removesuffix('does not answer')}answers again" in harness.postbox.subjects


def test_a_look_that_stands_still_is_told_once(harness: Harness) -> None:
    with _stuck(harness, "waiting_alerts"):
        harness.after(5)
        (stuck,) = (thread for thread in harness.watchdog._threads if thread.stuck_seconds() is not None)
        stuck._began_at -= 61
        harness.after(5, looks=2)
    assert harness.postbox.subjects == ["[Paramedic] A look of the watchdog stands still"]
    assert "waiting_alerts" in text_of(harness.postbox.letters[0])


def test_a_frozen_prefect_is_told_while_paging_by_mail_hangs(harness: Harness) -> None:
    harness.outside.silent.add("api")
    with _stuck(harness, "deliver_due"):
        for _ in range(3):
            harness.after(61)
        with harness.store.read() as tx:
            queued = [row.subject for row in tx.conn.exec_driver_sql("SELECT subject FROM messages")]
        assert any("the Prefect server does not answer" in subject for subject in queued), (
            "it leaves by whatever way works"
        )


def _answers(*answers: str) -> Callable[[socket.socket], None]:
    def say(line: socket.socket) -> None:
        left = list(answers)
        while line.recv(65536):
            status, _, body = (left.pop(0) if len(left) > 1 else left[0]).partition(" ")
            line.sendall(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

    return say


NOT_FOUND = '404 {"detail": "Flow run not found"}'


@pytest.mark.parametrize(
    ("answers", "complaint"),
    [
        (("200 true", NOT_FOUND), None),
        (("200 <html>hello</html>",), "not as Prefect's API"),
        (("200 false",), "not as Prefect's API"),
        (('200 "ok"',), "not as Prefect's API"),
        (("200 true", "404 <html>"), "not as Prefect's API"),
        (("200 true", "200 true"), "not as Prefect's API"),
        (("401 no",), "refuses our login"),
        (("200 true", '401 {"exception_message": "Unauthorized"}'), "refuses our login"),
        (("503 busy",), "HTTP 503"),
        (("200 true", "500 broken"), "HTTP 500"),
        (("302 elsewhere",), "HTTP 302"),
    ],
)
def test_an_answer_is_prefects_only_where_it_says_what_prefect_says(
    answers: tuple[str, ...], complaint: str | None
) -> None:
    """An address that answers is not a sign of life: it may be another server, and Prefect may refuse our login or its data."""
    with scripted(_answers(*answers)) as url, PrefectApi(url).client(seconds=5) as client:
        found = prefect_http.complaint(client)
    assert (found is None) if complaint is None else complaint in str(found)


def test_a_prefect_that_drips_holds_no_look(monkeypatch: pytest.MonkeyPatch) -> None:
    def drip(line: socket.socket) -> None:
        line.recv(65536)
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
        while True:
            time.sleep(0.05)
            line.sendall(b" ")
            line.recv(0)

    with scripted(drip) as url:
        status = PrefectStatus(Settings(prefect_api_url=f"{url}/api"))
        assert status._prefect is not None
        status._prefect.timeout = 0.3
        began = time.monotonic()
        assert status.complaint() is not None
        assert status.state("0" * 36) is None
        assert time.monotonic() - began < 1.5
