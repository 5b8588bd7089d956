"""A store of its own for each test, and Prefects that behave badly."""

import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from events_api import EventsApi
from sqlalchemy import update

from paramedic.store import Store, connect
from paramedic.store.tables import meta


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """A store with an identity of its own: the server has met the others'."""
    engine = connect(store_url)
    with engine.begin() as conn:
        conn.execute(update(meta).values(store=str(uuid.uuid4())))
    engine.dispose()
    store = Store(store_url)
    yield store
    store.close()


@pytest.fixture
def closed_door() -> Iterator[str]:
    """A Prefect API behind an auth string that nobody told us, as its middleware answers."""

    class Closed(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Closed)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/api"
    server.shutdown()
    server.server_close()


@pytest.fixture
def events_api() -> Iterator[EventsApi]:
    with EventsApi() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()
