"""The commands by which a person goes on: exact, with the namespace, so that they can be pasted."""

import shlex

from paramedic.kubernetes.workload import Place, Workload
from paramedic.text.sanitize import one_line


def by_kubectl(workload: Workload, verb: str, *more: str) -> str:
    """A command of kubectl's about the workload: `kubectl --namespace shop rollout resume deployment/tracking-api`."""
    place = workload.place
    name = f"{place.form.kind.lower()}/{place.name}"
    return shlex.join(["kubectl", "--namespace", place.namespace, *verb.split(" "), name, *more])


def of_pod(place: Place, pod: str, verb: str, *more: str) -> str:
    """A command of kubectl's about one of its pods: `kubectl --namespace shop delete pod tracking-api-0`."""
    return shlex.join(["kubectl", "--namespace", place.namespace, verb, "pod", *more, "--", one_line(pod)])
