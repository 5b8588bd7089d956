"""One look at a health page, against servers that are well, ill, slow and sly."""

import contextlib
import os
import resource
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pycurl
import pytest
from certificates import Authority, showing
from endless_servers import answering

from paramedic.errors import PermanentError
from paramedic.machine.clock import utc_now
from paramedic.remediation.health import Sight
from paramedic.transports import http_probe
from paramedic.transports.http_probe import probe

WELL, FAILING, UNKNOWN = Sight.WELL, Sight.FAILING, Sight.UNKNOWN

SECOND = timedelta(seconds=1)


@contextmanager
def no_descriptors() -> Iterator[None]:
    """This process has none left."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    taken = []
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        for connection in taken:
            os.close(connection)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_whole_2xx_is_well() -> None:
    with answering(b"HTTP/1.1 204 No Content\r\n\r\n") as url:
        seen = probe(url, SECOND)
    assert (seen.ok, seen.status, seen.why) == (True, 204, "answered 204")
    assert 0 < seen.took_ms < 1000


@pytest.mark.parametrize("status", [b"404 Not Found", b"500 Oops", b"503 Later"])
def test_another_status_is_not_well_and_is_told(status: bytes) -> None:
    with answering(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n") as url:
        seen = probe(url, SECOND)
    assert (seen.sight, seen.status, seen.why) == (FAILING, int(status[:3]), f"answered {int(status[:3])}")


def test_a_redirect_is_told_and_not_followed() -> None:
    with answering(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n") as url:
        seen = probe(url, SECOND)
    assert seen.sight is UNKNOWN
    assert "not followed" in seen.why


def test_nobody_there_is_an_answer() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        seen = probe(f"http://127.0.0.1:{free.getsockname()[1]}/", SECOND)
    assert (seen.sight, seen.status) == (FAILING, None)
    assert seen.why == "could not connect: Connection refused"


def test_silence_is_an_answer_after_the_time_out() -> None:
    begun = time.monotonic()
    with answering(hold=True) as url:
        seen = probe(url, timedelta(milliseconds=200))
    assert (seen.sight, seen.status, seen.why) == (FAILING, None, "no whole answer within 200ms")
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize("begun", [b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_drip_is_cut_at_the_time_out(begun: bytes) -> None:
    start = time.monotonic()
    with answering(begun, *[b"0"] * 100, every=0.05) as url:
        seen = probe(url, timedelta(milliseconds=300))
    assert (seen.sight, seen.why) == (FAILING, "no whole answer within 300ms")
    assert time.monotonic() - start < 2


@pytest.mark.parametrize(
    ("lie", "sight"),
    [
        (b"", FAILING),  # accepted and hung up
        (b"\x00\xff" * 100, UNKNOWN),
        (b"SSH-2.0-OpenSSH_9.2\r\n", UNKNOWN),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfour", UNKNOWN),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", UNKNOWN),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 10\r\n\r\nfour", FAILING),  # that much was said
        (b"HTTP/1.1 9999 X\r\n\r\n", UNKNOWN),
    ],
)
def test_what_is_no_whole_answer_is_never_well(lie: bytes, sight: Sight) -> None:
    with answering(lie) as url:
        seen = probe(url, SECOND)
    assert seen.sight is sight
    assert seen.why.isprintable()


#: Each is read by curl as a whole 200.
ODD = {
    "a space in a header's name": b"HTTP/1.1 200 OK\r\nX Odd: 1\r\nContent-Length: 2\r\n\r\nok",
    "a space before the colon": b"HTTP/1.1 200 OK\r\nX-Odd : 1\r\nContent-Length: 2\r\n\r\nok",
    "transfer-encoding twice": b"HTTP/1.1 200 OK\r\n"
    + b"Transfer-Encoding: chunked\r\n" * 2
    + b"\r\n2\r\nok\r\n0\r\n\r\n",
    "identity": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nok",
    "a folded header": b"HTTP/1.1 200 OK\r\nX-Odd: 1\r\n  2\r\nContent-Length: 2\r\n\r\nok",
    "no reason phrase": b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
    "no reason phrase and a space": b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.0 without a length": b"HTTP/1.0 200 OK\r\n\r\nok",
    "HTTP/1.1 without a length": b"HTTP/1.1 200 OK\r\n\r\nok",
    "extra 1xx": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "lower case": b"http/1.1 200 ok\r\ncontent-length: 2\r\n\r\nok",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "chunk extensions": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\n\r\n",
    "trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n",
    "junk said to be gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok",
    "an unknown encoding": b"HTTP/1.1 200 OK\r\nContent-Encoding: rot13\r\nContent-Length: 2\r\n\r\nok",
    "the same length twice": b"HTTP/1.1 200 OK\r\n" + b"Content-Length: 2\r\n" * 2 + b"\r\nok",
    "more than announced": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokay",
    "latin-1 in a header": b"HTTP/1.1 200 OK\r\nX-Odd: caf\xe9\r\nContent-Length: 2\r\n\r\nok",
    "a control character": b"HTTP/1.1 200 OK\r\nX-Odd: a\x01b\r\nContent-Length: 2\r\n\r\nok",
    "a line that is not a header": b"HTTP/1.1 200 OK\r\nno colon here\r\nContent-Length: 2\r\n\r\nok",
    "a header without a name": b"HTTP/1.1 200 OK\r\n: 1\r\nContent-Length: 2\r\n\r\nok",
    "many headers": b"HTTP/1.1 200 OK\r\n"
    + b"".join(b"X-%d: %s\r\n" % (number, b"x" * 100) for number in range(300))
    + b"Content-Length: 2\r\n\r\nok",
    "chunked and a length": b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\nok\r\n0\r\n\r\n",
    "two different lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    "a length that is not a number": b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok",
    "HTTP/0.9": b"ok",
    "an unknown transfer-encoding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: rot13\r\n\r\nok",
}


@pytest.mark.parametrize("answer", ODD.values(), ids=ODD)
def test_what_curl_reads_as_a_whole_200_is_well_and_nothing_else(answer: bytes, require: Callable[[str], str]) -> None:
    argv = [
        require("curl"),
        "--silent",
        "--noproxy",
        "*",
        "--max-time",
        "5",
        "--output",
        "-",
        "--write-out",
        "%{http_code}",
    ]
    with answering(answer) as url:
        curl = subprocess.run([*argv, url], check=False, capture_output=True)
    with answering(answer) as url:
        seen = probe(url, timedelta(seconds=5))
    assert (curl.returncode == 0 and curl.stdout.endswith(b"200")) is seen.ok, (curl, seen)
    assert seen.sight is not FAILING, "it has answered"


@pytest.mark.parametrize("status", ["302 Found", "401 No", "403 No", "407 No", "429 Later", "400 Bad", "511 Login"])
def test_who_may_not_be_asked_is_not_seen(status: str) -> None:
    with answering(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()) as url:
        seen = probe(url, SECOND)
    assert (seen.sight, seen.status) == (UNKNOWN, int(status[:3]))


def test_an_own_certificate_says_nothing_of_health(tmp_path: Path) -> None:
    with showing(tmp_path, utc_now() + timedelta(days=30)) as port:
        seen = probe(f"https://127.0.0.1:{port}/health", 5 * SECOND)
    assert (seen.sight, seen.status) == (UNKNOWN, None)
    assert "certificate" in seen.why


@pytest.mark.parametrize("fault", ["expired", "another-name", "untrusted", "none"])
def test_a_certificate_that_is_at_fault_says_nothing_of_health(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """Of the same server: with a certificate that is in order it is well."""
    authority = Authority(tmp_path)
    if fault != "untrusted":
        monkeypatch.setattr(http_probe, "_trust", lambda: [(pycurl.CAINFO, str(authority.file))])
    ends = utc_now() + timedelta(days=-1 if fault == "expired" else 30)
    name = "other.example" if fault == "another-name" else "localhost"
    with authority.serving(name, ends) as port:
        seen = probe(f"https://localhost:{port}/health", 5 * SECOND)
    assert seen.sight is (WELL if fault == "none" else UNKNOWN), seen.why


def test_a_plain_server_asked_by_tls_is_not_seen() -> None:
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url:
        seen = probe(url.replace("http:", "https:"), SECOND)
    assert seen.sight is UNKNOWN


@pytest.mark.parametrize("host", ["web.invalid", "no-such-name.invalid.", "bücher.invalid"])
def test_a_name_that_does_not_resolve_says_nothing_of_health(host: str) -> None:
    seen = probe(f"http://{host}:18090/health", 5 * SECOND)
    assert (seen.sight, seen.status) == (UNKNOWN, None)
    assert "resolve" in seen.why


def test_a_full_backlog_on_loopback_is_failing() -> None:
    with contextlib.ExitStack() as opened:
        full = opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = full.getsockname()
        for _ in range(8):  # the queue is full: the kernel answers nobody further
            waiting = opened.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        seen = probe(f"http://127.0.0.1:{address[1]}/health", timedelta(milliseconds=300))
    assert (seen.sight, seen.status) == (FAILING, None)


def test_without_a_file_descriptor_nothing_is_seen() -> None:
    with answering(b"HTTP/1.1 200 OK\r\n\r\n") as url, no_descriptors():
        seen = probe(url, SECOND)
    assert seen.sight is UNKNOWN
    assert "no file descriptor" in seen.why


@pytest.mark.parametrize("host", ["255.255.255.255", "[ff02::1%25none]"])
def test_where_no_way_leads_nothing_is_seen(host: str) -> None:
    with contextlib.suppress(PermanentError):
        assert probe(f"http://{host}:9/", SECOND).sight is UNKNOWN


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
    with pytest.raises(PermanentError, match="cannot be probed"):
        probe(url, SECOND)
