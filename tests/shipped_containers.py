"""The files for containers and clusters, read: the Containerfile, compose's services, the manifests."""

from collections.abc import Iterator
from typing import Any, cast

from ruamel.yaml import YAML

from paramedic.settings import ROOT

FOLDER = ROOT / "deployments"
COMPOSE = FOLDER / "compose"
BASE = FOLDER / "kubernetes" / "base"
IMAGE = (FOLDER / "container" / "Containerfile").read_text()

Parsed = dict[str, Any]


def composed() -> Parsed:
    return cast("Parsed", YAML(typ="safe", pure=True).load((COMPOSE / "compose.yaml").read_text()))


def manifests() -> list[Parsed]:
    """What `kubectl apply -k` would send, read from the files that the kustomization names."""
    yaml = YAML(typ="safe", pure=True)
    files = yaml.load((BASE / "kustomization.yaml").read_text())["resources"]
    assert sorted([*files, "kustomization.yaml"]) == sorted(path.name for path in BASE.iterdir())
    return [found for file in files for found in yaml.load_all((BASE / file).read_text())]


def pods() -> Iterator[tuple[str, Parsed]]:
    for manifest in manifests():
        if manifest["kind"] in ("Deployment", "StatefulSet", "Job"):
            yield manifest["metadata"]["name"], manifest["spec"]["template"]["spec"]


def only(words: list[str]) -> set[str]:
    return set(words[words.index("--only") + 1].split(",")) if "--only" in words else set()
