"""What there is to see of a workload before it is touched; and of what cannot be seen, which right would have shown it."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import Any

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.evidence import ByDeadline, Gathered, Unseen, collected
from paramedic.kinds.transport import Transport
from paramedic.kubernetes import logs, ownership, pods, revisions, target
from paramedic.kubernetes.api import Api, Forbidden, Object, named
from paramedic.kubernetes.pods import Pod
from paramedic.kubernetes.workload import DEPLOYMENT, Form, Place, Workload, counts, read
from paramedic.machine.clock import boottime, spoken, utc_now
from paramedic.remediation.target import Target
from paramedic.text.sanitize import one_line

#: Lines and bytes of a log that are asked for; so many events and pods are shown.
_LOG_LINES, _LOG_BYTES, _EVENTS, _PODS = 200, 65_536, 60, 60

#: A namespace's events are read up to so many pages: those of one workload cannot be asked for alone.
_EVENT_PAGES = 6

#: So many nodes are asked at once, and each for so long of the time that is left: one that is slow keeps no other waiting.
_AT_ONCE, _SHARE = 8, 0.5

#: The piece whose end says most.
_LOG = "previous-log"

_PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")

#: Gathers one piece of evidence of a workload, line by line, by a deadline of `boottime`.
Gather = Callable[[Api, Workload, float], Iterator[str]]


def of(form: Form) -> Mapping[str, ByDeadline]:
    """The kinds of evidence of a form of workload."""
    pieces: dict[str, Gather] = {
        "workload": _workload,
        "pods": _pods,
        "events": _events,
        "rollout-history": _history,
        _LOG: _log,
        "nodes": _nodes,
    }
    seen = {name: partial(_gathered, form, gather) for name, gather in pieces.items()}
    return {name: ByDeadline(gather, from_beginning=name != _LOG) for name, gather in seen.items()}


def _gathered(form: Form, gather: Gather, listed: Target, transport: Transport, deadline: float) -> Gathered:
    """One piece, as far as it could be seen. Raises PermanentError or TemporaryError where nothing of it could."""
    api = target.api(listed, transport, deadline)
    return collected(gather(api, read(api, Place.of(form, listed)), deadline))


def _workload(_api: Api, workload: Workload, _deadline: float) -> Iterator[str]:
    yield f"{workload.place}: {workload.state}, revision {workload.revision or 'not yet given'}"
    yield ", ".join(counts(workload))
    yield f"strategy {workload.strategy}; generation {workload.generation}, observed: {workload.observed}"
    if workload.restarted_at is not None:
        yield f"restarted at {one_line(workload.restarted_at)[:60]}"
    owner = ownership.of(workload)
    yield "no GitOps tool, Helm or operator is named as its owner" if owner is None else f"owned by {owner.words}"
    for image in _images(workload.spec):
        yield f"image {image}"
    for condition in workload.status.get("conditions") or ():
        yield _condition(condition)


def _condition(condition: Mapping[str, Any]) -> str:
    fields = (condition.get(key) for key in ("type", "status", "lastTransitionTime", "reason", "message"))
    kind, status, since, reason, message = (one_line(str(field or ""))[:300] for field in fields)
    return f"condition {kind} {status} since {since}: {reason}: {message}".rstrip(": ")


def _pods(api: Api, workload: Workload, _deadline: float) -> Iterator[str]:
    found = sorted(pods.of(api, workload), key=lambda pod: (pod.is_ready, pod.name))
    ready = sum(pod.is_ready for pod in found)
    yield f"{len(found)} pods, {ready} ready"
    for pod in found[:_PODS]:
        restarts = sum(each.count for each in pod.restarts)
        words = "ready" if pod.is_ready else f"not ready since {one_line(pod.not_ready_since)}"
        leaving = ", being deleted" if pod.is_leaving else ""
        yield (
            f"{one_line(pod.name)} on {one_line(pod.node or 'no node')}: {one_line(str(pod.status.get('phase')))}, {words}"
            f"{leaving}, {restarts} restarts, from {_age(pod.metadata.get('creationTimestamp'))} ago"
        )
        if pod.trouble is not None:
            yield f"    {pod.trouble}"
        for each in pod.restarts:
            yield f"    {one_line(each.container)} ended last: {_ended(each.ended)}"


def _ended(ended: Mapping[str, Any]) -> str:
    words = f"{ended.get('reason')}, exit code {ended.get('exitCode')}, at {ended.get('finishedAt')}"
    message = f": {ended['message']}" if ended.get("message") else ""
    return one_line(f"{words}{message}")[:400]


def _events(api: Api, workload: Workload, _deadline: float) -> Iterator[str]:
    place = workload.place
    events, are_all = api.pages(place.beside("", "events"), most=_EVENT_PAGES)
    ours, unseen = _names(api, workload)
    if not are_all:
        shows = f"kubectl --namespace {place.namespace} get events"
        unseen.append(f"events beyond the first {len(events):,} of the namespace: `{shows}` shows them")
    found = [
        event
        for event in events
        if isinstance(event.get("involvedObject"), Mapping) and event["involvedObject"].get("name") in ours
    ]
    found.sort(key=_when, reverse=True)
    yield f"{len(found)} events, the last first"
    for event in found[:_EVENTS]:
        count = event.get("count") or (event.get("series") or {}).get("count") or 1
        of = event["involvedObject"]
        yield one_line(
            f"{_when(event)} {event.get('type')} {event.get('reason')} {of.get('kind')} {of.get('name')} ({count}x): "
            f"{event.get('message')}"
        )[:500]
    yield from map(Unseen, unseen)


def _names(api: Api, workload: Workload) -> tuple[set[str], list[str]]:
    """The names that its events are of, and which of those could not be seen."""
    names, unseen = {workload.place.name}, list[str]()
    try:
        names |= {pod.name for pod in pods.of(api, workload)}
    except (TemporaryError, PermanentError) as error:
        unseen.append(f"events of its pods: which pods it has was not seen: {error}")
    if workload.place.form is DEPLOYMENT:
        try:
            names |= {Pod(each).name for each in pods.replica_sets(api, workload)}
        except (TemporaryError, PermanentError) as error:
            unseen.append(f"events of its ReplicaSets: which it has was not seen: {error}")
    return names, unseen


def _when(event: Object) -> str:
    """When it was seen last: an API server of today keeps it elsewhere than older ones."""
    series = event.get("series") or {}
    metadata = event.get("metadata") or {}
    found = event.get("lastTimestamp") or series.get("lastObservedTime") or event.get("eventTime")
    return str(found or metadata.get("creationTimestamp") or "")


def _history(api: Api, workload: Workload, _deadline: float) -> Iterator[str]:
    found = revisions.of(api, workload)
    yield f"{len(found)} revisions are kept, the last first"
    for revision in found:
        marks = [word for word, is_so in (("current", revision.current), ("running", revision.running > 0)) if is_so]
        cause = f": {revision.cause}" if revision.cause else ""
        yield (
            f"revision {revision.number} from {revision.made_at}, {', '.join(revision.images)}"
            f"{' (' + ', '.join(marks) + ')' if marks else ''}{cause}"
        )


def _log(api: Api, workload: Workload, _deadline: float) -> Iterator[str]:
    """The end of what a container said before it was started again; of one that is not ready where none was."""
    found = [pod for pod in pods.of(api, workload) if not pod.is_leaving]
    again = [(each, pod) for pod in found for each in pod.restarts]
    if again:
        each, pod = max(again, key=lambda one: (not one[1].is_ready, one[0].count))
        container, previous = each.container, True
        yield f"{one_line(pod.name)}, container {one_line(container)}, before it was started again ({each.count} times):"
    else:
        pod = next((pod for pod in found if not pod.is_ready), None) or next(iter(found), None)  # type: ignore[assignment]
        if pod is None:
            raise PermanentError("it has no pod")
        container, previous = _first_container(pod), False
        yield f"no container was started again; {one_line(pod.name)}, container {one_line(container)}, now:"
    where = (workload.place.namespace, pod.name, container)
    try:
        found_log = logs.read(api, *where, _LOG_LINES, _LOG_BYTES, previous=previous)
    except (TemporaryError, PermanentError) as error:
        yield Unseen(f"not seen: {logs.why_not(error, container)}")
        return
    yield found_log.text
    yield from map(Unseen, found_log.unseen)


def _first_container(pod: Pod) -> str:
    waiting = [str(each.get("name")) for each in pod.containers() if each.get("ready") is not True]
    named_there = [str(each.get("name")) for each in pod.spec.get("containers") or () if isinstance(each, Mapping)]
    return next(iter([*waiting, *named_there]), "")


def _nodes(api: Api, workload: Workload, deadline: float) -> Iterator[str]:
    """What the nodes of its pods lack: they are not ready, under pressure, or take no more pods."""
    names = sorted({pod.node for pod in pods.of(api, workload) if pod.node is not None})
    yield f"{len(names)} nodes have pods of it"
    with ThreadPoolExecutor(_AT_ONCE, "node") as asking:
        seen = list(asking.map(partial(_node, api, deadline), names))
    unseen: dict[str, list[str]] = {}
    for name, words in zip(names, seen, strict=True):
        if isinstance(words, Unseen):
            unseen.setdefault(words.replace(f'"{name}"', '"NODE"'), []).append(one_line(name))
        else:
            yield f"{one_line(name)}: {words}"
    for why, of in unseen.items():
        yield Unseen(f"{_listed(of)}: could not be seen{why}")


def _node(api: Api, deadline: float, name: str) -> str:
    """What a node lacks, or why that could not be seen."""
    now = boottime()
    try:
        return _condition_of(api.get(named("api", "v1", "nodes", name), deadline=now + (deadline - now) * _SHARE))
    except Forbidden as error:
        return Unseen(f" (a ClusterRole with get of nodes shows it): {error}")
    except (TemporaryError, PermanentError) as error:
        return Unseen(f": {error}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _condition_of(node: Object) -> str:
    conditions = {
        each.get("type"): each
        for each in (node.get("status") or {}).get("conditions") or ()
        if isinstance(each, Mapping)
    }
    ready = conditions.get("Ready", {})
    words = (
        ["ready"] if ready.get("status") == "True" else [f"not ready: {ready.get('reason')}: {ready.get('message')}"]
    )
    words += [kind for kind in _PRESSURES if conditions.get(kind, {}).get("status") == "True"]
    spec = node.get("spec") or {}
    words += ["takes no new pods (cordoned)"] if spec.get("unschedulable") else []
    words += [f"taint {taint.get('key')}:{taint.get('effect')}" for taint in spec.get("taints") or ()]
    return one_line(", ".join(words))[:400]


def _images(spec: Mapping[str, Any]) -> list[str]:
    return revisions.images(spec.get("template"))


def _age(moment: object) -> str:
    if not isinstance(moment, str) or not re.match(r"\d{4}-", moment):
        return "an unknown time"
    since = utc_now() - datetime.fromisoformat(moment)
    return spoken(since) or "0s"
