"""The revisions of a workload that its controller keeps: ReplicaSets of a Deployment, ControllerRevisions of the others.

What `kubectl rollout history` and `kubectl rollout undo` go by (k8s.io/kubectl, polymorphichelpers/history.go, rollback.go).
"""

import copy
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from paramedic.errors import PermanentError
from paramedic.kubernetes import pods
from paramedic.kubernetes.api import Api, Object
from paramedic.kubernetes.workload import DEPLOYMENT, Workload, digest
from paramedic.text.sanitize import one_line

CHANGE_CAUSE = "kubernetes.io/change-cause"
REVISION = "deployment.kubernetes.io/revision"
TEMPLATE_HASH = "pod-template-hash"


@dataclass(frozen=True, slots=True)
class Revision:
    """One template that the workload had, or has."""

    number: int  # grows with each rollout; that of a template that comes back grows too
    name: str  # of the object that keeps it
    template: Mapping[str, Any] = field(repr=False)
    made_at: str  # as the API writes it
    cause: str  # what somebody wrote as its change-cause
    annotations: Mapping[str, Any] = field(repr=False)
    current: bool  # whether it is the template that the workload has
    running: int  # how many of its pods are up now; 0 where they may not be listed

    @property
    def images(self) -> list[str]:
        """The images of its containers."""
        return images(self.template)


def of(api: Api, workload: Workload, *, deadline: float | None = None) -> list[Revision]:
    """The revisions that are kept, the last first. Raises as `Api.get` does."""
    if workload.place.form is DEPLOYMENT:
        found = [_of_replica_set(workload, each) for each in pods.replica_sets(api, workload, deadline=deadline)]
    else:
        path = workload.place.beside("apps/v1", "controllerrevisions")
        kept = api.items(path, {"labelSelector": workload.selector}, deadline=deadline)
        own = [each for each in kept if workload.uid in pods.Pod(each).owners]
        up = _up(api, workload, deadline=deadline)
        found = [_of_controller_revision(workload, each, up) for each in own]
    return sorted(found, key=lambda revision: revision.number, reverse=True)


def _up(api: Api, workload: Workload, *, deadline: float | None) -> Mapping[str, int]:
    """How many of its pods are ready, by what their label says of their revision."""
    try:
        found = pods.of(api, workload, deadline=deadline)
    except PermanentError:  # they may not be listed: a revision that somebody marked is known without them
        return {}
    return Counter(pod.revision for pod in found if pod.is_ready and not pod.is_leaving)


def images(template: object) -> list[str]:
    """The images of a pod template's containers."""
    spec = template.get("spec") if isinstance(template, Mapping) else None
    containers = (spec.get("containers") if isinstance(spec, Mapping) else None) or ()
    return [one_line(str(each.get("image")))[:300] for each in containers if isinstance(each, Mapping)]


def _of_replica_set(workload: Workload, found: Object) -> Revision:
    metadata, template = found.get("metadata") or {}, copy.deepcopy((found.get("spec") or {}).get("template") or {})
    labels = (template.get("metadata") or {}).get("labels")
    if isinstance(labels, dict):
        labels.pop(TEMPLATE_HASH, None)  # its controller's own: no part of what was asked for
    annotations = metadata.get("annotations") or {}
    number = str(annotations.get(REVISION, ""))
    available = (found.get("status") or {}).get("availableReplicas")
    return Revision(
        number=int(number) if number.isdecimal() else 0,
        name=str(metadata.get("name")),
        template=template,
        made_at=one_line(str(metadata.get("creationTimestamp", ""))),
        cause=one_line(str(annotations.get(CHANGE_CAUSE) or ""))[:300],
        annotations=annotations,
        current=digest(template) == workload.template,
        running=available if isinstance(available, int) else 0,
    )


def _of_controller_revision(workload: Workload, found: Object, up: Mapping[str, int]) -> Revision:
    """The data of a ControllerRevision is a patch of the workload: `{"spec": {"template": {"$patch": "replace", …}}}`.

    Pods of a StatefulSet have its name in their label, those of a DaemonSet the hash that is its own label.
    """
    metadata = found.get("metadata") or {}
    template = dict(((found.get("data") or {}).get("spec") or {}).get("template") or {})
    template.pop("$patch", None)
    annotations = metadata.get("annotations") or {}
    number, name = found.get("revision"), str(metadata.get("name"))
    own_hash = str((metadata.get("labels") or {}).get(pods.REVISION_LABEL, ""))
    return Revision(
        number=number if isinstance(number, int) else 0,
        name=name,
        template=template,
        made_at=one_line(str(metadata.get("creationTimestamp", ""))),
        cause=one_line(str(annotations.get(CHANGE_CAUSE) or ""))[:300],
        annotations=annotations,
        current=digest(template) == workload.template,
        running=up.get(name, 0) or (up.get(own_hash, 0) if own_hash else 0),
    )
