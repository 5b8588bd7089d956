"""The ten minutes of the README, played: a folder and a service of one's own, a real Alertmanager, a verified heal."""

import gc
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mail_server import Postbox, text_of
from newcomer import HTTP, SHOP, answers, changed, say
from waiting import until
from whole_paramedic import Paramedic, running
from wrong_inputs import WITHOUT_JSON, WRONG, Wrong

from paramedic.cli import main
from paramedic.demo.world import free_port
from paramedic.machine.parent_death import command, module
from paramedic.store import Store, incidents, kill_switch, maintenance, oncall_overrides, trail

pytestmark = pytest.mark.real

SUPERVISORD = """
[unix_http_server]
file={folder}/s
[supervisord]
logfile={folder}/log
pidfile={folder}/pid
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[program:shop]
command={python} {folder}/shop.py {port}
startsecs=0
"""

ALERTMANAGER = """
route: {{receiver: paramedic, group_wait: 0s, group_interval: 1s}}
receivers:
  - name: paramedic
    webhook_configs:
      - url: http://127.0.0.1:{port}/alerts/alertmanager
        http_config: {{authorization: {{credentials_file: {token}}}}}
"""


@contextmanager
def started(*argv: str) -> Iterator[None]:
    process = subprocess.Popen(command(list(argv)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def written(folder: Path, shop: Path, port: int, mail: str) -> None:
    """The files that `init` made, changed where they say so."""
    runbooks = folder / "runbooks"
    changed(
        folder / "paramedic.toml",
        **{'# smtp_url = "smtp://user:password@mail.example.org:587"': f'smtp_url = "{mail}"'},
    )
    changed(runbooks / "oncall.yaml", **{"me@example.org": "ada@example.org"})
    supervisord = f"supervisord: {{program: shop, address: 'unix://{shop}/s'}}"
    changed(
        runbooks / "services.yaml",
        **{
            "systemd: my-service.service ": f"{supervisord} ",
            "http://127.0.0.1:8080/health": f"http://127.0.0.1:{port}/health",
            "my-service:": "shop:",
        },
    )
    book = runbooks / "my-service-down.md"
    changed(
        book,
        **{
            "systemd: my-service.service": "supervisord: shop",
            "evidence: [journal]": "evidence: [process-tree]",
            "stable: 1m, within: 5m": "stable: 1s, within: 1m",
            "mode: observe": "mode: act",
            "my-service": "shop",
            "MyServiceDown": "ShopDown",
            "Change: ": "",
            "My service": "The shop",
        },
    )
    book.rename(runbooks / "shop-down.md")


def ends_well(folder: Path) -> bool:
    return "remediated" in say(folder, "incident", "list")


@dataclass(frozen=True)
class Healed:
    """The folder of a Paramedic that still runs, what it has mailed, and the address of the service that it has healed."""

    folder: Path
    postbox: Postbox
    shop: str

    @property
    def left(self) -> dict[str, Any]:
        """What people have done, and the files that are theirs; what the running processes write is none of it."""
        with self.store() as store, store.read() as tx:
            return {
                "said": [(entry.actor, entry.what) for entry in trail.entries(tx) if entry.actor.startswith("person:")],
                "incidents": [(found.id, found.state, found.attempt) for found in incidents.listed(tx)],
                "pauses": kill_switch.standing(tx),
                "windows": maintenance.listed(tx, past=True),
                "overrides": oncall_overrides.current(tx),
                "files": {
                    str(file.relative_to(self.folder)): file.read_bytes()
                    for file in self.folder.rglob("*")
                    if file.is_file() and not file.is_relative_to(self.folder / "data")
                },
                "mail": len(self.postbox.letters),
            }

    @contextmanager
    def store(self) -> Iterator[Store]:
        store = Store(f"sqlite:///{self.folder}/data/paramedic.db")
        try:
            yield store
        finally:
            store.close()


@pytest.fixture(scope="module")
def healed(tmp_path_factory: pytest.TempPathFactory, require: Callable[[str], str]) -> Iterator[Healed]:
    """The ten minutes up to the service's verified end."""
    program, tmp_path, port = require("prometheus-alertmanager"), tmp_path_factory.mktemp("ten"), free_port()
    shop, folder = tmp_path / "shop", tmp_path / "mine"
    shop.mkdir()
    (shop / "shop.py").write_text(SHOP)
    (shop / "conf").write_text(SUPERVISORD.format(folder=shop, python=sys.executable, port=port))
    say(tmp_path, "init", str(folder))
    with Postbox() as postbox:
        written(folder, shop, port, postbox.url)
        assert "nothing wrong" in say(folder, "runbook", "lint")
        with started(*module("supervisor.supervisord", "-n", "-c", str(shop / "conf"))), running(folder, "up") as up:
            until("the shop", lambda: answers(f"http://127.0.0.1:{port}/health"))
            up.says("logs  ")
            _break_and_alert(program, tmp_path, folder, up, port)
            until("its verified end", lambda: ends_well(folder))
            yield Healed(folder, postbox, f"http://127.0.0.1:{port}")


def test_an_own_service_is_healed_within_the_readmes_ten_minutes(healed: Healed) -> None:
    assert answers(f"{healed.shop}/health")
    until("the mail", lambda: healed.postbox.letters)
    shown = say(healed.folder, "incident", "show", "1")
    assert "restarted localhost/shop: done, and it helped" in shown
    [mail] = healed.postbox.letters
    assert "ShopDown, remediated (INC-1)" in mail["Subject"]
    assert "The shop answers 503" in text_of(mail) + shown
    assert "verified" in say(healed.folder, "audit", "verify")


@pytest.mark.usefixtures("_nothing_set", "_stores_closed")
def test_what_is_typed_wrong_at_it_is_refused_in_one_error_and_changes_nothing(
    healed: Healed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    until("the mail", lambda: healed.postbox.letters)
    (healed.folder / "body.json").write_text("{}")
    with healed.store() as store, store.record() as tx:
        kill_switch.pause(tx, by="ada", reason="it is being moved", scope="service:gone-api")
    monkeypatch.chdir(healed.folder)
    monkeypatch.setenv("COLUMNS", "400")
    before, amiss = healed.left, []
    for wrong in WRONG:
        monkeypatch.delenv("USER", raising=False) if wrong.anonymous else monkeypatch.setenv("USER", "ada")
        for argv in (wrong.argv, [*wrong.argv, "--json"]):
            if argv[-1] == "--json" and wrong.line.startswith(WITHOUT_JSON):
                continue
            with pytest.raises(SystemExit) as ended:  # and nothing else: no traceback
                main(argv)
            printed = capsys.readouterr()
            if faults := _faults(wrong, ended.value.code, printed.out, printed.err):
                amiss.append((" ".join(argv), *faults, printed))
        if (after := healed.left) != before:
            amiss.append((wrong.line, "changed", {name for name in before if before[name] != after[name]}))
            before = after
    assert amiss == []


def _faults(wrong: Wrong, code: object, out: str, err: str) -> list[str]:
    """What is amiss with the answer."""
    hints = ("Usage: ", "Try '")
    lines = [line for line in err.splitlines() if line.strip() and not line.startswith(hints)]
    missing = [f"{words!r} is not said" for words in wrong.words if words not in err]
    faults = {
        f"exit code {code}, not {wrong.code}": code != wrong.code,
        "something is on standard output": out != "",
        f"{len(lines)} lines, not one error": len(lines) != 1,
        "a traceback": "Traceback" in err,
    }
    return missing + [fault for fault, is_so in faults.items() if is_so]


@pytest.fixture
def _stores_closed() -> Iterator[None]:
    """Each command is a process of its own, whose end closes its store: here they are many in one."""
    yield
    gc.unfreeze()
    gc.collect()


def _break_and_alert(program: str, tmp_path: Path, folder: Path, up: Paramedic, port: int) -> None:
    """The shop breaks, and Prometheus says so to an Alertmanager, which is as README's step 3 has it."""
    web = free_port()
    config = tmp_path / "alertmanager.yml"
    token = folder / "data" / "gateway-token"
    config.write_text(ALERTMANAGER.format(port=up.env["PARAMEDIC_PORT"], token=token))
    with started(
        program,
        f"--config.file={config}",
        f"--storage.path={tmp_path}/am",
        f"--web.listen-address=127.0.0.1:{web}",
        "--cluster.listen-address=",
    ):
        until("the Alertmanager", lambda: answers(f"http://127.0.0.1:{web}/-/ready"))
        HTTP.get(f"http://127.0.0.1:{port}/break", timeout=5)
        alert = {
            "labels": {"alertname": "ShopDown", "instance": "localhost", "severity": "critical"},
            "annotations": {"summary": "The shop answers 503"},
        }
        HTTP.post(f"http://127.0.0.1:{web}/api/v2/alerts", json=[alert], timeout=5).raise_for_status()
        until("the incident", lambda: "INC-1" in say(folder, "incident", "list"))
