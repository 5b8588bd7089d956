"""A bare git repository with what a shop is deployed from, the people who commit to it, and a controller that deploys it."""

import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import kubernetes_api
from kubernetes_api import ApiServer
from kubernetes_objects import TEMPLATE, path_of, replica_set, workload

from paramedic.doors import changing
from paramedic.kubernetes import gitops
from paramedic.remediation.target import Target

AUTHOR = "Paramedic <paramedic@shop.example>"
INCIDENT = "6b2a1f6e-0c1d-4f5e-9b0a-3d2c1b0a9f8e/INC-42"
ACT = "act-6b2a1f6e-0c1d-4f5e-9b0a-3d2c1b0a9f8e-7-1700000000000000"

_PEOPLE = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ann",
    "GIT_AUTHOR_EMAIL": "ann@shop.example",
    "GIT_COMMITTER_NAME": "Ann",
    "GIT_COMMITTER_EMAIL": "ann@shop.example",
    "PATH": "/usr/bin:/bin",
}


@dataclass
class Repo:
    """The repository, on disk, and a work tree of somebody's beside it."""

    bare: Path
    work: Path
    day: int = field(default=0)

    def git(self, *words: str, at: Path | None = None, when: datetime | None = None) -> str:
        """As a person at the work tree, or `at` another place. `when`: the moment that a commit bears."""
        dates = {} if when is None else dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), when.isoformat())
        done = subprocess.run(
            ["git", *words], cwd=at or self.work, env=_PEOPLE | dates, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, files: Mapping[str, str | None], message: str, when: datetime | None = None) -> str:
        """Commit on the branch that the work tree has, and push it there; None removes a file."""
        for name, text in files.items():
            file = self.work / name
            if text is None:
                file.unlink()
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
        self.day += 1
        self.git("add", "--all")
        self.git("commit", "--allow-empty", "-m", message, when=when or datetime(2026, 1, self.day, 8, tzinfo=UTC))
        self.git("push", "origin", "HEAD")
        return self.git("rev-parse", "HEAD")

    def at(self, name: str, what: str = "main") -> str:
        """The text of a file in the repository."""
        return self.git("show", f"{what}:{name}", at=self.bare)

    def branches(self) -> dict[str, str]:
        """Every branch of the repository, and its last commit."""
        lines = self.git("for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads", at=self.bare)
        return {name: at for name, _, at in (line.partition(" ") for line in lines.splitlines())}

    def others(self) -> list[str]:
        """The branches beside main."""
        return [name for name in self.branches() if name != "main"]

    def hook(self, name: str, script: str) -> None:
        """A hook of the server."""
        file = self.bare / "hooks" / name
        file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        file.chmod(0o755)


def repository(folder: Path) -> Repo:
    """A repository with nothing in it."""
    repo = Repo(folder / "deploy.git", folder / "work")
    repo.bare.mkdir()
    repo.work.mkdir()
    repo.git("init", "--quiet", "--bare", "--initial-branch=main", at=repo.bare)
    repo.git("init", "--quiet", "--initial-branch=main")
    repo.git("remote", "add", "origin", str(repo.bare))
    return repo


def shop(folder: Path) -> Repo:
    """One with an image that was good, a bad one that came on the 3rd of January, and another service beside it."""
    repo = repository(folder)
    repo.commit({"apps/shop/image": "shop/api:1", "apps/other/image": "other:1", "README": "how to"}, "Begin")
    repo.commit({"apps/other/image": "other:2"}, "Other 2")
    repo.commit({"apps/shop/image": "shop/api:bad"}, "Deploy bad [skip ci]")
    return repo


@dataclass
class Controller:
    """Brings the shop's Deployment to what main says, as Argo CD and Flux do; `merges`: a person merges each new branch."""

    api: ApiServer
    repo: Repo
    merges: bool = False
    squashes: bool = False  # merges as one new commit
    deploys: bool = True

    def look(self) -> None:
        """One round."""
        for branch in self.repo.others() if self.merges else []:
            self.repo.git("fetch", "--quiet", "origin")
            if self.squashes:  # the commit bears the message of the one that it is made of, as GitHub's has it
                self.repo.git("merge", "--squash", f"origin/{branch}")
                self.repo.git("commit", "--quiet", "-m", self.repo.git("log", "-1", "--format=%B", f"origin/{branch}"))
            else:
                self.repo.git("merge", "--no-ff", "-m", f"Merge {branch}", f"origin/{branch}")
            self.repo.git("push", "--quiet", "origin", "HEAD", f":{branch}")
        if self.deploys:
            self.deploy(self.repo.at("apps/shop/image"))

    def deploy(self, image: str) -> None:
        """Give the Deployment this image, with every pod up."""
        path = path_of()
        found = deepcopy(self.api.objects[path])
        if (container := found["spec"]["template"]["spec"]["containers"][0])["image"] == image:
            return
        container["image"] = image
        found["spec"]["template"]["metadata"].pop("annotations", None)
        found["metadata"]["generation"] = found["metadata"].get("generation", 1) + 1
        self.api.put(path, found)
        self.api.roll_out(path)


@contextmanager
def at_work(controller: Controller) -> Iterator[Controller]:
    """The controller looks again and again until the block ends."""
    over, failed = threading.Event(), []

    def rounds() -> None:
        while not over.wait(0.02):
            try:
                controller.look()
            except (subprocess.CalledProcessError, KeyError) as error:
                failed.append(error)
                return

    thread = threading.Thread(target=rounds, daemon=True)
    thread.start()
    try:
        yield controller
    finally:
        over.set()
        thread.join(10)
    assert failed == []


@contextmanager
def owned() -> Iterator[ApiServer]:
    """A Deployment that Argo CD owns, at its third revision, which is bad."""
    path, sets = path_of(), "/apis/apps/v1/namespaces/shop/replicasets"
    owner = {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/api"}
    with kubernetes_api.serving() as api:
        found = workload(annotations={"deployment.kubernetes.io/revision": "3", **owner})
        found["spec"]["template"] = template("shop/api:bad")
        api.put(path, found)
        api.put(f"{sets}/api-2", replica_set("api-2", 2, template("shop/api:1"), availableReplicas=1))
        api.put(f"{sets}/api-3", replica_set("api-3", 3, template("shop/api:bad")))
        api.objects[f"{sets}/api-3"]["metadata"]["creationTimestamp"] = "2026-01-03T08:01:00Z"
        yield api


def template(image: str) -> dict[str, Any]:
    """The pod template with this image."""
    found = deepcopy(TEMPLATE)
    found["spec"]["containers"][0]["image"] = image
    return found


def reverted(
    target: Target,
    *,
    expected: str = "3",
    approved: bool = False,
    act: str = ACT,
    incident: str = INCIDENT,
    last_look: Callable[[], None] = lambda: None,
) -> tuple[str, str]:
    """The revision that it has after it, and what is told of it."""
    changer = changing.releases(target, gitops.time_for(target, "rollback"))
    changer.incident, changer.act = incident, act  # type: ignore[attr-defined]
    return changer.roll_back(expected, last_look, approved=approved), changer.did  # type: ignore[attr-defined]
