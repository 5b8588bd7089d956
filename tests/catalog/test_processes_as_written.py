"""Targets that are processes as services.yaml and runbooks write them: what lint understands, and what it refuses."""

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


def linted(folder: Path, words: str) -> list[str]:
    """What is wrong with a runbook that reloads and restarts a target of these words."""
    kind, _, _ = words.partition(":")
    name = "web.service" if kind == "systemd" else "web"
    (folder / "services.yaml").write_text(SERVICES.replace("WORDS", words))
    (folder / "oncall.yaml").write_text(ONCALL)
    (folder / "shop-down.md").write_text(RUNBOOK.replace("KIND: web", f"{kind}: {name}"))
    return [str(problem) for problem in read_folder(folder).problems]


@pytest.mark.parametrize(
    "words",
    ["systemd: web.service", "supervisord: {program: web, address: 'unix:///s', reload: HUP}"],
)
def test_a_process_may_be_reloaded_before_it_is_restarted(tmp_path: Path, words: str) -> None:
    assert linted(tmp_path, words) == []


def test_a_reload_that_would_be_a_guess_is_refused_by_lint(tmp_path: Path) -> None:
    (problem,) = linted(tmp_path, "supervisord: {program: web, address: 'unix:///s'}")
    assert "with.remedies.0: services.yaml names no reload for web-1/web" in problem
    assert "supervisord: {…, reload: HUP}" in problem
