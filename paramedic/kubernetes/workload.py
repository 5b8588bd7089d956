"""A workload as the API server describes it: a Deployment, a StatefulSet or a DaemonSet.

When a rollout is complete, `kubectl rollout status` defines (k8s.io/kubectl, polymorphichelpers/rollout_status.go).
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kubernetes.api import Api, NotFound, Object, named
from paramedic.remediation.target import Identity, Target
from paramedic.text.sanitize import one_line

#: The annotation of the pod template by which `kubectl rollout restart` replaces all pods.
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"

#: The annotation of the workload that keeps which number of pods the last scaling has left, and for which.
SCALED = "paramedic/scaled"

#: The annotation of the workload that keeps which release the last roll-back has left, and for which.
ROLLED_BACK = "paramedic/rolled-back"

_REVISION = "deployment.kubernetes.io/revision"


@dataclass(frozen=True, slots=True)
class Form:
    """One of the three: what the API calls it."""

    kind: str  # Deployment
    plural: str  # deployments: in paths and in rules of RBAC


DEPLOYMENT = Form("Deployment", "deployments")
STATEFUL_SET = Form("StatefulSet", "statefulsets")
DAEMON_SET = Form("DaemonSet", "daemonsets")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a workload is in its cluster."""

    form: Form
    namespace: str
    name: str

    @classmethod
    def of(cls, form: Form, target: Target) -> "Place":
        """That of a target, which is named NAMESPACE/NAME."""
        namespace, _, name = target.name.partition("/")
        return cls(form, namespace, name)

    @property
    def path(self) -> str:
        """Its path at the API server."""
        return named("apis", "apps", "v1", "namespaces", self.namespace, self.form.plural, self.name)

    def beside(self, group: str, plural: str) -> str:
        """The path of the objects of a kind in its namespace: `apps` and `replicasets`, `` and `pods`."""
        api = ("apis", *group.split("/")) if group else ("api", "v1")
        return named(*api, "namespaces", self.namespace, plural)

    def __str__(self) -> str:
        return f"{self.form.kind} {self.namespace}/{self.name}"


class Workload:
    """What the API server says of it at one moment. What it leaves out is as in the API's documents."""

    def __init__(self, place: Place, found: Object) -> None:
        self.place = place
        self.metadata = _mapping(found, "metadata")
        self.spec = _mapping(found, "spec")
        self.status = _mapping(found, "status")
        if not isinstance(self.metadata.get("uid"), str) or not isinstance(self.spec.get("template"), Mapping):
            raise TemporaryError(f"the API server's answer does not describe the {place}")

    @property
    def uid(self) -> str:
        """Its id, which one of the same name that is made later does not have."""
        return str(self.metadata["uid"])

    @property
    def resource_version(self) -> str:
        """The version of the whole object: every change of it, of its status too, makes another."""
        return str(self.metadata.get("resourceVersion", ""))

    @property
    def generation(self) -> int:
        """The version of what is asked of it; its status moves it not."""
        return _number(self.metadata, "generation")

    @property
    def annotations(self) -> Mapping[str, Any]:
        """Those of the workload itself."""
        return _mapping(self.metadata, "annotations")

    @property
    def labels(self) -> Mapping[str, Any]:
        """Those of the workload itself."""
        return _mapping(self.metadata, "labels")

    @cached_property
    def template(self) -> str:
        """What tells one pod template from another."""
        return digest(self.spec["template"])

    @property
    def restarted_at(self) -> str | None:
        """The mark of its last restart."""
        found = _mapping(_mapping(self.spec["template"], "metadata"), "annotations").get(RESTARTED_AT)
        return None if found is None else str(found)

    @property
    def observed(self) -> bool:
        """Whether its controller has seen what is asked of it now: until then its status is of before."""
        return _number(self.status, "observedGeneration") >= self.generation

    @property
    def paused(self) -> bool:
        """Whether somebody has paused its rollouts."""
        return self.spec.get("paused") is True

    @property
    def strategy(self) -> str:
        """How its pods are replaced: RollingUpdate, Recreate, OnDelete."""
        of = "strategy" if self.place.form is DEPLOYMENT else "updateStrategy"
        return str(_mapping(self.spec, of).get("type", "RollingUpdate"))

    @property
    def partition(self) -> int:
        """The ordinal from which on a StatefulSet's pods are updated."""
        return _number(_mapping(_mapping(self.spec, "updateStrategy"), "rollingUpdate"), "partition")

    @property
    def desired(self) -> int:
        """How many pods it is to have."""
        if self.place.form is DAEMON_SET:
            return _number(self.status, "desiredNumberScheduled")
        replicas = self.spec.get("replicas")
        return replicas if isinstance(replicas, int) else 1

    @property
    def updated(self) -> int:
        """How many of its pods have the current template."""
        return _number(self.status, "updatedNumberScheduled" if self.place.form is DAEMON_SET else "updatedReplicas")

    @property
    def total(self) -> int:
        """How many pods it has, of whichever template."""
        return _number(self.status, "currentNumberScheduled" if self.place.form is DAEMON_SET else "replicas")

    @property
    def ready(self) -> int:
        """How many of its pods are ready."""
        return _number(self.status, "numberReady" if self.place.form is DAEMON_SET else "readyReplicas")

    @property
    def available(self) -> int:
        """How many of its pods are ready for long enough. A StatefulSet does not say it before Kubernetes 1.22."""
        if self.place.form is DAEMON_SET:
            return _number(self.status, "numberAvailable")
        if self.place.form is STATEFUL_SET and "availableReplicas" not in self.status:
            return self.ready
        return _number(self.status, "availableReplicas")

    @property
    def revision(self) -> str | None:
        """The revision that its controller gave to the current template; None while it has not."""
        if not self.observed:
            return None
        found = self.annotations.get(_REVISION) if self.place.form is DEPLOYMENT else self.status.get("updateRevision")
        return None if found is None else one_line(str(found))[:200]

    @property
    def selector(self) -> str:
        """Its pods, as a label selector. Raises PermanentError for one that cannot be written so."""
        selector = _mapping(self.spec, "selector")
        parts = [f"{key}={value}" for key, value in _mapping(selector, "matchLabels").items()]
        parts += [_expression(wanted) for wanted in selector.get("matchExpressions") or ()]
        if not parts:
            raise PermanentError(f"the {self.place} selects every pod of its namespace")
        return ",".join(parts)

    def condition(self, kind: str) -> Mapping[str, Any]:
        """Its condition of this type; empty where it has none."""
        found = [each for each in self.status.get("conditions") or () if isinstance(each, Mapping)]
        return next((each for each in found if each.get("type") == kind), {})

    @property
    def overdue(self) -> bool:
        """Whether its controller says that the rollout is late: its `progressDeadlineSeconds` are over."""
        return self.observed and self.condition("Progressing").get("reason") == "ProgressDeadlineExceeded"

    @property
    def rolled_out(self) -> bool:
        """Whether all its pods have the current template and are up, as `kubectl rollout status` means it."""
        if not self.observed or self.overdue:
            return False
        if self.place.form is DAEMON_SET:
            return self.updated >= self.desired and self.available >= self.desired
        if self.place.form is STATEFUL_SET:
            return self.ready >= self.desired and self.updated >= self.desired - self.partition
        return self.updated >= self.desired and self.total <= self.updated and self.available >= self.updated

    @property
    def rolling(self) -> bool:
        """Whether pods are being replaced just now: some have an older template, and its controller has not given up."""
        return not self.overdue and (not self.observed or self.updated < self.desired or self.total > self.updated)

    @property
    def identity(self) -> Identity:
        """The workload and the template that it has now: what a restart, a roll-back or a deployment changes."""
        return Identity(self.state, {"uid": self.uid, "template": self.template}, self.revision)

    @property
    def state(self) -> str:
        """How many of its pods are there, and how far its rollout is: `available/complete`, `partial/overdue`, …

        `unknown/…` while pods are being replaced and as many as there should be are up: which of them, nobody says, so it is
        neither well nor broken. What its controller has not looked at is unknown too.
        """
        pods, rollout = self._pods(), self._rollout()
        unclear = rollout == "unobserved" or (pods == "available" and rollout == "progressing")
        return f"{'unknown' if unclear else pods}/{rollout}"

    def _pods(self) -> str:
        if self.desired == 0:
            return "scaled-to-zero"
        if self.available == 0:
            return "unavailable"
        return "available" if self.available >= self.desired else "partial"

    def _rollout(self) -> str:
        if self.paused:
            return "paused"
        if not self.observed:
            return "unobserved"
        if self.overdue:
            return "overdue"
        return "complete" if self.rolled_out else "progressing"


def is_up(identity: Identity) -> bool:
    """Whether all pods that it should have are available, and its controller has not given up on newer ones."""
    pods, _, rollout = identity.state.partition("/")
    return pods == "available" and rollout != "overdue"


def is_another(before: Identity, now: Identity) -> bool:
    """Whether it has another template than before, or was made anew: whether or not its pods are up."""
    return any(before.instance.get(name) != now.instance.get(name) for name in ("uid", "template"))


def read(api: Api, place: Place, *, deadline: float | None = None) -> Workload:
    """The workload as it is now. Raises PermanentError where it is not there or may not be read, or TemporaryError."""
    try:
        return Workload(place, api.get(place.path, deadline=deadline))
    except NotFound as error:
        raise PermanentError(f"the cluster has no {place}") from error


def digest(template: object) -> str:
    """What tells one pod template from another: of 64 bits. A field without a value (null) is none."""
    text = json.dumps(content(template), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def content(template: object) -> Any:
    """The template without fields that have no value: older API servers and ControllerRevisions write some as null."""
    if isinstance(template, Mapping):
        return {key: content(value) for key, value in template.items() if value is not None}
    if isinstance(template, list):
        return [content(each) for each in template]
    return template


def without_restart(template: object) -> Any:
    """The template without the mark of a restart: the release that it is."""
    found = content(template)
    metadata = found.get("metadata") if isinstance(found, dict) else None
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    if isinstance(metadata, dict) and isinstance(annotations, dict):
        annotations.pop(RESTARTED_AT, None)
        if not annotations:
            del metadata["annotations"]
    return found


_OPERATORS = {"In": "in", "NotIn": "notin"}


def _expression(wanted: Any) -> str:
    """One of `matchExpressions` as a text."""
    key, operator, values = str(wanted["key"]), wanted.get("operator"), wanted.get("values") or ()
    if operator in _OPERATORS:
        return f"{key} {_OPERATORS[operator]} ({','.join(map(str, values))})"
    return key if operator == "Exists" else f"!{key}"


def counts(workload: Workload) -> Iterator[str]:
    """How many pods it is to have and has, each in words."""
    yield f"{workload.desired} desired"
    yield f"{workload.updated} with the current template"
    yield f"{workload.total} in all"
    yield f"{workload.ready} ready"
    yield f"{workload.available} available"


def _mapping(of: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = of.get(key)
    return found if isinstance(found, Mapping) else {}


def _number(of: Mapping[str, Any], key: str) -> int:
    found = of.get(key)
    return found if isinstance(found, int) and not isinstance(found, bool) else 0
