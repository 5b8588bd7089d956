"""What changed of a workload: its rollouts, who set what of it, its autoscaler, and the ConfigMaps and Secrets that it uses.

Of a ConfigMap or a Secret nothing but its metadata is asked for, and of that nothing but who changed it and when is read: an
annotation of `kubectl apply` holds the whole content. Kubernetes API concepts: "Metadata-only fetches", "Server-Side Apply".
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import Any

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.changes import Change, Changes
from paramedic.kinds.transport import Transport
from paramedic.kubernetes import pods, revisions, scale, target
from paramedic.kubernetes.api import Api, Forbidden, Object
from paramedic.kubernetes.workload import RESTARTED_AT, Form, Place, Workload, read
from paramedic.remediation.target import Target
from paramedic.text.sanitize import one_line

#: So many ConfigMaps and Secrets are looked at, so many at once.
_MOST_USED, _AT_ONCE = 40, 8

#: A kind of object that a pod template may use: its resource, and its plural in paths.
_USED = {"ConfigMap": "configmaps", "Secret": "secrets"}

#: What finds changes of a workload. Raises TemporaryError or PermanentError, also after some.
_Look = Callable[[], Iterator[Change]]


def of(form: Form) -> Callable[[Target, Transport, datetime, float], Changes]:
    """The function of a kind that says what changed at a target since a moment, by a deadline of `boottime`."""
    return partial(_changes, form)


def _changes(form: Form, listed: Target, transport: Transport, since: datetime, deadline: float) -> Changes:
    """What changed since then. Raises PermanentError or TemporaryError where the workload itself is not seen."""
    api = target.api(listed, transport, deadline)
    workload = read(api, Place.of(form, listed))
    looks: Mapping[str, _Look] = {
        "rollouts": lambda: _rollouts(api, workload),
        "its autoscaler": lambda: _autoscaled(api, workload),
    }
    found, unseen = [*managed(workload.metadata, str(workload.place))], list[str]()
    for what, look in looks.items():
        try:
            found.extend(look())
        except (TemporaryError, PermanentError) as error:
            unseen.append(f"{what}: {error}")
    used = list(uses(workload.spec.get("template")))
    if len(used) > _MOST_USED:
        names = ", ".join(f"{kind} {one_line(name)}" for kind, name in used[_MOST_USED:][:5])
        unseen.append(
            f"{len(used) - _MOST_USED} more that it uses were not looked at ({names}): kubectl get --show-managed-fields"
        )
    with ThreadPoolExecutor(_AT_ONCE, "used") as asking:
        for seen, why in asking.map(partial(_used, api, workload.place), used[:_MOST_USED]):
            found += seen
            unseen += [why] if why else []
    return Changes([change for change in found if change.at >= since], unseen)


def _rollouts(api: Api, workload: Workload) -> Iterator[Change]:
    for revision in revisions.of(api, workload):
        at = pods.moment(revision.made_at)
        if at is None:
            continue
        annotations = _mapping(_mapping(revision.template.get("metadata")).get("annotations"))
        restart = ", by a restart" if RESTARTED_AT in annotations else ""
        cause = f": {revision.cause}" if revision.cause else ""
        yield Change(at, f"rollout of revision {revision.number}, {', '.join(revision.images)}{restart}{cause}")


def _autoscaled(api: Api, workload: Workload) -> Iterator[Change]:
    for each in scale.autoscalers(api, workload.place):
        metadata, spec, status = (_mapping(each.get(part)) for part in ("metadata", "spec", "status"))
        name = f"HorizontalPodAutoscaler {one_line(str(metadata.get('name')))}"
        yield from managed(metadata, name)
        if (at := pods.moment(status.get("lastScaleTime"))) is not None:
            wants = f"{status.get('desiredReplicas')} pods ({spec.get('minReplicas', 1)} to {spec.get('maxReplicas')})"
            yield Change(at, one_line(f"{name} scaled it; it wants {wants} now"))


def managed(metadata: Mapping[str, Any], what: str) -> Iterator[Change]:
    """When an object was made, and who set something of it when last, but for its status."""
    if (at := pods.moment(metadata.get("creationTimestamp"))) is not None:
        yield Change(at, f"{what} was made")
    for entry in metadata.get("managedFields") or ():
        if not isinstance(entry, Mapping) or entry.get("subresource") == "status":
            continue
        at, fields = pods.moment(entry.get("time")), _mapping(entry.get("fieldsV1"))
        parts = [part for part in fields if part not in ("f:metadata", "f:status")]
        if at is not None and parts:
            of_spec = [
                str(key).removeprefix("f:") for key in _mapping(fields.get("f:spec")) if str(key).startswith("f:")
            ]
            which = f" ({', '.join(of_spec[:6])})" if of_spec else ""
            yield Change(at, one_line(f"{what}: set by {entry.get('manager')}{which}")[:300])


def _used(api: Api, place: Place, one: tuple[str, str]) -> tuple[list[Change], str | None]:
    """What changed of a ConfigMap or a Secret, and why that could not be seen."""
    kind, name = one
    words, plural = f"{kind} {one_line(name)}", _USED[kind]
    try:
        metadata = _mapping(api.metadata(f"{place.beside('', plural)}", name).get("metadata"))
    except Forbidden:
        return [], f"{words}: needs get of {plural}, of this name alone (deployments/kubernetes/role.yaml shows how)"
    except (TemporaryError, PermanentError) as error:
        return [], f"{words}: {error}"
    return list(managed(metadata, words)), None


def uses(template: object) -> Iterator[tuple[str, str]]:
    """The ConfigMaps and Secrets that a pod template names, each once: its kind and its name."""
    seen = dict.fromkeys(_named(_mapping(_mapping(template).get("spec"))))
    yield from ((kind, name) for kind, name in seen if isinstance(name, str) and name)


def _named(spec: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for volume in _each(spec.get("volumes")):
        yield "ConfigMap", _mapping(volume.get("configMap")).get("name")
        yield "Secret", _mapping(volume.get("secret")).get("secretName")
        for source in _each(_mapping(volume.get("projected")).get("sources")):
            yield "ConfigMap", _mapping(source.get("configMap")).get("name")
            yield "Secret", _mapping(source.get("secret")).get("name")
    for group in ("initContainers", "containers"):
        for container in _each(spec.get(group)):
            for variables in _each(container.get("envFrom")):
                yield "ConfigMap", _mapping(variables.get("configMapRef")).get("name")
                yield "Secret", _mapping(variables.get("secretRef")).get("name")
            for variable in _each(container.get("env")):
                source = _mapping(variable.get("valueFrom"))
                yield "ConfigMap", _mapping(source.get("configMapKeyRef")).get("name")
                yield "Secret", _mapping(source.get("secretKeyRef")).get("name")
    for pull in _each(spec.get("imagePullSecrets")):
        yield "Secret", pull.get("name")


def _each(found: object) -> list[Object]:
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def _mapping(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}
