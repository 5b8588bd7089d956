"""What a container of a pod has printed, as the API server passes it on from its node: bounded, and what is missing of it.

Kubernetes API reference, "Pod", "get read log of the specified Pod".
"""

import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.evidence import Gathered
from paramedic.kinds.transport import Transport
from paramedic.kubernetes import pods, target
from paramedic.kubernetes.api import Api, Forbidden, named
from paramedic.kubernetes.pods import Pod
from paramedic.kubernetes.workload import Form, Place
from paramedic.kubernetes.workload import read as read_workload
from paramedic.remediation.target import Target
from paramedic.text.sanitize import one_line, visible

#: What grants the right to it.
ROLE = "deployments/kubernetes/role.yaml has the rule"

#: `limitBytes` cuts the end of the lines that were asked for, which is what matters: so many fewer are asked for then.
_FEWER = 8
_ASKED_AGAIN = 2

#: So many pods are read, so many containers of them in all, so many at once, and so many bytes of all together.
_PODS, _SOURCES, _AT_ONCE, _BYTES = 4, 12, 6, 1024 * 1024

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")


def read(  # noqa: PLR0917 - which container, and how much of it
    api: Api,
    namespace: str,
    pod: str,
    container: str,
    lines: int,
    most: int,
    *,
    previous: bool = False,
    since: float = 0,
) -> Gathered:
    """The last lines of the container, each after its time, `most` bytes at most; and in words what is missing.

    `previous`: of the one before it was started again. `since`: seconds since the epoch; older lines are left out. Raises as
    `Api.get` does.
    """
    path = named("api", "v1", "namespaces", namespace, "pods", pod, "log")
    query = {"container": container, "limitBytes": str(most), "timestamps": "true"}
    query |= {"previous": "true"} if previous else {}
    query |= {"sinceTime": f"{datetime.fromtimestamp(since, UTC):%Y-%m-%dT%H:%M:%SZ}"} if since else {}
    asked = lines
    for _ in range(_ASKED_AGAIN):
        text = api.text(path, {**query, "tailLines": str(asked)})
        if len(text.encode()) < most:
            break
        asked = max(asked // _FEWER, 1)
    else:
        text = api.text(path, {**query, "tailLines": str(asked)})
    return Gathered(visible(text), _missing(text, container, lines, asked, most))


def lines_of(form: Form) -> Callable[[Target, Transport, int, float, float], Gathered]:
    """The function of a kind that reads what its pods have printed."""
    return partial(_of_pods, form)


def _of_pods(  # noqa: PLR0917 - as the kinds' interface has it, and the form
    form: Form, listed: Target, transport: Transport, lines: int, since: float, deadline: float
) -> Gathered:
    """The last lines of the workload's pods since then (seconds since the epoch), each after its time, in one order.

    Of a few pods, those first that were started again or are not ready; of a container that was started again also what it
    printed before. Raises TemporaryError or PermanentError where nothing is read.
    """
    api = target.api(listed, transport, deadline)
    workload = read_workload(api, Place.of(form, listed))
    found = sorted(pods.of(api, workload), key=_worst_first)
    sources = [source for pod in found[:_PODS] for source in _sources(pod)][:_SOURCES]
    if not sources:
        raise PermanentError("it has no pod whose containers have begun")
    most, each = max(_BYTES // len(sources), 1), max(lines // len(sources), 1)

    def look(source: _Source) -> Gathered:
        where = (workload.place.namespace, source.pod, source.container)
        try:
            return read(api, *where, each, most, previous=source.previous, since=since)
        except (TemporaryError, PermanentError) as error:
            return Gathered("", [why_not(error, source.words)])

    with ThreadPoolExecutor(_AT_ONCE, "log") as asking:
        logs = list(asking.map(look, sources))
    unseen = list(dict.fromkeys(why for log in logs for why in log.unseen))
    if len(found) > _PODS:
        unseen.append(
            f"of {len(found)} pods the logs of {_PODS} were read: `kubectl logs --namespace {workload.place.namespace} POD`"
        )
    unseen += [
        f"of {source.words} only the last {each:,} lines were read"
        for source, log in zip(sources, logs, strict=True)
        if log.text.count("\n") >= each
    ]
    if all(not log.text and log.unseen for log in logs):
        raise PermanentError("; ".join(unseen))
    timed = [line for source, log in zip(sources, logs, strict=True) for line in _marked(source, log.text)]
    return Gathered("\n".join(line for _, line in sorted(timed, key=lambda one: one[0])), unseen)


@dataclass(frozen=True, slots=True)
class _Source:
    """A container of a pod, or the one that it was before."""

    pod: str
    container: str
    previous: bool

    @property
    def words(self) -> str:
        """Which one it is, whichever pod: lines that say the same in two pods are one pattern."""
        return one_line(self.container) + (", before it was started again" if self.previous else "")


def _sources(pod: Pod) -> Iterator[_Source]:
    again = {each.container for each in pod.restarts}
    for each in pod.containers():
        name, state = str(each.get("name")), each.get("state")
        if isinstance(state, Mapping) and "waiting" in state and name not in again:
            continue  # it has printed nothing yet
        yield from (_Source(pod.name, name, previous=True),) if name in again else ()
        yield _Source(pod.name, name, previous=False)


def _worst_first(pod: Pod) -> tuple[bool, int, str]:
    return pod.is_ready, -sum(each.count for each in pod.restarts), pod.name


def _marked(source: _Source, text: str) -> Iterator[tuple[str, str]]:
    """Each line with its time, to sort by; one without a time stays with the line before it."""
    time = ""
    for line in text.splitlines():
        first, _, rest = line.partition(" ")
        if _TIME.fullmatch(first):
            time = first
            yield time, f"{time} {source.words}: {rest}"
        else:
            yield time, line


def _missing(text: str, container: str, lines: int, asked: int, most: int) -> list[str]:
    if len(text.encode()) >= most:
        return [
            f"the end of the log of {one_line(container)}: {most:,} bytes were read, and its last {asked} lines are longer"
        ]
    if asked < lines and text.count("\n") >= asked:
        return [
            f"of the log of {one_line(container)} the last {asked} lines alone: {lines} are longer than {most:,} bytes"
        ]
    return []


def why_not(error: Exception, container: str) -> str:
    """Why a log could not be read, with what would have shown it."""
    right = f"; needs get of pods/log ({ROLE})" if isinstance(error, Forbidden) else ""
    return f"the log of {one_line(container)}: {error}{right}"
