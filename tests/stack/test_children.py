"""What `up` does with its processes, shown on small ones: tests/real/ has the real ones."""

import base64
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from paramedic import keys
from paramedic.demo.world import free_port
from paramedic.errors import PermanentError
from paramedic.machine import parent_death
from paramedic.machine.backoff import Backoff
from paramedic.machine.ports import PortTaken
from paramedic.settings import BadSettings, load_settings
from paramedic.stack import children as children_module
from paramedic.stack import stack as up
from paramedic.stack import store_waits
from paramedic.stack.children import Child, Children
from paramedic.stack.instance import running
from paramedic.stack.stack import NotReady, Stack
from paramedic.store import StoreUnavailable
from paramedic.store.migrations import migrate
from paramedic.text.redaction import redact

#: Writes `start` when it runs, waits for ever. With SIGTERM it writes `end` and goes.
POLITE = """
import os, pathlib, signal, sys, time
name, folder = sys.argv[1], pathlib.Path(sys.argv[2])
def tell(what):
    with (folder / "story").open("a") as story:
        story.write(f"{name} {what} {os.getpid()}\\n")
signal.signal(signal.SIGTERM, lambda *_: (tell("end"), sys.exit(0)))
tell("start")
while True:
    time.sleep(60)
"""

STUBBORN = POLITE.replace('(tell("end"), sys.exit(0))', "None")

#: Starts a process of its own that knows of no lifeline, then waits.
PARENT = POLITE.replace(
    'tell("start")',
    "import subprocess\n"
    'child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])\n'
    'tell(f"start with {child.pid} as")',
)

#: Starts a polite one with a lifeline to it, as the responder does with its runs.
RESPONDER = f"POLITE = {POLITE!r}\n" + POLITE.replace(
    'tell("start")',
    "import subprocess\n"
    "from paramedic.machine import parent_death as lifeline\n"
    'subprocess.Popen(lifeline.command([sys.executable, "-c", POLITE, "run", str(folder)]))\n'
    'tell("start")',
)

SICK = 'import sys; open(sys.argv[2] + "/story", "a").write("died\\n")'

#: What `up` is, with one child.
OUTER = """
import os, pathlib, sys, time
from paramedic.stack.children import Child, Children
folder = pathlib.Path(sys.argv[1])
children = Children(folder)
children.start(Child("inner", [sys.executable, "-c", sys.argv[2], "inner", str(folder)], dict(os.environ)))
while True:
    children.tick()
    time.sleep(0.05)
"""


def _child(folder: Path, name: str, code: str, *, serves: bool = False) -> Child:
    return Child(name, [sys.executable, "-c", code, name, str(folder)], dict(os.environ), serves=serves)


def _story(folder: Path) -> list[list[str]]:
    path = folder / "story"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def _until(holds: Callable[[], object], tick: Callable[[], None] = lambda: None, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it never came"
        tick()
        time.sleep(0.02)


def _gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    made = Children(tmp_path)
    yield made
    made.stop()


def test_a_child_that_is_killed_is_started_again_and_that_is_logged(
    children: Children, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    children.start(_child(tmp_path, "one", POLITE))
    _until(lambda: len(_story(tmp_path)) == 1)
    first = children.pids()["one"]
    os.kill(first, signal.SIGKILL)
    with caplog.at_level(logging.WARNING):
        _until(lambda: len(_story(tmp_path)) == 2, children.tick)
    assert children.pids()["one"] not in (first, None)
    assert "one ended with -9; started again in" in caplog.text


def test_a_child_that_dies_at_once_is_started_ever_more_slowly(
    children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children_module, "_BACKOFF", Backoff((0.0, 0.1, 0.2)))
    children.start(_child(tmp_path, "sick", SICK))
    began = time.monotonic()
    _until(lambda: len(_story(tmp_path)) == 3, children.tick)
    assert time.monotonic() - began >= 0.1 + 0.2


def test_what_a_killed_child_leaves_behind_is_killed(children: Children, tmp_path: Path) -> None:
    children.start(_child(tmp_path, "one", PARENT))
    _until(lambda: _story(tmp_path))
    grandchild = int(_story(tmp_path)[0][3])
    os.kill(children.pids()["one"], signal.SIGKILL)
    _until(lambda: _gone(grandchild), children.tick)


def test_stop_asks_first_and_ends_last_what_the_others_work_with(children: Children, tmp_path: Path) -> None:
    children.start(_child(tmp_path, "server", POLITE, serves=True))
    children.start(_child(tmp_path, "client", POLITE))
    _until(lambda: len(_story(tmp_path)) == 2)
    children.stop()
    assert [line[:2] for line in _story(tmp_path)[2:]] == [["client", "end"], ["server", "end"]]


def test_stop_kills_what_does_not_listen_and_what_stands_still_within_ten_seconds(
    children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = children_module._STOP_SECONDS
    short = tuple(seconds / 10 for seconds in waits)
    monkeypatch.setattr(children_module, "_STOP_SECONDS", short)
    children.start(_child(tmp_path, "deaf", STUBBORN))
    children.start(_child(tmp_path, "still", PARENT))
    children.start(_child(tmp_path, "deaf-server", STUBBORN, serves=True))
    _until(lambda: len(_story(tmp_path)) == 3)
    pids = [int(word) for line in _story(tmp_path) for word in line if word.isdigit()]
    os.kill(children.pids()["still"], signal.SIGSTOP)
    began = time.monotonic()
    children.stop()
    assert time.monotonic() - began - sum(short) < 10 - sum(waits)
    assert len(pids) == 4
    assert all(map(_gone, pids))


def test_ctrl_c_on_the_terminal_reaches_no_child_directly(children: Children, tmp_path: Path) -> None:
    children.start(_child(tmp_path, "one", POLITE))
    assert os.getpgid(children.pids()["one"]) != os.getpgid(0)


def test_when_up_is_killed_its_children_and_theirs_end(tmp_path: Path) -> None:
    outer = subprocess.Popen([sys.executable, "-c", OUTER, str(tmp_path), RESPONDER])
    try:
        _until(lambda: len(_story(tmp_path)) == 2)  # the run itself has spoken: its lifeline is tied
        pids = [int(line[-1]) for line in _story(tmp_path)]
        assert not any(map(_gone, pids))
    finally:
        outer.kill()
        outer.wait()
    _until(lambda: all(map(_gone, pids)), seconds=10)


def test_a_log_that_grew_too_long_is_kept_once_and_begins_anew(
    children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children_module, "_LOG_BYTES", 1000)
    monkeypatch.setattr(children_module, "_LOOK_AT_LOGS_SECONDS", 0.0)
    chatty = (
        "import itertools, time\nfor n in itertools.count(): print(f'line {n:0100}', flush=True); time.sleep(0.005)"
    )
    children.start(_child(tmp_path, "chatty", chatty))
    log, before = tmp_path / "chatty.log", tmp_path / "chatty.log.1"
    _until(before.exists, children.tick)
    assert before.stat().st_size > 1000
    _until(lambda: log.read_bytes().count(b"\n") > 0)
    kept = before.read_bytes().splitlines()
    first = log.read_bytes().splitlines()[0]
    assert kept[0] < kept[-1] < first, "its writer goes on at the beginning, after what was kept"


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


@pytest.mark.usefixtures("_nothing_set")
def test_a_port_that_was_asked_for_and_is_taken_is_named(tmp_path: Path, taken: int) -> None:
    stack = Stack(load_settings(data=tmp_path / "data", port=taken))
    with pytest.raises(PortTaken, match=rf"port {taken} on 127.0.0.1 .*PARAMEDIC_PORT"):
        stack.start()
    stack.stop()
    assert stack.pids() == {}


@pytest.mark.usefixtures("_nothing_set")
@pytest.mark.parametrize("whose", ["gateway", "prefect"])
def test_a_default_port_that_is_taken_is_refused_and_nothing_is_started(
    tmp_path: Path, taken: int, whose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Senders would post to a stranger, and links in mails lead to one."""
    settings = load_settings(data=tmp_path / "data")
    monkeypatch.setattr(up, "_PREFECT_PORT", taken if whose == "prefect" else free_port())
    settings.port = taken if whose == "gateway" else free_port()  # as a default: nobody has set it
    settings.model_fields_set.discard("port")
    stack = Stack(settings)
    setting = "PARAMEDIC_PORT" if whose == "gateway" else "PREFECT_SERVER_API_PORT"
    with pytest.raises(PortTaken, match=rf"port {taken} on 127.0.0.1 .*process {os.getpid()}.*{setting}"):
        stack.start()
    assert stack.pids() == {}
    stack.stop()
    assert not (tmp_path / "data" / "paramedic.db").exists()
    assert running(tmp_path / "data") is None


@pytest.mark.usefixtures("_nothing_set", "small")
def test_a_second_up_on_one_folder_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    first, second = Stack(load_settings(data=tmp_path / "data")), Stack(load_settings(data=tmp_path / "data"))
    first.start()
    try:
        here = running(tmp_path / "data")
        assert here is not None
        assert (here.pid, here.gateway) == (os.getpid(), first.gateway_url)
        with pytest.raises(
            PermanentError, match=rf"another `paramedic up` \(process {os.getpid()}, gateway http.*--data"
        ):
            second.start()
        second.stop()
        assert running(tmp_path / "data") == here
        assert not first.settings.checkpoints().exists(), "the checkpoint is for the one that owns the folder"
    finally:
        first.stop()
    assert running(tmp_path / "data") is None
    third = Stack(load_settings(data=tmp_path / "data"))
    third.start()
    third.stop()


@pytest.mark.usefixtures("_nothing_set", "small")
def test_a_poll_that_is_no_time_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seconds in ("often", "0", "inf", "nan", ""):
        monkeypatch.setenv("PREFECT_WORKER_QUERY_SECONDS", seconds)
        stack = Stack(load_settings(data=tmp_path / "data"))
        with pytest.raises(BadSettings, match="PREFECT_WORKER_QUERY_SECONDS.*above 0"):
            stack.start()
        assert not stack.pids()
        stack.stop()


@pytest.mark.usefixtures("_nothing_set", "small")
def test_children_have_the_settings_and_nothing_of_another_prefect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_KEY", "of-a-cloud")
    monkeypatch.setenv("PREFECT_API_URL", "https://a-cloud.invalid/api")
    monkeypatch.setenv("PREFECT_WORKER_QUERY_SECONDS", "30")
    stack = Stack(load_settings(data=tmp_path / "data", prefect_api_auth="admin:a-login-for-all", lease="20s"))
    stack.start()
    try:
        shown = stack.settings.data / "logs" / "responder.env"
        _until(lambda: shown.exists() and shown.read_text().endswith("}"))
        env = json.loads(shown.read_text())
    finally:
        stack.stop()
    assert env["PREFECT_API_URL"] == env["PARAMEDIC_PREFECT_API_URL"] == stack.prefect_url
    assert env["PREFECT_API_AUTH_STRING"] == env["PREFECT_SERVER_API_AUTH_STRING"] == "admin:a-login-for-all"
    assert env["PREFECT_HOME"] == str(tmp_path / "data" / "prefect")
    assert json.loads(env["PARAMEDIC_GATEWAY_TOKENS"]) == {"local": keys.gateway_token(stack.settings)}
    assert env["PARAMEDIC_LEASE"] == "20.000000s"
    assert env["PREFECT_WORKER_QUERY_SECONDS"] == "30"
    assert env[parent_death.VARIABLE] == "1"
    assert "PREFECT_API_KEY" not in env


@pytest.mark.usefixtures("_nothing_set", "small")
def test_the_embedded_prefect_has_a_login_from_the_first_start_that_every_child_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for of_another in ("PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING"):
        monkeypatch.setenv(of_another, "admin:of-another-prefect")
    logins = []
    for _ in range(2):
        stack = Stack(load_settings(data=tmp_path / "data"))
        stack.start()
        try:
            kept = stack.settings.data / "prefect-login"
            logins.append(kept.read_text())
            assert kept.stat().st_mode & 0o777 == 0o600
            assert stack.prefect_api.auth == ("paramedic", logins[-1].partition(":")[2])
            for name in ("prefect", "gateway", "dispatch", "watchdog", "responder"):
                shown = stack.settings.data / "logs" / f"{name}.env"
                _until(lambda shown=shown: shown.exists() and shown.read_text().endswith("}"))
                env = json.loads(shown.read_text())
                for known in (
                    "PREFECT_API_AUTH_STRING",
                    "PREFECT_SERVER_API_AUTH_STRING",
                    "PARAMEDIC_PREFECT_API_AUTH",
                ):
                    assert env[known] == logins[-1], (name, known)
                shown.unlink()
        finally:
            stack.stop()
    assert logins[0] == logins[1], "kept, so that browsers stay logged in"
    assert len(logins[0]) > 40
    header = base64.b64encode(logins[0].encode()).decode()
    for leak in (logins[0], logins[0].partition(":")[2], header, header.rstrip("=")):
        assert leak not in redact(f"failed: {leak}, refused")


@pytest.mark.usefixtures("_nothing_set", "small")
def test_a_login_that_is_damaged_is_named_before_anything_starts(tmp_path: Path) -> None:
    for damaged in ("x" * 40, "", "paramedic:\n\0" + "y" * 40):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / "prefect-login").write_text(damaged)
        stack = Stack(load_settings(data=tmp_path / "data"))
        with pytest.raises(PermanentError, match="prefect-login: is no"):
            stack.start()
        assert not stack.pids()
        stack.stop()


@pytest.mark.usefixtures("_nothing_set", "small")
def test_the_address_that_logs_in_is_shown_where_only_who_started_us_reads_it(tmp_path: Path) -> None:
    stack = Stack(load_settings(data=tmp_path / "data"))
    stack.start()
    read, write = os.pipe()
    ours, theirs = socket.socketpair()
    with os.fdopen(read), os.fdopen(write, "w") as pipe, ours, theirs, ours.makefile("w") as service_log:
        private, public = (tmp_path / "private").open("w"), (tmp_path / "public").open("w")
        os.fchmod(private.fileno(), 0o600)
        os.fchmod(public.fileno(), 0o644)
        with private, public:
            try:
                for shown_on in (pipe, private):
                    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/paramedic/login#\S{40,}", stack.ui(shown_on))
                for shown_on in (service_log, public):
                    assert "#" not in stack.ui(shown_on)
                    assert f"`paramedic ui --data {tmp_path}/data`" in stack.ui(shown_on)
            finally:
                stack.stop()


@pytest.mark.usefixtures("_nothing_set")
def test_a_data_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    stack = Stack(load_settings(data=tmp_path / "file" / "data"))
    with pytest.raises(PermanentError, match="file/data"):
        stack.start()
    stack.stop()
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "link.key").write_text("cut")
    stack = Stack(load_settings(data=damaged))
    with pytest.raises(PermanentError, match=r"link\.key: is not a key"):
        stack.start()
    stack.stop()


@pytest.mark.usefixtures("_nothing_set", "small")
def test_the_prefect_server_listens_where_prefects_own_variable_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    monkeypatch.setenv("PREFECT_SERVER_API_PORT", "many")
    with pytest.raises(PermanentError, match="PREFECT_SERVER_API_PORT: 'many' is not a port"):
        Stack(load_settings(data=tmp_path / "a")).start()
    monkeypatch.setenv("PREFECT_SERVER_API_PORT", str(taken))
    with pytest.raises(PortTaken, match="Prefect server cannot have port .*PREFECT_SERVER_API_PORT"):
        Stack(load_settings(data=tmp_path / "b")).start()
    port = free_port()
    monkeypatch.setenv("PREFECT_SERVER_API_PORT", str(port))
    stack = Stack(load_settings(data=tmp_path / "c"))
    stack.start()
    stack.stop()
    assert stack.prefect_url == f"http://127.0.0.1:{port}/api"


@pytest.mark.usefixtures("_nothing_set", "small")
def test_without_a_store_the_watchdog_runs_and_everything_else_once_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody has to page: a database that is away at the start is not a reason to start nothing."""
    away = [StoreUnavailable("connection refused")]

    def moody(url: str, *, runtime_role: str | None = None) -> None:
        if away:
            raise away[0]
        migrate(url, runtime_role=runtime_role)

    monkeypatch.setattr(store_waits, "migrate", moody)
    monkeypatch.setattr(store_waits, "_AGAIN_SECONDS", 0.05)
    stack = Stack(load_settings(data=tmp_path / "data"))
    stack.start()
    try:
        assert stack.pids().keys() == {"prefect", "watchdog"}
        _until(lambda: stack.waits_for() == ("the store", "connection refused"), stack.tick)
        assert not stack.takes_alerts()
        away.clear()
        _until(lambda: len(stack.pids()) == 5, stack.tick)
        assert stack.pids().keys() == {"prefect", "watchdog", "gateway", "dispatch", "responder"}
        _until(lambda: "does not answer" in (stack.waits_for() or ("", ""))[1], stack.tick)
        with pytest.raises(NotReady, match=r"the gateway: not ready within 0 s: the gateway at .* does not answer"):
            stack.wait_ready(0)
    finally:
        stack.stop()
