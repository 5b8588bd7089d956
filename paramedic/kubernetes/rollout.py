"""A rollout after a change: waited for until it is complete, and why it is stuck."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kubernetes import pods
from paramedic.kubernetes.api import Api
from paramedic.kubernetes.workload import Workload, read
from paramedic.machine.clock import boottime
from paramedic.text.sanitize import one_line

#: How often the workload is read: soon first, and then as `kubectl` users do. Seconds. It is read and not watched: a watch
#: that is silently cut says nothing for ever, and one that is too old ends (410).
_FIRST_SECONDS, _LATER_SECONDS = 0.25, 2.0

#: So long before the deadline the pods are asked why it is not complete. Seconds.
_KEPT_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Rollout:
    """What became of a rollout by its deadline."""

    workload: Workload
    stuck: str | None  # why it does not go on; None: it is complete, or only goes on


def wait(api: Api, changed: Workload, deadline: float, is_kept: Callable[[Workload], bool] = lambda _: True) -> Rollout:
    """Wait until all pods have the template of `changed` and are up, or the deadline comes, or it is known not to happen.

    Raises PermanentError where somebody took the change back: a controller that owns the workload, or a person. The template
    tells it, and `is_kept`, for what is no part of it. What cannot be read meanwhile is read again: that the change was
    accepted is known.
    """
    now, pause = changed, _FIRST_SECONDS
    kept = min(_KEPT_SECONDS, (deadline - boottime()) / 4)
    while boottime() < deadline - kept:
        time.sleep(min(pause, max(deadline - boottime(), 0)))
        pause = min(pause * 1.5, _LATER_SECONDS)
        try:
            now = read(api, changed.place, deadline=deadline)
        except TemporaryError:
            continue
        if (now.uid, now.template) != (changed.uid, changed.template) or not is_kept(now):
            raise PermanentError(f"the change was accepted, and somebody took it back or made another: {_by(now)}")
        if now.rolled_out:
            return Rollout(now, None)
        if now.overdue:
            break
    return Rollout(now, _why(api, now, deadline))


def _why(api: Api, workload: Workload, deadline: float) -> str | None:
    """Why the rollout does not go on, by its conditions and its pods; None where nothing keeps it."""
    words = []
    if workload.overdue:
        words.append(_said("Progressing", workload))
    if workload.condition("ReplicaFailure").get("status") == "True":
        words.append(_said("ReplicaFailure", workload))
    try:
        words += pods.troubles(pods.of(api, workload, deadline=deadline))
    except (TemporaryError, PermanentError) as error:
        if words:
            words.append(f"its pods cannot be seen: {error}")
    return "; ".join(words) or None


def _said(condition: str, workload: Workload) -> str:
    found = workload.condition(condition)
    return one_line(f"{found.get('reason')}: {found.get('message')}")[:400]


def _by(workload: Workload) -> str:
    """Who manages the template now, as the API server keeps it."""
    managers = [
        one_line(str(each.get("manager")))
        for each in workload.metadata.get("managedFields") or ()
        if isinstance(each, dict) and "f:template" in (each.get("fieldsV1") or {}).get("f:spec", {})
    ]
    owners = [
        one_line(f"{each.get('kind')} {each.get('name')}")
        for each in workload.metadata.get("ownerReferences") or ()
        if isinstance(each, dict)
    ]
    found = [*(f"it is owned by {owner}" for owner in owners), *(f"{name} has set its template" for name in managers)]
    return ("; ".join(dict.fromkeys(found)) or "nobody is named")[:400]
