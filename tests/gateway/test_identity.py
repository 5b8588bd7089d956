"""The gateway proves that it is the data folder's own, and makes no proof for anybody else's address."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from paramedic import keys
from paramedic.gateway import identity
from paramedic.gateway.app import make_app
from paramedic.gateway.identity import NotOurs, demand, proof
from paramedic.intake.intake import Wake
from paramedic.settings import Settings
from paramedic.store import Store

NONCE = "0" * 64


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path, port=8650, public_url="https://paramedic.example.org/")


def _client(settings: Settings) -> TestClient:
    return TestClient(make_app(settings, Store(settings.store()), wake=Wake(), alive=lambda: True))


def test_it_proves_itself_at_its_own_addresses_alone_and_with_its_folders_key(
    settings: Settings, tmp_path: Path
) -> None:
    key = keys.link_key(settings)

    def answer_to(address: str, nonce: str = NONCE) -> tuple[int, str]:
        answer = _client(settings).get(identity.PATH, params={"nonce": nonce, "address": address})
        return answer.status_code, answer.text

    for own in ("http://127.0.0.1:8650", "https://paramedic.example.org"):
        assert answer_to(own) == (200, proof(key, NONCE, own))
        assert proof(key, NONCE, own) != proof(b"another", NONCE, own)
    for foreign in ("http://127.0.0.1:8651", "http://127.0.0.1:8650/", "http://localhost:8650", ""):
        assert answer_to(foreign)[0] == 404
    for nonce in ("", "short", NONCE + "0", "0" * 63 + "\n"):
        assert answer_to("http://127.0.0.1:8650", nonce)[0] == 404
    assert proof(key, NONCE, "a") != proof(key, "1" * 64, "a")


@contextmanager
def _server(says: Callable[[str], str]) -> Iterator[str]:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(says(self.path).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_a_stranger_that_hands_the_question_on_to_ours_proves_nothing(settings: Settings) -> None:
    key = keys.link_key(settings)
    ours = _client(settings)
    with _server(lambda asked: ours.get(asked).text) as stranger, pytest.raises(NotOurs, match="was sent nothing"):
        demand(stranger, key)


@pytest.mark.parametrize("answer", ["", "ok", "ü", "0" * 64])
def test_an_answer_that_is_no_proof_is_none(answer: str) -> None:
    with _server(lambda _: answer) as stranger, pytest.raises(NotOurs, match="is not this data folder's gateway"):
        demand(stranger, b"key")


def test_nobody_there_is_said() -> None:
    with pytest.raises(NotOurs, match=r"http://127\.0\.0\.1:1 does not answer"):
        demand("http://127.0.0.1:1", b"key")
