"""What dispatch registers with Prefect: the deployments of prefect.yaml, and one for each file of a team's own folder."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from paramedic.catalog.library import own_flows
from paramedic.settings import ROOT


def declared(root: Path = ROOT) -> list[dict[str, Any]]:
    """The deployments of prefect.yaml, as they stand there."""
    said: list[dict[str, Any]] = YAML(typ="safe").load((root / "prefect.yaml").read_text())["deployments"]
    return said


def own_deployments(flows: Path | None) -> list[dict[str, Any]]:
    """Those of a team's own folder: `restart_twice.py` is `flows.restart_twice.restart_twice`."""
    return [
        {
            "name": path.stem.replace("_", "-"),
            "entrypoint": f"flows.{path.stem}.{path.stem}",
            "tags": ["paramedic", "playbook"],
        }
        for path in own_flows(flows)
    ]


def entrypoints(flows: Path | None) -> frozenset[str]:
    """Every entrypoint that is registered, and so all that the `paramedic` worker runs."""
    return frozenset(one["entrypoint"] for one in [*declared(), *own_deployments(flows)])
