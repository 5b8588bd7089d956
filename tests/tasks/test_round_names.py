"""A round is named for its group and the number of its checks, and nothing waits for Prefect to take the name."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from types import SimpleNamespace

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from tasks.prefect_api import rename
from tasks.scheduled import Round

NOTHING = SimpleNamespace()


class Prefect:
    """Answers once it is released, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: Queue[tuple[str, str, object]] = Queue()
        self.released = threading.Event()
        server = self

        class Answers(BaseHTTPRequestHandler):
            def do_PATCH(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.released.wait(5)
                server.asked.put((self.command, self.path, body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.api = f"http://127.0.0.1:{self._server.server_port}/api"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Prefect]:
    prefect = Prefect()
    with temporary_settings({PREFECT_API_URL: prefect.api}):
        yield prefect
    prefect.released.set()
    prefect.close()


def test_a_round_gets_its_name_while_nothing_waits_for_it(server: Prefect) -> None:
    this = Round(
        settings=NOTHING,  # type: ignore[arg-type]
        store=NOTHING,  # type: ignore[arg-type]
        library=NOTHING,  # type: ignore[arg-type]
        group="web",
        flow_run="run-1",
        lease="health-check/web",
        ends_at=0.0,
    )
    this.name_run("12 checks")
    assert "rename" in [thread.name for thread in threading.enumerate()], "it still asks, beside the round"
    server.released.set()
    assert server.asked.get(timeout=10) == (
        "PATCH",
        "/api/flow_runs/run-1",
        {"name": "health-check · web · 12 checks"},
    )


def test_without_a_prefect_the_name_stays() -> None:
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        rename("run-1", "x")
