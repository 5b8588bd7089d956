"""Deployments that dispatch registers with Prefect: those of prefect.yaml, and one for each other file with a flow.

A playbook is one file: of the shipped `flows/`, or of a team's own folder. prefect.yaml lists those that need more than
their name: a description, a schedule, other tags.
"""

import functools
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from paramedic.machine.file_stamps import Stamp, stamp
from paramedic.settings import ROOT

_PLAYBOOK = "playbook"


def declared(root: Path = ROOT) -> list[dict[str, Any]]:
    """The deployments of prefect.yaml, unchanged: of the checkout's, or of the one in the installed package."""
    file = root / "prefect.yaml"
    if not file.exists():
        file = root / "paramedic" / "prefect.yaml"
    return _read(file, stamp(str(file)))


@functools.lru_cache(maxsize=4)
def _read(file: Path, _as_written: Stamp) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = YAML(typ="safe").load(file.read_text())["deployments"]
    return entries


def own_deployments(flows: Path | None, root: Path = ROOT) -> list[dict[str, Any]]:
    """The deployments of files that prefect.yaml does not list: `restart_twice.py` is `flows.restart_twice.restart_twice`."""
    listed = {deployment["entrypoint"] for deployment in declared(root)}
    shipped = _files(root / "flows")
    names = {path.name for path in shipped}
    made = [_deployment(path) for path in [*shipped, *(path for path in _files(flows) if path.name not in names)]]
    return [deployment for deployment in made if deployment["entrypoint"] not in listed]


def shadowed(flows: Path | None, root: Path = ROOT) -> list[Path]:
    """The files of a team's own folder with the name of a shipped flow, which runs instead of them."""
    shipped = {path.name for path in _files(root / "flows")}
    return [path for path in _files(flows) if path.name in shipped]


def _files(flows: Path | None) -> list[Path]:
    return sorted(flows.glob("[a-z]*.py")) if flows is not None else []


def _deployment(path: Path) -> dict[str, Any]:
    return {
        "name": path.stem.replace("_", "-"),
        "entrypoint": f"flows.{path.stem}.{path.stem}",
        "tags": ["paramedic", _PLAYBOOK],
    }


def playbooks(flows: Path | None, root: Path = ROOT) -> tuple[str, ...]:
    """The playbooks that a runbook may name: `restart_twice.py` holds `restart-twice`."""
    every = [*declared(root), *own_deployments(flows, root)]
    return tuple(deployment["name"] for deployment in every if _PLAYBOOK in deployment["tags"])


def entrypoints(flows: Path | None) -> frozenset[str]:
    """Every registered entrypoint: the only ones that the `paramedic` worker runs."""
    return frozenset(deployment["entrypoint"] for deployment in [*declared(), *own_deployments(flows)])
