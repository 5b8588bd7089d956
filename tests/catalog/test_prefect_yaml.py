"""prefect.yaml and flows/ tell of the same flows."""

from importlib import import_module
from pathlib import Path

import pytest
from prefect import Flow
from ruamel.yaml import YAML

from paramedic.stack import stack

ROOT = Path(__file__).parents[2]
DEPLOYMENTS = YAML(typ="safe").load((ROOT / "prefect.yaml").read_text())["deployments"]


def test_up_waits_for_the_deployment_that_is_registered_last() -> None:
    name = DEPLOYMENTS[-1]["name"]
    assert f"{name}/{name}" == stack._DEPLOYMENT


def test_every_deployment_has_its_flow() -> None:
    flows = {path.stem for path in (ROOT / "flows").glob("[a-z]*.py")}
    assert {deployment["entrypoint"] for deployment in DEPLOYMENTS} <= {f"flows.{flow}.{flow}" for flow in flows}


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment["name"])
def test_a_deployment_says_what_it_is_and_is_pulled_from_nowhere(deployment: dict) -> None:
    module, _, function = deployment["entrypoint"].rpartition(".")
    flow = getattr(import_module(module), function)
    assert isinstance(flow, Flow)
    assert flow.name == deployment["name"]
    assert deployment.get("description") or flow.description
    assert deployment["pull"] == []
    assert "paramedic" in deployment["tags"]
