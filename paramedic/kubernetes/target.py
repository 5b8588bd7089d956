"""The face of the kinds of targets that are workloads: each names its form, and is otherwise like the others."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from math import inf
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from paramedic.alerts.alert import Alert
from paramedic.errors import PermanentError, Refused, TemporaryError
from paramedic.kinds.cluster import cluster_of
from paramedic.kinds.probing import DOWN, UNREADY, Seen
from paramedic.kinds.transport import Transport
from paramedic.kubernetes import gitops, gitops_repository, pods, releases, restart, rights, rollout, scale
from paramedic.kubernetes.api import Api
from paramedic.kubernetes.change import Fence, Order
from paramedic.kubernetes.eviction import Asked, Eviction, chosen
from paramedic.kubernetes.scale import Bounds
from paramedic.kubernetes.workload import Form, Place, Workload, counts, is_up, read
from paramedic.machine.clock import boottime
from paramedic.remediation.quorum import WrittenQuorum
from paramedic.remediation.release import Release
from paramedic.remediation.target import Identity, Target
from paramedic.text.sanitize import one_line

#: So long one look, and one request of a change, may take.
LOOK = timedelta(seconds=5)

#: A name as the API server takes it (RFC 1123), so that it is one part of a path and no other text.
_LABEL = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_NAME = rf"^{_LABEL}(\.{_LABEL})*$"


class Words(BaseModel):
    """`daemonset: {name: node-agent, namespace: shop}`"""

    model_config = ConfigDict(extra="forbid", strict=True)
    name: Annotated[str, Field(pattern=_NAME, max_length=130)] = Field(description="its name: tracking-api")
    namespace: Annotated[str, Field(pattern=f"^{_LABEL}$", max_length=63)] = Field(description="its namespace: shop")
    keep_healthy: WrittenQuorum | None = Field(
        default=None, description="so many of its pods must be ready beside the one that `delete_pod` deletes: 51%"
    )
    pod_label: Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]{0,99}$")] = Field(
        default="pod", description="the label by which alerts name one of its pods: exported_pod"
    )
    owner: Literal["gitops"] | None = Field(
        default=None, description="gitops: Argo CD, Flux or the like brings it to what a repository says"
    )
    repository: gitops_repository.Words | None = Field(
        default=None, description="where a roll-back is a revert, on a branch"
    )

    @model_validator(mode="after")
    def _owned(self) -> Self:
        if self.repository is not None and self.owner is None:
            raise ValueError("a `repository` belongs to `owner: gitops`")
        return self


class ScalableWords(Words):
    """`deployment: {name: tracking-api, namespace: shop, scale: {min: 2, max: 8, by: 2}}`"""

    scale: Bounds | None = Field(default=None, description="how many pods `scale` may give it")


class RollBackTo(BaseModel):
    """`roll_back_to: {revision: 12}`"""

    model_config = ConfigDict(extra="forbid", frozen=True)

    revision: int = Field(ge=1, description="as `kubectl rollout history` counts it")


ASKED = {"roll_back_to": RollBackTo}


def needs(words: Words, remedy: str) -> str | None:
    """The key that the remedy needs and these words lack, with an example; None where nothing is lacking."""
    lacks = remedy == "scale" and getattr(words, "scale", None) is None
    return "scale: {min: 2, max: 8, by: 2}" if lacks else None


def noted_as(identity: Identity) -> tuple[str, bool]:
    """Its template, and whether all its pods have it and are up."""
    return str(identity.instance["template"]), identity.state == "available/complete"


def name_of(words: Words) -> str:
    """As a runbook writes it: NAMESPACE/NAME."""
    return f"{words.namespace}/{words.name}"


def address_of(_words: Words) -> str:
    """Nothing: its host leads to it."""
    return ""


def is_remote(_words: Words) -> bool:
    """Always: neither `releases` nor `commands` of a machine reach it."""
    return True


class Reader:
    """Looks at one workload."""

    form: ClassVar[Form]

    def __init__(self, target: Target, transport: Transport) -> None:
        self._api = api(target, transport)
        self._place = Place.of(self.form, target)

    def identity(self) -> Identity:
        """The workload and its template. Raises PermanentError where it is not there or may not be read, or TemporaryError."""
        return read(self._api, self._place).identity


class Changer:
    """Changes one workload."""

    form: ClassVar[Form]

    def __init__(self, target: Target, transport: Transport, total_timeout: timedelta = timedelta(seconds=30)) -> None:
        self._target = target
        self._transport = transport
        self._api = api(target, transport)
        self._place = Place.of(self.form, target)
        self._total = total_timeout
        self.alerts: Sequence[Alert] = ()
        self.incident, self.act = "", ""  # what a revert is made for
        self.did = ""

    def restart(self, expected: Identity, last_look: Callable[[], None]) -> Identity:
        """Replace every pod of the workload by a new one, as its strategy says; returns it as it is then.

        It is waited for until all are up, for `total_timeout` at most: the controller goes on after it, and what is said of
        its state is then of that moment. PermanentError: it was not accepted, or accepted and is stuck or was taken back, as the
        message says. Other errors are those of `Fence.carry_out`.
        """
        return self._rolled(restart.order(self._target), expected, last_look)

    def roll_back(self, expected: str, last_look: Callable[[], None], *, approved: bool) -> str:
        """Go back once from the release `expected` to the last healthy one, and say which; as `kubectl rollout undo` does it.

        Nothing has to be restarted: the controller replaces the pods. Refused: it is owned by another tool, paused, rolled back
        already, has no release to go back to, or would cross one that may not be crossed. Other errors as at `restart`.

        Where services.yaml names the repository of a GitOps controller, nothing is asked of the cluster: the last change there is
        reverted on a branch (`gitops.Revert`), and the controller is waited for. WaitsForPeople where it does not come.
        """
        now = read(self._api, self._place)
        if (words := gitops_repository.repository(self._target)) is not None:
            return self._reverted(words, now, expected, last_look, approved=approved)
        good = releases.judged(
            self._target, now, releases.groups(self._api, now, self._target.noted), expected, approved=approved
        )
        return self._gone_to(good, releases.order(self._target, good), now, last_look)

    def undo(self, expected: str, last_look: Callable[[], None]) -> str:
        """Go forward again from `expected`, to which the last roll-back led, to the release that it has left; say which.

        By the same patch, and waited for, as at `roll_back`. Refused: it has another release since, that roll-back was undone
        already, or its release is kept no more; it is owned by another tool, or paused. Other errors as at `restart`.
        """
        now = read(self._api, self._place)
        bad = releases.left(self._target, now, releases.groups(self._api, now, self._target.noted), expected)
        return self._gone_to(bad, releases.undo(self._target, bad), now, last_look)

    def _gone_to(self, release: releases.Group, order: Order, now: Workload, last_look: Callable[[], None]) -> str:
        try:
            self._rolled(order, now.identity, last_look)
        except PermanentError as error:
            raise PermanentError(f"{error}{releases.after_words(now)}") from error
        return str(release.last.number)

    def _reverted(
        self,
        words: gitops_repository.Words,
        now: Workload,
        expected: str,
        last_look: Callable[[], None],
        *,
        approved: bool,
    ) -> str:
        deadline = boottime() + self._total.total_seconds()
        current = releases.judged_current(
            self._target, now, releases.groups(self._api, now, self._target.noted), expected
        )
        because = gitops.Because(self.incident, self.act)
        revert = gitops.Revert(self._target, words, because, deadline)
        pushed = revert.push(self._transport, current, last_look, approved=approved)
        done = revert.brought(self._api, now, pushed)
        self.did = f"{pushed.words}; {self._target.id} has another template since, revision {done.revision}"
        return str(done.revision)

    def roll_back_to(self, expected: Identity, last_look: Callable[[], None], asked: RollBackTo) -> Identity:
        """Go to the revision that the runbook names, as `kubectl rollout undo --to-revision` does; returns it as it is then.

        Waited for as at `restart`. Refused: it is owned by another tool, or paused, has that release already, keeps that revision
        no more, or would cross one that is marked irreversible. Other errors as at `restart`.
        """
        now = read(self._api, self._place)
        good = releases.named(self._target, now, releases.groups(self._api, now), asked.revision)
        self.did = f"it goes to the release of revision {asked.revision}, {', '.join(good.last.images)}"
        return self._rolled(releases.order(self._target, good), expected, last_look)

    def undo_roll_back_to(self, expected: Identity, last_look: Callable[[], None]) -> Identity:
        """Go forward again to the release that the last roll-back has left. Refused also where it has another since."""
        now = read(self._api, self._place)
        found = releases.groups(self._api, now)
        bad = releases.left(self._target, now, found, releases.current(now, found).id)
        return self._rolled(releases.undo(self._target, bad), expected, last_look)

    def scale(self, expected: Identity, last_look: Callable[[], None]) -> Identity:
        """Give the workload another number of pods, within the bounds of services.yaml; returns it as it is then.

        Waited for as at `restart`. Refused: it is owned by another tool, an autoscaler or a person at work says how many it
        has, or its bounds leave no other number. Other errors as at `restart`.
        """
        bounds = getattr(self._target.words, "scale", None)
        if bounds is None:
            raise PermanentError(f"services.yaml names no `scale` for {self._target.id}")
        return self._scaled(scale.order(self._target, bounds, self._api), expected, last_look)

    def undo_scale(self, expected: Identity, last_look: Callable[[], None]) -> Identity:
        """Give it the number of pods again that the last `scale` has left. Refused also where it has another since."""
        return self._scaled(scale.undo(self._target, self._api), expected, last_look)

    def delete_pod(self, expected: Identity, last_look: Callable[[], None]) -> Identity:
        """Have one pod deleted: that which a firing alert names, or else one that is unhealthy. See `Eviction.carry_out`."""
        words = self._target.words or Words(name="-", namespace="-")
        eviction = Eviction(self._api, self._place, self._target, self._total)
        asked = Asked(self.alerts, words.pod_label, words.keep_healthy)
        try:
            return eviction.carry_out(asked, expected, last_look)
        finally:
            self.did = eviction.did

    def _scaled(self, order: Order, expected: Identity, last_look: Callable[[], None]) -> Identity:
        fence = Fence(self._api, self._place, self._target, self._total)
        changed = fence.carry_out(order, expected, last_look)
        self.did = f"it is to have {changed.desired} pods"
        done = rollout.wait(self._api, changed, fence.deadline, scale.is_kept(changed))
        if done.stuck is not None:
            raise PermanentError(
                f"{self._target.id} is to have {changed.desired} pods, and they do not come up: {done.stuck}"
            )
        self.did = f"{self.did}; {done.workload.available} are available"
        return done.workload.identity

    def _rolled(self, order: Order, expected: Identity, last_look: Callable[[], None]) -> Identity:
        fence = Fence(self._api, self._place, self._target, self._total)
        changed = fence.carry_out(order, expected, last_look)
        return self._settled(changed, fence.deadline)

    def _settled(self, changed: Workload, deadline: float) -> Identity:
        done = rollout.wait(self._api, changed, deadline)
        if done.stuck is not None:
            raise PermanentError(f"{self._target.id} has its new template, and the rollout is stuck: {done.stuck}")
        return done.workload.identity


class Releases:
    """Looks at the releases of one workload."""

    form: ClassVar[Form]

    def __init__(self, target: Target, transport: Transport) -> None:
        self._target = target
        self._transport = transport
        self._api = api(target, transport)
        self._place = Place.of(self.form, target)

    def current(self) -> Release:
        """The release that it has. Raises PermanentError, or TemporaryError where the cluster does not answer."""
        return releases.current(*self._found())

    def before(self) -> Release:
        """The last healthy release before the current one. Raises Refused if there is none, else as `current` does."""
        return releases.shown(releases.before(*self._found()))

    def all(self) -> list[Release]:
        """Every release that the cluster keeps, the current one first. Raises as `current` does."""
        workload, found = self._found()
        return [releases.current(workload, found), *map(releases.shown, found[1:])]

    def obstacles(self) -> list[str]:
        """What would keep a roll-back from being carried out now. Raises as `current` does."""
        if gitops_repository.repository(self._target) is not None:
            why = gitops.obstacle(self._target, self._transport)
            return [] if why is None else [f"a revert cannot be pushed: {why}"]
        missing = list(rights.lacking(self._api, self._place, rights.needed(self.form, "rollback")))
        try:
            releases.refuse(self._target, self._found()[0])
        except Refused as no:
            return [f"{no}: {no.by_hand}"]
        return [f"RBAC does not allow {', '.join(map(str, missing))}"] if missing else []

    def _found(self) -> tuple[Workload, list[releases.Group]]:
        workload = read(self._api, self._place)
        return workload, releases.groups(self._api, workload, self._target.noted)


def api(target: Target, transport: Transport, by: float = inf) -> Api:
    """The API server of the target's cluster; all looks are over by a moment of `boottime`.

    Raises PermanentError where its host is another, or none.
    """
    if not transport.leads_to(target.host):
        raise PermanentError(f"{target.id} is in the cluster {target.host}, and `hosts` leads to none of that name")
    return Api(cluster_of(transport), LOOK, by)


def forbidden_by(form: Form) -> Callable[[Target, Transport, str], str | None]:
    """The function of a kind that says why a remedy may not be done."""

    def forbidden(target: Target, transport: Transport, remedy: str) -> str | None:
        """Why RBAC does not allow the remedy, and what grants it. Raises TemporaryError or PermanentError."""
        place = Place.of(form, target)
        missing = list(rights.lacking(api(target, transport), place, rights.needed(form, remedy)))
        if not missing:
            return None
        verbs = ", ".join(map(str, missing))
        return f"RBAC does not allow: {verbs}, in the namespace {place.namespace} (deployments/kubernetes/role.yaml grants it)"

    return forbidden


def readiness_of(form: Form) -> Callable[[Target, Transport], Seen]:
    """The function of a kind that says how many of its pods are up."""

    def readiness(target: Target, transport: Transport) -> Seen:
        """The raw values of `check: ready`: whether it is down, and the share of its pods that are not available.

        A rollout that goes on while all pods that it is to have are available is not down, and neither is one that is to have
        none: a person or an autoscaler (HPA, KEDA) has scaled it to zero, or there is no node for its DaemonSet. Raises
        TemporaryError also where its controller has not looked at it yet, PermanentError where it may not be read.
        """
        now = read(api(target, transport), Place.of(form, target))
        if not now.observed:
            raise TemporaryError(f"the controller of {target.id} has not looked at it yet: its status is of before")
        if now.desired == 0:
            return {DOWN: 0.0, UNREADY: 0.0}, f"its {form.kind} is to have no pods: {', '.join(counts(now))}"
        down = not (is_up(now.identity) or now.identity.unclear)
        unready = 100 * max(now.desired - now.available, 0) / now.desired
        return {DOWN: float(down), UNREADY: unready}, f"its {form.kind} is {now.state}: {', '.join(counts(now))}"

    return readiness


def foreseen_by(form: Form) -> Callable[[Target, Transport, str, Sequence[Alert]], str]:
    """The function of a kind that says what a remedy would touch."""

    def foreseen(target: Target, transport: Transport, remedy: str, alerts: Sequence[Alert]) -> str:
        """How many pods there would be, or which pod would be deleted. Raises Refused as the remedy does, and as a look does."""
        server, words = api(target, transport), target.words
        now = read(server, Place.of(form, target))
        match remedy:
            case "scale" if words is not None and words.scale is not None:
                scale.order(target, words.scale, server).refuse(now)
                return f"{now.desired} pods now, {words.scale.wanted(now.desired)} after it"
            case "delete_pod" if words is not None:
                asked = Asked(alerts, words.pod_label, words.keep_healthy)
                return f"the pod {one_line(chosen(target, now, pods.of(server, now), asked).name)}"
        return ""

    return foreseen
