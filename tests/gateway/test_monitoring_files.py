"""The rules and the dashboard for Paramedic itself ask for metrics that exist, and the rules fire when they should."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ruamel.yaml import YAML

from paramedic.settings import ROOT

FOLDER = ROOT / "deployments" / "monitoring"
PAGE = ROOT / "docs" / "monitoring.md"
RULES = YAML(typ="safe", pure=True).load((FOLDER / "rules.yml").read_text())["groups"][0]["rules"]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FOLDER / "dashboard.json").read_text())["panels"]
    return found


def _metrics() -> dict[str, set[str]]:
    """Every metric of the page, which is held by its own test, with its labels."""
    rows = [line.split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| `paramedic_")]
    return {row[0].strip("| `"): set(re.findall(r"`(\w+)`", row[2])) for row in rows}


def queries() -> Iterator[str]:
    yield from (target["expr"] for panel in panels() for target in panel["targets"])
    yield from (rule["expr"] for rule in RULES)


@pytest.mark.parametrize("query", list(queries()))
def test_every_query_asks_for_metrics_and_labels_that_exist(query: str) -> None:
    known = _metrics()
    asked = {re.sub(r"_bucket$", "", name) for name in re.findall(r"\bparamedic_\w+", query)}
    assert asked <= set(known)
    by = {label for labels in re.findall(r"(?:by|without) \(([^)]*)\)", query) for label in labels.split(", ")}
    assert by - {"le"} <= {label for name in asked for label in known[name]}


def test_the_dashboard_shows_every_metric() -> None:
    asked = {name for panel in panels() for name in re.findall(r"\bparamedic_\w+", panel["targets"][0]["expr"])}
    assert {re.sub(r"_bucket$", "", name) for name in asked} == set(_metrics())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_rule_says_what_it_means_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning")
    for heading in ("Meaning:", "Impact:", "Diagnosis:", "Mitigation:"):
        assert heading in rule["annotations"]["description"]


@pytest.mark.parametrize("command", [("check", "rules", "rules.yml"), ("test", "rules", "rules_test.yml")])
def test_prometheus_takes_the_rules_and_they_fire_when_they_should(
    require: Callable[[str], str], command: tuple[str, ...]
) -> None:
    checked = subprocess.run(
        [require("promtool"), *command], cwd=FOLDER, check=False, capture_output=True, text=True, timeout=60
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_rule_is_seen_firing() -> None:
    seen = set(re.findall(r'alertname="(\w+)"', (FOLDER / "rules_test.yml").read_text()))
    assert seen == {rule["alert"] for rule in RULES}
