"""What the benchmarks measure is a folder that lint calls well: a runbook that cannot be used is measured by waiting for ever."""

from importlib import import_module
from pathlib import Path

import pytest
from command_line import paramedic

from paramedic.demo.world import World


def test_the_measured_folder_is_called_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "benchmarks")
    measured = import_module("measured_stack")
    services = World(tmp_path / "world", [("api-0", "web-1", "")]).services_yaml("tracking-api") + measured.stamped(3)
    measured.write_folder(tmp_path, services, (measured.STAMP, measured.RESTART))
    for name in ("data", "runbooks", "flows"):
        monkeypatch.setenv(f"PARAMEDIC_{name.upper()}", str(tmp_path / name))
    paramedic("runbook", "lint")
    paramedic("playbook", "lint")
