"""/metrics of the watchdog, the responder and dispatch: for known senders alone, and however a stranger holds on to it."""

import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter
from pydantic import SecretStr
from waiting import until

from paramedic.demo.world import free_port
from paramedic.serving.exposition import Exposition
from paramedic.serving.metrics_ports import METRICS_PORTS
from paramedic.settings import Settings

TOKEN = "a-token-of-this-test"

pytestmark = pytest.mark.real


class Heart:
    silent: float | None = 0.0

    def __call__(self) -> float | None:
        return self.silent


@pytest.fixture
def heart() -> Heart:
    return Heart()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    tokens, users = {"prometheus": SecretStr(TOKEN)}, {"ops": SecretStr("a-word-of-ops")}
    return Settings(data=tmp_path, metrics_port=free_port(), gateway_tokens=tokens, gateway_users=users)


@contextmanager
def served(settings: Settings, role: str, heart: Callable[[], float | None]) -> Iterator[str]:
    registry = CollectorRegistry()
    Counter("paramedic_of_this_test", "What is counted.", registry=registry).inc()
    exposition = Exposition(settings, role, [registry], heart)
    exposition.start()
    url = f"http://127.0.0.1:{(settings.metrics_port or 0) + METRICS_PORTS[role]}"
    try:
        until("it answers", lambda: _answers(url))
        yield url
    finally:
        exposition.stop()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", trust_env=False, timeout=5).status_code in (200, 503)
    except httpx.HTTPError:
        return False


@pytest.fixture
def url(settings: Settings, heart: Heart) -> Iterator[str]:
    with served(settings, "watchdog", heart) as url:
        yield url


@pytest.mark.parametrize("authorization", [None, "Bearer another", "Bearer", "Basic YTpi", TOKEN])
def test_who_is_unknown_sees_no_figure(url: str, authorization: str | None) -> None:
    answer = httpx.get(
        f"{url}/metrics", headers={"Authorization": authorization} if authorization else {}, trust_env=False
    )
    assert answer.status_code == 401
    assert "paramedic_of" not in answer.text


def test_a_known_sender_sees_them(url: str) -> None:
    for how in ({"headers": {"Authorization": f"Bearer {TOKEN}"}}, {"auth": ("ops", "a-word-of-ops")}):
        answer = httpx.get(f"{url}/metrics", trust_env=False, **how)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert "paramedic_of_this_test_total 1.0" in answer.text


def test_a_name_that_leads_here_is_not_answered(url: str) -> None:
    answer = httpx.get(
        f"{url}/metrics", headers={"Host": "evil.example", "Authorization": f"Bearer {TOKEN}"}, trust_env=False
    )
    assert answer.status_code == 421


@pytest.mark.parametrize(("method", "path"), [("POST", "/metrics"), ("GET", "/"), ("GET", "/alerts/alertmanager")])
def test_there_is_nothing_else(url: str, method: str, path: str) -> None:
    answer = httpx.request(method, f"{url}{path}", headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False)
    assert answer.status_code == 404


@pytest.mark.parametrize(("silent", "status"), [(None, 503), (0.5, 200), (61.0, 503)])
def test_it_is_well_while_its_main_loop_gives_signs_of_life(
    url: str, heart: Heart, silent: float | None, status: int
) -> None:
    heart.silent = silent
    assert httpx.get(f"{url}/healthz", trust_env=False).status_code == status


def test_strangers_who_hold_connections_keep_nobody_out(url: str) -> None:
    port = httpx.URL(url).port
    held = [socket.create_connection(("127.0.0.1", port or 0)) for _ in range(200)]
    try:
        for each in held:
            each.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n")
        answer = httpx.get(f"{url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False, timeout=10)
        assert answer.status_code == 200
    finally:
        for each in held:
            each.close()


def test_it_listens_on_loopback_alone_unless_it_is_told_otherwise(settings: Settings) -> None:
    assert settings.host == "127.0.0.1"
    assert Settings(data=settings.data).metrics_port is None


def test_a_port_that_is_taken_ends_nothing_and_is_tried_again(
    settings: Settings, heart: Heart, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paramedic.serving.exposition._AGAIN_SECONDS", 0.05)
    with closing(socket.socket()) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", settings.metrics_port or 0))
        other.listen()
        exposition = Exposition(settings, "watchdog", [], heart)
        exposition.start()
    try:
        until("it answers", lambda: _answers(f"http://127.0.0.1:{settings.metrics_port}"))
    finally:
        exposition.stop()
