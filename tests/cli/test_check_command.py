"""`paramedic check`: what is measured, where it stands, and one look now."""

import json
import os
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_service import Service, service

from paramedic.catalog.library import read_folder
from paramedic.checks.check import Sample
from paramedic.cli import main
from paramedic.machine.clock import utc_now
from paramedic.store import Store, check_states, checks, heartbeats

__all__ = ["service"]

ROOT = Path(__file__).parents[2]

RUNBOOK = """\
---
runbook: tracking-api-slow
service: tracking-api
when:
  - check: health
    error_rate: {warning: 1%, critical: 3%, for: 0s}
    every: 20s
    timeout: 10s
  - check: heartbeat
    name: backup
    missing_for: {warning: 26h}
playbook: restart-service
with:
  target: {supervisord: tracking-api, host: "{instance}"}
  verify: {health: ok, stable: 1m, within: 5m}
---
**Meaning.** **Impact.**
## Impact
## Diagnosis
c
## Mitigation
d
"""


@pytest.fixture
def data(tmp_path: Path, sqlite_template: Path, service: Service, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith("PARAMEDIC_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data"
    (folder / "runbooks").mkdir(parents=True)
    shutil.copyfile(sqlite_template, folder / "paramedic.db")
    shutil.copyfile(ROOT / "runbooks" / "oncall.yaml", folder / "runbooks" / "oncall.yaml")
    target = {
        "host": "web-1",
        "health": service.url,
        "supervisord": {"program": "tracking-api", "address": "unix:///s"},
    }
    services = {"services": {"tracking-api": {"targets": [target]}}}
    (folder / "runbooks" / "services.yaml").write_text(json.dumps(services))
    (folder / "runbooks" / "tracking-api-slow.md").write_text(RUNBOOK)
    return folder


@pytest.fixture
def store(data: Path) -> Store:
    return Store(f"sqlite:///{data}/paramedic.db")


def run(capsys: pytest.CaptureFixture[str], data: Path, *argv: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["check", *argv, "--data", str(data)])
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out + captured.err


def rows(capsys: pytest.CaptureFixture[str], data: Path, *argv: str) -> tuple[int, list[dict[str, Any]]]:
    code, output = run(capsys, data, *argv, "--json")
    return code, json.loads(output)


def record(data: Path, store: Store, seen: Sample) -> None:
    placed = next(
        at_target for _, at_target in read_folder(data / "runbooks").placed() if at_target.check.name == "health"
    )
    with store.record() as tx:
        checks.record(tx, placed, seen, blind=False, mass_limit=9)


def test_the_list_has_every_check_of_the_runbooks_measured_or_not(
    data: Path, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = rows(capsys, data, "list")
    assert code == 0
    assert [(row["check"], row["state"], row["why"]) for row in found] == [
        ("tracking-api-slow/health", "unknown", "not measured yet"),
        ("tracking-api-slow/backup", "unknown", "not measured yet"),
    ]
    record(data, store, Sample(utc_now(), {"latency": 0.1, "error": 1}, "hostile\x1b[31m"))
    _, found = rows(capsys, data, "list")
    assert (found[0]["state"], found[0]["spoken"], found[0]["value"]) == ("critical", "100%", 100)
    assert found[0]["since"].endswith("Z")
    code, output = run(capsys, data, "list")
    assert "tracking-api-slow/health" in output
    assert "hostile\\x1b" in output


def test_a_runbook_with_a_playbook_of_ones_own_is_as_good_as_any(
    data: Path, store: Store, service: Service, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (data / "flows").mkdir()
    (data / "flows" / "our_restart.py").touch()
    book = data / "runbooks" / "tracking-api-slow.md"
    book.write_text(book.read_text().replace("restart-service", "our-restart"))
    monkeypatch.setenv("PARAMEDIC_FLOWS", str(data / "flows"))
    _, found = rows(capsys, data, "list")
    assert [row["check"] for row in found] == ["tracking-api-slow/health", "tracking-api-slow/backup"]
    code, found = rows(capsys, data, "run", "health")
    assert (code, found[0]["check"], found[0]["state"]) == (0, "tracking-api-slow/health", "ok")


def test_what_nobody_has_looked_at_for_long_is_unknown(
    data: Path, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    with store.read() as tx:
        old = Store(f"sqlite:///{data}/paramedic.db", now=lambda: tx.now - timedelta(hours=1))
    record(data, old, Sample(tx.now, {"latency": 0.1, "error": 0}, "well"))
    _, found = rows(capsys, data, "list")
    assert found[0]["state"] == "unknown"
    assert found[0]["why"].startswith("nobody has looked since")


def test_one_look_now_says_what_it_sees_and_records_nothing(
    data: Path, store: Store, service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rows(capsys, data, "run", "tracking-api-slow/health")[0] == 0
    service.status = 500
    code, found = rows(capsys, data, "run", "health")
    assert code == 1
    assert [(row["state"], row["spoken"], row["why"]) for row in found] == [("critical", "100%", "answered 500")]
    code, output = run(capsys, data, "run", "health")
    assert (code, "answered 500" in output) == (1, True)
    with store.read() as tx:
        assert check_states.listed(tx) == []


def test_a_heartbeat_is_looked_up(data: Path, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = rows(capsys, data, "run", "backup")
    assert (code, found[0]["state"]) == (1, "unknown")
    with store.write() as tx:
        heartbeats.beat(tx, "backup", sender="cron")
    code, found = rows(capsys, data, "run", "backup")
    assert (code, found[0]["state"]) == (0, "ok")


def test_a_check_that_does_not_exist_is_said_with_those_that_do(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, output = run(capsys, data, "run", "helth")
    assert code == 1
    assert "there are tracking-api-slow/backup, tracking-api-slow/health" in output
