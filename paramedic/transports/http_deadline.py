"""HTTP calls with one deadline for the whole call: httpx's own time-outs restart with every byte that arrives."""

import ssl
import threading
import time
from collections.abc import Iterable
from functools import cache
from typing import Any

import httpcore
import httpx

#: No answer that we ask for is longer.
_LONGEST_BYTES = 64 * 1024 * 1024

#: In a request's `extensions`: when it is over, by the monotonic clock.
_UNTIL = "paramedic_until"


class Deadline(httpx.HTTPTransport):
    """As httpx's own, and the longest of a request's time-outs counts for all of it: connect, send, headers, body.

    A request that is sent again keeps its deadline. Raises what httpx raises; name resolution is the system's, and lasts
    as long as its resolver waits.
    """

    def __init__(self, *, verify: bool | ssl.SSLContext = True, trust_env: bool = True, **how: Any) -> None:
        """`how`: as httpx.HTTPTransport takes it, without a proxy."""
        if isinstance(verify, bool):
            verify = _tls(verify=verify, trust_env=trust_env)
        super().__init__(verify=verify, trust_env=trust_env, **how)
        self._backend = _Backend()
        self._pool._network_backend = self._backend  # noqa: SLF001 - httpx has no way to give one

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer, whose body has the same deadline."""
        if _UNTIL not in request.extensions:
            limits = [limit for limit in request.extensions.get("timeout", {}).values() if limit is not None]
            if limits:
                request.extensions[_UNTIL] = time.monotonic() + max(limits)
        self._backend.begin(request.extensions.get(_UNTIL))
        return super().handle_request(request)


def over(request: httpx.Request, *, within: float = 0.0) -> bool:
    """Whether the request's deadline has passed, or will have in so many seconds."""
    until: float | None = request.extensions.get(_UNTIL)
    return until is not None and time.monotonic() + within >= until


def client(*, seconds: float, verify: bool | ssl.SSLContext = True) -> httpx.Client:
    """A client whose calls last no longer than `seconds` each, straight to the server.

    `verify`: which certificates are trusted; False where the address is plain HTTP, which saves the 30 ms of reading them.
    """
    return httpx.Client(timeout=seconds, transport=Deadline(trust_env=False, verify=verify), trust_env=False)


def certificate_fault(error: BaseException | None) -> str | None:
    """What is wrong with the server's certificate, if that is what is behind the error; else None."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return None if error is None else error.verify_message


@cache
def _tls(*, verify: bool, trust_env: bool) -> ssl.SSLContext:
    """One for all clients of the process: reading the certificates of all authorities takes 30 ms."""
    return httpx.create_ssl_context(verify=verify, trust_env=trust_env)


class _Backend(httpcore.SyncBackend):
    """Makes streams that know the deadline of the request that their thread is at."""

    def __init__(self) -> None:
        self._at = threading.local()

    def begin(self, until: float | None) -> None:
        self._at.until, self._at.bytes = until, 0

    def left(self, timeout: float | None, late: type[Exception]) -> float | None:
        """What the call may still take: the smaller of its time-out and its whole time. Raises `late` at its end."""
        until: float | None = getattr(self._at, "until", None)
        if until is None:
            return timeout
        left = until - time.monotonic()
        if left <= 0:
            raise late("the call's whole time is over")
        return left if timeout is None else min(left, timeout)

    def count(self, received: bytes) -> bytes:
        self._at.bytes = getattr(self._at, "bytes", 0) + len(received)
        if self._at.bytes > _LONGEST_BYTES:
            raise httpcore.ReadError(f"the answer is longer than {_LONGEST_BYTES} bytes")
        return received

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        left = self.left(timeout, httpcore.ConnectTimeout)
        return _Stream(super().connect_tcp(host, port, left, local_address, socket_options), self)


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, backend: _Backend) -> None:
        self._stream = stream
        self._backend = backend

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left = self._backend.left(timeout, httpcore.ReadTimeout)
        return self._backend.count(self._stream.read(max_bytes, left))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # Send by send: httpcore's own loop gives each of them the whole time that was left at the first.
        line = self._stream.get_extra_info("socket")
        rest = memoryview(buffer)
        while rest:
            line.settimeout(self._backend.left(timeout, httpcore.WriteTimeout))
            try:
                rest = rest[line.send(rest) :]
            except TimeoutError as error:
                raise httpcore.WriteTimeout(str(error)) from error
            except OSError as error:
                raise httpcore.WriteError(str(error)) from error

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = self._backend.left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left), self._backend)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
