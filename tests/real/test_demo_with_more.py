"""The demo with a story over SSH and one on a container, where this machine has an sshd and a podman."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from whole_paramedic import PARAMEDIC

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(900)]


def test_it_heals_by_ssh_and_in_a_container_too_and_ends_well(require: Callable[[str], str], tmp_path: Path) -> None:
    for program in ("sshd", "ssh-keygen", "podman", "runc", "busybox"):
        require(program)
    argv = [PARAMEDIC, "demo", "--with", "ssh,containers", "--json", "told.json"]
    played = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=880)
    assert played.returncode == 0, played.stdout + played.stderr[-2000:]
    told = json.loads((tmp_path / "told.json").read_text())
    outcomes = {scenario["name"]: scenario["outcome"] for scenario in told["scenarios"]}
    assert (outcomes["over-ssh"], outcomes["container"]) == ("remediated", "remediated")
    assert list(outcomes)[-3:] == ["over-ssh", "container", "beyond-help"]
    assert told["trail"]["verified"]
