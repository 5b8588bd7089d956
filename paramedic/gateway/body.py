"""Bounded reading of request bodies: size, time, memory, compression. The beginning of a refused body is kept."""

import asyncio
import zlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from starlette.requests import ClientDisconnect, Request

#: So much of a body needs no share of the common room: small alerts get in, whatever large ones are under way.
_SMALL = 262_144

#: So many bytes of a body that is refused are kept.
_KEPT = 4096

_GZIP = 16 + zlib.MAX_WBITS


class BodyRefused(Exception):
    """The body is refused: the answer's status and words, and the part that arrived."""

    def __init__(self, status: int, reason: str, what: str, allowed: str, *, came: bytes, size: str = "") -> None:
        super().__init__(f"body: {what}; allowed: {allowed}; {size or f'{len(came)} bytes had come'}")
        self.status, self.reason, self.what, self.allowed = status, reason, what, allowed
        self.beginning = came[:_KEPT].decode("utf-8", "backslashreplace")


class NoRoom(Exception):
    """Too many large bodies are being received: the sender must send this one again."""


class Bodies:
    """Receives bodies. All of it runs in one event loop."""

    def __init__(self, limit: int, timeout: timedelta, *, small: int = _SMALL, room: int | None = None) -> None:
        """A body has at most `limit` bytes, compressed or not, and `timeout` to arrive.

        Those of more than `small` bytes share a memory budget `room`, by default of four times the limit, 64 MiB at least;
        one sender gets half of it.
        """
        self._limit, self._timeout, self._small = limit, timeout, small
        self._room = room or max(4 * limit, 64 * 1024 * 1024)
        self._used: Counter[str] = Counter()
        self._freed = asyncio.Condition()

    @asynccontextmanager
    async def receive(self, request: Request, sender: str) -> AsyncIterator[bytes]:
        """The whole body, for the duration of the block. Raises BodyRefused, NoRoom."""
        reader = _Reader(request, self._limit)
        until = asyncio.get_running_loop().time() + self._timeout.total_seconds()
        if await self._read(reader, self._small, until):
            yield reader.take()
            return
        async with self._share(sender, reader.expected, until):
            await self._read(reader, self._limit, until)
            yield reader.take()

    async def _read(self, reader: "_Reader", size: int, until: float) -> bool:
        try:
            async with asyncio.timeout_at(until):
                return await reader.read_past(size)
        except TimeoutError as error:
            allowed = f"{self._timeout}"
            raise BodyRefused(408, "too slow", "did not come in time", allowed, came=bytes(reader.came)) from error
        except ClientDisconnect as error:
            raise BodyRefused(400, "went away", "was cut off", "a whole body", came=bytes(reader.came)) from error

    @asynccontextmanager
    async def _share(self, sender: str, size: int, until: float) -> AsyncIterator[None]:
        """Reserve memory for the whole of a large body at once: none waits for another with half of its own in memory."""

        def fits() -> bool:
            return self._used.total() + size <= self._room and self._used[sender] + size <= self._room // 2

        async with self._freed:
            try:
                async with asyncio.timeout_at(until):
                    await self._freed.wait_for(fits)
            except TimeoutError as error:
                raise NoRoom from error
            self._used[sender] += size
        try:
            yield
        finally:
            self._used[sender] -= size
            async with self._freed:
                self._freed.notify_all()


class _Reader:
    """Reads one body, piece by piece, and inflates it."""

    def __init__(self, request: Request, limit: int) -> None:
        self.came = bytearray()
        self._limit = limit
        self._stream = request.stream()
        declared = request.headers.get("content-length")
        self._declared = int(declared) if declared and declared.isdecimal() else None
        coding = request.headers.get("content-encoding", "identity").strip().lower()
        self._inflate = zlib.decompressobj(_GZIP) if coding in ("gzip", "x-gzip") else None
        self._coding_known = self._inflate is not None or coding in ("identity", "")

    @property
    def expected(self) -> int:
        """The size that it may reach."""
        return self._limit if self._declared is None or self._inflate is not None else min(self._declared, self._limit)

    def take(self) -> bytes:
        """The bytes received; the reader drops its copy."""
        body = bytes(self.came)
        self.came.clear()
        return body

    async def read_past(self, size: int) -> bool:
        """Read until there is more than `size`; returns whether the body ended before. Raises BodyRefused."""
        if not self._coding_known:
            await self._begin()
            raise BodyRefused(415, "coding", "has an unknown Content-Encoding", "gzip, or none", came=bytes(self.came))
        if self._declared is not None and self._declared > self._limit:
            await self._begin()
            raise self._too_large(f"it says that it has {self._declared}")
        async for chunk in self._stream:
            self.came += self._inflated(chunk)
            if len(self.came) > self._limit:
                raise self._too_large("more had come")
            if len(self.came) > size:
                return False
        if self._inflate is not None and not self._inflate.eof:
            raise BodyRefused(400, "unreadable", "is gzip that ends too early", "a whole body", came=bytes(self.came))
        return True

    def _inflated(self, chunk: bytes) -> bytes:
        """The chunk, inflated if compressed: never more than one byte past the limit."""
        if self._inflate is None:
            return chunk
        try:
            piece = self._inflate.decompress(chunk, self._limit + 1 - len(self.came))
        except zlib.error as error:
            raise BodyRefused(
                400, "unreadable", "is not gzip", "gzip, as its Content-Encoding says", came=chunk
            ) from error
        if self._inflate.unused_data:
            raise BodyRefused(
                400, "unreadable", "goes on after its gzip", "one gzip member", came=bytes(self.came + piece)
            )
        return piece

    async def _begin(self) -> None:
        """Receive the first piece of a body that will be refused, for the quarantine; does not wait long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                async for chunk in self._stream:
                    self.came += chunk[:_KEPT]
                    if chunk:
                        return

    def _too_large(self, size: str) -> BodyRefused:
        return BodyRefused(
            413, "too large", "too large", f"{self._limit} bytes", came=bytes(self.came), size=f"{size} bytes"
        )
