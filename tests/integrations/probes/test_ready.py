"""The target's own state as a check: up, down, by halves, and not known, at owners that answer as a test wants it."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kubernetes_api
import lying_engine
import pytest
from kubernetes_api import ApiServer, Fault
from kubernetes_objects import path_of, workload

from paramedic.checks.check import Check, CheckSpec, Sample, check_spec
from paramedic.demo.world import free_port
from paramedic.doors import reading
from paramedic.remediation.host import Host, SshAccess
from paramedic.remediation.target import Identity, Target
from paramedic.sampling import one_sample

NOW = datetime.now(UTC)
PATH = path_of()
DOWN, UP = {"is_down": 1.0, "unready": 100.0}, {"is_down": 0.0, "unready": 0.0}


def made(**words: Any) -> Check:
    return check_spec(CheckSpec)(check="ready", **words).build()


def look(target: Target) -> Sample:
    patient = made(timeout="60s", every="60s")  # the machine may be busy
    return one_sample.sample(patient, target, now=lambda: NOW, last_heard=lambda _: None)


# --- what an author writes ---


def test_it_has_bounds_of_its_own_and_takes_others() -> None:
    [shipped] = made().thresholds
    assert (shipped.metric, shipped.critical, shipped.held_for) == ("down", 50, timedelta(minutes=1))
    assert {one.metric for one in made(unready={"critical": "50%", "for": "10m"}).thresholds} == {"unready"}
    with pytest.raises(ValueError, match="100%"):
        made(unready={"critical": "150%"})


def test_one_that_comes_up_and_falls_down_again_is_seen_by_the_share_of_its_looks() -> None:
    check = made(down={"critical": "50%"})
    samples = [Sample(NOW, {"is_down": float(number % 2), "unready": 0.0}, "") for number in range(10)]
    assert check.metrics(samples)["down"] == 50
    assert samples[-2].values == {"is_down": 0.0, "unready": 0.0}, "the last look alone may find it up"


# --- any kind: what its owner says ---


def target(**more: Any) -> Target:
    return Target("web-1/api", "api", "web-1", "supervisord", "api", "unix:///nowhere/at/all", **more)


@pytest.mark.parametrize(
    ("state", "values"),
    [("RUNNING", UP), ("STOPPED", DOWN), ("FATAL", DOWN), ("BACKOFF", DOWN), ("UNKNOWN", None)],
)
def test_what_the_owner_says_is_up_or_down_and_unknown_where_it_does_not_know(
    monkeypatch: pytest.MonkeyPatch, state: str, values: Mapping[str, float] | None
) -> None:
    identity = Identity(state, {"pid": 12} if state == "RUNNING" else {})
    monkeypatch.setattr(reading, "reader", lambda _: SimpleNamespace(identity=lambda: identity))
    monkeypatch.setattr(reading, "transport", lambda _: None)
    seen = look(target())
    assert seen.values == values
    assert state in seen.why


def test_an_owner_that_does_not_answer_is_unknown_and_never_down() -> None:
    seen = look(target())
    assert seen.values is None
    assert "is not there" in seen.why


@pytest.mark.parametrize("kind", ["systemd", "supervisord", "container"])
def test_a_host_that_is_not_reached_is_unknown_and_never_down(kind: str, tmp_path: Path) -> None:
    (key := tmp_path / "key").write_text("none")
    key.chmod(0o600)
    host = Host("web-7", ssh=SshAccess("127.0.0.1", "nobody", port=free_port(), key=str(key)))
    name = "api.service" if kind == "systemd" else "api"
    seen = look(Target(f"web-7/{name}", "api", "web-7", kind, name, "/s", machine=host))
    assert seen.values is None
    assert "web-7" in seen.why or "key" in seen.why


# --- a container ---


def answered(health: str | None, status: str = "running") -> Sample:
    head, _, body = lying_engine.container("2026-11-29T19:02:48Z", status).partition(b"\r\n\r\n")
    said = json.loads(body)
    if health is not None:
        said["State"]["Health"] = {"Status": health}
    assert head
    with lying_engine.answering(lying_engine.said("200 OK", json.dumps(said).encode())) as (container, _):
        return look(container)


@pytest.mark.parametrize(
    ("health", "status", "values"),
    [
        (None, "running", UP),
        ("none", "running", UP),  # an Engine that has the key, and a container that has no health check
        ("", "running", UP),  # podman's
        ("healthy", "running", UP),
        ("unhealthy", "running", {"is_down": 0.0, "unready": 100.0}),
        ("starting", "running", {"is_down": 0.0}),  # in its start period: neither ready nor not
        ("starting", "exited", DOWN),
        ("healthy", "exited", DOWN),  # what it was before
        ("healthy", "restarting", DOWN),
        ("healthy", "paused", DOWN),
        ("what\x1b[2J", "running", {"is_down": 0.0, "unready": 100.0}),
    ],
)
def test_a_container_is_down_unready_or_neither(health: str | None, status: str, values: Mapping[str, float]) -> None:
    seen = answered(health, status)
    assert seen.values == values
    assert f"says {status}" in seen.why
    assert "\x1b" not in seen.why


def test_a_container_that_is_not_there_is_unknown_and_never_down() -> None:
    body = json.dumps({"message": "No such container: web"}).encode()
    with lying_engine.answering(*[lying_engine.said("404 Not Found", body)] * 2) as (container, _):
        seen = look(container)
    assert seen.values is None
    assert "No such container" in seen.why


# --- a workload ---


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with kubernetes_api.serving() as api:
        yield api


@pytest.fixture
def at(api: ApiServer, tmp_path: Path) -> Callable[[str], Target]:
    host = kubernetes_api.cluster(kubernetes_api.kubeconfig(tmp_path, f"http://127.0.0.1:{api.port}"))
    return lambda kind: kubernetes_api.target(host, kind)


OVERDUE = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]


@pytest.mark.parametrize(
    ("status", "down", "unready"),
    [
        ({}, 0, 0),
        ({"availableReplicas": 3, "readyReplicas": 4}, 1, 25),
        ({"availableReplicas": 0, "readyReplicas": 0}, 1, 100),
        # what a bad image does: all that serve are the older ones, and its controller has given up on the newer
        ({"replicas": 5, "updatedReplicas": 1, "conditions": OVERDUE}, 1, 0),
        # in the middle of a rollout with a surge: all that there should be are there
        ({"replicas": 5, "updatedReplicas": 1}, 0, 0),
        ({"replicas": 6, "availableReplicas": 6}, 0, 0),  # as an autoscaler's last step leaves it for a while
    ],
)
def test_a_deployment_is_down_when_it_is_stuck_or_short_of_pods(
    api: ApiServer, at: Callable[[str], Target], status: Mapping[str, Any], down: float, unready: float
) -> None:
    found = api.put(PATH, workload(count=4))
    found["status"] |= status
    seen = look(at("deployment"))
    assert seen.values == {"is_down": down, "unready": unready}, seen.why
    assert seen.why.startswith("its Deployment is ")
    assert "4 desired" in seen.why


def test_what_its_controller_has_not_looked_at_is_unknown(api: ApiServer, at: Callable[[str], Target]) -> None:
    api.put(PATH, workload(generation=2))
    seen = look(at("deployment"))
    assert seen.values is None
    assert "has not looked at it yet" in seen.why


@pytest.mark.parametrize("kind", ["deployment", "statefulset", "daemonset"])
@pytest.mark.parametrize("left", [0, 2])
def test_one_that_was_scaled_to_no_pods_on_purpose_is_neither_down_nor_unready(
    api: ApiServer, at: Callable[[str], Target], kind: str, left: int
) -> None:
    """Also while its last pods end, and where its controller had given up on a rollout before."""
    found = api.put(path_of(kind), workload(kind, count=0))
    found["status"] |= {"replicas": left, "currentNumberScheduled": left, "conditions": OVERDUE}
    seen = look(at(kind))
    assert seen.values == UP
    assert "is to have no pods: 0 desired" in seen.why


def test_one_that_is_scaled_up_again_is_down_until_its_pods_are_there(
    api: ApiServer, at: Callable[[str], Target]
) -> None:
    found = api.put(PATH, workload(count=2))
    found["status"] |= {"availableReplicas": 0, "readyReplicas": 0, "updatedReplicas": 0, "replicas": 0}
    assert look(at("deployment")).values == DOWN


def test_a_zero_that_its_controller_has_not_looked_at_is_unknown(api: ApiServer, at: Callable[[str], Target]) -> None:
    """As just after somebody has scaled it: what runs is of before."""
    api.put(PATH, workload(count=0, generation=2))
    assert look(at("deployment")).values is None


@pytest.mark.parametrize("kind", ["statefulset", "daemonset"])
def test_the_other_workloads_are_measured_alike(api: ApiServer, at: Callable[[str], Target], kind: str) -> None:
    found = api.put(path_of(kind), workload(kind, count=4))
    found["status"] |= {"availableReplicas": 1, "readyReplicas": 1, "numberReady": 1, "numberAvailable": 1}
    assert look(at(kind)).values == {"is_down": 1.0, "unready": 75.0}


@pytest.mark.parametrize("fault", [Fault("GET", 503), Fault("GET", 403), Fault("GET", cut="half"), Fault("GET", 404)])
def test_an_api_server_that_does_not_say_is_unknown_and_never_down(
    api: ApiServer, at: Callable[[str], Target], fault: Fault
) -> None:
    api.put(PATH, workload(count=0))
    api.faults.append(fault)
    assert look(at("deployment")).values is None


def test_a_cluster_that_is_not_reached_is_unknown_and_never_down(tmp_path: Path) -> None:
    host = kubernetes_api.cluster(kubernetes_api.kubeconfig(tmp_path, f"http://127.0.0.1:{free_port()}"))
    seen = look(kubernetes_api.target(host))
    assert seen.values is None
    assert "is not reached" in seen.why
