"""`paramedic host` and doctor's line: is each host reached, by which key, and what may be done there?"""

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from ssh_servers import Sshd

from paramedic.cli import main

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]


@pytest.fixture
def data(sshd: Sshd, tmp_path: Path) -> Path:
    """A folder whose services.yaml lists this machine, a host that is there, and one that is not."""
    books = tmp_path / "data" / "runbooks"
    books.mkdir(parents=True)
    (books / "oncall.yaml").write_text((ROOT / "runbooks" / "oncall.yaml").read_text())
    ssh = {"address": "127.0.0.1", "user": sshd.user, "port": sshd.port, "key": str(sshd.folder / "key")}
    ssh["known_hosts"] = str(sshd.known_hosts)
    hosts = {
        "web-1": {"local": True},
        "web-7": {"also": ["web-7:9100"], "ssh": ssh},
        "web-8": {"ssh": ssh | {"address": "127.0.0.9", "jump": "web-7", "port": 1}},
    }
    targets = [{"host": "web-7", "systemd": "app.service"}]
    (books / "services.yaml").write_text(json.dumps({"hosts": hosts, "services": {"app": {"targets": targets}}}))
    return tmp_path / "data"


def says(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main([*words])
    return int(ended.value.code or 0), capsys.readouterr().out


def test_the_list_says_how_each_is_reached_and_asks_nobody(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = says(capsys, "host", "list", "--json", "--data", str(data))
    assert code == 0
    rows = {row["host"]: row for row in json.loads(out)}
    assert rows["web-1"]["reached"] == "this machine"
    assert rows["web-7"]["also"] == ["web-7:9100"]
    assert rows["web-7"]["targets"] == ["web-7/app.service"]
    assert rows["web-8"]["way"] == ["web-7", "web-8"]
    code, out = says(capsys, "host", "list", "--data", str(data))
    assert "web-7" in out


def test_a_test_says_by_which_key_and_how_far_its_clock_is(
    sshd: Sshd, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = says(capsys, "host", "test", "web-7", "web-1", "--json", "--data", str(data))
    seven, one = json.loads(out)
    assert (code, one["well"]) == (0, True)
    is_root = os.geteuid() == 0
    whoever = f"{sshd.user}{'' if is_root else ', who is not root'}"
    assert one["words"].startswith(f"this machine, {socket.gethostname()}, as {whoever}; there are ")
    is_booted = Path("/run/systemd/system").is_dir()  # sd_booted(3)
    there = [name for name, has in (("root", is_root), ("systemd", is_booted)) if has]
    assert one["has"] == sorted(["python3", *there])
    assert seven["well"], seven["words"]
    assert seven["key"].startswith("the key SHA256:")
    assert abs(seven["clock_apart_seconds"]) < 5
    assert seven["lacks"] == []
    assert seven["user"] == sshd.user
    assert "restart web-7/app.service" in [*seven["may"], *seven["may_not"]]
    assert "may" not in one, "no target is there"
    _, out = says(capsys, "host", "test", "web-7", "--data", str(data))
    assert "restart web-7/app.service" in " ".join(out.split())


def test_a_host_that_is_not_reached_is_named_with_the_reason(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = says(capsys, "host", "test", "--json", "--data", str(data))
    found: dict[str, Any] = {row["host"]: row for row in json.loads(out)}
    assert code == 1
    assert [found[name]["well"] for name in ("web-1", "web-7", "web-8")] == [True, True, False]
    assert "cannot be reached" in found["web-8"]["words"]
    code, _ = says(capsys, "host", "test", "web-9", "--data", str(data))
    assert code == 2


def test_doctor_has_a_line_about_hosts(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out = says(capsys, "doctor", "--json", "--data", str(data))
    found = {row["what"]: row for row in json.loads(out)}["hosts"]
    assert not found["well"]
    assert "web-8: web-8, by SSH as" in found["words"]
