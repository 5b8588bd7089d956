"""The pods of a workload, and what keeps them from running."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from paramedic.kubernetes.api import Api, Object
from paramedic.kubernetes.workload import DEPLOYMENT, Workload
from paramedic.text.sanitize import one_line

#: Reasons of a waiting container that are no trouble.
_BEGINNING = {"ContainerCreating", "PodInitializing"}


@dataclass(frozen=True, slots=True)
class Restarts:
    """A container that was started again."""

    container: str
    count: int
    ended: Mapping[str, Any]  # how it ended last


#: The label by which a StatefulSet and a DaemonSet tell which revision a pod has.
REVISION_LABEL = "controller-revision-hash"


class Pod:
    """One pod, as the API server describes it."""

    def __init__(self, found: Object) -> None:
        self.metadata = _mapping(found.get("metadata"))
        self.spec = _mapping(found.get("spec"))
        self.status = _mapping(found.get("status"))

    @property
    def name(self) -> str:
        """Its name: data, as whoever creates pods chooses it."""
        return str(self.metadata.get("name", ""))

    @property
    def uid(self) -> str:
        """Its id, which no other pod has, of the same name neither."""
        return str(self.metadata.get("uid", ""))

    @property
    def made_at(self) -> datetime | None:
        """When it was created, by the API server's clock; None where that is not told."""
        return moment(self.metadata.get("creationTimestamp"))

    @property
    def gone_by(self) -> datetime | None:
        """When a pod that is being deleted should have ended, by the API server's clock; None where it is not being deleted."""
        return moment(self.metadata.get("deletionTimestamp"))

    @property
    def is_over(self) -> bool:
        """Whether it has ended for good: its controller has made another, or needs none."""
        return self.status.get("phase") in ("Succeeded", "Failed")

    @property
    def node(self) -> str | None:
        """The node that it is on."""
        found = self.spec.get("nodeName")
        return None if found is None else str(found)

    @property
    def revision(self) -> str:
        """What its controller says of its revision, where that is a StatefulSet or a DaemonSet; else ""."""
        return str(_mapping(self.metadata.get("labels")).get(REVISION_LABEL, ""))

    @property
    def is_ready(self) -> bool:
        """Whether it takes requests."""
        return self._condition("Ready").get("status") == "True"

    @property
    def is_leaving(self) -> bool:
        """Whether it is being deleted."""
        return "deletionTimestamp" in self.metadata

    @property
    def not_ready_since(self) -> str:
        """Since when it is not ready, as the API writes moments; later texts are later moments."""
        return str(self._condition("Ready").get("lastTransitionTime") or self.metadata.get("creationTimestamp", ""))

    def not_ready_for(self, now: datetime) -> timedelta:
        """For how long it has not been ready; not at all where that is not told."""
        since = moment(self.not_ready_since)
        return timedelta(0) if self.is_ready or since is None else now - since

    @property
    def owners(self) -> set[str]:
        """The ids of what controls it."""
        owners = self.metadata.get("ownerReferences") or ()
        return {str(owner.get("uid")) for owner in owners if isinstance(owner, Mapping) and owner.get("controller")}

    def containers(self) -> Iterator[Mapping[str, Any]]:
        """What is known of each container, those that only prepare first."""
        for group in ("initContainerStatuses", "containerStatuses"):
            yield from (each for each in self.status.get(group) or () if isinstance(each, Mapping))

    @property
    def restarts(self) -> list[Restarts]:
        """Its containers that were started again."""
        return [
            Restarts(
                str(each.get("name")), each["restartCount"], _mapping(_mapping(each.get("lastState")).get("terminated"))
            )
            for each in self.containers()
            if isinstance(each.get("restartCount"), int) and each["restartCount"] > 0
        ]

    @property
    def trouble(self) -> str | None:
        """What keeps it from running, in words; None where it runs, is leaving, or merely beginning.

        One that runs and is not ready yet may be slow to begin: that is no trouble by itself.
        """
        if self.is_ready or self.is_leaving:
            return None
        for each in self.containers():
            state = _mapping(each.get("state"))
            waiting = _mapping(state.get("waiting"))
            reason = str(waiting.get("reason") or "")
            if reason and reason not in _BEGINNING:
                return _said(f"container {each.get('name')}: {reason}", waiting.get("message"), _ending(each))
        scheduled = self._condition("PodScheduled")
        if scheduled.get("status") == "False":
            return _said(str(scheduled.get("reason") or "not scheduled"), scheduled.get("message"))
        if self.status.get("phase") == "Failed":
            return _said(f"failed: {self.status.get('reason') or 'no reason'}", self.status.get("message"))
        return None

    def _condition(self, kind: str) -> Mapping[str, Any]:
        found = self.status.get("conditions") or ()
        return next((each for each in found if isinstance(each, Mapping) and each.get("type") == kind), {})


def of(api: Api, workload: Workload, *, deadline: float | None = None) -> list[Pod]:
    """The pods that the workload controls. Raises as `Api.get` does."""
    controllers = {workload.uid}
    if workload.place.form is DEPLOYMENT:
        controllers = {
            str(_mapping(each.get("metadata")).get("uid")) for each in replica_sets(api, workload, deadline=deadline)
        }
    found = api.items(workload.place.beside("", "pods"), {"labelSelector": workload.selector}, deadline=deadline)
    return [pod for pod in map(Pod, found) if pod.owners & controllers]


def replica_sets(api: Api, workload: Workload, *, deadline: float | None = None) -> list[Object]:
    """The ReplicaSets that a Deployment controls: one for each revision. Raises as `Api.get` does."""
    path = workload.place.beside("apps/v1", "replicasets")
    found = api.items(path, {"labelSelector": workload.selector}, deadline=deadline)
    return [each for each in found if workload.uid in Pod(each).owners]


def troubles(pods: list[Pod]) -> list[str]:
    """What keeps pods from running, the most frequent first, each with how many it concerns and one of them."""
    found = Counter(pod.trouble for pod in pods if pod.trouble is not None)
    one = {pod.trouble: pod.name for pod in reversed(pods)}
    return [
        f"{count} of {len(pods)} pods ({one_line(one[words])}): {words}"
        for words, count in found.most_common(3)
        if words
    ]


def _ending(container: Mapping[str, Any]) -> str | None:
    ended = _mapping(_mapping(container.get("lastState")).get("terminated"))
    return None if not ended else f"it ended last with {ended.get('reason')}, exit code {ended.get('exitCode')}"


def _said(reason: str, *more: object) -> str:
    return one_line(": ".join([reason, *(str(each) for each in more if each)]))[:400]


def moment(text: object) -> datetime | None:
    """A moment as the API writes it; None for anything else."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _mapping(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}
