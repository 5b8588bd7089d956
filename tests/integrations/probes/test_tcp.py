"""One TCP connection, to who listens and who does not."""

import socket
from datetime import timedelta

import pytest

from paramedic.errors import PermanentError
from paramedic.integrations.probes.tcp import connect
from paramedic.remediation.health import Sight

SECOND = timedelta(seconds=1)


def test_who_listens_is_well() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        seen = connect("127.0.0.1", server.getsockname()[1], SECOND)
    assert (seen.ok, seen.why) == (True, "connected")
    assert 0 < seen.took_ms < 1000


def test_nobody_there_is_an_answer() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        seen = connect("127.0.0.1", free.getsockname()[1], SECOND)
    assert seen.sight is Sight.FAILING
    assert "refused" in seen.why


def test_a_name_that_does_not_resolve_says_nothing_of_who_listens() -> None:
    seen = connect("web.invalid", 80, SECOND)
    assert seen.sight is Sight.UNKNOWN
    assert "does not resolve" in seen.why


def test_where_no_way_leads_nothing_is_seen() -> None:
    assert connect("255.255.255.255", 80, SECOND).sight is Sight.UNKNOWN


def test_silence_is_an_answer_after_the_time_out() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(8)]  # the queue is full: the kernel answers nobody further
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
        seen = connect("127.0.0.1", port, timedelta(milliseconds=200))
        for client in waiting:
            client.close()
    assert (seen.ok, seen.why) == (False, "no connection within 200ms")


def test_what_cannot_be_asked_is_useless() -> None:
    with pytest.raises(PermanentError, match="cannot be asked"):
        connect("a" * 70 + ".example", 80, SECOND)
