"""The page of a link in a real browser: the button is heard, and another site's page does nothing through the same browser."""

import contextlib
import json
import re
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from chromium import FLAGS
from serving import serving
from websockets.sync.client import ClientConnection, connect

from paramedic import keys
from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.incidents.incident import State
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.messages.signed_link import Acknowledgement, sign
from paramedic.store import Store, incidents, lifecycle


class _NotNowError(Exception):
    """The tab cannot say: it is on its way to another page, for instance."""


class Tab:
    """One tab, by Chromium's DevTools protocol."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._last = 0

    def tell(self, method: str, **parameters: object) -> dict[str, object]:
        self._last += 1
        self._socket.send(json.dumps({"id": self._last, "method": method, "params": parameters}))
        while (answer := json.loads(self._socket.recv(timeout=60))).get("id") != self._last:
            pass
        if "error" in answer:
            raise _NotNowError(answer["error"])
        return dict(answer["result"])

    def value(self, expression: str) -> str:
        result = self.tell("Runtime.evaluate", expression=expression).get("result", {})
        return str(result.get("value", ""))  # type: ignore[attr-defined]

    def shows(self, words: str) -> bool:
        """Whether the page says so within a while."""
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with contextlib.suppress(_NotNowError):
                text = self.value("document.readyState + (document.documentElement?.innerText ?? '')")
                if text.startswith("complete") and words in text:
                    return True
            time.sleep(0.1)
        return False


@pytest.fixture
def tab(require: Callable[[str], str], tmp_path: Path) -> Iterator[Tab]:
    profile = tmp_path / "profile"
    process = subprocess.Popen(
        [require("chromium"), *FLAGS, f"--user-data-dir={profile}", "--remote-debugging-port=0", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        file, until = profile / "DevToolsActivePort", time.monotonic() + 60
        while not file.exists() or not file.read_text().strip():
            assert time.monotonic() < until
            time.sleep(0.1)
        port = file.read_text().split()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=30) as pages:
            [page] = [target for target in json.load(pages) if target["type"] == "page"]
        with connect(page["webSocketDebuggerUrl"], proxy=None) as socket:
            yield Tab(socket)
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def evil() -> Iterator[tuple[int, dict[str, str]]]:
    """A web site of somebody else, and its page."""
    page = {"html": ""}

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page["html"].encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server.server_address[1], page
    server.shutdown()
    thread.join(10)
    server.server_close()


def _opened(store: Store) -> int:
    alert = Alert("alertmanager", "Slow", Severity.CRITICAL, Status.FIRING, datetime.now(UTC), "f", {})
    with store.record() as tx:
        incident = lifecycle.open_incident(
            tx, alert, service="s", target="t", policy="default", reason="a test", plan=None
        )
        lifecycle.hand_over(tx, incident.number, Outcome(Ending.HANDED_OVER, "a test"), actor="test")
    return incident.number


def _state(store: Store, number: int) -> State:
    with store.read() as tx:
        return incidents.get(tx, number).state


@pytest.mark.real
def test_the_button_is_heard_and_another_sites_page_is_not(
    tab: Tab, evil: tuple[int, dict[str, str]], tmp_path: Path
) -> None:
    evil_port, page = evil
    with serving(tmp_path / "data") as (port, store, settings):
        number = _opened(store)
        path = f"/ack/{sign(keys.link_key(settings), Acknowledgement(store.uuid, number, 'ada'))}"
        link = f"http://127.0.0.1:{port}{path}"

        tab.tell("Page.navigate", url=link)  # the browser has seen the page, and has its cookie
        assert tab.shows("I have it: ada")
        field = re.search(r'name="form" value="([^"]+)"', tab.value("document.documentElement.outerHTML"))
        assert field is not None
        page["html"] = (
            f"<form method=post action='{link}'><input name=form value='{field[1]}'></form>"
            "<script>document.forms[0].submit()</script>"
        )
        tab.tell("Page.navigate", url=f"http://evil.example:{evil_port}/")
        assert tab.shows("It came from another site")
        assert _state(store, number) is State.HANDED_OVER

        tab.tell("Page.navigate", url=f"http://rebound.example:{port}{path}")
        assert tab.shows("PARAMEDIC_GATEWAY_HOSTS")
        assert _state(store, number) is State.HANDED_OVER

        page["html"] = f"<a href='{link}'>the link in a web mail</a><script>document.links[0].click()</script>"
        tab.tell("Page.navigate", url=f"http://evil.example:{evil_port}/")
        assert tab.shows("I have it: ada")
        tab.tell("Runtime.evaluate", expression="document.querySelector('button').click()")
        assert tab.shows("ada has it")
        assert _state(store, number) is State.ACKNOWLEDGED
