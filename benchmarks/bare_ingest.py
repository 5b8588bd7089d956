"""The yardstick of `make bench-ingest`: a bare ASGI app that commits the inbox's rows to SQLite, and does nothing else.

One writer thread commits whatever has queued up in one transaction, with `synchronous=FULL`; each request is answered
after the commit of its rows. No sender is authenticated, nothing is validated, redacted, decided or counted.

    python benchmarks/bare_ingest.py DATABASE PORT
"""

import asyncio
import json
import queue
import sqlite3
import sys
import threading
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

INSERT = """INSERT INTO inbox (receipt, source, sender, received_at, alert, state) VALUES (?, ?, ?, ?, ?, ?)"""

#: The rows of one request, and what is called when they are on disk.
_waiting: queue.SimpleQueue[tuple[list[tuple[Any, ...]], Callable[[], None]]] = queue.SimpleQueue()


def commit_for_ever(database: str) -> None:
    """The writer thread."""
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    while True:
        batch = [_waiting.get()]
        while not _waiting.empty():
            batch.append(_waiting.get())
        connection.execute("BEGIN IMMEDIATE")
        for rows, _ in batch:
            connection.executemany(INSERT, rows)
        connection.execute("COMMIT")
        for _, done in batch:
            done()


async def app(
    scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
) -> None:
    """Take one POST."""
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    if not body:  # whoever asks whether it is up
        body = b'{"alerts": []}'
    now = time.time_ns() // 1000
    receipts, rows = [], []
    for alert in json.loads(body)["alerts"]:
        receipts.append(str(uuid.uuid4()))
        rows.append((receipts[-1], "alertmanager", "bench", now, json.dumps(alert), "new"))
    loop, committed = asyncio.get_running_loop(), asyncio.Event()
    _waiting.put((rows, lambda: loop.call_soon_threadsafe(committed.set)))
    await committed.wait()
    answer = json.dumps({"receipts": receipts, "quarantined": 0}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 202, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


if __name__ == "__main__":
    threading.Thread(target=commit_for_ever, args=(sys.argv[1],), daemon=True).start()
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", access_log=False)
