"""What a run asks its Prefect: a call that gets no answer is made again, within its time."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from tasks import prefect_api


class _Prefect(ThreadingHTTPServer):
    """Answers as the words say, one for each call and the last for all that follow; to `silent` it answers at its end."""

    def __init__(self, *answers: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = list(answers)
        self.asked: list[str] = []
        self.ended = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    server: _Prefect

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        answer = self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0]
        if answer == "silent":
            self.server.ended.wait(30)
            return
        state = {"state_type": answer, "type": answer, "timestamp": "2026-01-31T09:30:00Z"}
        body = json.dumps([state] if "states" in self.path else state).encode()
        self.send_response(503 if answer == "503" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _answering(*answers: str) -> Iterator[_Prefect]:
    server = _Prefect(*answers)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{server.server_port}/api"}):
            yield server
    finally:
        server.ended.set()
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("answers", "is_cancelled"), [(("RUNNING",), False), (("503", "CANCELLING"), True), (("silent", "RUNNING"), False)]
)
def test_a_change_hears_whether_its_run_is_cancelled(answers: tuple[str, ...], is_cancelled: bool) -> None:
    with _answering(*answers) as server:
        assert prefect_api.is_cancelled("run", timedelta(seconds=4)) is is_cancelled
        assert server.asked == ["/api/flow_runs/run"] * len(answers)


def test_earlier_states_are_asked_for_again_too() -> None:
    with _answering("silent", "FAILED"):
        assert [state["type"] for state in prefect_api.states_of("run", retry_for=4)] == ["FAILED"]


class _Clock:
    """A clock that a call moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, each_call_takes: tuple[float, ...]) -> None:
        self.now = 1000.0
        self.given: list[float] = []
        self._take = list(each_call_takes)
        monkeypatch.setattr(prefect_api, "boottime", lambda: self.now)
        monkeypatch.setattr(prefect_api.time, "sleep", self._pass)
        monkeypatch.setattr(prefect_api, "_own_state", self._ask)

    def _pass(self, seconds: float) -> None:
        self.now += seconds

    def _ask(self, _run: str, seconds: float) -> str | None:
        self.given.append(seconds)
        if not self._take:
            return "RUNNING"
        self.now += self._take.pop(0)
        return None


def test_a_machine_that_stood_still_has_not_waited_all_that_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = _Clock(monkeypatch, each_call_takes=(60.0, 3.0))
    assert prefect_api.is_cancelled("run", timedelta(seconds=30)) is False
    assert clock.given == [5.0, 10.0, 20.0]


@pytest.mark.parametrize("retry_for", [0.0, 0.5, 3.0, 10.0, 300.0])
@pytest.mark.parametrize("takes", [0.0, 0.3, 1e9])
def test_silence_ends_in_time(retry_for: float, takes: float, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = _Clock(monkeypatch, each_call_takes=())
    monkeypatch.setattr(prefect_api, "_own_state", lambda _run, seconds: clock._pass(min(takes, seconds)))
    assert prefect_api.own_state("run", retry_for=retry_for) is None
    assert clock.now - 1000.0 <= max(retry_for, 2.0) + 0.2
