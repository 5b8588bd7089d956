"""What RBAC must allow for each remedy, asked of the API server itself (SelfSubjectAccessReview), which does nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from paramedic.kubernetes.api import Api
from paramedic.kubernetes.workload import DEPLOYMENT, Form, Place

_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@dataclass(frozen=True, slots=True)
class Right:
    """A verb on a resource of the workload's namespace."""

    verb: str
    group: str  # of the API: "" for pods
    resource: str  # pods, pods/log, deployments
    of_all: bool = True  # whether of every object of the namespace, or of the workload alone

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{f'.{self.group}' if self.group else ''}"


def needed(form: Form, remedy: str) -> Sequence[Right]:
    """The rights that a remedy needs beside looking: deployments/kubernetes/role.yaml grants them."""
    look, patch = (Right(verb, "apps", form.plural, of_all=False) for verb in ("get", "patch"))
    match remedy:
        case "rollback" | "roll_back_to":
            return look, patch, _revisions(form)
        case "scale":
            return look, patch, Right("list", "autoscaling", "horizontalpodautoscalers")
        case "delete_pod":
            of_deployment = (Right("list", "apps", "replicasets"),) if form is DEPLOYMENT else ()
            return look, *of_deployment, Right("list", "", "pods"), Right("create", "", "pods/eviction")
    return look, patch


def lacking(api: Api, place: Place, rights: Sequence[Right]) -> Iterator[Right]:
    """Those of the rights that who asks does not have. Raises TemporaryError or PermanentError where nobody says."""
    for right in rights:
        if not _allowed(api, place, right):
            yield right


def looking(form: Form) -> Sequence[Right]:
    """The rights that the evidence needs beside `get` of the workload, without which a part of it is not seen."""
    return (
        Right("list", "", "pods"),
        Right("get", "", "pods/log"),
        Right("list", "", "events"),
        _revisions(form),
    )


def _revisions(form: Form) -> Right:
    return Right("list", "apps", "replicasets" if form is DEPLOYMENT else "controllerrevisions")


def _allowed(api: Api, place: Place, right: Right) -> bool:
    resource, _, subresource = right.resource.partition("/")
    attributes: dict[str, Any] = {
        "namespace": place.namespace,
        "verb": right.verb,
        "group": right.group,
        "resource": resource,
    }
    if subresource:
        attributes["subresource"] = subresource
    if not right.of_all:
        attributes["name"] = place.name
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    status = api.create(_REVIEW, body).get("status")
    return isinstance(status, Mapping) and status.get("allowed") is True
