"""The second host of docs/hosts.md, played: a unit of a systemd on another machine, reached by SSH, fails and is healed."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mail_server import Postbox
from newcomer import changed, say
from ssh_servers import Sshd
from ssh_servers import running as sshd_running
from systemd_container import PidOne
from waiting import until
from whole_paramedic import running

pytestmark = pytest.mark.real

ALERT = {
    "status": "firing",
    "labels": {"alertname": "MyServiceDown", "instance": "web-7", "severity": "critical"},
    "annotations": {"summary": "The service has ended"},
}


@pytest.fixture(scope="module")
def host(require: Callable[[str], str], pid_one: PidOne) -> Iterator[Sshd]:
    """The SSH server of the other machine, whose host key nobody has listed yet."""
    with sshd_running(require, inside=pid_one.via) as server:
        server.known_hosts.write_text("")
        yield server


@pytest.fixture
def unit(pid_one: PidOne) -> Iterator[str]:
    """A unit there, which runs."""
    pid_one.unit("my-service.service", "[Service]\nExecStart=sleep infinity\n")
    assert pid_one.run("systemctl", "start", "my-service.service").returncode == 0
    yield "my-service.service"
    pid_one.run("systemctl", "stop", "my-service.service")


def written(folder: Path, host: Sshd, mail: str) -> None:
    """The files that `init` made, changed for a unit on `web-7`."""
    reached = f"address: {host.address}, port: {host.port}, user: {host.user}, key: {host.folder}/key"
    hosts = f"hosts:\n  web-7:\n    ssh: {{{reached}, known_hosts: {host.known_hosts}}}\nservices:"
    changed(
        folder / "paramedic.toml",
        **{'# smtp_url = "smtp://user:password@mail.example.org:587"': f'smtp_url = "{mail}"'},
    )
    changed(
        folder / "runbooks" / "services.yaml",
        **{
            "services:": hosts,
            "host: localhost ": "host: web-7 ",
            "        health: http": "        # health: http",
        },
    )
    changed(
        folder / "runbooks" / "my-service-down.md",
        **{
            "host: localhost}": "host: web-7}",
            "health: ok, stable: 1m, within: 5m": "memory_below: 500MB, stable: 1s, within: 1m",
            "mode: observe": "mode: act",
        },
    )


def runs(pid_one: PidOne, unit: str) -> bool:
    return pid_one.run("systemctl", "is-active", "--quiet", unit).returncode == 0


def test_a_unit_on_a_second_host_is_healed_by_the_steps_of_the_page(
    tmp_path: Path, pid_one: PidOne, host: Sshd, unit: str, postbox: Postbox
) -> None:
    folder = tmp_path / "mine"
    say(tmp_path, "init", str(folder))
    written(folder, host, postbox.url)
    assert "nothing wrong" in say(folder, "runbook", "lint")

    [unknown] = json.loads(say(folder, "host", "test", "--json", well=False))
    assert unknown["well"] is False
    assert "ssh-keyscan" in unknown["words"]
    host.known_hosts.write_text(f"[{host.address}]:{host.port} {host.public}\n")
    assert "web-7" in say(folder, "host", "test")

    alert = tmp_path / "alert.json"
    alert.write_text(json.dumps(ALERT))
    with running(folder, "up") as up:
        up.says("logs  ")
        assert pid_one.run("systemctl", "kill", "--signal=KILL", unit).returncode == 0
        until("its failure", lambda: not runs(pid_one, unit))
        say(folder, "alert", "send", str(alert))
        until("its verified end", lambda: "remediated" in say(folder, "incident", "list"))
        assert runs(pid_one, unit)
        shown = say(folder, "incident", "show", "1")
        assert "restarted web-7/my-service.service: done, and it helped" in shown
        until("the mail", lambda: postbox.letters)
        assert "MyServiceDown, remediated (INC-1)" in postbox.letters[0]["Subject"]
        assert "verified" in say(folder, "audit", "verify")
