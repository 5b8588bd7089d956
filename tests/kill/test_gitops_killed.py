"""A revert for a GitOps controller, and SIGKILL meets the run at a boundary: one revert at most, and nobody forgets it."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import gitops_shop
import jumping_clock
import kubernetes_api
import pytest
from fake_service import Service, service
from gitops_shop import AUTHOR, Controller, Repo, at_work
from host_story import Story, story
from kill.killed_runs import IN_MID_CHANGE, RIGHT, FirstRuns, KilledRun, first_runs, rows
from kubernetes_api import CLUSTER, ApiServer
from waiting import until

from paramedic.incidents.outcome import Ending
from paramedic.kubernetes import gitops
from paramedic.transports import git

pytestmark = [pytest.mark.real, pytest.mark.kill, pytest.mark.timeout(300)]
__all__ = ["first_runs", "service", "story"]

SERVICES = """\
hosts:
  {cluster}: {{kubernetes: {{kubeconfig: {kubeconfig}}}}}
services:
  shop:
    targets:
      - host: {cluster}
        health: "{health}"
        deployment:
          name: api
          namespace: shop
          owner: gitops
          repository: {{url: {url}, path: apps/shop, author: {author}, within: 60s}}
"""

RUNBOOK = """\
when: [{{alert: Ill}}]
mode: act
with:
  target: {{deployment: "{{namespace}}/{{deployment}}", host: {cluster}}}
  evidence: [workload]
  remedies: [rollback]
  verify: {{health: ok, stable: 200ms, within: {within}}}
"""

#: As of every change; a commit that was made and not pushed is nowhere.
RIGHT_OF_A_REVERT = {**RIGHT, "revert_made": (Ending.HANDED_OVER, 0)}


def soon(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """What is killed leaves its copy of the repository in the folder."""
    patch.setattr(git.tempfile, "tempdir", str(folder))
    jumping_clock.soon(patch)
    patch.setattr(gitops, "_LOOK_SECONDS", 0.02)


@pytest.fixture
def api(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """A Deployment that is ill until its controller has deployed something else."""
    service.status = 503
    with gitops_shop.owned() as api:
        rolled_out = api.roll_out

        def is_well(path: str) -> None:
            rolled_out(path)
            service.status = 200

        monkeypatch.setattr(api, "roll_out", is_well)
        yield api


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return gitops_shop.shop(tmp_path)


@pytest.fixture
def listed(
    api: ApiServer,
    repo: Repo,
    first_runs: FirstRuns,
    service: Service,
    story: Story,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], KilledRun]:
    """A run of the roll-back that is to be killed, and is verified within so long."""
    soon(tmp_path, monkeypatch)
    health = service.url.replace("127.0.0.1", "127.1")  # of a cluster, and at no address of this machine as written
    kubeconfig = kubernetes_api.kubeconfig(tmp_path, f"http://127.0.0.1:{api.port}")

    def made(within: str) -> KilledRun:
        services = SERVICES.format(cluster=CLUSTER, kubeconfig=kubeconfig, health=health, url=repo.bare, author=AUTHOR)
        story.written(services, RUNBOOK.format(cluster=CLUSTER, within=within))
        return KilledRun(story, first_runs, partial(soon, tmp_path))

    return made


WORKLOAD = {"namespace": "shop", "deployment": "api"}


def reverts(repo: Repo) -> int:
    """How many commits of ours are in the repository, on whichever branch."""
    return len(repo.git("log", "--all", "--format=%H", "--grep=^Paramedic-Act: ", at=repo.bare).splitlines())


@pytest.mark.parametrize(("point", "ending", "times"), rows(RIGHT_OF_A_REVERT, short=(*IN_MID_CHANGE, "revert_made")))
def test_a_revert_whose_run_dies_is_pushed_once_at_most(
    api: ApiServer, repo: Repo, listed: Callable[[str], KilledRun], point: str, ending: Ending, times: int
) -> None:
    run = listed("60s" if times else "1s")
    with at_work(Controller(api, repo, merges=True)):
        run.killed_at(point, **WORKLOAD)
        outcome = run.is_followed()
    assert (outcome.ending, reverts(repo)) == (ending, times), run.story.words()
    assert api.asked("PATCH") == []


@pytest.mark.parametrize("status", [503, 200], ids=["still-ill", "well-by-itself"])
def test_one_that_nobody_has_merged_is_a_persons_with_its_branch(
    repo: Repo, listed: Callable[[str], KilledRun], service: Service, status: int
) -> None:
    run = listed("1s" if status == 503 else "60s")
    run.killed_at("act_sent", **WORKLOAD)
    service.status = status
    outcome = run.is_followed()
    [branch] = repo.others()
    assert (outcome.ending, reverts(repo)) == (Ending.HANDED_OVER, 1), run.story.words()
    assert f"the branch {branch} of {repo.bare} has its revert" in outcome.because
    assert branch in run.story.told().replace("\n", "")


def test_a_push_that_is_under_way_when_its_run_dies_goes_on_and_is_not_made_again(
    repo: Repo, listed: Callable[[str], KilledRun], tmp_path: Path
) -> None:
    pushing, go = tmp_path / "pushing", tmp_path / "go"
    repo.hook("pre-receive", f"echo >> {pushing}; until [ -e {go} ]; do sleep 0.02; done")
    run = listed("1s")
    run.killed_once("the push is under way", pushing.exists, **WORKLOAD)
    outcome = run.is_followed()
    assert (outcome.ending, reverts(repo)) == (Ending.HANDED_OVER, 0), run.story.words()
    go.touch()
    until("the push has arrived", repo.others)
    assert (len(pushing.read_text().splitlines()), reverts(repo)) == (1, 1)
