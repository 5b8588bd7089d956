"""Doctor looks at a target's process as the runbook does that measures it."""

import os
import shutil
from pathlib import Path

import psutil
import pytest

from paramedic.cli import doctor_targets
from paramedic.doors import reading
from paramedic.kinds.process_target import process_identity
from paramedic.remediation.target import Identity
from paramedic.settings import ROOT, Settings

SERVICES = """\
services:
  tracking-api:
    targets:
      - {host: web-1, supervisord: {program: tracking-api, address: "unix:///nowhere/s.sock"}}
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    books = tmp_path / "runbooks"
    books.mkdir()
    shutil.copyfile(ROOT / "runbooks" / "oncall.yaml", books / "oncall.yaml")
    runbook = (ROOT / "runbooks" / "tracking-api-memory.md").read_text()
    (books / "tracking-api-memory.md").write_text(runbook.replace(", log-tail]", "]").replace("health: ok, ", ""))
    (books / "services.yaml").write_text(SERVICES)
    return Settings(data=tmp_path, runbooks=books)


def says(monkeypatch: pytest.MonkeyPatch, identity: Identity) -> None:
    class Reader:
        def identity(self) -> Identity:
            return identity

    monkeypatch.setattr(reading, "reader", lambda _: Reader())


def test_a_process_of_another_machine_is_named_where_a_runbook_measures_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = psutil.Process().create_time()
    says(monkeypatch, process_identity(os.getpid(), began, "RUNNING"))
    assert doctor_targets.targets(settings).well
    says(monkeypatch, process_identity(os.getpid(), began - 1000, "RUNNING"))
    found = doctor_targets.targets(settings)
    assert not found.well
    assert f"web-1/tracking-api: process {os.getpid()} of web-1/tracking-api is none of this machine" in found.words
    (settings.runbooks / "tracking-api-memory.md").unlink()
    assert doctor_targets.targets(settings).well, "no runbook measures it"


def test_a_stopped_program_has_no_process_to_measure(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    says(monkeypatch, process_identity(None, None, "STOPPED"))
    assert doctor_targets.targets(settings).well
