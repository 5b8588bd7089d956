"""Another number of pods, within the bounds that services.yaml names; and the way back to the number before."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from paramedic.errors import PermanentError, Refused
from paramedic.kubernetes import ownership
from paramedic.kubernetes.api import Api, Object
from paramedic.kubernetes.change import Order
from paramedic.kubernetes.commands import by_kubectl
from paramedic.kubernetes.restart import refuse_rolling, refuse_unfit
from paramedic.kubernetes.workload import SCALED, Place, Workload
from paramedic.machine.clock import iso, utc_now
from paramedic.remediation.target import Target
from paramedic.text.sanitize import one_line

_MOST = 10_000


class Bounds(BaseModel):
    """`scale: {min: 2, max: 8, by: 2}`: two pods more at a time, eight at most; or `to: 6` in place of `by`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    min: int = Field(ge=1, le=_MOST, description="it never has fewer pods by it: 2")
    max: int = Field(ge=1, le=_MOST, description="it never has more pods by it: 8")
    by: int | None = Field(default=None, ge=-_MOST, le=_MOST, description="so many pods more by one act; -1: one fewer")
    to: int | None = Field(default=None, ge=1, le=_MOST, description="instead of it: so many pods: 6")

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min is {self.min}, and max is {self.max}")
        if (self.by is None) == (self.to is None) or self.by == 0:
            raise ValueError("write exactly one of `by: PODS`, which is not 0, and `to: PODS`")
        if self.to is not None and not self.min <= self.to <= self.max:
            raise ValueError(f"to is {self.to}, and is not between min and max")
        return self

    def wanted(self, now: int) -> int:
        """How many pods there are to be where there are `now`."""
        return self.to if self.to is not None else min(max(now + (self.by or 0), self.min), self.max)

    def __str__(self) -> str:
        return f"{self.min} to {self.max}"


def order(target: Target, bounds: Bounds, api: Api) -> Order:
    """Another number of pods. The workload keeps which number it had, so that the way back needs no other memory."""
    at = iso(utc_now())

    def refuse(now: Workload) -> None:
        _refuse(target, now, api, to=bounds.wanted(now.desired))
        if now.desired == 0:
            raise Refused(f"{target.id} is scaled to no pods: somebody has stopped it", by_hand=by_kubectl(now, "get"))
        if not bounds.min <= now.desired <= bounds.max:
            raise Refused(
                f"{target.id} has {now.desired} pods, which is outside of the {bounds} of services.yaml: somebody asked for it",
                by_hand=by_kubectl(now, "get"),
            )
        if bounds.wanted(now.desired) == now.desired:
            raise Refused(
                f"{target.id} has {now.desired} pods already, and services.yaml has it scaled from {bounds}",
                by_hand=by_kubectl(now, "scale", f"--replicas={now.desired + 1}"),
            )
        refuse_rolling(target, now)

    def body(now: Workload) -> dict[str, Any]:
        to = bounds.wanted(now.desired)
        kept = json.dumps({"from": now.desired, "to": to, "at": at})
        return {"metadata": {"annotations": {SCALED: kept}}, "spec": {"replicas": to}}

    return Order(does=f"scale {target.id}", refuse=refuse, body=body, done=lambda now: _kept(now).get("at") == at)


def undo(target: Target, api: Api) -> Order:
    """The number of pods again that the last scaling has left, once."""

    def refuse(now: Workload) -> None:
        before, after = _kept(now).get("from"), _kept(now).get("to")
        if not isinstance(before, int) or not isinstance(after, int) or not 1 <= before <= _MOST:
            raise Refused(f"{target.id} does not say how many pods it had before", by_hand=by_kubectl(now, "get"))
        _refuse(target, now, api, to=before)
        if now.desired != after:
            raise Refused(
                f"{target.id} was scaled to {after} pods, and somebody has asked for {now.desired} since",
                by_hand=by_kubectl(now, "scale", f"--replicas={before}"),
            )

    return Order(
        does=f"scale {target.id} back",
        refuse=refuse,
        body=lambda now: {"metadata": {"annotations": {SCALED: None}}, "spec": {"replicas": _kept(now).get("from")}},
        done=lambda now: SCALED not in now.annotations,
    )


def is_kept(changed: Workload) -> Callable[[Workload], bool]:
    """Whether a workload still has the number of pods that the change gave it."""
    return lambda now: now.desired == changed.desired


def _kept(now: Workload) -> Mapping[str, Any]:
    """What the last scaling has written on the workload; empty where it says nothing that can be read."""
    try:
        found = json.loads(str(now.annotations.get(SCALED) or "{}"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _refuse(target: Target, now: Workload, api: Api, *, to: int) -> None:
    """Raises Refused where somebody else says how many pods it has: a person at work, an autoscaler, an owner."""
    refuse_unfit(target, now)
    if (owner := ownership.of_target(target, now)) is not None:
        raise Refused(f"{target.id} is owned by {owner.words}, which would undo it", by_hand=owner.scale)
    try:
        autoscaler = _autoscaler(api, now)
    except PermanentError as error:
        raise Refused(
            f"whether an autoscaler says how many pods {target.id} has cannot be seen: {error}",
            by_hand=by_kubectl(now, "scale", f"--replicas={to}"),
        ) from error
    if autoscaler is not None:
        raise Refused(
            f"the HorizontalPodAutoscaler {autoscaler} says how many pods {target.id} has, and would undo it",
            by_hand=f"kubectl --namespace {now.place.namespace} edit horizontalpodautoscaler {autoscaler}",
        )


def _autoscaler(api: Api, workload: Workload) -> str | None:
    """The HorizontalPodAutoscaler of the workload: KEDA makes one too. Raises as `autoscalers` does."""
    found = autoscalers(api, workload.place)
    return one_line(str((found[0].get("metadata") or {}).get("name")))[:253] if found else None


def autoscalers(api: Api, place: Place) -> list[Object]:
    """The HorizontalPodAutoscalers of a workload. Raises as `Api.get` does, and where none is seen and not all are."""
    items, are_all = api.pages(place.beside("autoscaling/v1", "horizontalpodautoscalers"))
    found = [each for each in items if _is_meant(each, place)]
    if not found and not are_all:
        raise PermanentError(f"{place.namespace} has more HorizontalPodAutoscalers than are looked at")
    return found


def _is_meant(autoscaler: Object, place: Place) -> bool:
    meant = (autoscaler.get("spec") or {}).get("scaleTargetRef") or {}
    group = str(meant.get("apiVersion") or "").rpartition("/")[0]
    return (meant.get("kind"), meant.get("name")) == (place.form.kind, place.name) and group in (
        "apps",
        "extensions",
        "",
    )
