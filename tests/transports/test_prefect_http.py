"""One client for every call to Prefect: its address, its login or key, its limits; and one place where clients are made."""

import ast
import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_KEY, PREFECT_API_URL, temporary_settings
from pydantic import SecretStr

from paramedic.errors import PermanentError
from paramedic.settings import ROOT, Settings
from paramedic.stack import instance
from paramedic.stack.instance import Running
from paramedic.stack.running_prefect import with_running_prefect
from paramedic.transports.prefect_http import PrefectApi
from paramedic.transports.prefect_login import asks_for_login, embedded_login
from tasks.prefect_api import prefect_api

LOGIN = SecretStr("ada:a-login:with-colon")
BASIC = "Basic " + base64.b64encode(b"ada:a-login:with-colon").decode()


class Api:
    """Prefect as seen from its door: which path was asked for, and with which credentials."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.busy = 0
        api = self

        class Answers(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                api.asked.append((self.path, self.headers.get("Authorization")))
                api.busy -= 1
                self.send_response(503 if api.busy >= 0 else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._server = HTTPServer(("127.0.0.1", 0), Answers)
        self.url = f"http://127.0.0.1:{self._server.server_port}/api"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api()
    yield api
    api.close()


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_call_goes_under_the_address_with_the_login_and_past_every_proxy(
    api: Api, slash: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    settings = Settings(prefect_api_url=api.url + slash, prefect_api_auth=LOGIN)
    named = PrefectApi.named(settings)
    assert named is not None
    with named.client(seconds=5) as prefect:
        assert prefect.get("/health").is_success
    assert api.asked == [("/api/health", BASIC)]
    assert "a-login" not in repr(named)


def test_settings_that_name_no_prefect_have_none() -> None:
    assert PrefectApi.named(Settings()) is None


def test_a_playbook_asks_the_prefect_that_runs_it_with_its_login_or_its_key(api: Api) -> None:
    with temporary_settings({PREFECT_API_URL: api.url, PREFECT_API_AUTH_STRING: LOGIN.get_secret_value()}):
        prefect_api(timeout=5).get("/health")
    with temporary_settings({PREFECT_API_URL: api.url, PREFECT_API_KEY: "a-key"}):
        prefect_api(timeout=5).get("/health")
    assert api.asked == [("/api/health", BASIC), ("/api/health", "Bearer a-key")]
    with temporary_settings({PREFECT_API_URL: None}), pytest.raises(LookupError):
        prefect_api(timeout=5)


def test_a_503_is_asked_again_only_where_that_is_wanted(api: Api) -> None:
    api.busy = 1
    assert PrefectApi(api.url).client(seconds=5).get("/health").status_code == 503
    api.busy = 2
    assert PrefectApi(api.url).client(seconds=5, repeats_503=True).get("/health").status_code == 200
    assert len(api.asked) == 1 + 3


def test_an_address_that_is_none_is_said_once_and_for_all() -> None:
    with pytest.raises(PermanentError, match="address of Prefect's API"):
        PrefectApi("http://999.1.1.1/api").client(seconds=1)
    assert [asks_for_login("http://999.1.1.1/api", timeout=Settings().prefect_timeout)] == [None]


def test_the_prefect_that_runs_on_the_folder_is_found_with_its_login_and_a_named_one_counts_more(
    tmp_path: Path,
) -> None:
    settings = Settings(data=tmp_path)
    assert with_running_prefect(settings) is settings
    login = embedded_login(settings)
    with instance.lock(tmp_path) as held:
        instance.announce(held, Running(1, "http://127.0.0.1:1", "http://127.0.0.1:2/api"))
        found = PrefectApi.named(with_running_prefect(settings))
        assert found == PrefectApi("http://127.0.0.1:2/api", SecretStr(login))
        elsewhere = Settings(data=tmp_path, prefect_api_url="http://127.0.0.1:3/api")
        assert PrefectApi.named(with_running_prefect(elsewhere)) == PrefectApi("http://127.0.0.1:3/api")


def makes_a_client(source: str) -> bool:
    """Whether the code makes an HTTP client of its own, or calls out without one."""
    calls = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    made = {
        f"{call.value.id}.{call.attr}"
        for call in calls
        if isinstance(call, ast.Attribute) and isinstance(call.value, ast.Name)
    }
    verbs = "Client AsyncClient get post put patch delete head options request stream"
    return bool(made & {f"httpx.{verb}" for verb in verbs.split()})


def test_http_clients_are_made_in_transports_and_nowhere_else() -> None:
    assert makes_a_client("import httpx\nwith httpx.Client(timeout=3) as one:\n    one.get('/')")
    assert makes_a_client("import httpx\nhttpx.get('http://h', timeout=3)")
    files = [file for room in ("paramedic", "tasks", "flows") for file in sorted((ROOT / room).rglob("*.py"))]
    making = {str(file.relative_to(ROOT).parent) for file in files if makes_a_client(file.read_text())}
    assert making == {"paramedic/transports"}
