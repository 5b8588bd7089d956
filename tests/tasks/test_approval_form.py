"""What an answer by Prefect's form is worth: as much as the login to that Prefect."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from message_cases import INCIDENT, asked

from paramedic.demo.world import free_port
from paramedic.settings import Settings
from tasks.approval_form import described, form_proves_nothing


@contextmanager
def answering(status: int) -> Iterator[tuple[str, list[str]]]:
    """An API that answers each call so, and what each showed as its login."""
    shown: list[str] = []

    class Api(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shown.append(f"{self.path} {self.headers.get('Authorization')}")
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Api)
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/api", shown
    server.shutdown()
    server.server_close()
    thread.join()


def settings(tmp_path: Path, **fields: object) -> Settings:
    return Settings(data=tmp_path, prefect_api_auth="admin:a-login", prefect_timeout=timedelta(seconds=5), **fields)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, None),
        (403, None),
        (200, "answers everybody without a login"),
        (204, "answers everybody without a login"),
        (302, "did not say whether"),
        (404, "did not say whether"),
        (503, "did not say whether"),
    ],
)
def test_the_form_counts_where_prefect_refuses_who_shows_no_login(
    tmp_path: Path, status: int, words: str | None
) -> None:
    with answering(status) as (api, shown):
        reason = form_proves_nothing(settings(tmp_path), api)
    assert shown == ["/api/admin/version None"], "what is asked is whether anybody is answered: no login is shown"
    assert (reason is None) if words is None else (words in (reason or ""))
    assert words is None or "by the link with its code, or on the command line" in (reason or "")


def test_a_prefect_that_is_away_proves_nothing(tmp_path: Path) -> None:
    assert "did not say" in (form_proves_nothing(settings(tmp_path), f"http://127.0.0.1:{free_port()}/api") or "")


def test_who_wants_the_link_and_its_code_turns_the_form_off(tmp_path: Path) -> None:
    with answering(401) as (api, shown):
        reason = form_proves_nothing(settings(tmp_path, approve_by_form=False), api)
    assert "approve_by_form is off" in (reason or "")
    assert shown == []


def test_the_form_says_what_would_be_touched_as_data(tmp_path: Path) -> None:
    hostile = "address 203.0.113.7\n[red](http://evil.example)\x1b[2J; for 1h"
    run: Any = SimpleNamespace(incident=INCIDENT, settings=settings(tmp_path))
    shown = described(run, asked(remedy="block_address", touches=hostile), None)
    assert "\n    it touches: address 203.0.113.7 [red](http://evil.example)\\x1b[2J; for 1h\n" in shown, (
        "indented: code"
    )
    assert "it touches" not in described(run, asked(), None)
