"""One change of a workload, fenced: it is made to the very object that was judged, or not at all."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TargetChanged, TemporaryError
from paramedic.kubernetes.api import Api, Conflict, Object
from paramedic.kubernetes.workload import Place, Workload, is_another, read
from paramedic.machine.clock import boottime, spoken
from paramedic.machine.kill_points import kill_point
from paramedic.remediation.target import Identity, Target

#: Who changed a field, as the API server keeps it (`managedFields`). Flux takes back what `kubectl` has changed.
MANAGER = "paramedic"

#: So often the object may be another than the one just read (a status that is written on end) before it is given up.
TRIES = 8

#: So long a controller may take to look at a workload, and so often it is asked for. Seconds.
_OBSERVED_SECONDS, _OBSERVE_SECONDS = 2.0, 0.05

#: A change whose answer is lost is looked for so often. Seconds.
_LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Order:
    """What is to become of a workload."""

    does: str  # in words, after "to": restart it
    refuse: Callable[[Workload], None]  # raises Refused where it is not to be done to the workload as it is
    body: Callable[[Workload], Object]  # the patch, without its preconditions
    done: Callable[[Workload], bool]  # whether the workload is as the change makes it


class Fence:
    """Changes one workload."""

    def __init__(self, api: Api, place: Place, target: Target, total: timedelta) -> None:
        self._api = api
        self._place = place
        self._target = target
        self._total = total
        self.deadline = boottime() + total.total_seconds()

    def carry_out(self, order: Order, expected: Identity, last_look: Callable[[], None]) -> Workload:
        """Change the workload `expected` once; the workload as the change made it.

        It is read, compared and judged, and the patch has its `uid` and `resourceVersion`: the API server does nothing where
        it is another by then (409). It is read again in that case, as its status moves the version too. `last_look` is
        called before each try.

        Refused (TargetChanged where it is another) and TemporaryError: nothing was changed; PermanentError: it was not
        accepted; OutcomeUnknown: it was sent, and its outcome is open.
        """
        for _ in range(TRIES):
            now = self._observed()
            check_same(self._target, expected, now)
            order.refuse(now)
            versions = {"uid": now.uid, "resourceVersion": now.resource_version}
            body = order.body(now)
            body = {**body, "metadata": {**body.get("metadata", {}), **versions}}
            last_look()
            if boottime() >= self.deadline:
                raise Refused(f"the {spoken(self._total)} to {order.does} were over before it was sent")
            try:
                changed = self._api.patch(self._place.path, body, manager=MANAGER, deadline=self.deadline)
            except Conflict:
                continue
            except OutcomeUnknown as error:
                kill_point("act_sent", self._target.id)
                return self._found_out(order, now, error)
            kill_point("act_sent", self._target.id)
            return Workload(self._place, changed)
        raise TemporaryError(f"the {self._place} was changed by others {TRIES} times just before it was to be changed")

    def _observed(self) -> Workload:
        """The workload once its controller has looked at what is asked of it now: an annotation, too, makes it look again."""
        until = min(boottime() + _OBSERVED_SECONDS, self.deadline)
        while True:
            now = read(self._api, self._place, deadline=self.deadline)
            if now.observed or boottime() >= until:
                return now
            time.sleep(_OBSERVE_SECONDS)

    def _found_out(self, order: Order, before: Workload, lost: OutcomeUnknown) -> Workload:
        """What became of a change whose answer is lost. It cannot happen later once the object has another version.

        Raises TemporaryError where it did not happen, OutcomeUnknown where that is not seen before the deadline.
        """
        while boottime() < self.deadline:
            try:
                now = read(self._api, self._place, deadline=self.deadline)
            except TemporaryError:
                now = before
            except PermanentError as error:
                raise OutcomeUnknown(f"{lost}; and then: {error}") from lost
            if order.done(now):
                return now
            if (now.uid, now.generation) != (before.uid, before.generation):
                break  # somebody else has changed what is asked of it: on top of ours, or instead
            if now.resource_version != before.resource_version:
                raise TemporaryError(
                    f"{lost}; it was not done, and cannot be any more: the version is another"
                ) from lost
            time.sleep(min(_LOOK_SECONDS, max(self.deadline - boottime(), 0)))
        raise OutcomeUnknown(f"{lost}; whether it was done is not seen") from lost


def check_same(target: Target, expected: Identity, now: Workload) -> None:
    """Raises TargetChanged where the workload has another template than the one that was judged, or was made anew."""
    if is_another(expected, now.identity):
        was = expected.instance
        raise TargetChanged(
            f"{target.id} is no longer the one that was judged: template {was.get('template')} of {was.get('uid')} "
            f"then, {now.template} of {now.uid} now"
        )
