"""What the embedded Prefect server answers: its own hosts and pages, and who shows the login."""

import asyncio
import base64
import json
from typing import Any

import pytest

from paramedic.stack.prefect_edge import Edge
from paramedic.transports.prefect_login import LOGIN_PATH

LOGIN = "paramedic:a-login-that-only-this-test-knows"
HOST = "127.0.0.1:4200"


def basic(login: str) -> str:
    return f"Basic {base64.b64encode(login.encode()).decode()}"


class Inside:
    """The application behind the edge."""

    def __init__(self) -> None:
        self.reached = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.reached = True
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"inside"})


def call(
    method: str | None,
    path: str,
    *,
    ui_url: str | None = None,
    login: str | None = LOGIN,
    more: Any = (),
    **sent_headers: str,
) -> tuple[bool, int, dict[str, str], str]:
    """Whether it came through, the status, the headers, the body; `method` None is a WebSocket."""
    inside, sent = Inside(), []
    headers = [(name.replace("_", "-"), value) for name, value in ({"host": HOST} | sent_headers).items() if value]
    raw = [(name.encode(), value.encode()) for name, value in [*headers, *more]]
    scope: dict[str, Any] = {"type": "http", "method": method, "path": path, "headers": raw}
    if method is None:
        scope = {"type": "websocket", "path": path, "headers": raw}

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Edge(inside, login=login, ui_url=ui_url)(scope, receive, send))
    status = next((message["status"] for message in sent if "status" in message), 0)
    given = {name.decode(): value.decode() for message in sent for name, value in message.get("headers", [])}
    body = b"".join(message.get("body", b"") for message in sent).decode()
    return inside.reached, status, given, body


HERS = {"authorization": basic(LOGIN)}

#: As a browser marks a request that a page made.
SAME = {
    "origin": f"http://{HOST}",
    "sec_fetch_site": "same-origin",
    "sec_fetch_mode": "cors",
    "sec_fetch_dest": "empty",
}


@pytest.mark.parametrize("host", [HOST, "localhost:4200", "[::1]:4200", "LOCALHOST:14200", "127.0.0.1", "localhost"])
def test_every_name_of_this_machine_is_answered_at_any_end_of_a_tunnel(host: str) -> None:
    assert call("GET", "/", host=host)[0]
    assert call("POST", "/api/flow_runs/filter", host=host, **HERS, origin=f"http://{host}")[0]


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:4200",
        "127.0.0.1.evil.example",
        "localhost.evil.example:4200",
        "127.0.0.1:4200@evil.example",
        "evil.example@127.0.0.1",
        "127.0.0.1:4200, evil.example",
        "127.0.0.1:x",
        "127.0.0.1/evil",
        "0.0.0.0:4200",
        "",
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/flow_runs/filter", LOGIN_PATH, "/api/health"])
def test_a_name_that_only_leads_here_is_refused_in_words_that_name_the_setting(host: str, path: str) -> None:
    for method in ("GET", "POST"):
        reached, status, _, body = call(method, path, host=host, **HERS)
        assert (reached, status) == (False, 421)
        assert "PARAMEDIC_PREFECT_UI_URL" in json.loads(body)["detail"]
    assert not call(None, "/api/events/in", host=host)[0]


def test_the_name_that_people_open_the_ui_under_is_answered() -> None:
    ui = {"ui_url": "https://prefect.example.org"}
    assert call("GET", "/", host="prefect.example.org", **ui)[0]
    hers = HERS | {"origin": "https://prefect.example.org"}
    assert call("POST", "/api/x", host="prefect.example.org", **ui, **hers)[0]
    assert call("POST", "/api/x", host=HOST, **ui, **hers)[0], "a proxy may give its own name for the host"
    assert not call("POST", "/api/x", host="prefect.example.org.evil", **ui, **hers)[0]


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "https://evil.example",
        "null",
        "http://127.0.0.1:9999",  # a page that another user of the machine serves
        "http://localhost:4200",  # another origin than 127.0.0.1, though the same server
        "http://127.0.0.1",
        "file://",
        "chrome-extension://abc",
        f"http://evil@{HOST}",
        f"{HOST}",
        "http://",
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "GET"])
def test_a_page_of_another_origin_gets_nothing_even_with_the_login(origin: str, method: str) -> None:
    reached, status, headers, body = call(method, "/api/flow_runs/filter", origin=origin, **HERS)
    assert (reached, status) == (False, 403)
    assert "access-control-allow-origin" not in headers
    assert "may not use" in json.loads(body)["detail"]
    assert not call(None, "/api/events/out", origin=origin)[0], "a socket"


@pytest.mark.parametrize("site", ["cross-site", "same-site", "never-heard-of"])
def test_what_a_browser_says_comes_from_another_site_is_refused_without_an_origin_too(site: str) -> None:
    for method, mode, dest in (
        ("POST", "navigate", "document"),  # a form
        ("GET", "no-cors", "script"),
        ("GET", "no-cors", "image"),
        ("GET", "navigate", "iframe"),
        ("GET", "cors", "empty"),
    ):
        headers = {"sec_fetch_site": site, "sec_fetch_mode": mode, "sec_fetch_dest": dest}
        assert call(method, "/", **headers)[:2] == (False, 403), headers
    assert not call(None, "/api/logs/out", sec_fetch_site=site, sec_fetch_mode="websocket")[0]


def test_a_link_in_a_message_opens_a_page() -> None:
    headers = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert call("GET", "/runs/flow-run/1", **headers)[0]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/deployments/"),
        ("GET", "/api/admin/version"),
        ("GET", "/api/version"),
        ("GET", "/api"),
        ("GET", "/api/docs"),
        ("GET", "/api/openapi.json"),
        ("POST", "/api/health"),
        ("HEAD", "/api/flows/"),
        ("PUT", "/"),
        ("DELETE", "/assets/x.js"),
        ("OPTIONS", "/api/flows/"),
        ("PROPFIND", "/"),
        ("GET", "/api/variables/name/health"),
        ("GET", "/api/health/"),
    ],
)
@pytest.mark.parametrize(
    "shown",
    [
        "",
        "Basic",
        "Basic !!!",
        basic("paramedic:wrong"),
        basic("paramedic"),
        basic(LOGIN + "x"),
        f"Bearer {LOGIN}",
        LOGIN,
        basic("päramedic:ü"),
    ],
)
def test_without_the_login_nothing_but_pages_and_health_is_answered(method: str, path: str, shown: str) -> None:
    assert call(method, path, authorization=shown)[:2] == (False, 401)
    assert call(method, path, authorization=shown, **SAME)[:2] == (False, 401), "our own page without the login"


def test_with_the_login_the_api_is_answered_and_health_and_pages_without() -> None:
    assert call("POST", "/api/deployments/", **HERS)[0]
    assert call("POST", "/api/deployments/", **HERS, **SAME)[0]
    assert call("GET", "/api/health")[0]
    assert call("GET", "/api/ready")[0]
    assert call("GET", "/dashboard")[0]
    assert call(None, "/api/events/in")[0], "a socket shows it in its first message"


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect"])
def test_no_page_is_served_that_loads_scripts_from_elsewhere(path: str) -> None:
    assert call("GET", path)[:2] == (False, 404)


@pytest.mark.parametrize(
    "twice", [("host", "evil.example"), ("origin", "http://evil.example"), ("authorization", basic("a:b"))]
)
def test_a_header_that_stands_twice_is_refused(twice: tuple[str, str]) -> None:
    assert call("POST", "/api/flows/", **HERS, **SAME, more=[twice])[:2] == (False, 400)


def test_every_answer_keeps_other_sites_from_framing_and_reading_it() -> None:
    for answer in (call("GET", "/"), call("GET", LOGIN_PATH), call("POST", "/api/x"), call("GET", "/", host="evil")):
        assert answer[2]["x-frame-options"] == "DENY"
        assert answer[2]["cross-origin-resource-policy"] == "same-origin"
        assert answer[2]["referrer-policy"] == "no-referrer"


def test_the_login_page_holds_no_secret_loads_nothing_and_runs_its_own_script_alone() -> None:
    _, status, headers, body = call("GET", LOGIN_PATH)
    assert status == 200
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["cache-control"] == "no-store"
    assert LOGIN.partition(":")[2] not in body
    assert "src=" not in body
    assert call("POST", LOGIN_PATH)[1] == 405
