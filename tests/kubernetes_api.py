"""A double of a Kubernetes API server: it holds every request against the API's contract, and answers badly when it is told to.

Kubernetes API conventions ("Concurrency Control and Consistency", "Response Status Kind"), and the reference of `apps/v1`.
"""

import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from kubernetes_contract import violations
from kubernetes_logs import printed
from kubernetes_objects import path_of, pod, whole, workload

from paramedic.kubernetes.workload import digest
from paramedic.remediation.host import Host, KubernetesAccess
from paramedic.remediation.target import Target

TOKEN = "a-token-of-the-double-0123456789"
CLUSTER = "prod-cluster"


@dataclass
class Request:
    """One that was made."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any


@dataclass
class Fault:
    """What becomes of the next request of this method: `status` is answered, or the connection is cut."""

    method: str
    status: int | None = None
    message: str = "no"
    cut: str | None = None  # `before` it is done, `after` it is done, `half` of the answer sent
    text: str | None = None  # what is answered instead of an object
    seconds: float = 0.0  # how long the answer takes
    times: int = 1
    path: str = ""  # what its path, with its query, has in it


@dataclass
class ApiServer:
    """The double. `objects` by path; each change gives another `resourceVersion`, as etcd does."""

    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)  # by pod, and `POD before` of its previous container
    forbidden: set[tuple[str, str]] = field(default_factory=set)  # verb and resource
    faults: list[Fault] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    rolls: bool = True  # whether its controller makes what is asked for so
    moves: int = 0  # so often somebody else moves the status between a read and a change
    budget: str | None = None  # what a PodDisruptionBudget says against an eviction
    eviction: str | None = "v1"  # the version of evictions; None: it has none
    ends: bool = True  # whether a pod that is told to end is gone at once, and another one is ready
    rolled: dict[str, str] = field(default_factory=dict)  # by path: the template that its pods had before a change
    ahead: float | None = 0.0  # seconds: its clock less ours, as its answers tell it; None: they do not
    port: int = 0
    version: int = 100

    def asked(self, method: str) -> list[Request]:
        return [request for request in self.requests if request.method == method]

    def put(self, path: str, found: dict[str, Any]) -> dict[str, Any]:
        """Keep an object there, with a new version."""
        self.version += 1
        metadata = found.setdefault("metadata", {})
        metadata.setdefault("name", path.rpartition("/")[2])
        metadata.setdefault("uid", f"uid-{path.rpartition('/')[2]}")
        metadata["resourceVersion"] = str(self.version)
        self.objects[path] = found
        return found

    def touch(self, path: str) -> None:
        """As a controller that writes the status."""
        self.put(path, self.objects[path])

    # --- one request ---

    def fault(self, method: str, path: str) -> Fault | None:
        for one in self.faults:
            if one.method == method and one.path in path and one.times > 0:
                one.times -= 1
                return one
        return None

    def answer(self, method: str, path: str, query: Mapping[str, str], body: Any) -> tuple[int, Any]:
        verb, resource = self._meant(method, path)
        if (verb, resource) in self.forbidden:
            return status(
                403, "Forbidden", f'{resource} is forbidden: User "paramedic" cannot {verb} resource "{resource}"'
            )
        if path == "/api/v1":
            offered = {"name": "pods/eviction", "group": "policy", "version": self.eviction, "kind": "Eviction"}
            return 200, {"kind": "APIResourceList", "resources": [offered] if self.eviction else []}
        if method == "POST" and path.endswith("/eviction"):
            return self._evicted(path.removesuffix("/eviction"), body)
        if method == "POST":
            return self._reviewed(body) if "accessreviews" in path else status(404, "NotFound", "no such version")
        if path == "/version":
            return 200, {"gitVersion": "v1.33.1"}
        if method == "GET" and path.endswith("/log"):
            pod = path.split("/")[-2]
            before = self.logs.get(f"{pod} before") if query.get("previous") else None
            return 200, printed(self.logs.get(pod, "") if before is None else before, query)
        if method == "GET" and path not in self.objects:
            return self._list(path, query, resource)
        if path not in self.objects:
            return status(404, "NotFound", f'{resource} "{path.rpartition("/")[2]}" not found')
        if method == "PATCH":
            return self._patched(path, body)
        return 200, self.objects[path]

    @staticmethod
    def _meant(method: str, path: str) -> tuple[str, str]:
        parts = path.strip("/").split("/")
        at = parts.index("namespaces") + 2 if "namespaces" in parts else 2
        rest = parts[at:]
        resource = "/".join([rest[0], *rest[2:]]) if rest else ""
        verbs = {"PATCH": "patch", "POST": "create", "GET": "get" if len(rest) > 1 else "list"}
        return verbs[method], resource

    def _list(self, path: str, query: Mapping[str, str], resource: str) -> tuple[int, Any]:
        if not re.search(r"/(pods|events|replicasets|controllerrevisions|horizontalpodautoscalers)$", path):
            return status(404, "NotFound", f'{resource} "{path.rpartition("/")[2]}" not found')
        wanted = dict(part.split("=") for part in query.get("labelSelector", "").split(",") if "=" in part)
        found = [
            each
            for at, each in self.objects.items()
            if at.startswith(f"{path}/") and wanted.items() <= each["metadata"].get("labels", {}).items()
        ]
        return 200, {"kind": "List", "items": found[: int(query.get("limit", "500"))]}

    def _reviewed(self, body: Any) -> tuple[int, Any]:
        asked = body["spec"]["resourceAttributes"]
        resource = "/".join(filter(None, (asked["resource"], asked.get("subresource"))))
        return 201, {"status": {"allowed": (asked["verb"], resource) not in self.forbidden}}

    def _patched(self, path: str, body: Any) -> tuple[int, Any]:
        if self.moves > 0:
            self.moves -= 1
            self.touch(path)
        found = self.objects[path]
        for key in ("uid", "resourceVersion"):
            if body["metadata"].get(key) != found["metadata"][key]:
                return status(
                    409, "Conflict", "the object has been modified; please apply your changes to the latest version"
                )
        self.rolled[path] = digest(found["spec"].get("template"))
        merged = merge(deepcopy(found), body)
        if merged["spec"] != found["spec"]:
            merged["metadata"]["generation"] = found["metadata"].get("generation", 1) + 1
        self.put(path, merged)
        answer = deepcopy(merged)
        if self.rolls:
            self.roll_out(path)
        return 200, answer

    def _evicted(self, path: str, body: Any) -> tuple[int, Any]:
        if path not in self.objects:
            return status(404, "NotFound", f'pods "{path.rpartition("/")[2]}" not found')
        if self.moves > 0:
            self.moves -= 1
            self.touch(path)
        found = self.objects[path]["metadata"]
        if any(found[key] != value for key, value in body["deleteOptions"]["preconditions"].items()):
            return status(409, "Conflict", "Precondition failed")
        if self.budget is not None:
            code, words = status(
                429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget."
            )
            words["details"] = {"causes": [{"reason": "DisruptionBudget", "message": self.budget}]}
            return code, words
        found["deletionTimestamp"] = found.get("deletionTimestamp") or "2099-01-31T09:00:30Z"
        self.touch(path)
        if self.ends:
            self.replace(path)
        return 201, {"kind": "Status", "status": "Success", "code": 201}

    def replace(self, path: str, **changed: Any) -> None:
        """What a StatefulSet's controller does for a pod that is gone: another one of the same name, which is ready."""
        gone = self.objects.pop(path)
        [owner] = gone["metadata"]["ownerReferences"]
        new = pod(gone["metadata"]["name"], owner["uid"], **changed)
        new["metadata"] |= {"uid": f"{gone['metadata']['uid']}-new", "creationTimestamp": "2026-01-31T10:00:00Z"}
        self.put(path, new)

    def roll_out(self, path: str) -> None:
        """What the controllers and kubelets would do: every pod has the template, and is up."""
        found = self.objects[path]
        count = found["spec"].get("replicas", 1)
        found["status"] = whole(count, found["metadata"].get("generation", 1))
        if "deployments" in path and self.rolled.get(path) != digest(found["spec"].get("template")):
            annotations = found["metadata"].setdefault("annotations", {})
            annotations["deployment.kubernetes.io/revision"] = str(
                int(annotations.get("deployment.kubernetes.io/revision", "1")) + 1
            )
        self.touch(path)


def merge(found: Any, patch: Mapping[str, Any]) -> Any:
    """A strategic merge patch, as far as ours go: mappings are merged, `$patch: replace` replaces, null removes."""
    if patch.get("$patch") == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        elif isinstance(value, Mapping):
            found[key] = merge(found.get(key) if isinstance(found.get(key), dict) else {}, value)
        else:
            found[key] = value
    return found


def status(code: int, reason: str, message: str) -> tuple[int, dict[str, Any]]:
    return code, {"kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": code}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65_536  # head and body leave together
    api: ApiServer

    def log_message(self, *_: object) -> None: ...
    def date_time_string(self, timestamp: float | None = None) -> str:
        return "" if self.api.ahead is None else super().date_time_string(time.time() + self.api.ahead)

    def _serve(self) -> None:
        api, parts = self.api, urlsplit(self.path)
        path, query = unquote(parts.path), dict(parse_qsl(parts.query))
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        api.requests.append(Request(self.command, path, query, body))
        api.violations += violations(self.command, parts.path, query, body, self.headers)
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._send(*status(401, "Unauthorized", "Unauthorized"))
            return
        fault = api.fault(self.command, self.path) or Fault("")
        time.sleep(fault.seconds)
        if fault.cut == "before":
            self.close_connection = True
            return
        code, found = (
            status(fault.status, "Because", fault.message)
            if fault.status is not None
            else api.answer(self.command, path, query, body)
        )
        if fault.cut == "after":
            self.close_connection = True
            return
        if code == 200 and "PartialObjectMetadata" in self.headers.get("Accept", ""):
            found = {"kind": "PartialObjectMetadata", "metadata": found["metadata"]}
        self._send(code, found if fault.text is None else fault.text, half=fault.cut == "half")

    def _send(self, code: int, found: Any, *, half: bool = False) -> None:
        content = (found if isinstance(found, str) else json.dumps(found)).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        if code == 429:
            self.send_header("Retry-After", "1")
        self.end_headers()
        with suppress(OSError):  # who asked has gone
            self.wfile.write(content[: len(content) // 2] if half else content)
            self.wfile.flush()
        self.close_connection = self.close_connection or half

    do_GET = do_PATCH = do_POST = _serve  # noqa: N815 - the library's names


@contextmanager
def serving() -> Iterator[ApiServer]:
    """The double, on a port of its own. Every request was as the contract has it."""
    api = ApiServer()
    handler = type("Handler", (_Handler,), {"api": api})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads, api.port = True, server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
    assert not api.violations


def kubeconfig(folder: Path, server: str, *, token: str = TOKEN) -> Path:
    """A kubeconfig with one context."""
    file = folder / "kubeconfig"
    file.write_text(
        json.dumps(
            {
                "clusters": [{"name": "c", "cluster": {"server": server}}],
                "users": [{"name": "u", "user": {"token": token}}],
                "contexts": [{"name": "prod", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "prod",
            }
        )
    )
    file.chmod(0o600)
    return file


def cluster(file: Path) -> Host:
    """The host of services.yaml that leads to it."""
    return Host(CLUSTER, kubernetes=KubernetesAccess(str(file)))


def target(
    host: Host, kind: str = "deployment", name: str = "shop/api", address: str = "", words: Any = None
) -> Target:
    """A workload there."""
    return Target(f"{CLUSTER}/{kind}:{name}", "shop", CLUSTER, kind, name, address, machine=host, words=words)


@pytest.fixture
def api() -> Iterator[ApiServer]:
    """A server with one Deployment, which is well."""
    with serving() as api:
        api.put(path_of(), workload())
        yield api
