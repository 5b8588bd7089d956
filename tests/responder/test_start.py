"""What Prefect's engine says before the first line reaches the server all the same: later, and nothing of it is lost."""

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from prefect._internal import control_listener
from prefect.client.orchestration import get_client
from prefect.context import SyncClientContext
from prefect.engine import handle_engine_signals
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED,
    PREFECT_LOGGING_TO_API_ENABLED,
    get_current_settings,
    temporary_settings,
)

from paramedic.responder.prefect_shortcuts import PrefetchedRun, client_context, client_settings
from paramedic.responder.warm_up import rehearse

RUN = "5e0f5b4e-0000-4000-8000-000000000001"
OTHER = "5e0f5b4e-0000-4000-8000-000000000002"


class Server:
    """A Prefect that writes down what it is asked, and says 503 as often as it is told."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.busy = 0
        server = self

        class Answers(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                sent = json.loads(body) if body else {}
                server.asked.append(
                    " ".join([self.command, self.path, *([sent["state"]["type"]] if "state" in sent else [])])
                )
                status, answer = 200, {"id": self.path.split("/")[-1], "from": "server"}
                if server.busy:
                    server.busy, status = server.busy - 1, 503
                elif "state" in sent:
                    state = {"id": "s", "name": "Running", "timestamp": "2026-11-26T00:00:00Z"} | sent["state"]
                    answer = {"status": "ACCEPT", "state": state}
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PATCH = _answer  # noqa: N815 - http.server's names

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def prefect(server: Server) -> Iterator[httpx.Client]:
    known = PrefetchedRun()
    known.set_run({"id": RUN, "run_count": 0, "name": "a run"})
    with httpx.Client(base_url=server.url, transport=known) as client:
        yield client


def _state(prefect: httpx.Client, kind: str, run: str = RUN) -> httpx.Response:
    return prefect.post(f"/flow_runs/{run}/set_state", json={"state": {"type": kind}})


def test_the_policy_is_told_before_the_next_state_and_once(server: Server, prefect: httpx.Client) -> None:
    assert prefect.patch(f"/flow_runs/{RUN}", json={"empirical_policy": {"retries": 2}}).status_code == 204
    _state(prefect, "RUNNING")
    assert server.asked == [f"POST /flow_runs/{RUN}/set_state RUNNING"]
    _state(prefect, "FAILED")
    _state(prefect, "RUNNING")
    assert server.asked[1:] == [
        f"PATCH /flow_runs/{RUN}",
        f"POST /flow_runs/{RUN}/set_state FAILED",
        f"POST /flow_runs/{RUN}/set_state RUNNING",
    ]


def test_the_run_as_it_stands_after_its_start_is_what_the_server_said(server: Server, prefect: httpx.Client) -> None:
    prefect.patch(f"/flow_runs/{RUN}", json={"empirical_policy": {"retries": 2}})
    _state(prefect, "RUNNING")
    run: dict[str, Any] = prefect.get(f"/flow_runs/{RUN}").json()
    assert (run["state_type"], run["run_count"], run["start_time"]) == ("RUNNING", 1, "2026-11-26T00:00:00Z")
    assert run["empirical_policy"] == {"retries": 2}
    assert prefect.get(f"/flow_runs/{RUN}").json()["from"] == "server", "only what was just said is answered here"
    _state(prefect, "RUNNING")
    assert prefect.get(f"/flow_runs/{RUN}").json()["run_count"] == 2
    assert server.asked.count(f"GET /flow_runs/{RUN}") == 1


def test_what_is_said_of_another_run_goes_its_way(server: Server, prefect: httpx.Client) -> None:
    prefect.patch(f"/flow_runs/{OTHER}", json={})
    _state(prefect, "RUNNING", OTHER)
    prefect.get(f"/flow_runs/{OTHER}")
    assert server.asked == [
        f"PATCH /flow_runs/{OTHER}",
        f"POST /flow_runs/{OTHER}/set_state RUNNING",
        f"GET /flow_runs/{OTHER}",
    ]


def test_a_server_that_is_busy_is_asked_again_and_not_for_ever(server: Server, prefect: httpx.Client) -> None:
    server.busy = 2
    assert _state(prefect, "RUNNING").status_code == 200
    assert len(server.asked) == 3
    server.busy = 100
    assert _state(prefect, "COMPLETED").status_code == 503


def test_nothing_of_the_rehearsal_reaches_prefect_and_it_leaves_nothing(server: Server) -> None:
    before = get_current_settings()
    with temporary_settings(_as_a_warm_process(server)):
        rehearse()
        assert get_current_settings().api.url == server.url
        for tells in (EventsWorker, APILogWorker):  # in threads of their own
            tells.drain_all(timeout=30)
    assert server.asked == []
    assert get_current_settings() == before
    assert SyncClientContext.get() is None
    assert logging.getLogger("prefect.flow_runs").isEnabledFor(logging.INFO)


def test_a_run_that_breaks_after_a_rehearsal_ends_its_process_as_a_crash(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_listener, "_engine_outcome_handled", False)  # as in a process that has had no run
    with temporary_settings(_as_a_warm_process(server)):
        assert rehearse()
    with pytest.raises(SystemExit) as ended, handle_engine_signals():
        raise ImportError("the flow cannot be loaded")
    assert ended.value.code == 1


def test_whoever_asks_for_a_client_gets_the_processs_own(server: Server) -> None:
    with temporary_settings(_as_a_warm_process(server)):
        _, settings = client_settings()
        with client_context(settings) as context:
            assert get_client(sync_client=True) is context.client


def _as_a_warm_process(server: Server) -> dict[Any, Any]:
    return {
        PREFECT_API_URL: server.url,
        PREFECT_LOGGING_TO_API_ENABLED: True,
        PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED: False,
    }
