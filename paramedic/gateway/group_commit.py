"""Group commit: the deliveries of many requests are written in one transaction, and answered after it."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from paramedic.store import Store, StoreUnavailable, StoreUnknown, inbox
from paramedic.store.inbox import Delivery

#: How many alerts one transaction writes, and about how many characters may wait for one.
_ROWS, _QUEUE_CHARACTERS = 2000, 64 * 1024 * 1024

#: While commit follows commit, SQLite's write lock is left free for so long, so often: who else waits for it looks every 2 ms.
_PAUSE_SECONDS, _PAUSE_EVERY_SECONDS = 0.004, 0.02


class QueueFull(Exception):
    """The queue for commits is full; the sender must send again."""


@dataclass(slots=True)
class _Waiting:
    delivery: Delivery
    loop: asyncio.AbstractEventLoop
    written: "asyncio.Future[None]"

    def answer(self, error: Exception | None) -> None:
        """Wake the request in its own event loop, if it is still there."""
        if self.written.done():
            return
        if error is None:
            self.written.set_result(None)
        else:
            self.written.set_exception(error)


class GroupCommit:
    """The one writer for all requests of a gateway."""

    def __init__(
        self,
        store: Store,
        committed: Callable[[Delivery], None] = lambda _: None,
        *,
        characters: int = _QUEUE_CHARACTERS,
    ) -> None:
        """`committed` is called, in the writer's thread, after each delivery's commit and before its answer.

        `characters` limits the queue's approximate size.
        """
        self._store = store
        self._committed = committed
        self._whole = self._room = characters
        self._changed = threading.Condition()
        self._critical: deque[_Waiting] = deque()
        self._others: deque[_Waiting] = deque()
        self._writer: threading.Thread | None = None

    async def commit(self, delivery: Delivery) -> None:
        """Return when the delivery is durable.

        Raises StoreUnavailable or StoreUnknown where nothing of it was written, and QueueFull. Deliveries in one
        group succeed or fail independently.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(delivery, loop, loop.create_future())
        with self._changed:
            if delivery.size > self._room < self._whole:  # where nothing waits, one has room however large it is
                raise QueueFull
            self._room -= delivery.size
            (self._critical if delivery.is_critical else self._others).append(waiting)
            if self._writer is None or not self._writer.is_alive():
                self._writer = threading.Thread(target=self._write_for_ever, name="gateway-writer", daemon=True)
                self._writer.start()
            self._changed.notify()
        await waiting.written

    def _write_for_ever(self) -> None:
        paused_at = time.monotonic()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._critical or self._others)
                batch = self._next()
            self._write(batch)
            if time.monotonic() - paused_at >= _PAUSE_EVERY_SECONDS:
                time.sleep(_PAUSE_SECONDS)
                paused_at = time.monotonic()

    def _next(self) -> list[_Waiting]:
        """The next group: critical deliveries first; at least one, however large."""
        batch: list[_Waiting] = []
        rows = 0
        while queue := self._critical or self._others:
            rows += len(queue[0].delivery.rows) + len(queue[0].delivery.bad)
            if batch and rows > _ROWS:
                break
            batch.append(queue.popleft())
        return batch

    def _write(self, batch: Sequence[_Waiting]) -> None:
        try:
            with self._store.write() as tx:
                inbox.write(tx, [waiting.delivery for waiting in batch])
        except (StoreUnavailable, StoreUnknown) as error:
            self._answer(batch, error)
        except Exception as error:  # noqa: BLE001 - what the database refuses of one fails none of the others
            if len(batch) > 1:
                for waiting in batch:
                    self._write([waiting])
            else:
                self._answer(batch, error)
        else:
            try:
                for waiting in batch:
                    self._committed(waiting.delivery)
            finally:
                self._answer(batch, None)

    def _answer(self, batch: Sequence[_Waiting], error: Exception | None) -> None:
        """Give its room back, and let each loop answer its own requests."""
        with self._changed:
            self._room += sum(waiting.delivery.size for waiting in batch)
        for loop in {waiting.loop for waiting in batch}:
            theirs = [waiting for waiting in batch if waiting.loop is loop]
            try:
                loop.call_soon_threadsafe(_answer_all, theirs, error)
            except RuntimeError:  # the loop is closed: nobody waits for the answer
                continue


def _answer_all(batch: Sequence[_Waiting], error: Exception | None) -> None:
    for waiting in batch:
        waiting.answer(error)
