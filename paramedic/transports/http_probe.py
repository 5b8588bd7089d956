"""One health-check GET, by libcurl."""

import os
import socket
import ssl
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache

import pycurl

from paramedic.errors import PermanentError
from paramedic.kinds.probing import Line
from paramedic.machine.clock import spoken
from paramedic.remediation import probe_answer
from paramedic.remediation.health import Sight
from paramedic.text.sanitize import one_line
from paramedic.transports.http_exchange import Answer, Headers, Judge, Sent, leads_to
from paramedic.transports.http_timing import Timing

BODY_LIMIT = 65_536  # bytes; more of a health page says nothing more

#: libcurl's error codes that say of the other side that it broke off; all others, a time-out apart, say that we cannot see.
_BROKE_OFF = (pycurl.E_GOT_NOTHING, pycurl.E_RECV_ERROR, pycurl.E_SEND_ERROR)

#: A plain question.
GET = Sent()

_CANNOT = (pycurl.E_URL_MALFORMAT, pycurl.E_FAILED_INIT, pycurl.E_NOT_BUILT_IN)


@dataclass(frozen=True, slots=True)
class Probe:
    """The result of one GET: health, HTTP status if any, the time it took, and the reason in words."""

    sight: Sight
    status: int | None
    took_ms: float
    why: str
    timing: Timing | None = None  # None: it could not be taken

    @property
    def ok(self) -> bool:
        """Whether it shows the target as well."""
        return self.sight is Sight.WELL


def probe(
    url: str, timeout: timedelta, sent: Sent = GET, judge: Judge | None = None, *, by: socket.socket | None = None
) -> Probe:
    """Ask once. Only a whole 2xx answer within `timeout`, from the name to the last byte, is well; or what `judge` says of it.

    No answer is a result too, not an exception; `paramedic.remediation.probe_answer` decides which results are failing and
    which are unknown. Follows no redirect, uses no proxy, reads at most 64 KiB, trusts the
    machine's own certificate authorities. `by`: the connection to the address, where there is one already; no name is looked up
    then. Raises PermanentError on an invalid URL.
    """
    asked = _address(url)
    curl = pycurl.Curl()
    try:
        body, headers = _Body(), Headers()
        _prepare(curl, asked, timeout, body)
        curl.setopt(pycurl.HEADERFUNCTION, headers)
        _send(curl, sent)
        if by is not None:
            _by(curl, by)
        begun = time.perf_counter()
        fault: tuple[int, str] | None = None
        try:
            curl.perform()
        except pycurl.error as error:
            fault = (error.args[0], curl.errstr() or str(error.args[1]))
        took_ms = (time.perf_counter() - begun) * 1000
        status = int(curl.getinfo(pycurl.RESPONSE_CODE)) or None
        if fault is not None and fault[0] == pycurl.E_WRITE_ERROR and body.full:
            fault = None  # enough of it was read, and by us it was broken off
        if fault is None and judge is not None:
            sight, why = judge(Answer(status or 0, headers.found, bytes(body.read), not body.full))
        else:
            sight, why = _seen(curl, status, fault, timeout)
        if status is not None and 300 <= status < 400 and sight is not Sight.WELL:
            why = f"{why}; it leads to {leads_to(asked, headers.found.get('location'))}"
        timing = _timing(curl, took_ms, secure=asked.startswith("https:"))
    finally:
        curl.close()
    return Probe(sight, status, took_ms, why, timing)


def probe_by(line: Line, url: str, timeout: timedelta, sent: Sent = GET, judge: Judge | None = None) -> Probe:
    """As `probe`, by a connection that `line` opens to the address: it is asked from where that comes from.

    Where no connection can be made there, a refusal is failing, and silence unknown. Raises also what `line` does but OSError.
    """
    to, begun = _host_and_port(_address(url)), time.perf_counter()
    with ExitStack() as held:
        try:
            by = held.enter_context(line(*to))
        except OSError as error:
            took_ms = (time.perf_counter() - begun) * 1000
            why = f"could not connect: {one_line(error.strerror or str(error))}"
            return Probe(probe_answer.of_errno(error.errno or 0), None, took_ms, why)
        spent = time.perf_counter() - begun
        left = max(timeout - timedelta(seconds=spent), timedelta(milliseconds=1))
        seen = probe(url, left, sent, judge, by=by)
    return replace(seen, took_ms=seen.took_ms + spent * 1000, timing=None)


def _host_and_port(url: str) -> tuple[str, int]:
    import httpx  # `_address` has loaded it

    parsed = httpx.URL(url)
    return parsed.raw_host.decode("ascii"), parsed.port or (443 if parsed.scheme == "https" else 80)


def _by(curl: pycurl.Curl, by: socket.socket) -> None:
    """Have it speak by this socket. The address that it is told to connect to is never used."""
    curl.setopt(pycurl.CONNECT_TO, ["::127.0.0.1:"])
    curl.setopt(pycurl.OPENSOCKETFUNCTION, lambda _purpose, _address: by)
    curl.setopt(pycurl.SOCKOPTFUNCTION, lambda _socket, _purpose: pycurl.SOCKOPT_ALREADY_CONNECTED)


class _Body:
    """Receives the part of a body that is read."""

    def __init__(self) -> None:
        self.read = bytearray()
        self.full = False

    def __call__(self, chunk: bytes) -> int | None:
        self.read += chunk[: BODY_LIMIT - len(self.read) + 1]
        self.full = len(self.read) > BODY_LIMIT
        del self.read[BODY_LIMIT:]
        return -1 if self.full else None


def _address(url: str) -> str:
    # httpx takes a quarter of a second to import, and every file that authors write loads this module; only a look pays.
    import httpx

    try:
        parsed = httpx.URL(url)
        host, text = parsed.host, str(parsed)
    except (httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise PermanentError(f"this URL cannot be probed: {one_line(str(error))}") from error
    if parsed.scheme not in ("http", "https") or not host:
        raise PermanentError(
            f"this URL cannot be probed: {one_line(url)!r:.200}; write http://HOST/… or https://HOST/…"
        )
    return text


def _timing(curl: pycurl.Curl, took_ms: float, *, secure: bool) -> Timing:
    moments = (pycurl.NAMELOOKUP_TIME, pycurl.CONNECT_TIME, pycurl.APPCONNECT_TIME, pycurl.PRETRANSFER_TIME)
    named, connected, secured, sent, first_byte = (
        float(curl.getinfo(moment)) for moment in (*moments, pycurl.STARTTRANSFER_TIME)
    )
    address, size = str(curl.getinfo(pycurl.PRIMARY_IP) or ""), int(curl.getinfo(pycurl.SIZE_DOWNLOAD_T))
    return Timing(named, connected, secured, sent, first_byte, took_ms / 1000, secure, address, size)


def _prepare(curl: pycurl.Curl, url: str, timeout: timedelta, body: _Body) -> None:
    curl.setopt(pycurl.URL, url)
    curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
    curl.setopt(pycurl.NOSIGNAL, 1)  # a look is taken in a thread
    curl.setopt(pycurl.TIMEOUT_MS, max(1, round(timeout.total_seconds() * 1000)))
    curl.setopt(pycurl.CONNECTTIMEOUT_MS, max(1, round(timeout.total_seconds() * 1000)))
    curl.setopt(pycurl.PROXY, "")
    curl.setopt(pycurl.NOPROXY, "*")
    curl.setopt(pycurl.FOLLOWLOCATION, 0)
    curl.setopt(pycurl.FORBID_REUSE, 1)
    curl.setopt(pycurl.USERAGENT, "paramedic")
    curl.setopt(pycurl.HTTPHEADER, ["Connection: close"])
    curl.setopt(pycurl.WRITEFUNCTION, body)
    for option, path in _trust():
        curl.setopt(option, path)


def _send(curl: pycurl.Curl, sent: Sent) -> None:
    """What the request says beside its address. An empty header (`Name:`) would be none at all: it is written `Name;`."""
    if sent is GET:
        return
    if sent.method == "HEAD":
        curl.setopt(pycurl.NOBODY, 1)
    else:
        curl.setopt(pycurl.CUSTOMREQUEST, sent.method)
    if sent.body is not None:
        curl.setopt(pycurl.POSTFIELDS, sent.body)
        curl.setopt(pycurl.CUSTOMREQUEST, sent.method)
    own = {name.lower() for name in sent.headers}
    lines = [f"{name}: {value}" if value else f"{name};" for name, value in sent.headers.items()]
    quiet = [] if "content-type" in own else ["Content-Type:"]  # libcurl's own would call the body a form
    curl.setopt(pycurl.HTTPHEADER, [line.encode() for line in ("Connection: close", "Expect:", *quiet, *lines)])


@cache
def _trust() -> list[tuple[int, str]]:
    """The machine's own certificate authorities, where Python finds them: libcurl would look where it was built."""
    paths = ssl.get_default_verify_paths()
    return [(option, path) for option, path in ((pycurl.CAINFO, paths.cafile), (pycurl.CAPATH, paths.capath)) if path]


def _seen(
    curl: pycurl.Curl, status: int | None, fault: tuple[int, str] | None, timeout: timedelta
) -> tuple[Sight, str]:
    """What the status, or the fault of libcurl, says of the target. Raises PermanentError for a URL of no use."""
    if fault is None:
        return probe_answer.of_status(status or 0)
    code, words = fault[0], one_line(fault[1])
    if code in _CANNOT:
        raise PermanentError(f"this URL cannot be probed: {words}")
    connected = curl.getinfo(pycurl.CONNECT_TIME) > 0
    if code == pycurl.E_OPERATION_TIMEDOUT:
        import httpx  # `_address` has loaded it

        late = f"no whole answer within {spoken(timeout)}"
        sight = probe_answer.of_no_answer(httpx.URL(curl.getinfo(pycurl.EFFECTIVE_URL)).host, connected=connected)
        return sight, late if connected else f"{late}, and no connection: {words}"
    if code == pycurl.E_COULDNT_CONNECT:
        number = int(curl.getinfo(pycurl.OS_ERRNO))
        return probe_answer.of_errno(number), f"could not connect: {os.strerror(number) if number else words}"
    if code == pycurl.E_OUT_OF_MEMORY:
        return Sight.UNKNOWN, "could not connect: this process has no file descriptor or memory left"
    if not connected:
        return Sight.UNKNOWN, f"could not connect: {words}"
    if status is not None and probe_answer.of_status(status)[0] is not Sight.WELL:
        return probe_answer.of_status(status)  # whatever became of the rest, that much was said
    if code in _BROKE_OFF and status is None:
        return Sight.FAILING, f"the answer broke off: {words}"
    return Sight.UNKNOWN, f"no whole answer can be read: {words}"
