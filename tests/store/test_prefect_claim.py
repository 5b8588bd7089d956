"""One store has one Prefect: another is refused in words, until the first has been silent for long."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from databases import Clock

from paramedic.errors import TemporaryError
from paramedic.settings import Settings
from paramedic.store import Store, prefect_claim
from paramedic.store.prefect_claim import LEASE, RENEW, AnotherPrefect
from paramedic.transports.prefect_http import PrefectApi
from paramedic.watchdog.prefect_status import PrefectStatus

OLD, NEW = "11111111-0000-4000-8000-000000000000", "22222222-0000-4000-8000-000000000000"


def claim(store: Store, installation: str) -> None:
    with store.write() as tx:
        prefect_claim.claim(tx, installation)


def test_dispatchers_of_one_prefect_share_the_store_and_another_is_refused_in_words(timed: Store) -> None:
    for _ in range(2):
        claim(timed, OLD)
    for known, named in ((NEW, NEW), ("", "new")):
        with timed.read() as tx, pytest.raises(AnotherPrefect) as refused:
            prefect_claim.check(tx, known)
        words = str(refused.value)
        assert f"installation {OLD}, this one is {named}" in words
        assert "stop the other `paramedic up`" in words
        assert "PARAMEDIC_PREFECT_API_URL" in words
    with pytest.raises(AnotherPrefect):
        claim(timed, NEW)
    claim(timed, OLD)


def test_a_prefect_that_is_gone_for_good_is_followed_by_another(timed: Store, clock: Clock) -> None:
    claim(timed, OLD)
    for _ in range(3):  # it lives: whoever waits does not get it
        clock.advance(LEASE - RENEW)
        with pytest.raises(AnotherPrefect):
            claim(timed, NEW)
        claim(timed, OLD)
    clock.advance(LEASE + RENEW)
    claim(timed, NEW)
    with pytest.raises(AnotherPrefect):
        claim(timed, OLD)


@contextmanager
def prefect(value: str | None, status: int = 200) -> Iterator[tuple[str, list[str]]]:
    """An API that has this installation's variable, or takes one."""
    has = [value] if value is not None else []
    asked: list[str] = []

    class Api(BaseHTTPRequestHandler):
        def answer(self, code: int, body: object) -> None:
            content = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            asked.append(self.path)
            if status != 200:
                self.answer(status, {})
            else:
                self.answer(200 if has else 404, {"value": has[0]} if has else {})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if not has:
                has.append(body["value"])
                self.answer(201, body)
            else:
                self.answer(409, {})

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Api)
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/api", asked
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_installation_is_told_apart_by_what_is_made_in_it_once() -> None:
    with prefect(None) as (url, _), PrefectApi(url).client(seconds=5) as api:
        assert prefect_claim.look(api) == ""
        made = prefect_claim.installation(api)
        assert len(made) == 36
        assert prefect_claim.installation(api) == prefect_claim.look(api) == made
    with prefect(None, status=503) as (url, _), PrefectApi(url).client(seconds=5) as api:
        assert prefect_claim.look(api) is None
        with pytest.raises(TemporaryError):
            prefect_claim.installation(api)


def test_the_watchdog_believes_nothing_that_another_prefect_says_of_the_stores_runs(
    store: Store, tmp_path: Path
) -> None:
    def is_anothers(url: str) -> bool:
        return PrefectStatus(Settings(data=tmp_path, prefect_api_url=url)).is_of_another_store(store)

    with prefect(OLD) as (old, _), prefect(NEW) as (new, asked), prefect(None) as (fresh, _):
        assert not is_anothers(new), "nobody has the store yet"
        assert asked == []
        claim(store, OLD)
        assert [is_anothers(url) for url in (old, new, fresh)] == [False, True, True]
    with prefect(NEW, status=503) as (away, _):
        assert not is_anothers(away), "one that does not say is for the other looks"
