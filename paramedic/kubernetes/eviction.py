"""One pod of a workload, deleted so that its controller makes another; no PodDisruptionBudget is broken by it.

Kubernetes documentation: "API-initiated Eviction". It is a deletion that the API server refuses where a budget is used up, so it
is asked for every pod, covered or not.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from paramedic.alerts.alert import Alert
from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TemporaryError
from paramedic.kubernetes import pods
from paramedic.kubernetes.api import Api, Conflict, NotFound, Protected, named
from paramedic.kubernetes.change import TRIES, check_same
from paramedic.kubernetes.commands import by_kubectl, of_pod
from paramedic.kubernetes.pods import Pod
from paramedic.kubernetes.restart import refuse_unfit
from paramedic.kubernetes.workload import Place, Workload, read
from paramedic.machine.clock import boottime, spoken, utc_now
from paramedic.machine.kill_points import kill_point
from paramedic.remediation.quorum import Quorum
from paramedic.remediation.target import Identity, Target
from paramedic.text.sanitize import one_line

#: A pod that runs, and is not ready for less than this, may be slow to begin.
_SLOW = timedelta(minutes=1)

#: After the time that a pod has to end, this is left to its kubelet to say that it has.
_SAID = timedelta(seconds=10)

#: How often is looked whether the pod is gone, and whether the outcome of a lost answer can be seen. Seconds.
_LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Asked:
    """Which pod is meant, and what must hold."""

    alerts: Sequence[Alert]  # those of the incident that fire
    label: str  # the one of their labels that names a pod
    keep: Quorum | None  # the share of the pods that must be ready beside it


class Eviction:
    """Deletes one pod of one workload."""

    def __init__(self, api: Api, place: Place, target: Target, total: timedelta) -> None:
        self._api, self._place, self._target, self._total = api, place, target, total
        self._deadline = boottime() + total.total_seconds()
        self.did = ""

    def carry_out(self, asked: Asked, expected: Identity, last_look: Callable[[], None]) -> Identity:
        """Have one pod of the workload `expected` deleted, and wait until it is gone and a new one is ready.

        The request has the pod's `uid` and `resourceVersion`: one that is ready again by then, or of the same name, is left
        alone (409), and all is judged again. Raises as `Fence.carry_out` does; PermanentError also where the pod does not end,
        or no new one comes up. One that only takes longer is left to the verification.
        """
        version = self._version()
        for _ in range(TRIES):
            now = read(self._api, self._place, deadline=self._deadline)
            check_same(self._target, expected, now)
            refuse_unfit(self._target, now)
            found = pods.of(self._api, now, deadline=self._deadline)
            pod = chosen(self._target, now, found, asked)
            last_look()
            if boottime() >= self._deadline:
                raise Refused(
                    f"the {spoken(self._total)} to delete a pod of {self._target.id} were over before it was sent"
                )
            try:
                self._sent(pod, version)
            except Conflict:
                continue
            except NotFound:  # it is gone by itself: another may be meant now
                continue
            return self._replaced(now, pod, {each.uid for each in found})
        raise TemporaryError(f"the pods of {self._target.id} changed {TRIES} times just before one was to be deleted")

    def _sent(self, pod: Pod, version: str) -> None:
        """Raises Conflict and NotFound where nothing was done, and as `carry_out` does."""
        at = (self._place.namespace, "pods", pod.name)
        preconditions = {"uid": pod.uid, "resourceVersion": pod.metadata.get("resourceVersion")}
        body: dict[str, Any] = {
            "apiVersion": version,
            "kind": "Eviction",
            "metadata": {"name": pod.name, "namespace": self._place.namespace},
            "deleteOptions": {"preconditions": preconditions},
        }
        try:
            self._api.evict(named("api", "v1", "namespaces", *at, "eviction"), body, deadline=self._deadline)
        except Protected as budget:
            raise Refused(
                f"the pod {one_line(pod.name)} of {self._target.id} is not deleted: {budget}",
                by_hand=f"kubectl --namespace {self._place.namespace} get poddisruptionbudgets",
            ) from budget
        except OutcomeUnknown as error:
            kill_point("act_sent", self._target.id)
            self._found_out(pod, error)
        else:
            kill_point("act_sent", self._target.id)

    def _found_out(self, pod: Pod, lost: OutcomeUnknown) -> None:
        """What became of a deletion whose answer is lost. It cannot happen later once the pod has another version.

        Raises TemporaryError where it did not happen, OutcomeUnknown where that is not seen before the deadline.
        """
        path = named("api", "v1", "namespaces", self._place.namespace, "pods", pod.name)
        while boottime() < self._deadline:
            try:
                now = Pod(self._api.get(path, deadline=self._deadline))
            except NotFound:
                return
            except TemporaryError:
                now = pod
            except PermanentError as error:
                raise OutcomeUnknown(f"{lost}; and then: {error}") from lost
            if now.uid != pod.uid or now.is_leaving:
                return
            if now.metadata.get("resourceVersion") != pod.metadata.get("resourceVersion"):
                raise TemporaryError(
                    f"{lost}; the pod was not deleted, and cannot be by it any more: its version is another"
                ) from lost
            time.sleep(min(_LOOK_SECONDS, max(self._deadline - boottime(), 0)))
        raise OutcomeUnknown(f"{lost}; whether the pod was deleted is not seen") from lost

    def _replaced(self, workload: Workload, gone: Pod, before: set[str]) -> Identity:
        """The workload once the pod is gone and a new one is ready, or at the deadline. `before`: the ids of its pods then."""
        name, found = one_line(gone.name), [gone]
        self.did = f"the pod {name} was told to end"
        while boottime() < self._deadline - _LOOK_SECONDS:
            time.sleep(_LOOK_SECONDS)
            try:
                found = pods.of(self._api, workload, deadline=self._deadline)
            except TemporaryError:
                continue
            except PermanentError as error:
                raise OutcomeUnknown(f"{self.did}, and its workload's pods cannot be seen any more: {error}") from error
            fresh = [pod for pod in found if pod.uid not in before and pod.is_ready and not pod.is_leaving]
            if fresh and all(pod.uid != gone.uid for pod in found):
                self.did = (
                    f"the pod {name} ({gone.uid}) is gone, and {one_line(fresh[0].name)} ({fresh[0].uid}) is ready"
                )
                break
        else:
            self._judge(gone, found, before)
        try:
            return read(self._api, self._place).identity
        except (TemporaryError, PermanentError):  # the pod was told to end: only how the workload is now is not known
            return Identity("UNKNOWN", workload.identity.instance, workload.revision)

    def _judge(self, gone: Pod, found: list[Pod], before: set[str]) -> None:
        """What is wrong at the deadline. Raises PermanentError where it does not go on; tells what is not done yet."""
        name = one_line(gone.name)
        leaving = next((pod for pod in found if pod.uid == gone.uid), None)
        if leaving is not None:
            until = leaving.gone_by
            if until is not None and utc_now() > until + _SAID:
                raise PermanentError(
                    f"the pod {name} of {self._target.id} should have ended at {until:%H:%M:%S}Z and has not: its node "
                    f"{one_line(leaving.node or 'none')} may not answer. Where that is gone for good: "
                    f"{of_pod(self._place, gone.name, 'delete', '--force', '--grace-period=0')}"
                )
            self.did = f"the pod {name} ({gone.uid}) is ending, and is still there"
            return
        fresh = [pod for pod in found if pod.uid not in before]
        if words := pods.troubles(fresh):
            raise PermanentError(
                f"the pod {name} of {self._target.id} is gone, and the new one is stuck: {'; '.join(words)}"
            )
        self.did = f"the pod {name} ({gone.uid}) is gone, and no new one is ready yet"

    def _version(self) -> str:
        """The version of the API's Eviction: `policy/v1` since Kubernetes 1.22. Raises as `Api.get` does, and PermanentError."""
        for each in self._api.get("/api/v1", deadline=self._deadline).get("resources") or ():
            if each.get("name") == "pods/eviction":
                return f"{each.get('group') or 'policy'}/{each.get('version') or 'v1'}"
        raise PermanentError(
            f"the cluster of {self._target.id} has no evictions, and no pod is deleted past its budgets"
        )


def chosen(target: Target, workload: Workload, found: list[Pod], asked: Asked) -> Pod:
    """The pod to delete: one that a firing alert names, or else one that is unhealthy; of several the worst.

    Raises Refused where there is none, or too few are ready beside it.
    """
    meant = _named(target, workload, found, asked) or _unhealthy(found)
    if not meant:
        raise Refused(
            f"no pod of {target.id} is unhealthy, and no firing alert names one in its label `{asked.label}`",
            by_hand=by_kubectl(workload, "describe"),
        )
    pod = min(meant, key=lambda each: (each.is_ready, each.not_ready_since))
    beside = sum(each.is_ready and not each.is_leaving for each in found if each.uid != pod.uid)
    by_hand = of_pod(workload.place, pod.name, "delete")
    if asked.keep is not None and beside < (needed := asked.keep.needed(max(workload.desired, 1))):
        raise Refused(
            f"{beside} of the {workload.desired} pods of {target.id} are ready beside {one_line(pod.name)}, and {needed} must be "
            f"(keep_healthy: {asked.keep.text})",
            by_hand=by_hand,
        )
    if pod.is_ready and beside == 0:
        raise Refused(f"{one_line(pod.name)} is the only pod of {target.id} that is ready", by_hand=by_hand)
    return pod


def _named(target: Target, workload: Workload, found: list[Pod], asked: Asked) -> list[Pod]:
    """The workload's own pods that alerts name. Raises Refused where they name pods, and none that may be meant."""
    ours = {pod.name: pod for pod in found}
    meant, others = [], []
    for alert in asked.alerts:
        name = alert.labels.get(asked.label)
        if name is None:
            continue
        pod = ours.get(name)
        if pod is None:
            others.append(f"{one_line(name)[:200]} is none of its pods")
        elif pod.is_leaving or pod.is_over:
            others.append(f"{one_line(name)} ends already")
        elif pod.made_at is None or pod.made_at >= alert.starts_at.replace(microsecond=0):  # dated by the second
            others.append(f"the pod {one_line(name)} that there is now was made after the alert began")
        else:
            meant.append(pod)
    if others and not meant:
        raise Refused(
            f"the alert's label `{asked.label}` names no pod of {target.id} to delete: {'; '.join(dict.fromkeys(others))}",
            by_hand=by_kubectl(workload, "describe"),
        )
    return meant


def _unhealthy(found: list[Pod]) -> list[Pod]:
    """The pods that are on a node and not ready, for a reason or for long. What no node takes, another would not be either."""
    return [
        pod
        for pod in found
        if not (pod.is_ready or pod.is_leaving or pod.is_over)
        and pod.node is not None
        and (pod.trouble is not None or pod.not_ready_for(utc_now()) > _SLOW)
    ]
