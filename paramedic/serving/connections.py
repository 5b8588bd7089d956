"""Limits on connections to the gateway, and a strict HTTP/1.1 parser.

A connection is *proven* once a request on it had a valid token or password. The others are limited in number and, until the
head of a request is complete, in time: however many of them somebody opens, authenticated senders get in.
"""

import asyncio
import ipaddress
import re
import resource
from collections import defaultdict
from collections.abc import Callable

import httptools
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: From the connection, or the last answer on it, to the end of the next request's head.
HEAD_SECONDS = 10.0

#: A head that is not complete after this many bytes is refused: no headers fill the memory.
LARGEST_HEAD = 65_536

_REQUEST_LINE = re.compile(rb"(?:\r\n)?[A-Z]{1,20} [!-~]+ HTTP/1\.[01]\r\n")

#: How many connections wait to be accepted; asyncio accepts as many at once before any of them is bounded.
BACKLOG = 128

#: File descriptors that are not connections: the store, logs, what is being accepted or closed.
_OTHER_FILES = 512


def raise_file_limit() -> int:
    """Raise the soft limit of open files to the hard one; returns the limit that holds."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else 1_048_576


def prove(scope: Scope) -> None:
    """Mark the request's connection as proven: it gives way to no unproven one."""
    connection = scope.get("state", {}).get("connection")
    if isinstance(connection, StrictProtocol):
        connection.door.prove(connection)


class Door:
    """The connections of one gateway. All of it runs in the event loop's thread."""

    def __init__(self, files: int, *, refused: Callable[[str], None] = lambda _: None) -> None:
        """`files` may be open in this process; `refused` is called with the reason of each refusal, for counting."""
        self.strangers = max(16, min(1024, (files - _OTHER_FILES) // 2))
        self.known = max(16, min(8192, files - _OTHER_FILES - self.strangers))
        self.refused = refused
        self._strangers: defaultdict[str, dict[StrictProtocol, None]] = defaultdict(dict)  # by address, oldest first
        self._count = 0
        self._known: set[StrictProtocol] = set()
        self._sweeping = False

    def enter(self, connection: "StrictProtocol") -> None:
        """Admit a connection; where there are too many, the oldest unproven one of the address with the most is dropped."""
        self._strangers[connection.address][connection] = None
        self._count += 1
        if self._count > self.strangers:
            most = max(self._strangers.values(), key=len)
            self.refused("too many connections")
            next(iter(most)).drop()
        if not self._sweeping:
            self._sweeping = True
            connection.loop.call_later(1, self._sweep, connection.loop)

    def prove(self, connection: "StrictProtocol") -> None:
        """Mark the connection as proven, as long as there are not too many proven ones either."""
        if connection not in self._known and len(self._known) < self.known:
            self.leave(connection)
            self._known.add(connection)

    def leave(self, connection: "StrictProtocol") -> None:
        """Remove the connection: it is closed or closing."""
        self._known.discard(connection)
        of_address = self._strangers.get(connection.address, {})
        if connection in of_address:
            del of_address[connection]
            self._count -= 1
            if not of_address:
                del self._strangers[connection.address]

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Check all connections once a second: a timer for each request would cost more."""
        everybody = [*self._known, *(connection for some in self._strangers.values() for connection in some)]
        for connection in everybody:
            if connection.head_until is not None and connection.head_until < loop.time():
                connection.late()
        self._sweeping = bool(everybody)
        if everybody:
            loop.call_later(1, self._sweep, loop)


class StrictProtocol(HttpToolsProtocol):
    """HTTP/1.0 and 1.1 by RFC 9112, refusing whatever two parsers could read differently."""

    door: Door
    address = ""
    head_until: float | None = None
    _between = True  # a request line is next, of which this much is here:
    _line = b""
    _in_head = False
    _head_size = 0
    _repeated = False  # the parser is shown a head that it has seen before

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Register the connection, with its deadline."""
        super().connection_made(transport)
        self.address = _network(self.client)
        self.head_until = self.loop.time() + HEAD_SECONDS
        self.door.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Unregister the connection."""
        self.door.leave(self)
        super().connection_lost(exc)

    def drop(self) -> None:
        """Close it without an answer, in favour of another."""
        self.door.leave(self)
        self.transport.abort()

    def late(self) -> None:
        """Answer 408 to a late request head; where none has begun, close without an answer."""
        self.head_until = None
        if (self._in_head or self._line) and (self.cycle is None or self.cycle.response_complete):
            self._refuse(
                "408 Request Timeout", "too slow", f"The head of a request is whole within {HEAD_SECONDS:.0f} s."
            )
        else:
            self.drop()

    def data_received(self, data: bytes) -> None:
        """Parse the data; a violation of HTTP is answered with 400, and the connection ends."""
        self._unset_keepalive_if_required()
        if self._between:
            self._line += data
            if b"\n" not in self._line.removeprefix(b"\r\n") and len(self._line) <= LARGEST_HEAD:
                return
            data, self._line, self._between = self._line, b"", False
            if not _REQUEST_LINE.match(data):
                self._refuse("400 Bad Request", "no HTTP", "This is no HTTP request: malformed request line.")
                return
        went_on = self._in_head
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            reason = getattr(error.__context__, "args", ()) or error.args
            self._refuse(
                "400 Bad Request", "no HTTP", f"This is no HTTP request: {reason[0] if reason else 'malformed'}."
            )
            return
        if self._in_head and went_on:
            self._head_size += len(data)
            if self._head_size > LARGEST_HEAD:
                allowed = f"The head of a request has {LARGEST_HEAD} bytes at most."
                self._refuse("431 Request Header Fields Too Large", "too large", allowed)

    def _feed(self, data: bytes) -> None:
        """Parse on. An upgrade is ignored (RFC 9110): the parser would skip the body, so a new one continues with it."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            framing = [
                (name, value) for name, value in self.headers if name in (b"content-length", b"transfer-encoding")
            ]
            head = b"".join(b"%s: %s\r\n" % field for field in framing)
            self.parser = httptools.HttpRequestParser(self)
            self._repeated = True
            self.parser.feed_data(b"POST / HTTP/1.1\r\n%s\r\n" % head)
            self._feed(data[upgrade.args[0] :])

    def on_message_begin(self) -> None:
        """Begin a request's head."""
        if not self._repeated:
            super().on_message_begin()
            self._in_head, self._head_size = True, 0

    def on_url(self, url: bytes) -> None:
        """A part of the request's target."""
        if not self._repeated:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field. After the head it is a trailer, which nothing here reads."""
        if self._repeated:
            return
        if not self._in_head:
            raise ValueError("a trailer field")
        super().on_header(name, value)

    def on_message_complete(self) -> None:
        """Expect a request line next, except after the head of an upgrade, whose body is still to come."""
        if not self.parser.should_upgrade():
            self._between = True
            super().on_message_complete()

    def on_headers_complete(self) -> None:
        """Check the complete head; the body has its own deadline."""
        if self._repeated:
            self._repeated = False
            return
        self._check_head()
        self._in_head = False
        self.head_until = None
        self.scope["state"]["connection"] = self
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Set the deadline of the next head, or of the rest of this body."""
        super().on_response_complete()
        if self.cycle.response_complete:
            self.head_until = self.loop.time() + HEAD_SECONDS

    def _check_head(self) -> None:
        """Check what the parser lets pass. Raises ValueError."""
        version = self.parser.get_http_version()
        if version not in ("1.0", "1.1"):
            raise ValueError(f"HTTP/{version}")
        names = [name for name, _ in self.headers]
        for once in (b"host", b"content-length", b"transfer-encoding", b"authorization"):
            if names.count(once) > 1:
                raise ValueError(f"{once.decode()} twice")
        if b"content-length" in names and b"transfer-encoding" in names:
            raise ValueError("content-length and transfer-encoding")
        if version == "1.1" and b"host" not in names:
            raise ValueError("no host")
        if version == "1.0" and b"transfer-encoding" in names:
            raise ValueError("transfer-encoding in HTTP/1.0")
        coding = dict(self.headers).get(b"transfer-encoding", b"chunked")
        if coding.lower() != b"chunked":
            raise ValueError("a transfer-encoding other than chunked")

    def _refuse(self, status: str, reason: str, words: str) -> None:
        """Answer, unless an answer has begun, and close."""
        self.door.refused(reason)
        self.door.leave(self)
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            body = f"{words}\n"
            head = f"HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {len(body)}\r\n"
            self.transport.write(f"{head}x-content-type-options: nosniff\r\nconnection: close\r\n\r\n{body}".encode())
        self.transport.close()


def protocol(door: Door) -> type[StrictProtocol]:
    """The protocol class for one gateway's server."""
    return type("GatewayProtocol", (StrictProtocol,), {"door": door})


def _network(client: tuple[str, int] | None) -> str:
    """The network of a client: an IPv4 address, or the /64 of an IPv6 address."""
    if client is None:
        return ""
    try:
        address = ipaddress.ip_address(client[0].partition("%")[0])
    except ValueError:
        return client[0]
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped or ipaddress.ip_network((address, 64), strict=False))
    return client[0]
