"""What changed of a workload in the last day: rollouts, who set what, its autoscaler, and what it uses, but never its content."""

from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import kubernetes_api
import pytest
from kubernetes_api import ApiServer, Fault
from kubernetes_objects import TEMPLATE, path_of, replica_set, workload

from paramedic.change.gathering import Look, gather
from paramedic.integrations.targets import deployment
from paramedic.kinds.changes import Changes
from paramedic.kubernetes.changes import uses
from paramedic.machine.clock import boottime, utc_now
from paramedic.remediation.target import Target
from paramedic.transports.kubernetes import Kubernetes

SHOP = "/api/v1/namespaces/shop"
NOW = utc_now().replace(microsecond=0)


def ago(**time: float) -> str:
    return f"{NOW - timedelta(**time):%Y-%m-%dT%H:%M:%SZ}"


def entry(manager: str, at: str, fields: dict[str, Any], **more: str) -> dict[str, Any]:
    return {"manager": manager, "operation": "Update", "time": at, "fieldsV1": fields, **more}


USES = {
    "volumes": [
        {"configMap": {"name": "settings"}},
        {"secret": {"secretName": "login"}},
        {"projected": {"sources": [{"configMap": {"name": "flags"}}, {"secret": {"name": "login"}}]}},
    ],
    "initContainers": [{"name": "first", "envFrom": [{"secretRef": {"name": "keys"}}]}],
    "imagePullSecrets": [{"name": "registry"}],
}


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with kubernetes_api.serving() as api:
        made = api.put(path_of(), workload(creationTimestamp=ago(days=90)))
        made["metadata"]["managedFields"] = [
            entry("kubectl-edit", ago(hours=2), {"f:spec": {"f:replicas": {}}}),
            entry("kube-controller-manager", ago(minutes=1), {"f:status": {}}, subresource="status"),
            entry("kube-controller-manager", ago(minutes=2), {"f:metadata": {"f:annotations": {}}}),
        ]
        spec = made["spec"]["template"]["spec"]
        spec.update(deepcopy(USES))
        spec["containers"][0]["env"] = [
            {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "a"}}}
        ]
        sets = "/apis/apps/v1/namespaces/shop/replicasets"
        for number, at in ((1, ago(days=3)), (2, ago(hours=5))):
            found = api.put(f"{sets}/api-{number}", replica_set(f"api-{number}", number, TEMPLATE))
            found["metadata"]["creationTimestamp"] = at
        found["metadata"]["annotations"]["kubernetes.io/change-cause"] = "release 2\x1b[2J"
        for kind, name in (
            ("configmaps", "settings"),
            ("configmaps", "flags"),
            ("secrets", "login"),
            ("secrets", "keys"),
            ("secrets", "registry"),
        ):
            api.put(
                f"{SHOP}/{kind}/{name}",
                {
                    "metadata": {
                        "creationTimestamp": ago(days=40),
                        "managedFields": [entry("argocd", ago(hours=3), {"f:data": {"f:password-of-root": {}}})],
                        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "hunter2-of-the-test"},
                    },
                    "data": {"password-of-root": "hunter3-of-the-test"},
                },
            )
        api.put(
            "/apis/autoscaling/v1/namespaces/shop/horizontalpodautoscalers/api",
            {
                "spec": {
                    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"},
                    "minReplicas": 2,
                    "maxReplicas": 9,
                },
                "status": {"lastScaleTime": ago(minutes=30), "desiredReplicas": 7},
                "metadata": {"managedFields": [entry("ann", ago(days=2), {"f:spec": {"f:maxReplicas": {}}})]},
            },
        )
        yield api


@pytest.fixture
def target(api: ApiServer, tmp_path: Path) -> Target:
    file = kubernetes_api.kubeconfig(tmp_path, f"http://127.0.0.1:{api.port}")
    return kubernetes_api.target(kubernetes_api.cluster(file))


def seen(target: Target) -> Changes:
    assert target.machine is not None
    return deployment.changes(target, Kubernetes(target.machine), NOW - timedelta(days=1), boottime() + 20)


def looked(target: Target) -> Look:
    [look] = gather(target, ("recent-changes",), since=NOW - timedelta(hours=4), patience=timedelta(seconds=20))
    return look


def test_what_changed_of_a_workload_is_told_the_newest_first_beside_the_breach(target: Target) -> None:
    look = looked(target)
    assert look.piece is not None, look.fault
    assert [line.partition("Z  ")[2] for line in look.piece.body.splitlines()] == [
        "HorizontalPodAutoscaler api scaled it; it wants 7 pods (2 to 9) now",
        "Deployment shop/api: set by kubectl-edit (replicas)",
        *(f"{what}: set by argocd" for what in ("ConfigMap settings", "Secret login", "ConfigMap flags")),
        *(f"{what}: set by argocd" for what in ("Secret keys", "Secret registry")),
        "--- what is wrong began; the changes before it are below ---",
        r"rollout of revision 2, shop/api:1: release 2\x1b[2J",
    ]
    assert look.unseen == ()


def test_no_content_of_a_secret_or_a_configmap_is_asked_for_or_shown(api: ApiServer, target: Target) -> None:
    whole = str(looked(target))
    assert "hunter" not in whole
    assert "password-of-root" not in whole, "names of keys are content, too"
    asked = {request.path for request in api.requests if "/secrets" in request.path or "/configmaps" in request.path}
    assert asked == {
        f"{SHOP}/{path}"
        for path in ("secrets/login", "secrets/keys", "secrets/registry", "configmaps/settings", "configmaps/flags")
    }


def test_a_server_that_gives_the_content_although_it_was_not_asked_for_is_not_read(
    api: ApiServer, target: Target
) -> None:
    text = '{"kind": "Secret", "metadata": {"managedFields": []}, "data": {"a": "hunter4-of-the-test"}}'
    api.faults.append(Fault("GET", path="/secrets/login", text=text))
    look = looked(target)
    assert "hunter" not in str(look)
    assert "Secret login: the API server gives no metadata alone, and nothing else is asked for" in look.unseen


@pytest.mark.parametrize(
    ("right", "words"),
    [
        (
            ("get", "secrets"),
            "Secret keys: needs get of secrets, of this name alone (deployments/kubernetes/role.yaml shows how)",
        ),
        (("get", "configmaps"), "ConfigMap flags: needs get of configmaps, of this name alone"),
        (
            ("list", "horizontalpodautoscalers"),
            "its autoscaler: the API server says: horizontalpodautoscalers is forbidden",
        ),
        (("list", "replicasets"), "rollouts: the API server says: replicasets is forbidden"),
    ],
)
def test_what_may_not_be_seen_is_said_and_the_rest_is_told(
    api: ApiServer, target: Target, right: tuple[str, str], words: str
) -> None:
    api.forbidden.add(right)
    found = seen(target)
    assert words in "; ".join(found.unseen)
    assert "Deployment shop/api: set by kubectl-edit (replicas)" in [change.what for change in found.found]


def test_without_a_right_to_the_workload_nothing_is_told(api: ApiServer, target: Target) -> None:
    api.forbidden.add(("get", "deployments"))
    assert 'cannot get resource "deployments"' in looked(target).fault


def test_what_a_template_uses_is_found_whatever_its_shape() -> None:
    assert list(uses({"spec": USES})) == [
        ("ConfigMap", "settings"),
        ("Secret", "login"),
        ("ConfigMap", "flags"),
        ("Secret", "keys"),
        ("Secret", "registry"),
    ]
    for strange in (None, {}, {"spec": []}, {"spec": {"volumes": {"a": 1}, "containers": [7, {"env": "x"}]}}):
        assert list(uses(strange)) == []


def test_a_template_that_uses_very_much_is_not_looked_through(api: ApiServer, target: Target) -> None:
    many = [{"configMap": {"name": f"c-{number}"}} for number in range(60)]
    api.objects[path_of()]["spec"]["template"]["spec"]["volumes"] = many
    found = seen(target)
    assert any(why.startswith("23 more that it uses were not looked at") for why in found.unseen)


def test_moments_that_are_none_are_left_out(api: ApiServer, target: Target) -> None:
    fields = api.objects[path_of()]["metadata"]["managedFields"]
    fields += [entry("odd", "noon", {"f:spec": {}}), "odd", {"manager": 7}, entry("odd", ago(hours=1), ["x"])]  # type: ignore[arg-type]
    assert "odd" not in str(seen(target))
    assert datetime.fromisoformat(ago(hours=1)).tzinfo is UTC
