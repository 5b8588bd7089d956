"""A workload of the double of an API server with three pods, each on a node of its own."""

from copy import deepcopy

from kubernetes_api import ApiServer
from kubernetes_objects import TEMPLATE, path_of, pod, replica_set, workload

WORKLOADS = {"deployment": "Deployment", "statefulset": "StatefulSet", "daemonset": "DaemonSet"}

_SHOP = "/api/v1/namespaces/shop"


def filled(api: ApiServer, kind: str = "deployment") -> None:
    """Three pods of it, ready, on `node-a` to `node-c`, which are ready too; and an event of it."""
    api.put(path_of(kind), workload(WORKLOADS[kind]))
    now = replica_set("api-2", 2, deepcopy(TEMPLATE))
    api.put("/apis/apps/v1/namespaces/shop/replicasets/api-2", now)
    owner = "uid-api-2" if kind == "deployment" else "uid-api"
    for name in ("api-a", "api-b", "api-c"):
        found = api.put(f"{_SHOP}/pods/{name}", pod(name, owner))
        found["spec"]["nodeName"] = f"node-{name[-1]}"
    for name in ("node-a", "node-b", "node-c"):
        api.put(f"/api/v1/nodes/{name}", {"status": {"conditions": [{"type": "Ready", "status": "True"}]}, "spec": {}})
    object_of = {"kind": WORKLOADS[kind], "name": "api"}
    api.put(f"{_SHOP}/events/e1", {"involvedObject": object_of, "reason": "Scaled", "message": "m"})
