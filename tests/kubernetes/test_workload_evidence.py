"""What there is to see of a workload; and of what may not be seen, which right would have shown it."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import kubernetes_api
import pytest
from kubernetes_api import ApiServer
from kubernetes_objects import TEMPLATE, path_of, pod, replica_set, workload

from paramedic.errors import PermanentError
from paramedic.integrations.targets import deployment
from paramedic.remediation.target import Target
from paramedic.transports.kubernetes import Kubernetes

PATH, SHOP = path_of(), "/api/v1/namespaces/shop"


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with kubernetes_api.serving() as api:
        api.put(PATH, workload(annotations={"deployment.kubernetes.io/revision": "2"}))
        older = deepcopy(TEMPLATE)
        older["spec"]["containers"][0]["image"] = "shop/api:0"
        sets = "/apis/apps/v1/namespaces/shop/replicasets"
        api.put(f"{sets}/api-1", replica_set("api-1", 1, older))
        now = api.put(f"{sets}/api-2", replica_set("api-2", 2, TEMPLATE, availableReplicas=2))
        now["metadata"]["annotations"]["kubernetes.io/change-cause"] = "release 2\x1b[2J"
        ended = {"reason": "OOMKilled", "exitCode": 137, "finishedAt": "2026-01-31T09:00:00Z"}
        crashing: dict[str, Any] = {"name": "api", "restartCount": 4, "lastState": {"terminated": ended}}
        crashing["state"] = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}}
        api.put(f"{SHOP}/pods/api-b", pod("api-b", "uid-api-2", ready=False, containerStatuses=[crashing]))
        api.put(f"{SHOP}/pods/api-a", pod("api-a", "uid-api-2"))
        api.put(f"{SHOP}/pods/other", pod("other", "somebody else's"))
        for name, of, at in (("e1", "api-b", "09:00"), ("e2", "api", "09:01"), ("e3", "other", "09:02")):
            api.put(
                f"{SHOP}/events/{name}",
                {
                    "involvedObject": {"kind": "Pod", "name": of},
                    "type": "Warning",
                    "reason": "BackOff",
                    "message": f"of {of}",
                    "lastTimestamp": f"2026-01-31T{at}:00Z",
                    "count": 3,
                },
            )
        api.logs["api-b"] = "out of memory\n"
        pressed = {"type": "MemoryPressure", "status": "True"}
        node = {
            "status": {"conditions": [{"type": "Ready", "status": "True"}, pressed]},
            "spec": {"unschedulable": True},
        }
        api.put("/api/v1/nodes/node-1", node)
        yield api


@pytest.fixture
def target(api: ApiServer, tmp_path: Path) -> Target:
    return kubernetes_api.target(
        kubernetes_api.cluster(kubernetes_api.kubeconfig(tmp_path, f"http://127.0.0.1:{api.port}"))
    )


def seen(target: Target, kind: str) -> str:
    assert target.machine is not None
    return deployment.EVIDENCE[kind](target, Kubernetes(target.machine)).text


def test_the_workload(target: Target) -> None:
    text = seen(target, "workload")
    assert "Deployment shop/api: available/complete, revision 2" in text
    assert "3 desired, 3 with the current template, 3 in all, 3 ready, 3 available" in text
    assert "image shop/api:1" in text
    assert "no GitOps tool, Helm or operator is named as its owner" in text
    assert "condition Progressing True" in text


def test_its_pods_the_worst_first_and_nobody_else_s(target: Target) -> None:
    lines = seen(target, "pods").splitlines()
    assert lines[0] == "2 pods, 1 ready"
    assert lines[1].startswith("api-b on node-1: Running, not ready since 2026-01-31T09:00:00Z, 4 restarts")
    assert lines[2] == "    container api: CrashLoopBackOff: back-off 40s: it ended last with OOMKilled, exit code 137"
    assert "OOMKilled, exit code 137, at 2026-01-31T09:00:00Z" in lines[3]
    assert lines[4].startswith("api-a on node-1: Running, ready")
    assert len(lines) == 5


def test_its_events_and_its_pods_events_the_last_first(target: Target) -> None:
    assert seen(target, "events").splitlines() == [
        "2 events, the last first",
        "2026-01-31T09:01:00Z Warning BackOff Pod api (3x): of api",
        "2026-01-31T09:00:00Z Warning BackOff Pod api-b (3x): of api-b",
    ]


def test_its_rollout_history(target: Target) -> None:
    assert seen(target, "rollout-history").splitlines() == [
        "2 revisions are kept, the last first",
        r"revision 2 from 2026-01-02T08:00:00Z, shop/api:1 (current, running): release 2\x1b[2J",
        "revision 1 from 2026-01-01T08:00:00Z, shop/api:0",
    ]


def test_the_log_of_the_container_before_it_was_started_again(api: ApiServer, target: Target) -> None:
    assert seen(target, "previous-log") == (
        "api-b, container api, before it was started again (4 times):\nout of memory\n"
    )
    [asked] = [request for request in api.requests if request.path.endswith("/log")]
    assert (asked.query["previous"], asked.query["container"]) == ("true", "api")
    assert {"tailLines", "limitBytes"} <= asked.query.keys()


def test_the_log_of_one_that_was_never_started_again(api: ApiServer, target: Target) -> None:
    del api.objects[f"{SHOP}/pods/api-b"]
    api.logs["api-a"] = "listening"
    assert seen(target, "previous-log") == "no container was started again; api-a, container api, now:\nlistening"


def test_the_nodes_of_its_pods(target: Target) -> None:
    assert seen(target, "nodes").splitlines() == [
        "1 nodes have pods of it",
        "node-1: ready, MemoryPressure, takes no new pods (cordoned)",
    ]


@pytest.mark.parametrize(
    ("kind", "right"),
    [
        ("pods", ("list", "pods")),
        ("events", ("list", "events")),
        ("rollout-history", ("list", "replicasets")),
        ("workload", ("get", "deployments")),
    ],
)
def test_what_may_not_be_seen_says_which_right_is_missing(
    api: ApiServer, target: Target, kind: str, right: tuple[str, str]
) -> None:
    api.forbidden.add(right)
    verb, resource = right
    with pytest.raises(PermanentError, match=f'cannot {verb} resource "{resource}"'):
        seen(target, kind)


def test_what_was_seen_before_is_kept(api: ApiServer, target: Target) -> None:
    api.forbidden |= {("get", "pods/log"), ("get", "nodes")}
    assert "not seen: the log of api: the API server says: pods/log is forbidden" in seen(target, "previous-log")
    assert "a ClusterRole with get of nodes shows it" in seen(target, "nodes")


def test_a_pod_s_name_from_an_answer_is_one_part_of_a_path(api: ApiServer, target: Target) -> None:
    del api.objects[f"{SHOP}/pods/api-b"], api.objects[f"{SHOP}/pods/api-a"]
    api.put(f"{SHOP}/pods/x", pod("../../nodes/node-1?x=", "uid-api-2"))
    seen(target, "previous-log")
    [asked] = [request for request in api.requests if request.path.endswith("/log")]
    assert asked.path == f"{SHOP}/pods/../../nodes/node-1?x=/log", "as one part: quoted on the wire"


def test_a_missing_right_is_told_before_anything_is_done(api: ApiServer, target: Target) -> None:
    assert target.machine is not None
    assert deployment.forbidden(target, Kubernetes(target.machine), "restart") is None
    api.forbidden.add(("patch", "deployments"))
    why = deployment.forbidden(target, Kubernetes(target.machine), "restart")
    assert why == (
        "RBAC does not allow: patch deployments.apps, in the namespace shop (deployments/kubernetes/role.yaml grants it)"
    )
