"""Targets that are processes as services.yaml and runbooks write them: what lint understands, and what it refuses."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from paramedic.catalog.library import read_folder

SERVICES = """\
services:
  shop:
    targets:
      - {host: web-1, WORDS, health: "http://127.0.0.1:80/"}
"""
RUNBOOK = """\
---
runbook: shop-down
service: shop
when: [{alert: ShopDown}]
playbook: restore-service
with:
  target: {KIND: web, host: "{instance}"}
  remedies: [reload, restart]
  verify: {health: ok, stable: 2s, within: 20s}
---
## Meaning
x
## Impact
x
## Diagnosis
x
## Mitigation
x
"""
ONCALL = (Path(__file__).parents[2] / "runbooks" / "oncall.yaml").read_text()


def linted(
    folder: Path, words: str, remedies: str = "[reload, restart]", changed: Mapping[str, str] | None = None
) -> list[str]:
    """What is wrong with a runbook that has these remedies for a target of these words."""
    kind, _, _ = words.partition(":")
    name = "web.service" if kind == "systemd" else "web"
    (folder / "services.yaml").write_text(SERVICES.replace("WORDS", words))
    (folder / "oncall.yaml").write_text(ONCALL)
    runbook = RUNBOOK.replace("[reload, restart]", remedies)
    for was, becomes in (changed or {}).items():
        assert was in runbook
        runbook = runbook.replace(was, becomes)
    (folder / "shop-down.md").write_text(runbook.replace("KIND: web", f"{kind}: {name}").replace("KIND", kind))
    return [str(problem) for problem in read_folder(folder).problems]


@pytest.mark.parametrize(
    "words",
    [
        "systemd: web.service",
        "supervisord: {program: web, address: 'unix:///s', reload: HUP}",
        "process: {name: web, pid_file: /run/web/web.pid, command: [/usr/sbin/web], user: web, reload: HUP}",
    ],
)
def test_a_process_may_be_reloaded_before_it_is_restarted(tmp_path: Path, words: str) -> None:
    assert linted(tmp_path, words) == []


@pytest.mark.parametrize(
    ("words", "target"),
    [
        ("supervisord: {program: web, address: 'unix:///s'}", "web-1/web"),
        ("process: {name: web, pid_file: /run/web/web.pid, command: [/usr/sbin/web], user: web}", "web-1/process:web"),
    ],
)
def test_a_reload_that_would_be_a_guess_is_refused_by_lint(tmp_path: Path, words: str, target: str) -> None:
    (problem,) = linted(tmp_path, words)
    assert f"with.remedies.0: services.yaml names no reload for {target}" in problem
    assert f"{words.partition(':')[0]}: {{…, reload: HUP}}" in problem


def test_a_process_may_have_releases_and_commands_as_any_target_of_a_machine(tmp_path: Path) -> None:
    more = "releases: /srv/web, commands: {flush: {run: [flush], timeout: 5s}}"
    words = f"process: {{name: web, pid_file: /run/web/web.pid, command: [/usr/sbin/web], user: web}}, {more}"
    assert linted(tmp_path, words, "[rollback, {run: flush}, restart]") == []


def test_a_process_is_measured_by_check_process_and_memory_below(tmp_path: Path) -> None:
    words = "process: {name: web, pid_file: /run/web/web.pid, command: [/usr/sbin/web], user: web}"
    when = "when:\n  - alert: ShopDown\n  - {check: process, memory: {critical: 1GB}}\n"
    changed = {
        "when: [{alert: ShopDown}]\n": when,
        "{KIND: web,": '{KIND: "{process}",',
        "health: ok": "memory_below: 1GB",
    }
    assert linted(tmp_path, words, "[restart]", changed) == []
