"""What `up` starts, with which settings and logins, and what it refuses to start with."""

import base64
import json
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import until

from paramedic import keys
from paramedic.demo.world import free_port
from paramedic.errors import PermanentError
from paramedic.machine import parent_death
from paramedic.machine.ports import PortTaken
from paramedic.settings import BadSettings, load_settings
from paramedic.stack import reserved_ports, store_waits
from paramedic.stack.instance import running
from paramedic.stack.stack import NotReady, Stack
from paramedic.store import StoreUnavailable
from paramedic.store.migrations import migrate
from paramedic.text.redaction import redact


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
    monkeypatch.setattr(reserved_ports, "_PREFECT_PORT", taken if whose == "prefect" else free_port())
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
        until("it comes", lambda: shown.exists() and shown.read_text().endswith("}"))
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
                until("it comes", lambda shown=shown: shown.exists() and shown.read_text().endswith("}"))
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
def test_the_address_that_logs_in_is_shown_where_only_who_started_us_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
                for parent in (0, 1):  # as the first process of a container has it, or one under its `--init`
                    monkeypatch.setattr(os, "getppid", lambda parent=parent: parent)
                    assert "#" not in stack.ui(pipe), "the engine keeps what comes by it as the container's log"
                    assert "#" in stack.ui(private)
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
    with pytest.raises(PermanentError, match="PREFECT_SERVER_API_PORT, in the environment: 'many' is not a port"):
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
        until("it comes", lambda: stack.waits_for() == ("the store", "connection refused"), tick=stack.tick)
        assert not stack.takes_alerts()
        away.clear()
        until("it comes", lambda: len(stack.pids()) == 5, tick=stack.tick)
        assert stack.pids().keys() == {"prefect", "watchdog", "gateway", "dispatch", "responder"}
        until("it comes", lambda: "does not answer" in (stack.waits_for() or ("", ""))[1], tick=stack.tick)
        with pytest.raises(NotReady, match=r"the gateway: not ready within 0 s: the gateway at .* does not answer"):
            stack.wait_ready(0)
    finally:
        stack.stop()
