"""What a container of a pod has printed, as the API server passes it on from its node: bounded, and what is missing of it.

Kubernetes API reference, "Pod", "get read log of the specified Pod".
"""

from datetime import UTC, datetime

from paramedic.kinds.evidence import Gathered
from paramedic.kubernetes.api import Api, Forbidden, named
from paramedic.text.sanitize import one_line, visible

#: What grants the right to it.
ROLE = "deployments/kubernetes/role.yaml has the rule"

#: `limitBytes` cuts the end of the lines that were asked for, which is what matters: so many fewer are asked for then.
_FEWER = 8
_ASKED_AGAIN = 2


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
