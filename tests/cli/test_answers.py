"""What the commands promise beyond their words: where they send, what they filter, and that data stays data."""

import json
import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
import typer
from typer.core import TyperCommand, TyperGroup

from paramedic import keys
from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.cli import app, main
from paramedic.gateway import identity
from paramedic.settings import ROOT, load_settings
from paramedic.stack import instance
from paramedic.stack.instance import Running
from paramedic.store import Store, inbox
from paramedic.store.quarantine import Unreadable

pytestmark = pytest.mark.usefixtures("_nothing_set")

HOSTILE = "Slow\x1b]0;mine\x07 [red]:bomb:[/red] \u202ereversed"


@pytest.fixture
def data(tmp_path: Path, sqlite_template: Path) -> Path:
    """A store with two alerts, one of them hostile and decided, and a body that could not be read."""
    folder = tmp_path / "data"
    folder.mkdir()
    shutil.copyfile(sqlite_template, folder / "paramedic.db")
    store = Store(f"sqlite:///{folder}/paramedic.db")
    now = datetime.now(UTC)
    alerts = [
        Alert("alertmanager", name, Severity.CRITICAL, Status.FIRING, now, name[:4], {}) for name in (HOSTILE, "Full")
    ]
    bad = [Unreadable(body=f'{{"alerts": "{HOSTILE}"}}', error="alerts: not a list")]
    inbox.receive(store, alerts, source="alertmanager", sender="am", bad=bad)
    with store.record() as tx:
        first = inbox.waiting(tx)[0]
        inbox.decided(tx, first, verdict="open", reason="a test", incident=7, look_again_at=None)
    store.close()
    return folder


def _run(*argv: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(argv))
    return int(ended.value.code or 0)


def _commands(group: TyperGroup, above: str = "") -> Iterator[tuple[str, TyperCommand]]:
    context = typer.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, TyperGroup):
            yield from _commands(command, f"{above}{name} ")
        else:
            assert isinstance(command, TyperCommand)
            yield f"{above}{name}", command


def test_every_command_answers_a_program_but_one_that_stays_and_three_that_are_json_already() -> None:
    silent = {name for name, command in _commands(app) if not any("--json" in param.opts for param in command.params)}
    assert silent == {"up", "runbook schema", "oncall schema", "services schema", "audit export"}


def test_alerts_are_filtered_and_paged(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def names(*argv: str) -> list[str]:
        assert _run("alert", "list", "--json", "--data", str(data), *argv) == 0
        return [row["alert"]["name"] for row in json.loads(capsys.readouterr().out)]

    assert names() == ["Full", HOSTILE]
    assert names("--state", "new") == ["Full"]
    assert names("--incident", "INC-7") == [HOSTILE]
    assert names("--limit", "1") == ["Full"]
    assert names("--limit", "1", "--before", "2") == [HOSTILE]
    assert _run("alert", "list", "--limit", "1", "--data", str(data)) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "more: --before 2"


def test_what_could_not_be_read_is_paged_though_it_came_at_one_moment(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(f"sqlite:///{data}/paramedic.db")
    bad = [Unreadable(body=str(number), error="not JSON") for number in range(3)]
    inbox.receive(store, [], source="alertmanager", sender="am", bad=bad)
    store.close()

    def read(*argv: str) -> list[dict[str, str]]:
        assert _run("alert", "refused", "--json", "--data", str(data), *argv) == 0
        found: list[dict[str, str]] = json.loads(capsys.readouterr().out)
        return found

    whole = read()
    assert len(whole) == 4
    assert HOSTILE in whole[-1]["body"], "the oldest comes last"
    assert [read("--limit", "1", "--before", row["id"]) for row in whole] == [*([row] for row in whole[1:]), []]
    assert _run("alert", "refused", "--limit", "2", "--data", str(data)) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"more: --before {whole[1]['id']}"
    assert _run("alert", "refused", "--before", "9", "--data", str(data)) == 1
    assert "no body 9 is kept" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["list", "refused"])
def test_what_comes_in_an_alert_is_neither_control_nor_markup(
    data: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert _run("alert", command, "--data", str(data)) == 0
    output = capsys.readouterr().out
    assert not {"\x1b", "\x07", "\u202e"} & set(output)
    assert "[red]:bomb:[/red]" in output


def test_what_an_error_repeats_is_data_too(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARAMEDIC_\x1b[2J", "1")
    assert _run("config") == 2
    output = capsys.readouterr().err
    assert "PARAMEDIC_\\x1b[2J: no such setting" in output
    assert "\x1b" not in output


class _Gateway(HTTPServer):
    heard: list[tuple[str, str, bytes]]
    key: bytes = b""
    says = b'{"receipts": ["\x1b[2J"]}'


class _Desk(BaseHTTPRequestHandler):
    server: _Gateway

    def do_GET(self) -> None:
        asked = dict(parse_qsl(urlsplit(self.path).query))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(identity.proof(self.server.key, asked["nonce"], asked["address"]).encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard.append((self.path, self.headers["Authorization"], body))
        self.send_response(202 if body == b"good" else 400)
        self.end_headers()
        self.wfile.write(self.server.says)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        pass


@pytest.fixture
def gateway() -> Iterator[_Gateway]:
    server = _Gateway(("127.0.0.1", 0), _Desk)
    server.heard = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def _up(data: Path, gateway: _Gateway) -> Iterator[None]:
    """As one that runs here, with the gateway."""
    gateway.key = keys.link_key(load_settings(data=data))
    with instance.lock(data) as held:
        instance.announce(held, Running(1, f"http://127.0.0.1:{gateway.server_port}", ""))
        yield


@pytest.mark.usefixtures("_up")
def test_an_alert_goes_where_up_listens_with_the_token_that_it_made(
    data: Path, gateway: _Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    token = keys.gateway_token(load_settings(data=data))
    for body, code in ((b"good", 0), (b"bad", 1)):
        (data / "body").write_bytes(body)
        assert _run("alert", "send", str(data / "body"), "--data", str(data)) == code
    assert gateway.heard == [
        ("/alerts/alertmanager", f"Bearer {token}", b"good"),
        ("/alerts/alertmanager", f"Bearer {token}", b"bad"),
    ]
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out
    assert "the gateway answers 400" in captured.err


@pytest.mark.parametrize("how", ["killed", "the port of the settings"])
def test_a_stranger_at_the_address_is_sent_no_token(
    data: Path, gateway: _Gateway, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """After a SIGKILL of `up` its lock file is left, and its port is anybody's; so is that of the settings."""
    (data / "body").write_bytes(b"good")
    monkeypatch.setenv("PARAMEDIC_PORT", "1")
    known = load_settings(data=data)
    keys.gateway_token(known)
    address = f"http://127.0.0.1:{gateway.server_port}"
    (data / "up.lock").write_text(json.dumps({"pid": 1, "gateway": address, "prefect": address}))
    keys.link_key(known)
    if how != "killed":
        monkeypatch.setenv("PARAMEDIC_PORT", str(gateway.server_port))
    assert _run("alert", "send", str(data / "body"), "--data", str(data)) == 1
    assert gateway.heard == []
    output = capsys.readouterr().err
    assert "nothing" in output or "does not answer" in output


@pytest.mark.usefixtures("_up")
@pytest.mark.parametrize(
    ("body", "says", "answer"),
    [
        (b"good", b'{"receipts": ["r"], "quarantined": 0}', {"status": 202, "receipts": ["r"], "quarantined": 0}),
        (b"bad", b'{"error": {"what": "cut off"}}', {"status": 400, "error": {"what": "cut off"}}),
        (b"bad", b"<html>\x1b[2J", {"status": 400, "answer": "<html>\x1b[2J"}),
        (b"bad", b"[]", {"status": 400, "answer": []}),
    ],
)
def test_what_the_gateway_answers_is_said_to_a_program_with_its_status(
    data: Path,
    gateway: _Gateway,
    capsys: pytest.CaptureFixture[str],
    body: bytes,
    says: bytes,
    answer: dict[str, object],
) -> None:
    gateway.says = says
    keys.gateway_token(load_settings(data=data))
    (data / "body").write_bytes(body)
    assert _run("alert", "send", str(data / "body"), "--json", "--data", str(data)) == (body == b"bad")
    captured = capsys.readouterr()
    assert json.loads(captured.out) == answer
    assert captured.err == ("the gateway answers 400\n" if body == b"bad" else "")
    assert "\x1b" not in captured.out


def test_the_public_key_is_the_same_to_a_program(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys.signing_key(load_settings(data=data))
    assert _run("audit", "key", "--data", str(data)) == 0
    pem = capsys.readouterr().out
    assert pem.startswith("-----BEGIN PUBLIC KEY-----\n")
    assert _run("audit", "key", "--json", "--data", str(data)) == 0
    assert json.loads(capsys.readouterr().out) == {"public_key": pem}


def test_without_a_token_or_a_gateway_it_says_what_is_missing(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (data / "body").write_bytes(b"good")
    send = ("alert", "send", str(data / "body"), "--data", str(data))
    assert _run(*send) == 1
    assert "PARAMEDIC_GATEWAY_TOKENS" in capsys.readouterr().err
    monkeypatch.setenv("PARAMEDIC_GATEWAY_USERS", '{"am": "a long password"}')
    monkeypatch.setenv("PARAMEDIC_PUBLIC_URL", "http://127.0.0.1:1")
    assert _run(*send) == 1
    assert "the gateway at http://127.0.0.1:1 does not answer" in capsys.readouterr().err


def test_config_says_where_each_value_comes_from(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("paramedic.toml").write_text('lease = "20s"\n')
    monkeypatch.setenv("PARAMEDIC_GATEWAY_TOKENS", '{"am": "a-token-nobody-may-see"}')
    assert _run("config", "--json", "--data", str(data)) == 0
    output = capsys.readouterr().out
    assert "nobody-may-see" not in output
    found = {row["setting"]: (row["value"], row["origin"]) for row in json.loads(output)}
    assert found["lease"] == ("20s", "paramedic.toml")
    assert found["gateway_tokens"] == ("am: [hidden]", "environment")
    assert found["data"] == (str(data), "given")
    assert found["port"] == ("8650", "default")
    assert found["smtp_url"] == ("", "default")


def test_bad_settings_are_wrong_use_and_all_of_them_are_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARAMEDIC_PORT", "many")
    monkeypatch.setenv("PARAMEDIC_LEESE", "10s")
    assert _run("config") == 2
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_a_data_folder_with_runbooks_of_its_own_is_read_with_them(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (data / "runbooks").mkdir()

    def runbooks() -> str:
        assert _run("config", "--json", "--data", str(data)) == 0
        found: str = next(row["value"] for row in json.loads(capsys.readouterr().out) if row["setting"] == "runbooks")
        return found

    assert runbooks() == str(data / "runbooks")
    monkeypatch.setenv("PARAMEDIC_RUNBOOKS", str(tmp_path / "others"))
    assert runbooks() == str(tmp_path / "others")


def test_lint_answers_a_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(ROOT / "runbooks", tmp_path / "books")
    assert _run("runbook", "lint", "--json", "--folder", str(tmp_path / "books")) == 0
    assert json.loads(capsys.readouterr().out) == []
    (tmp_path / "books" / "services.yaml").write_text("servces: {}\n")
    assert _run("runbook", "lint", "--json", "--folder", str(tmp_path / "books")) == 1
    problems = json.loads(capsys.readouterr().out)
    assert (Path(problems[0]["file"]).name, problems[0]["line"]) == ("services.yaml", 1)


def test_doctor_makes_no_store_where_there_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PARAMEDIC_HOST", "0.0.0.0")
    _run("doctor", "--json", "--data", str(tmp_path / "empty"))
    found = {row["what"]: row for row in json.loads(capsys.readouterr().out)}
    assert "`paramedic up` makes one" in found["store"]["words"]
    assert not (tmp_path / "empty" / "paramedic.db").exists()
    assert not found["links"]["well"]
    assert "PARAMEDIC_PUBLIC_URL" in found["links"]["words"]
