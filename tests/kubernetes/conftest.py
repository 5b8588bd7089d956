"""The stage of workloads that a GitOps controller owns: a cluster, a repository, and a target that names both."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gitops_shop
import kubernetes_api
import pytest
from gitops_shop import AUTHOR, Repo
from kubernetes_api import ApiServer

from paramedic.kubernetes import gitops
from paramedic.kubernetes.target import ScalableWords
from paramedic.remediation.target import Target


@pytest.fixture
def owned() -> Iterator[ApiServer]:
    """A Deployment that Argo CD owns, at its third revision, which is bad."""
    with gitops_shop.owned() as api:
        yield api


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return gitops_shop.shop(tmp_path)


@pytest.fixture
def listed(owned: ApiServer, repo: Repo, tmp_path: Path) -> Callable[..., Target]:
    """Makes the target, with more words for its repository."""
    host = kubernetes_api.cluster(kubernetes_api.kubeconfig(tmp_path, f"http://127.0.0.1:{owned.port}"))

    def made(**more: Any) -> Target:
        found = {"url": str(repo.bare), "path": "apps/shop", "author": AUTHOR, "within": "10s"} | more
        words = ScalableWords.model_validate(
            {"name": "api", "namespace": "shop", "owner": "gitops", "repository": found}
        )
        return kubernetes_api.target(host, words=words)

    return made


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is waited for."""
    monkeypatch.setattr(gitops, "_patience", lambda _: 0.2)
