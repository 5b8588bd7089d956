"""Objects of a Kubernetes API server, as it would write them: workloads, their pods and their revisions."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from paramedic.kubernetes.workload import digest

TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": {"app": "api"}},
    "spec": {"containers": [{"name": "api", "image": "shop/api:1"}]},
}


def path_of(kind: str = "deployment", name: str = "shop/api") -> str:
    namespace, _, own = name.partition("/")
    return f"/apis/apps/v1/namespaces/{namespace}/{kind}s/{own}"


def workload(kind: str = "Deployment", *, count: int = 3, **metadata: Any) -> dict[str, Any]:
    """One whose pods are all up."""
    return {
        "kind": kind,
        "metadata": {"name": "api", "namespace": "shop", "generation": 1, **metadata},
        "spec": {"replicas": count, "selector": {"matchLabels": {"app": "api"}}, "template": deepcopy(TEMPLATE)},
        "status": whole(count),
    }


def pod(
    name: str, owner: str, *, ready: bool = True, labels: Mapping[str, str] | None = None, **status: Any
) -> dict[str, Any]:
    """A pod that `owner` (a uid) controls."""
    condition = {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": "2026-01-31T09:00:00Z"}
    return {
        "metadata": {
            "name": name,
            "labels": {"app": "api", **(labels or {})},
            "creationTimestamp": "2026-01-31T08:00:00Z",
            "ownerReferences": [{"uid": owner, "controller": True}],
        },
        "spec": {"nodeName": "node-1", "containers": [{"name": "api"}]},
        "status": {"phase": "Running", "conditions": [condition], **status},
    }


def replica_set(
    name: str, revision: int, template: Mapping[str, Any], owner: str = "uid-api", **status: Any
) -> dict[str, Any]:
    """A revision of a Deployment."""
    labelled = deepcopy(dict(template))
    labelled["metadata"]["labels"]["pod-template-hash"] = digest(template)[:8]
    return {
        "metadata": {
            "name": name,
            "labels": labelled["metadata"]["labels"],
            "annotations": {"deployment.kubernetes.io/revision": str(revision)},
            "creationTimestamp": f"2026-01-{revision:02}T08:00:00Z",
            "ownerReferences": [{"uid": owner, "controller": True}],
        },
        "spec": {"template": labelled},
        "status": {"availableReplicas": 0, **status},
    }


def whole(count: int, generation: int = 1) -> dict[str, Any]:
    """The status of a workload of which every pod is up."""
    return {
        "observedGeneration": generation,
        **dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), count),
        **dict.fromkeys(("desiredNumberScheduled", "currentNumberScheduled", "updatedNumberScheduled"), count),
        **dict.fromkeys(("numberReady", "numberAvailable"), count),
        "currentRevision": "api-1",
        "updateRevision": "api-1",
        "conditions": [{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}],
    }


def controller_revision(
    name: str, number: int, template: Mapping[str, Any], owner: str = "uid-api", **annotations: str
) -> dict[str, Any]:
    """A revision of a StatefulSet or a DaemonSet: a patch of it, with the field without a value that the API server writes."""
    patch = {"$patch": "replace", **deepcopy(dict(template))}
    patch["metadata"]["creationTimestamp"] = None
    return {
        "metadata": {
            "name": name,
            "labels": {"app": "api"},
            "annotations": {f"paramedic/{mark}": said for mark, said in annotations.items()},
            "creationTimestamp": f"2026-01-{number:02}T08:00:00Z",
            "ownerReferences": [{"uid": owner, "controller": True}],
        },
        "revision": number,
        "data": {"spec": {"template": patch}},
    }
