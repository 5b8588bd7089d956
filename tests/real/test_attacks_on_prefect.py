"""Attacks on the embedded Prefect of a running `up`: by another user of the machine, by web pages, by a name that leads here."""

import json
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from chromium import dom_of
from command_line import paramedic
from port_squatter import Squatter
from prefect_server import http, lay_out
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol
from whole_paramedic import Paramedic, all_gone, plant, running, until

pytestmark = [pytest.mark.real, pytest.mark.costly, pytest.mark.timeout(400)]

#: Without any right of ours.
AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]

SOCKETS = (
    "/events/in",
    "/events/out",
    "/logs/out",
    "/task_runs/subscriptions/scheduled",
    "/work_pools/paramedic/workers/connect",
)


@dataclass(frozen=True)
class Up:
    """A running `paramedic up`, by what its own Prefect answers."""

    paramedic: Paramedic

    @property
    def data(self) -> Path:
        return self.paramedic.folder / "data"

    @property
    def port(self) -> int:
        return int(self.paramedic.env["PREFECT_SERVER_API_PORT"])

    @property
    def ui(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        """What it printed for whoever wants to see the UI."""
        (found,) = re.findall(r"http\S+/paramedic/login#\S+", self.paramedic.output_text)
        return str(found)

    @property
    def login(self) -> str:
        return (self.data / "prefect-login").read_text()

    def ask(self, method: str, path: str, **content: Any) -> Any:
        user, _, password = self.login.partition(":")
        return self._http.request(method, path, auth=(user, password), **content).raise_for_status().json()

    @cached_property
    def _http(self) -> httpx.Client:
        return http(f"{self.ui}/api", timeout=30)

    def is_whole(self) -> bool:
        try:
            workers = self.ask("POST", "/work_pools/paramedic/workers/filter", json={})
            self.ask("GET", "/deployments/name/prune/prune")
        except httpx.HTTPError:
            return False
        return any(worker["status"] == "ONLINE" for worker in workers)

    def inventory(self) -> dict[str, list[str]]:
        """What an attacker would like to make or change, by name."""
        made = {
            kind: sorted(row.get("name") or row["key"] for row in self.ask("POST", f"/{kind}/filter", json={}))
            for kind in ("flows", "deployments", "variables", "automations", "block_documents", "work_pools")
        }
        runs = self.ask("POST", "/flow_runs/filter", json={})
        return made | {
            "runs without a deployment": [run["id"] for run in runs if run["deployment_id"] is None],
            "limits": [limit["tag"] for limit in self.ask("POST", "/concurrency_limits/filter", json={"limit": 50})],
            "pools": [
                json.dumps(pool["base_job_template"]) for pool in self.ask("POST", "/work_pools/filter", json={})
            ],
            "schedules": sorted(
                f"{deployment['name']} {deployment['paused']} {deployment['entrypoint']} {deployment['pull_steps']}"
                for deployment in self.ask("POST", "/deployments/filter", json={})
            ),
        }


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    with tempfile.TemporaryDirectory(prefix="pa-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # so that only what `up` itself closes is closed
        (folder / "data").mkdir(mode=0o755)
        plant(folder)
        with running(folder, "up", "--data", "data", **lay_out(folder / "data" / "prefect")) as paramedic:
            paramedic.says("logs  ")
            started = Up(paramedic)
            until(started.is_whole, "a worker")  # what registers itself meanwhile is not an attack
            yield started
        assert list(folder.glob("*.ran")) == [], "no process imports from where it is started"


@pytest.fixture
def nothing_changes(up: Up) -> Iterator[None]:
    before = up.inventory()
    yield
    assert up.inventory() == before


def curl_as_nobody(*argv: str, script: str | None = None) -> str:
    done = subprocess.run(
        [*AS_NOBODY, "curl", "--silent", *argv], input=script, capture_output=True, text=True, timeout=120, check=False
    )
    return done.stdout


@pytest.mark.usefixtures("nothing_changes")
def test_another_user_of_the_machine_is_refused_by_every_call_that_there_is(
    up: Up, require: Callable[[str], str]
) -> None:
    """All of them, from Prefect's own description: what it will have tomorrow as well."""
    for program in ("setpriv", "curl"):
        require(program)
    paths = up.ask("GET", "/openapi.json")["paths"]
    calls = [(method.upper(), path) for path, methods in paths.items() for method in methods]
    assert len([call for call in calls if call[0] != "GET"]) > 100
    some_id = "0a0a0a0a-0000-4000-8000-000000000000"
    lines = []
    for method, path in calls:
        url = f"{up.ui}/api{re.sub(r'{[^}]+}', some_id, path.removeprefix('/api'))}"
        lines += [f'url = "{url}"', f'request = "{method}"', 'data = "{}"', 'output = "/dev/null"']
        lines += [rf'write-out = "%{{http_code}} {method} {path}\n"', "next"]
    replies = curl_as_nobody("--config", "-", script="\n".join(lines[:-1])).split("\n")
    answers = [line.split(" ", 1) for line in replies if line]
    assert len(answers) == len(calls)
    open_ones = [call for status, call in answers if status != "401"]
    assert [
        call for call in open_ones if not call.endswith((" /api/health", " /api/ready", " /health", " /ready"))
    ] == []
    assert all(call.startswith("GET ") for call in open_ones)


def test_another_user_finds_the_login_nowhere(up: Up, require: Callable[[str], str]) -> None:
    require("setpriv")
    secret = up.login.partition(":")[2]
    assert len(secret) >= 40
    assert (up.data / "prefect-login").stat().st_mode & 0o777 == 0o600
    family = [psutil.Process(up.paramedic.process.pid), *up.paramedic.family()]
    assert len(family) >= 7
    for process in family:
        assert secret not in " ".join(process.cmdline())
        read = subprocess.run([*AS_NOBODY, "cat", f"/proc/{process.pid}/environ"], capture_output=True, check=False)
        assert read.returncode != 0
    read = subprocess.run([*AS_NOBODY, "cat", str(up.data / "prefect-login")], capture_output=True, check=False)
    assert (read.returncode, read.stdout) == (1, b"")
    for log in (up.data / "logs").iterdir():
        assert secret not in log.read_text(errors="replace"), log.name


@pytest.mark.parametrize("path", SOCKETS)
def test_a_socket_without_the_login_says_nothing_and_with_it_nothing_to_another_origin(up: Up, path: str) -> None:
    url = f"ws://127.0.0.1:{up.port}/api{path}"
    for token in (None, "", "wrong", "paramedic:"):
        with connect(url, subprotocols=[Subprotocol("prefect")], proxy=None) as socket:
            socket.send(json.dumps({"type": "auth", "token": token}))
            with pytest.raises(ConnectionClosed):
                socket.recv(timeout=10)
    with pytest.raises((ConnectionClosed, InvalidStatus)), connect(url, proxy=None) as socket:
        socket.recv(timeout=10)
    for origin, host in (("http://evil.example", None), (None, "evil.example"), ("null", None)):
        headers = {"Host": host} if host else {}
        with (
            pytest.raises(InvalidStatus) as refused,
            connect(
                url,
                subprotocols=[Subprotocol("prefect")],
                origin=Origin(origin) if origin else None,
                additional_headers=headers,
                proxy=None,
            ),
        ):
            pass
        assert refused.value.response.status_code in (400, 403)
    with connect(url, subprotocols=[Subprotocol("prefect")], proxy=None) as socket:  # the right login still works
        socket.send(json.dumps({"type": "auth", "token": up.login}))
        assert json.loads(socket.recv(timeout=10))["type"] == "auth_success"


EVIL = """<!doctype html><meta charset="utf-8"><body><pre id="said"></pre>
<img src="/until-all-is-said"><iframe id="frame" src="{ui}/dashboard"></iframe>
<form id="form" method="post" target="frame2" action="{ui}/api/flows/" enctype="text/plain">
<input name='{{"name": "by-form", "x": "' value='"}}'></form><iframe name="frame2"></iframe>
<script>
const said = {{}};
const body = name => JSON.stringify({{name: name, value: "x", type: "process"}});
async function tried(name, how) {{
  try {{ const answer = await how(); said[name] = answer.type + " " + answer.status + " " + (await answer.text()).slice(0, 80); }}
  catch (error) {{ said[name] = "refused"; }}
}}
async function all() {{
  for (const base of ["{ui}", "{ui}".replace("127.0.0.1", "localhost")]) {{
    for (const kind of ["flows", "variables", "work_pools", "deployments", "automations", "block_types", "flow_runs"]) {{
      const url = base + "/api/" + kind + "/";
      await tried("plain " + url, () => fetch(url, {{method: "POST", body: new Blob([body("evil-" + kind)])}}));
      await tried("opaque " + url, () => fetch(url, {{method: "POST", mode: "no-cors", body: body("evil2-" + kind)}}));
      await tried("login " + url, () => fetch(url, {{method: "POST", body: body("evil3-" + kind), headers: {{
        "Content-Type": "application/json", "Authorization": "Basic {token}"}}}}));
    }}
    await tried("read " + base, () => fetch(base + "/api/version"));
    await tried("settings " + base, () => fetch(base + "/ui-settings"));
    await tried("health " + base, () => fetch(base + "/api/health"));
  }}
  for (const path of ["/events/in", "/events/out", "/logs/out"]) {{
    await new Promise(done => {{
      const socket = new WebSocket("{ui}".replace("http", "ws") + "/api" + path, ["prefect"]);
      socket.onopen = () => {{ said["socket " + path] = "open"; done(); }};
      socket.onerror = socket.onclose = () => {{ said["socket " + path] = "refused"; done(); }};
    }});
  }}
  try {{ said.frame = (document.getElementById("frame").contentDocument?.body?.textContent || "closed"); }}
  catch (error) {{ said.frame = "closed"; }}
  document.getElementById("form").submit();
  document.getElementById("said").textContent = JSON.stringify(said);
  await fetch("/all-is-said", {{method: "POST"}});
}}
all();
</script>
"""


@pytest.fixture(scope="module")
def evil(up: Up) -> Iterator[int]:
    """A web server of somebody else; the port that it has. Its page even knows the login: the browser must not help it."""
    import base64

    page = EVIL.format(ui=up.ui, token=base64.b64encode(up.login.encode()).decode()).encode()

    all_is_said = threading.Event()

    class Page(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            all_is_said.set()
            self.send_response(204)
            self.end_headers()

        def do_GET(self) -> None:
            if self.path == "/until-all-is-said":  # the page is loaded once this is
                all_is_said.wait(60)
                all_is_said.clear()
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def shown_at_last(chromium: str, address: str, profile: Path, words: str) -> str:
    """The page once it shows the words: on a busy machine its time may be over before its scripts have their answers."""

    def shown() -> str:
        page = dom_of(chromium, address, profile)
        return page if re.search(words, page) else ""

    page: str = until(shown, f"{words} at {address}", 60)
    return page


@dataclass(frozen=True)
class Browser:
    """One in which somebody has clicked the address that `up` printed: its profile, and what they have seen."""

    profile: Path
    page: str


@pytest.fixture(scope="module")
def logged_in(up: Up, require: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Browser:
    profile = tmp_path_factory.mktemp("profile")
    return Browser(profile, shown_at_last(require("chromium"), up.address, profile, "Flow Runs"))


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("name", ["evil.example", "127.0.0.1", "localhost"])
def test_a_page_of_another_origin_makes_nothing_and_reads_nothing(
    evil: int, logged_in: Browser, require: Callable[[str], str], name: str
) -> None:
    page = dom_of(require("chromium"), f"http://{name}:{evil}/", logged_in.profile, budget_ms=None)
    found = re.search(r'<pre id="said">(\{.*?\})</pre>', page)
    assert found is not None, page
    answer = json.loads(found[1])
    assert len(answer) >= 50
    opaque = {what: how for what, how in answer.items() if what.startswith("opaque ")}
    assert {how for what, how in answer.items() if what not in opaque and what != "frame"} == {"refused"}, answer
    assert all(how in ("refused", "opaque 0 ") for how in opaque.values()), "nothing of an answer can be read"
    assert answer["frame"] == "closed"


@pytest.mark.parametrize("path", ["/", "/dashboard", "/api/version", "/paramedic/login", "/ui-settings"])
def test_a_name_that_leads_to_this_machine_shows_nothing(
    up: Up, tmp_path: Path, require: Callable[[str], str], path: str
) -> None:
    page = dom_of(require("chromium"), f"http://rebound.example:{up.port}{path}", tmp_path)
    assert "PARAMEDIC_PREFECT_UI_URL" in page
    assert "Prefect Server</title>" not in page


def test_the_address_that_up_prints_opens_the_ui_logged_in_and_nobody_types_a_password(
    up: Up, logged_in: Browser, require: Callable[[str], str]
) -> None:
    assert paramedic("ui", "--data", str(up.data)).strip() == up.address
    assert "<title>Dashboard" in logged_in.page
    later = "prune|health-check"  # a link in a message, in the same browser
    shown_at_last(require("chromium"), f"{up.ui}/runs", logged_in.profile, later)


def test_without_the_login_the_ui_asks_for_it_and_an_old_address_says_so(
    up: Up, tmp_path: Path, require: Callable[[str], str]
) -> None:
    chromium = require("chromium")
    page = shown_at_last(chromium, f"{up.ui}/runs", tmp_path, "Authentication failed|Login")
    assert "prune" not in page
    assert "health-check" not in page
    old = dom_of(chromium, f"{up.ui}/paramedic/login#cGFyYW1lZGljOm9sZA==", tmp_path)
    assert "out of date" in old
    assert "not whole" in dom_of(chromium, f"{up.ui}/paramedic/login", tmp_path)


def test_doctor_is_well_with_a_prefect_that_asks_for_its_login(up: Up) -> None:
    rows = json.loads(
        paramedic("doctor", "--json", "--data", str(up.data), code=1)
    )  # no target of the runbooks is here
    found = next(row for row in rows if row["what"] == "prefect")
    assert (found["well"], found["words"]) == (True, "answers, and a worker of the pool paramedic is online")


def test_children_that_are_killed_come_back_leave_nothing_and_no_other_user_gets_their_ports(up: Up) -> None:
    """Whoever listens there is shown a token or the login by the next who calls."""
    names = [f"paramedic.{name}" for name in ("gateway", "dispatch", "watchdog", "responder", "stack.serve_prefect")]
    victims = {name: child for name, child in up.paramedic.children().items() if name in names}
    assert sorted(victims) == sorted(names)
    below = [process for victim in victims.values() for process in victim.children(recursive=True)]
    with ExitStack() as until_they_listen:
        ports = {port for victim in victims.values() for port in _listens(victim)}
        assert len(ports) == 2
        squatters = [until_they_listen.enter_context(Squatter(port)) for port in ports]
        for victim in victims.values():
            victim.kill()
        until(lambda: up.paramedic.restarted(victims), "new ones")
        all_gone([*victims.values(), *below])
        until(
            lambda: ports == {port for child in up.paramedic.children().values() for port in _listens(child)},
            "who listens",
        )
    assert not any(squatter.got_it for squatter in squatters)
    until(up.is_whole, "a worker")


def _listens(process: psutil.Process) -> set[int]:
    try:
        return {line.laddr[1] for line in process.net_connections("tcp4") if line.status == psutil.CONN_LISTEN}
    except psutil.Error:  # it has just ended
        return set()


def test_when_up_is_asked_to_end_no_process_is_left(up: Up) -> None:
    until(
        lambda: len(up.paramedic.family()) >= 7, "server, gateway, dispatch, watchdog, responder and two warm processes"
    )
    assert up.paramedic.ends(signal.SIGTERM) == 0
