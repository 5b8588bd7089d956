"""One GET that asks a target whether it is well."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

import httpx

from paramedic.clock import spoken
from paramedic.error import Useless
from paramedic.visible import one_line

BODY_LIMIT = 65_536  # bytes; more of a health page says nothing more


@dataclass(frozen=True, slots=True)
class Probe:
    """What one look saw: well or not, the HTTP status if one came, how long it took, and why in words."""

    ok: bool
    status: int | None
    took_ms: float
    why: str


def probe(url: str, timeout: timedelta) -> Probe:
    """Ask once. Only a whole 2xx answer within `timeout` is ok; no answer is an answer too, never an exception.

    Follows no redirect, uses no proxy, reads at most 64 KiB. Raises Useless on a URL that cannot be asked.
    """
    limit = timeout.total_seconds()
    late = f"no whole answer within {spoken(timeout)}"
    begun = time.perf_counter()

    def seen(status: int | None, why: str = "", *, ok: bool = False) -> Probe:
        took = time.perf_counter() - begun
        in_time = took < limit
        return Probe(ok and in_time, status, took * 1000, why if in_time else late)

    status = None
    with httpx.Client(trust_env=False, follow_redirects=False, timeout=limit, verify=_trust()) as client:
        begun = time.perf_counter()
        try:
            with _cut_after(limit) as trace:
                headers = {"User-Agent": "paramedic", "Connection": "close"}
                with client.stream("GET", url, headers=headers, extensions={"trace": trace}) as response:
                    status = response.status_code
                    _read(response)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError) as error:
            raise Useless(f"this URL cannot be probed: {one_line(str(error))}") from error
        except httpx.TimeoutException:
            return seen(status, late)
        except httpx.ConnectError as error:
            return seen(status, f"could not connect: {one_line(str(error))}")
        except httpx.HTTPError as error:
            return seen(status, f"the answer broke off: {one_line(str(error))}")
    if 300 <= status < 400:
        return seen(status, f"answered {status}, and redirects are not followed")
    return seen(status, f"answered {status}", ok=200 <= status < 300)


def _read(response: httpx.Response) -> None:
    size = 0
    for chunk in response.iter_raw():
        size += len(chunk)
        if size > BODY_LIMIT:
            return


@contextmanager
def _cut_after(seconds: float) -> Iterator[Callable[[str, Mapping[str, Any]], None]]:
    """Shut the connection when the time is up: httpx's own time-outs begin anew with every byte that drips in."""
    connected: list[socket.socket] = []

    def trace(event: str, info: Mapping[str, Any]) -> None:
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            connected.append(info["return_value"].get_extra_info("socket"))

    def cut() -> None:
        for line in connected:
            with suppress(OSError):
                socket.socket.shutdown(line, socket.SHUT_RDWR)  # of the socket, below any TLS that is being read

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield trace
    finally:
        timer.cancel()


@cache
def _trust() -> ssl.SSLContext:
    """The machine's own certificate authorities; loading them takes longer than a probe."""
    return ssl.create_default_context()
