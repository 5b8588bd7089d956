"""What a workload's pods have printed: of all in one order, bounded, and in words what is missing."""

from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import kubernetes_api
import pytest
from kubernetes_api import ApiServer, Fault
from kubernetes_nodes import filled

from paramedic.change.gathering import Look, gather
from paramedic.errors import PermanentError
from paramedic.integrations.targets import deployment
from paramedic.kinds.evidence import Gathered
from paramedic.machine.clock import boottime
from paramedic.remediation.target import Target
from paramedic.transports.kubernetes import Kubernetes

SINCE = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
PODS = "/api/v1/namespaces/shop/pods"


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with kubernetes_api.serving() as api:
        filled(api)
        for name in ("api-a", "api-b", "api-c"):
            status(api, name)
        yield api


@pytest.fixture
def target(api: ApiServer, tmp_path: Path) -> Target:
    file = kubernetes_api.kubeconfig(tmp_path, f"http://127.0.0.1:{api.port}")
    return kubernetes_api.target(kubernetes_api.cluster(file))


def status(api: ApiServer, pod: str, *, restarts: int = 0, state: str = "running", name: str = "api") -> None:
    container: dict[str, Any] = {"name": name, "restartCount": restarts, "state": {state: {}}}
    api.objects[f"{PODS}/{pod}"]["status"]["containerStatuses"] = [container]


def at(seconds: float, text: str) -> str:
    return f"{SINCE + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S.%f}000Z {text}\n"


def lines(target: Target, count: int = 100) -> Gathered:
    assert target.machine is not None
    return deployment.log_lines(target, Kubernetes(target.machine), count, SINCE.timestamp(), boottime() + 20)


def looked(target: Target) -> Look:
    [look] = gather(target, ("log-patterns",), since=SINCE, patience=timedelta(seconds=20))
    return look


def test_lines_of_all_pods_are_one_log_and_say_the_same_where_they_do(api: ApiServer, target: Target) -> None:
    api.logs["api-a"] = at(-3000, "request 1 done") + at(1, "pool exhausted") + "  at line 7\n"
    api.logs["api-b"] = at(-2000, "request 2 done") + at(2, "pool exhausted")
    seen = lines(target)
    assert [line.partition("Z ")[2] or line for line in seen.text.splitlines()] == [
        "api: request 1 done",
        "api: request 2 done",
        "api: pool exhausted",
        "  at line 7",
        "api: pool exhausted",
    ]
    assert list(seen.unseen) == []
    look = looked(target)
    assert look.piece is not None, look.fault
    assert "owner's log: 5 lines of 3 patterns, 2 of them new (new: not before 2026-01-31 11:58:00Z)" in look.piece.body
    assert look.unseen == ()


def test_of_a_container_that_was_started_again_what_it_printed_before_is_read_too(
    api: ApiServer, target: Target
) -> None:
    status(api, "api-c", restarts=3)
    api.logs["api-c"] = at(5, "begun")
    api.logs["api-c before"] = at(4, "out of memory")
    text = lines(target).text
    assert text.index("api, before it was started again: out of memory") < text.index("api: begun")
    asked = [request.query for request in api.requests if request.path.endswith("/log")]
    assert all(query["sinceTime"] == "2026-01-31T12:00:00Z" for query in asked)


def test_a_previous_container_that_its_node_has_removed_leaves_the_rest(api: ApiServer, target: Target) -> None:
    status(api, "api-c", restarts=3)
    api.logs["api-c"] = at(5, "begun")
    words = "previous terminated container api in pod api-c not found"
    api.faults.append(Fault("GET", status=400, message=words, path="previous=true"))
    seen = lines(target)
    assert "api: begun" in seen.text
    assert words in "; ".join(seen.unseen)


def test_a_container_that_has_not_begun_is_not_asked(api: ApiServer, target: Target) -> None:
    for pod in ("api-a", "api-b", "api-c"):
        status(api, pod, state="waiting")
    with pytest.raises(PermanentError, match="no pod whose containers have begun"):
        lines(target)
    assert not [request for request in api.requests if request.path.endswith("/log")]


def test_without_the_right_to_logs_it_says_which_is_missing(api: ApiServer, target: Target) -> None:
    api.forbidden.add(("get", "pods/log"))
    assert "needs get of pods/log (deployments/kubernetes/role.yaml has the rule)" in looked(target).fault


def test_of_many_pods_the_worst_are_read_and_the_rest_is_said(api: ApiServer, target: Target) -> None:
    for number in range(6):
        other = deepcopy(api.objects[f"{PODS}/api-a"])
        other["metadata"]["name"] = f"more-{number}"
        api.put(f"{PODS}/more-{number}", other)
    status(api, "more-5", restarts=2)
    seen = lines(target)
    asked = {request.path.split("/")[-2] for request in api.requests if request.path.endswith("/log")}
    assert "more-5" in asked
    assert len(asked) == 4
    assert "of 9 pods the logs of 4 were read: `kubectl logs --namespace shop POD`" in seen.unseen


def test_of_lines_that_are_too_long_the_newest_are_kept(api: ApiServer, target: Target) -> None:
    for pod in ("api-b", "api-c"):
        del api.objects[f"{PODS}/{pod}"]
    api.logs["api-a"] = "".join(at(n, f"{n} {'x' * 30_000}") for n in range(80))
    seen = lines(target, 64)
    assert "api: 79 xxx" in seen.text, "`limitBytes` alone would have cut the newest off"
    assert list(seen.unseen) == [f"of the log of api the last 8 lines alone: 64 are longer than {1024 * 1024:,} bytes"]


def test_a_bounded_number_of_lines_says_so(api: ApiServer, target: Target) -> None:
    api.logs["api-a"] = "".join(at(n, f"line {n}") for n in range(90))
    seen = lines(target, 30)
    assert "line 89" in seen.text
    assert "line 79" not in seen.text
    assert list(seen.unseen) == ["of api only the last 10 lines were read"]
