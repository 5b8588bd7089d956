"""A restart of all pods of a workload, one after the other, as `kubectl rollout restart` makes it."""

from paramedic.errors import Refused
from paramedic.kubernetes.change import Order
from paramedic.kubernetes.commands import by_kubectl
from paramedic.kubernetes.workload import DEPLOYMENT, RESTARTED_AT, Workload
from paramedic.machine.clock import iso, utc_now
from paramedic.remediation.target import Target


def order(target: Target) -> Order:
    """The restart: another mark in the pod template, which makes its controller replace every pod, as the strategy says."""
    mark = iso(utc_now())

    def refuse(now: Workload) -> None:
        _refuse(target, now)

    return Order(
        does=f"restart {target.id}",
        refuse=refuse,
        body=lambda _: {"spec": {"template": {"metadata": {"annotations": {RESTARTED_AT: mark}}}}},
        done=lambda now: now.restarted_at == mark,
    )


def _refuse(target: Target, now: Workload) -> None:
    """Raises Refused where the mark would restart nothing, or only some pods, or break into somebody's rollout."""
    refuse_unfit(target, now)
    if now.desired == 0:
        raise Refused(f"{target.id} is scaled to no pods: a restart would start none", by_hand=by_kubectl(now, "get"))
    if now.strategy == "OnDelete":
        raise Refused(
            f"the updateStrategy of {target.id} is OnDelete: no pod would be replaced", by_hand=by_kubectl(now, "get")
        )
    if now.partition > 0:
        raise Refused(
            f"{target.id} has a partition: of its pods only those from {now.partition} on would be restarted",
            by_hand=by_kubectl(now, "get"),
        )
    refuse_rolling(target, now)


def refuse_rolling(target: Target, now: Workload) -> None:
    """Raises Refused where a Deployment's pods are being replaced just now."""
    if now.place.form is DEPLOYMENT and now.rolling:
        seen = "" if now.observed else ", and it has not looked yet"
        raise Refused(
            f"a rollout of {target.id} is under way, and its controller has not given it up: {now.updated} of {now.desired} pods "
            f"have the current template, {now.total} are there in all{seen}",
            by_hand=by_kubectl(now, "rollout status"),
        )


def refuse_unfit(target: Target, now: Workload) -> None:
    """Raises Refused where no change may be made to the workload: it is paused, or is being deleted."""
    if "deletionTimestamp" in now.metadata:
        raise Refused(f"{target.id} is being deleted", by_hand=by_kubectl(now, "get"))
    if now.paused:
        raise Refused(
            f"the rollouts of {target.id} are paused: somebody is at work on it",
            by_hand=by_kubectl(now, "rollout resume"),
        )
