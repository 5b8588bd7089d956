"""The API's contract, as far as our requests go: which there are, and what each has to say."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
PATCH = "application/strategic-merge-patch+json"
_APPS = r"/apis/apps/v1/namespaces/[a-z0-9-]+"
#: What may be asked, by method: nothing else is a request of ours.
ALLOWED = {
    "GET": rf"{_APPS}/(deployments|statefulsets|daemonsets)/[a-z0-9.-]+"
    rf"|{_APPS}/(replicasets|controllerrevisions)"
    r"|/api/v1/namespaces/[a-z0-9-]+/(pods|events)|/api/v1/namespaces/[a-z0-9-]+/pods/[^/]+/log|/api/v1/nodes/[^/]+"
    r"|/api/v1/namespaces/[a-z0-9-]+/pods/[^/]+|/api/v1/namespaces/[a-z0-9-]+/(configmaps|secrets)/[a-z0-9.-]+"
    r"|/apis/autoscaling/v1/namespaces/[a-z0-9-]+/horizontalpodautoscalers|/version|/api/v1",
    "PATCH": rf"{_APPS}/(deployments|statefulsets|daemonsets)/[a-z0-9.-]+",
    "POST": r"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews|/apis/authentication.k8s.io/v1/selfsubjectreviews"
    r"|/api/v1/namespaces/[a-z0-9-]+/pods/[^/]+/eviction",
}


def violations(method: str, path: str, query: Mapping[str, str], body: Any, headers: Any) -> Iterator[str]:
    """What of the request is not as the API's reference has it."""
    if not re.fullmatch(ALLOWED.get(method, ""), path) or "//" in path or "/../" in path:
        yield f"{method} {path} is none of ours"
    accepts = METADATA if re.search(r"/(configmaps|secrets)/", path) else "application/json"
    if headers.get("Accept") != accepts:  # of these nothing but the metadata may ever be sent
        yield f"{method} {path} asks for {headers.get('Accept')}"
    if method == "PATCH":
        if headers.get("Content-Type") != PATCH:
            yield f"a patch of the type {headers.get('Content-Type')}"
        if query != {"fieldManager": "paramedic"}:
            yield f"a patch with {query}"
        if not {"uid", "resourceVersion"} <= body["metadata"].keys():
            yield "a patch without its preconditions"
    if path.endswith("/eviction") and not {"uid", "resourceVersion"} <= body["deleteOptions"]["preconditions"].keys():
        yield "an eviction without its preconditions"
    if method == "GET" and path.endswith(("/pods", "/events", "/replicasets")) and "limit" not in query:
        yield f"a list of {path} without a limit"
