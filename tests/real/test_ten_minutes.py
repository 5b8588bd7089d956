"""The ten minutes of the README, played: a folder and a service of one's own, a real Alertmanager, a verified heal."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mail_server import Postbox, text_of
from newcomer import HTTP, SHOP, answers, changed, say
from waiting import until
from whole_paramedic import Paramedic, running

from paramedic.demo.world import free_port
from paramedic.machine.parent_death import command, module

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


def test_an_own_service_is_healed_within_the_readmes_ten_minutes(
    tmp_path: Path, require: Callable[[str], str], postbox: Postbox
) -> None:
    program, shop, port = require("prometheus-alertmanager"), tmp_path / "shop", free_port()
    shop.mkdir()
    (shop / "shop.py").write_text(SHOP)
    (shop / "conf").write_text(SUPERVISORD.format(folder=shop, python=sys.executable, port=port))
    folder = tmp_path / "mine"
    say(tmp_path, "init", str(folder))
    written(folder, shop, port, postbox.url)
    assert "nothing wrong" in say(folder, "runbook", "lint")

    with started(*module("supervisor.supervisord", "-n", "-c", str(shop / "conf"))), running(folder, "up") as up:
        until("the shop", lambda: answers(f"http://127.0.0.1:{port}/health"))
        up.says("logs  ")
        _break_and_alert(program, tmp_path, folder, up, port)
        until("its verified end", lambda: ends_well(folder))
        assert answers(f"http://127.0.0.1:{port}/health")
        until("the mail", lambda: postbox.letters)
        shown = say(folder, "incident", "show", "1")
        assert "restarted localhost/shop: done, and it helped" in shown
        [mail] = postbox.letters
        assert "ShopDown, remediated (INC-1)" in mail["Subject"]
        assert "The shop answers 503" in text_of(mail) + shown
        assert "verified" in say(folder, "audit", "verify")


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
