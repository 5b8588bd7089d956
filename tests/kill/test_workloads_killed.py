"""A workload of Kubernetes is changed, and SIGKILL meets the run at a boundary: one change at most, and nobody forgets it."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import jumping_clock
import kubernetes_api
import pytest
from fake_service import Service, service
from gitops_shop import template
from host_story import Story, story
from kill.killed_runs import RIGHT, FirstRuns, KilledRun, first_runs, rows
from kubernetes_api import CLUSTER, ApiServer
from kubernetes_objects import path_of, pod, replica_set, workload
from waiting import until

from paramedic.incidents.outcome import Ending

pytestmark = [pytest.mark.real, pytest.mark.kill, pytest.mark.timeout(300)]
__all__ = ["first_runs", "service", "story"]

DEPLOYMENT, STATEFUL_SET = path_of(), path_of("statefulset")
SETS, PODS = "/apis/apps/v1/namespaces/shop/replicasets", "/api/v1/namespaces/shop/pods"

SERVICES = """\
hosts:
  {cluster}: {{kubernetes: {{kubeconfig: {kubeconfig}}}}}
services:
  shop:
    targets:
      - {{host: {cluster}, health: "{health}", deployment: {{name: api, namespace: shop, scale: {{min: 2, max: 8, by: 2}}}}}}
      - {{host: {cluster}, health: "{health}", statefulset: {{name: api, namespace: shop}}}}
"""

RUNBOOK = """\
when: [{{alert: Ill}}]
mode: act
with:
  target: {{{kind}: "{{namespace}}/{{{kind}}}", host: {cluster}}}
  evidence: [workload]
  remedies: [{remedy}]
  verify: {{health: ok, stable: 200ms, within: {within}}}
"""

#: A person looks at what the workload itself does not tell: its template is the same.
UNSEEN = {**RIGHT, "act_sent": (Ending.HANDED_OVER, 1)}


@pytest.fixture
def api(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """A Deployment that is down with its third revision, and a StatefulSet with a pod that crashes, until they are changed."""
    service.status = 503
    with kubernetes_api.serving() as api:
        found = workload(annotations={"deployment.kubernetes.io/revision": "3", "paramedic/reversible": "true"})
        found["spec"]["template"] = template("shop/api:bad")
        found["status"]["availableReplicas"] = 0
        api.put(DEPLOYMENT, found)
        api.put(f"{SETS}/api-2", replica_set("api-2", 2, template("shop/api:1"), availableReplicas=1))
        api.put(f"{SETS}/api-3", replica_set("api-3", 3, template("shop/api:bad")))
        api.put(STATEFUL_SET, workload("StatefulSet"))
        api.objects[STATEFUL_SET]["status"]["availableReplicas"] = 2
        waits = [{"name": "api", "ready": False, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]
        api.put(f"{PODS}/api-0", pod("api-0", "uid-api", ready=False, containerStatuses=waits))
        for name in ("api-1", "api-2"):
            api.put(f"{PODS}/{name}", pod(name, "uid-api"))
        rolled_out, replaced = api.roll_out, api.replace

        def is_well(path: str) -> None:
            rolled_out(path)
            service.status = 200

        def has_another(path: str) -> None:
            replaced(path)
            is_well(STATEFUL_SET)

        monkeypatch.setattr(api, "roll_out", is_well)
        monkeypatch.setattr(api, "replace", has_another)
        yield api


@pytest.fixture
def killed(
    api: ApiServer,
    first_runs: FirstRuns,
    service: Service,
    story: Story,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., KilledRun]:
    """Begins this remedy, and kills its run at the point."""
    jumping_clock.soon(monkeypatch)
    health = service.url.replace(
        "127.0.0.1", "127.1"
    )  # what is in a cluster has no address of this machine, as it is usually written
    kubeconfig = kubernetes_api.kubeconfig(tmp_path, f"http://127.0.0.1:{api.port}")

    def begun(remedy: str, point: str, *, within: str) -> KilledRun:
        kind = "statefulset" if remedy == "delete_pod" else "deployment"
        story.written(
            SERVICES.format(cluster=CLUSTER, kubeconfig=kubeconfig, health=health),
            RUNBOOK.format(cluster=CLUSTER, kind=kind, remedy=remedy, within=within),
        )
        run = KilledRun(story, first_runs, jumping_clock.soon)
        run.killed_at(point, namespace="shop", **{kind: "api"})
        return run

    return begun


def changes(api: ApiServer, remedy: str) -> int:
    """How often it was asked for."""
    if remedy != "delete_pod":
        return len(api.asked("PATCH"))
    return len([one for one in api.asked("POST") if one.path.endswith("/eviction")])


@pytest.mark.parametrize(("point", "ending", "times"), rows(RIGHT, short=RIGHT))
def test_a_roll_back_whose_run_dies_is_made_once_at_most(
    api: ApiServer, killed: Callable[..., KilledRun], story: Story, point: str, ending: Ending, times: int
) -> None:
    run = killed("rollback", point, within="60s" if times else "1s")
    outcome = run.is_followed()
    assert (outcome.ending, changes(api, "rollback")) == (ending, times), story.words()


@pytest.mark.parametrize("remedy", ["scale", "delete_pod"])
@pytest.mark.parametrize(("point", "ending", "times"), rows(UNSEEN))
def test_another_number_of_pods_or_one_that_is_deleted_is_asked_for_once_at_most(
    api: ApiServer, killed: Callable[..., KilledRun], story: Story, remedy: str, point: str, ending: Ending, times: int
) -> None:
    run = killed(remedy, point, within="60s" if times else "1s")
    outcome = run.is_followed()
    assert (outcome.ending, changes(api, remedy)) == (ending, times), story.words()


def test_a_rollout_that_is_under_way_when_its_run_dies_is_waited_for(
    api: ApiServer, killed: Callable[..., KilledRun], story: Story
) -> None:
    api.rolls = False
    run = killed("rollback", "act_sent", within="60s")
    asked = len(api.requests)

    def rolls_out() -> None:
        until("the next attempt looks again and again", lambda: len(api.requests) > asked + 5)
        api.roll_out(DEPLOYMENT)

    cluster = threading.Thread(target=rolls_out)
    cluster.start()
    outcome = run.is_followed()
    cluster.join()
    assert (outcome.ending, changes(api, "rollback")) == (Ending.REMEDIATED, 1), story.words()
