"""The releases of a workload: its revisions without its restarts; and the way back to one that was healthy.

As `kubectl rollout undo` does it (k8s.io/kubectl, polymorphichelpers/rollback.go), to a revision that it does not ask about.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from paramedic.errors import PermanentError, Refused
from paramedic.kubernetes import ownership, revisions
from paramedic.kubernetes.api import Api, Object
from paramedic.kubernetes.change import Order
from paramedic.kubernetes.commands import by_kubectl
from paramedic.kubernetes.restart import refuse_unfit
from paramedic.kubernetes.revisions import Revision
from paramedic.kubernetes.rolled_back import Mark, mark_of, release_of
from paramedic.kubernetes.workload import DEPLOYMENT, ROLLED_BACK, SCALED, STATEFUL_SET, Workload, content, digest
from paramedic.machine.clock import iso, utc_now
from paramedic.remediation.release import Release
from paramedic.remediation.target import Target

#: What people and pipelines write beside a revision. `reversible` is written on the workload, and its controller takes it over
#: to the revision, as it does `kubernetes.io/change-cause`; `healthy` on the revision itself: the next one must not inherit it.
REVERSIBLE, HEALTHY = "paramedic/reversible", "paramedic/healthy"

#: Annotations that a Deployment keeps of its own, whichever revision it goes back to: those of kubectl's list.
_KEPT = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        "deployment.kubernetes.io/revision",
        "deployment.kubernetes.io/revision-history",
        "deployment.kubernetes.io/desired-replicas",
        "deployment.kubernetes.io/max-replicas",
        "deprecated.deployment.rollback.to",
        SCALED,
    }
)


@dataclass(frozen=True, slots=True)
class Group:
    """Revisions of one content: a restart makes another revision, and no other release."""

    last: Revision
    made_at: datetime | None  # when its first was made
    running: int
    marks: Mapping[str, Any]
    numbers: Collection[int]  # of all its revisions
    was_well: bool = False  # Paramedic saw it rolled out and up

    @property
    def healthy(self) -> bool | None:
        """Whether it was seen to work: its pods are or were up, or somebody wrote so; None: nobody says."""
        said = _said(self.marks, HEALTHY)
        return True if said is None and (self.running > 0 or self.was_well) else said


def groups(api: Api, workload: Workload, noted: Sequence[Release] = ()) -> list[Group]:
    """The releases that the cluster keeps, the current one first. Raises PermanentError where its own is not among them.

    `noted`: the templates that Paramedic has seen it run, by their digests.
    """
    well = {release.id for release in noted if release.healthy}
    kept: dict[str, list[Revision]] = {}
    for revision in revisions.of(api, workload):
        kept.setdefault(release_of(revision.template), []).append(revision)
    current = release_of(workload.spec["template"])
    if current not in kept:
        raise PermanentError(f"the {workload.place} has no revision of its template yet: its controller has not looked")
    ordered = sorted(kept, key=lambda key: (key != current, -kept[key][0].number))
    return [_group(kept[key], was_well=any(digest(one.template) in well for one in kept[key])) for key in ordered]


def _group(same: list[Revision], *, was_well: bool) -> Group:
    made = [moment for moment in map(_moment, same) if moment is not None]
    marks = {key: value for revision in reversed(same) for key, value in revision.annotations.items()}
    running, numbers = sum(revision.running for revision in same), [revision.number for revision in same]
    return Group(same[0], min(made, default=None), running, marks, numbers, was_well)


def current(workload: Workload, found: list[Group]) -> Release:
    """The release that the workload has. One that a roll-back led to, or the undoing of one, is known by its mark or its age."""
    now, *others = found
    made = [other.made_at for other in others if other.made_at is not None]
    return Release(
        id=str(now.last.number),
        deployed_at=now.made_at,
        reversible=_said(now.marks, REVERSIBLE),
        healthy=_said(now.marks, HEALTHY),
        rolled_back_to=mark_of(workload) is not None
        or (now.made_at is not None and any(moment > now.made_at for moment in made)),
    )


def before(workload: Workload, found: list[Group], *, approved: bool = False) -> Group:
    """The last release before the current one that was seen healthy; with a person's approval the last that is not known bad.

    Raises Refused where there is none, with the command by which a person goes to any.
    """
    for group in found[1:]:
        if group.healthy or (approved and group.healthy is None):
            return group
    if len(found) == 1:
        raise Refused(
            f"the cluster keeps no older release of the {workload.place}",
            by_hand=by_kubectl(workload, "rollout history"),
        )
    last = found[1].last
    raise Refused(
        f"no older release of the {workload.place} is known to have been healthy: no pod of one is up, none was seen well, and "
        "none is marked",
        by_hand=by_kubectl(workload, "rollout undo", f"--to-revision={last.number}")
        + f", or mark it: kubectl --namespace {workload.place.namespace} annotate {_kind(workload)}/{last.name} {HEALTHY}=true",
    )


def shown(group: Group) -> Release:
    """A release that is not the current one."""
    return Release(str(group.last.number), group.made_at, _said(group.marks, REVERSIBLE), group.healthy)


def judged(target: Target, workload: Workload, found: list[Group], expected: str, *, approved: bool) -> Group:
    """The release to go back to from `expected`. Raises Refused."""
    refuse(target, workload)
    judged_current(target, workload, found, expected)
    by_hand = by_kubectl(workload, "rollout history")
    good = before(workload, found, approved=approved)
    crossed = [group for group in found if group.last.number > good.last.number]
    marks = {group.last.number: _said(group.marks, REVERSIBLE) for group in crossed}
    if fixed := [number for number, mark in marks.items() if mark is False]:
        raise Refused(
            f"going back to revision {good.last.number} crosses {', '.join(map(str, fixed))}, marked irreversible",
            by_hand=by_hand,
        )
    if not approved and (unsaid := [number for number, mark in marks.items() if mark is None]):
        raise Refused(
            f"going back to revision {good.last.number} crosses {', '.join(map(str, unsaid))}, and nobody said whether that is "
            "reversible",
            by_hand=f"approve this roll-back, or mark what can be undone: the annotation {REVERSIBLE}=true",
        )
    return good


def named(target: Target, workload: Workload, found: list[Group], revision: int) -> Group:
    """The release of this revision, which an author has named: nobody is asked whether it was healthy. Raises Refused."""
    refuse(target, workload)
    by_hand = by_kubectl(workload, "rollout history")
    good = next((group for group in found if revision in group.numbers), None)
    if good is None:
        there_are = ", ".join(str(number) for group in found for number in sorted(group.numbers, reverse=True))
        raise Refused(
            f"the cluster keeps no revision {revision} of {target.id}; there are {there_are}", by_hand=by_hand
        )
    if good is found[0]:
        raise Refused(f"{target.id} has the release of revision {revision} already", by_hand=by_hand)
    crossed = [group for group in found if group.last.number > good.last.number]
    if fixed := [str(group.last.number) for group in crossed if _said(group.marks, REVERSIBLE) is False]:
        raise Refused(
            f"going back to revision {revision} crosses {', '.join(fixed)}, marked irreversible", by_hand=by_hand
        )
    return good


def judged_current(target: Target, workload: Workload, found: list[Group], expected: str) -> Release:
    """The release that it has, whichever way it goes back. Raises Refused where it is another, or a roll-back led to it."""
    now = expected_now(target, workload, found, expected)
    if now.rolled_back_to:
        mark = mark_of(workload)
        went = "was rolled back, and that was undone, which led" if mark and mark.is_undone else "was rolled back"
        by_hand = by_kubectl(workload, "rollout history")
        raise Refused(f"{target.id} {went} to {now.id}: a roll-back is never rolled back", by_hand=by_hand)
    return now


def expected_now(target: Target, workload: Workload, found: list[Group], expected: str) -> Release:
    """The release that it has, which is the `expected` one. Raises Refused where it is another."""
    now = current(workload, found)
    if expected not in (now.id, workload.revision):
        raise Refused(f"{target.id} has revision {now.id} now, and {expected} was judged")
    return now


def left(target: Target, workload: Workload, found: list[Group], expected: str) -> Group:
    """The release that the last roll-back has left, to which the workload goes forward again from `expected`. Raises Refused."""
    refuse_undoing(target, workload)
    expected_now(target, workload, found, expected)
    mark = mark_of(workload)
    for group in found[1:]:
        if mark is not None and release_of(group.last.template) == mark.left:
            return group
    raise Refused(
        f"the cluster does not keep the release any more that the roll-back of {target.id} has left",
        by_hand=by_kubectl(workload, "rollout history"),
    )


def refuse_undoing(target: Target, workload: Workload) -> None:
    """Raises Refused where no roll-back led to the release that it has, that was undone once, or `refuse` does."""
    refuse(target, workload, "going forward again")
    mark, by_hand = mark_of(workload), by_kubectl(workload, "rollout history")
    if mark is None:
        raise Refused(f"no roll-back led {target.id} to the release that it has: it has another since", by_hand=by_hand)
    if mark.is_undone:
        raise Refused(f"the roll-back of {target.id} was undone already, which is not undone in turn", by_hand=by_hand)


def refuse(target: Target, workload: Workload, what: str = "a roll-back") -> None:
    """Raises Refused where a roll-back would be undone by who owns the workload, would replace no pod, or is somebody's."""
    owner = ownership.of_target(target, workload)
    if owner is not None:
        raise Refused(
            f"{target.id} is owned by {owner.words}: {what} past it would be undone, or break its record",
            by_hand=owner.roll_back,
        )
    refuse_unfit(target, workload)
    if workload.strategy == "OnDelete":
        raise Refused(
            f"the updateStrategy of {target.id} is OnDelete: {what} would replace no pod",
            by_hand=by_kubectl(workload, "rollout undo"),
        )


def order(target: Target, good: Group) -> Order:
    """The roll-back: the template of that revision, whole, and the annotations that go with it."""
    return Order(
        does=f"roll {target.id} back",
        refuse=lambda now: refuse(target, now),
        body=lambda now: _body(now, good, _mark(now, good)),
        done=lambda now: now.template == digest(good.last.template),
    )


def undo(target: Target, bad: Group) -> Order:
    """The way forward again, once: the template of the revision that the roll-back has left, as `order` has the good one's."""
    at = iso(utc_now())

    def done(now: Workload) -> bool:
        mark = mark_of(now)
        return mark is not None and mark.is_undone and mark.at == at

    return Order(
        does=f"undo the roll-back of {target.id}",
        refuse=lambda now: refuse_undoing(target, now),
        body=lambda now: _body(now, bad, replace(_mark(now, bad), at=at, is_undone=True)),
        done=done,
    )


def _mark(now: Workload, to: Group) -> Mark:
    return Mark(release_of(now.spec["template"]), release_of(to.last.template), iso(utc_now()))


def _body(now: Workload, to: Group, mark: Mark) -> Object:
    annotations = _annotations(now, to.last) if now.place.form is DEPLOYMENT else {}
    return {
        "metadata": {"annotations": {**annotations, ROLLED_BACK: str(mark)}},
        "spec": {"template": {"$patch": "replace", **content(to.last.template)}},
    }


def _annotations(now: Workload, good: Revision) -> dict[str, Any]:
    """Those of the revision in place of the Deployment's, so that its change-cause is the revision's, but for its own."""
    theirs = {key: value for key, value in good.annotations.items() if key not in _KEPT and key != HEALTHY}
    gone = {key: None for key in now.annotations if key not in _KEPT and key not in theirs}
    return {**gone, **theirs}


def _said(marks: Mapping[str, Any], mark: str) -> bool | None:
    return {"true": True, "false": False}.get(str(marks.get(mark)))


def _moment(revision: Revision) -> datetime | None:
    try:
        found = datetime.fromisoformat(revision.made_at)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _kind(workload: Workload) -> str:
    return "replicaset" if workload.place.form is DEPLOYMENT else "controllerrevision"


def after_words(workload: Workload) -> str:
    """What a person has to know of a roll-back that is stuck; empty where there is nothing."""
    if workload.place.form is STATEFUL_SET:
        return (
            "; a StatefulSet waits for a pod that is not ready, and does not replace it: delete the pod that is stuck, "
            f"kubectl --namespace {workload.place.namespace} delete pod NAME"
        )
    return ""
