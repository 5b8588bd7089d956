"""Containers, by the Docker Engine API on a socket or a port (Docker, or podman's service)."""

import ipaddress
import secrets
import shlex
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from paramedic.docker.answers import identity_of, mapping
from paramedic.docker.changes import changes
from paramedic.docker.cut_off import mark
from paramedic.docker.evidence import EVIDENCE
from paramedic.docker.logs import log_lines
from paramedic.docker.look import Reader
from paramedic.docker.owners import keeper_of, owner_of
from paramedic.docker.releases import Releases, judged
from paramedic.docker.replace import Replacement
from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TargetChanged, TemporaryError
from paramedic.kinds.docker_engine import Send
from paramedic.kinds.probing import DOWN, UNREADY, Seen
from paramedic.kinds.transport import Transport
from paramedic.machine.clock import boottime, spoken
from paramedic.remediation.target import Identity, Target
from paramedic.text.sanitize import one_line
from paramedic.text.template import as_it_is

__all__ = [
    "EVIDENCE",
    "LABEL",
    "RELEASES_ARE_NOTED",
    "REMEDIES",
    "Changer",
    "Reader",
    "Releases",
    "Words",
    "address_of",
    "changes",
    "forbidden",
    "is_remote",
    "log_lines",
    "mark",
    "name_of",
    "owner_clock",
    "readiness",
    "restarted",
    "running",
]

LABEL = "container"
REMEDIES = ("restart", "stop_and_start")
#: What it ran before nobody keeps but Paramedic, which looks at it and notes it.
RELEASES_ARE_NOTED = True
IS_A_PROGRAM = True
DOCKER = "/var/run/docker.sock"

#: The Engine's words for a container that runs, and for a health check that has nothing against it (`none`: there is none).
RUNNING = "running"
_WITHOUT_COMPLAINT = ("healthy", "none")
_STARTS = "starting"

#: How long a stop may take where the container names no time: what the Engine itself waits before SIGKILL.
DEFAULT_STOP = timedelta(seconds=10)
#: What is left of the deadline for SIGKILL, the start and the answer.
AFTER_STOP = timedelta(seconds=3)
#: The same of a roll-back: for the names, the start, and putting all back.
AFTER_REPLACEMENT = timedelta(seconds=8)


_Path = Annotated[str, Field(pattern=r"^/"), AfterValidator(as_it_is)]


class _Tls(BaseModel):
    """The files, in PEM, that lie on Paramedic's own machine: those of `docker --tlsverify`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    ca: _Path = Field(description="signs the Engine's certificate: /etc/paramedic/docker/ca.pem")
    certificate: _Path = Field(description="Paramedic's own certificate: /etc/paramedic/docker/cert.pem")
    key: _Path = Field(description="its key, without a password: /etc/paramedic/docker/key.pem")


def _host_of(api: str) -> str:
    return api.removeprefix("tcp://").rpartition(":")[0].removeprefix("[").removesuffix("]")


def _is_loopback(host: str) -> bool:
    """Whether it is an address of this machine alone. A name is not: it may lead anywhere."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _an_api(text: str) -> str:
    if int(text.rpartition(":")[2]) not in range(1, 65_536):
        raise ValueError("its port is from 1 to 65535")
    return as_it_is(text)


class _Named(BaseModel):
    """A container of another Engine than the one on Docker's own socket."""

    model_config = ConfigDict(extra="forbid", strict=True)
    name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S"), AfterValidator(as_it_is)] = Field(
        description="its name, or its whole id: shop-web-1"
    )
    socket: _Path | None = Field(
        default=None,
        description=f"where its Docker Engine API listens: /run/podman/podman.sock; without it and `api`, {DOCKER}",
    )
    api: (
        Annotated[
            str, Field(pattern=r"^tcp://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$"), AfterValidator(_an_api)
        ]
        | None
    ) = Field(
        default=None, description="the port that it listens on instead, as the host reaches it: tcp://docker-7:2376"
    )
    writes: Literal["disposable"] | None = Field(
        default=None,
        description="`disposable`: nobody needs what it has written outside its mounts, and a roll-back may leave it",
    )
    tls: _Tls | None = Field(default=None, description="needed for `api`, but on a loopback address")

    @model_validator(mode="after")
    def _one_way(self) -> "_Named":
        if self.socket is not None and self.api is not None:
            raise ValueError("write `socket` or `api`, not both")
        if self.tls is not None and self.api is None:
            raise ValueError("`tls` is for an `api`: a socket has none")
        if self.api is not None and self.tls is None and not _is_loopback(_host_of(self.api)):
            raise ValueError(
                "whoever reaches an Engine without TLS is root there: write `tls`, or reach a loopback address of its host, "
                "such as tcp://127.0.0.1:2375"
            )
        return self


#: `container: NAME`, or `{name: NAME, socket: /run/podman/podman.sock}`, or `{name: NAME, api: …, tls: …}`, in services.yaml.
Words = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S"), AfterValidator(as_it_is)] | _Named


def name_of(words: str | _Named) -> str:
    """The container's name."""
    return words if isinstance(words, str) else words.name


def address_of(words: str | _Named) -> str:
    """The socket, or the `tcp://HOST:PORT`, that its Engine listens on."""
    return DOCKER if isinstance(words, str) else words.api or words.socket or DOCKER


def is_remote(words: str | _Named) -> bool:
    """Whether the Engine is on another machine than its host: neither releases nor commands reach the container there."""
    return isinstance(words, _Named) and words.api is not None and not _is_loopback(_host_of(words.api))


def owner_clock(target: Target, transport: Transport) -> datetime | None:
    """The moment by the clock of an Engine on another machine than the host, which dates its images; None for one there.

    Raises as `Reader.identity` does.
    """
    return Reader(target, transport).clock() if is_remote(target.words or target.name) else None


def running(identity: Identity) -> bool:
    """Whether the Engine reports the container as running, which does not prove that it is well. A paused one is not."""
    return identity.state == RUNNING


def readiness(target: Target, transport: Transport) -> Seen:
    """The raw values of `check: ready`: whether it is down, and whether its own health check is failed, where it has one.

    How ready it is, nobody says of one that still starts (`HEALTHCHECK --start-period`). Raises TemporaryError or
    PermanentError where the Engine does not say it.
    """
    seen = Reader(target, transport).inspected()
    state = identity_of(seen).state
    health = str(mapping(mapping(seen.get("State")).get("Health")).get("Status") or "none")
    values = {DOWN: float(state != RUNNING)}
    if state != RUNNING or health != _STARTS:
        values[UNREADY] = 100.0 * (state != RUNNING or health not in _WITHOUT_COMPLAINT)
    return values, f"its container says {state}, its health check {one_line(health)}"


def restarted(before: Identity, now: Identity) -> bool:
    """Whether the container runs now, and was started since `before`, or is another one of its name."""
    return running(now) and _instance(now) != _instance(before)


def _instance(identity: Identity) -> tuple[object, object]:
    return identity.instance.get("container"), identity.instance.get("started_at")


class Changer:
    """Restarts one container."""

    def __init__(self, target: Target, transport: Transport, total_timeout: timedelta = timedelta(seconds=30)) -> None:
        self._target, self._transport, self._total = target, transport, total_timeout
        self._reader = Reader(target, transport, min(total_timeout, timedelta(seconds=5)))
        self._engine = self._reader.engine
        self.incident, self.act = "", ""  # what a roll-back is made for; the new container bears the act

    def restart(self, expected: Identity, last_look: Callable[[], None]) -> Identity:
        """Restart the instance `expected` of the container, by one request that names its id; returns the new instance.

        `last_look` is called once everything is ready, and its exception stops the restart: only a send follows it.
        The Engine carries the restart out to its end even if this process dies once the request is sent, and after
        `total_timeout`, which bounds only how long this call takes.

        Nothing was sent if it raises Refused (another instance; a paused container, one that is being stopped or removed, one
        that needs more time to stop than there is, one that podman removes as it stops, one that systemd or an orchestrator would
        replace, or whose network others share) or TemporaryError.
        PermanentError says that it failed, or cannot be done. OutcomeUnknown: it was sent, and its outcome is open.
        """
        deadline = boottime() + self._total.total_seconds()
        self._refuse_where_others_share_its_network(boottime() + self._total.total_seconds() / 2)
        with self._engine.prepared(deadline) as send:
            seen = self._judged(expected)
            if (why := self._reader.lost_by_restart(seen)) is not None:
                raise Refused(f"{self._target.id} {why}", by_hand="start another one like it, then remove this one")
            self._sent(send, f"restart?t={self._stop_seconds(seen, deadline)}", expected, last_look)
        return self._after(expected, "restarted")

    def stop_and_start(self, expected: Identity, last_look: Callable[[], None]) -> Identity:
        """Stop the instance `expected` of the container, then start it: two requests, where `restart` is one.

        If this process dies between the two, the container stays stopped, and the act is open. Parameters, result and errors
        as those of `restart`; Refused also for a container that is removed when it stops.
        """
        deadline = boottime() + self._total.total_seconds()
        self._refuse_where_others_share_its_network(boottime() + self._total.total_seconds() / 2)
        with self._engine.prepared(deadline) as send:
            seen = self._judged(expected)
            if mapping(seen.get("HostConfig")).get("AutoRemove"):
                raise Refused(f"{self._target.id} was made with --rm: it is removed when it stops")
            self._sent(send, f"stop?t={self._stop_seconds(seen, deadline)}", expected, last_look)
        try:
            with self._engine.prepared(deadline) as send:
                self._sent(send, "start", expected, lambda: None)
        except (TemporaryError, Refused) as error:
            raise OutcomeUnknown(f"{self._target.id} was stopped, and its start was not sent: {error}") from error
        return self._after(expected, "stopped and started")

    def roll_back(self, expected: str, last_look: Callable[[], None], *, approved: bool) -> str:
        """Replace the container by one like it of the image that it was seen to run before `expected`, and say which image.

        The new one is made before the last look. The old one is kept, stopped, under another name, and put back where the new one
        does not start. Refused and TemporaryError: the container was not touched, because it runs another image, was rolled back
        already, has no older image that it was well with, is owned by something else, or has what no other can be given.
        PermanentError: it failed, as the message says. OutcomeUnknown: what there is now is not known.
        """
        deadline = boottime() + self._total.total_seconds()
        seen = self._by_its_name()
        if (keeper := keeper_of(seen)) is not None:
            raise Refused(f"{self._target.id} is not the Engine's to roll back: {keeper.words}", by_hand=keeper.by_hand)
        self._refuse_where_others_share_its_network(boottime() + self._total.total_seconds() / 2)
        releases = Releases(self._target, self._transport)
        good = judged(self._target, releases.current(), expected, approved=approved)
        stop = self._stop_seconds(self._judged(identity_of(seen)), deadline, AFTER_REPLACEMENT)
        Replacement(self._target, self._engine, deadline, self.act).by(good.id, seen, stop, last_look)
        return good.id

    def undo(self, expected: str, last_look: Callable[[], None]) -> str:
        """Put the container back that the roll-back to the image `expected` has replaced, and say which image that has.

        The one that the roll-back made is kept, stopped. Errors as at `roll_back`.
        """
        deadline = boottime() + self._total.total_seconds()
        seen = self._by_its_name()
        stop = self._stop_seconds(self._judged(identity_of(seen)), deadline, AFTER_REPLACEMENT)
        return Replacement(self._target, self._engine, deadline).undo(expected, seen, stop, last_look)

    def _by_its_name(self) -> Mapping[str, Any]:
        """As `Reader.inspected`. Raises Refused where services.yaml lists it by its id, which another one would not have."""
        seen = self._reader.inspected()
        if seen["Name"].removeprefix("/") != self._target.name:
            raise Refused(
                f"{self._target.id} is listed by its id, and one that takes its place would have another",
                by_hand="list it by its name in services.yaml",
            )
        return seen

    def _sent(self, send: Send, what: str, expected: Identity, last_look: Callable[[], None]) -> None:
        """Send one request about the judged container. Raises as `restart` does."""
        target, verb = self._target, what.partition("?")[0]
        try:
            answer = send(f"/containers/{quote(str(expected.instance['container']), safe='')}/{what}", last_look)
        except OutcomeUnknown as error:
            raise OutcomeUnknown(f"the {verb} of {target.id} was sent, and its outcome is open: {error}") from error
        if answer.status not in (200, 204, 304):  # 304: it is stopped, or started, already
            raise PermanentError(f"the Docker Engine did not {verb} {target.id}: {answer.words}; {self._state_now()}")

    def _refuse_where_others_share_its_network(self, deadline: float) -> None:
        if others := self._reader.in_its_network(self._reader.inspected(), deadline):
            raise Refused(
                f"{self._target.id} shares its network with {', '.join(others)}: a restart would cut them off until they are "
                "restarted too",
                by_hand=_together(self._target, others),
            )

    def _judged(self, expected: Identity) -> Mapping[str, Any]:
        """What the Engine says of the judged instance. Raises TargetChanged, Refused, and as `Reader.identity` does."""
        target, seen = self._target, self._reader.inspected()
        now = identity_of(seen)
        if _instance(now) != _instance(expected):
            (was_id, was), (is_id, began) = _instance(expected), _instance(now)
            raise TargetChanged(
                f"{target.id} is no longer the one that was judged: container {was_id!s:.12} started at {was} then, "
                f"{is_id!s:.12} started at {began} now"
            )
        if now.state in ("paused", "stopping", "removing", "dead"):
            raise Refused(f"{target.id} is {now.state}: somebody else is at work on it")
        if (owner := owner_of(seen)) is not None:
            raise Refused(f"{target.id} is not the Engine's to restart: {owner.words}", by_hand=owner.by_hand)
        return seen

    def _stop_seconds(self, seen: Mapping[str, Any], deadline: float, after: timedelta = AFTER_STOP) -> int:
        """The container's own time to stop, before which it is not killed. Raises Refused where it ends after our deadline."""
        asked = mapping(seen.get("Config")).get("StopTimeout")
        wants = asked if isinstance(asked, int) else int(DEFAULT_STOP.total_seconds())
        room = deadline - boottime() - after.total_seconds()
        if 0 <= wants <= room:
            return wants
        wish = f"has {wants} s to stop" if wants >= 0 else "has no end of its time to stop"
        raise Refused(
            f"{self._target.id} {wish}, and this change may last {spoken(self._total)} with its start",
            by_hand="give it a shorter stop timeout, or changes a longer PARAMEDIC_ACT_DEADLINE",
        )

    def _after(self, expected: Identity, done: str) -> Identity:
        """The new instance. Raises OutcomeUnknown where it is not seen, PermanentError where none runs."""
        try:
            after = self._reader.identity()
        except (TemporaryError, PermanentError) as error:
            raise OutcomeUnknown(f"{self._target.id} was {done}, and what runs now is not known: {error}") from error
        if not restarted(expected, after):
            raise PermanentError(f"{self._target.id} was {done}, and it did not come up: it is {after.state} now")
        return after

    def _state_now(self) -> str:
        try:
            return f"it is {self._reader.identity().state} now"
        except (TemporaryError, PermanentError) as error:
            return f"its state is not known: {error}"


def _together(target: Target, others: list[str]) -> str:
    return f"`docker restart {shlex.join([target.name, *others])}`: together, it first"


def forbidden(target: Target, transport: Transport, remedy: str) -> str | None:
    """Why this user may not do the remedy to the container, and what grants it. Raises TemporaryError or PermanentError.

    The Engine is asked to change a container that does not exist: whoever may change none is refused before that is noticed.
    """
    reader = Reader(target, transport)
    seen = reader.inspected()
    if (owner := owner_of(seen)) is not None:
        return f"it is not the Engine's to restart: {owner.words}; {owner.by_hand}"
    if remedy == "restart" and (why := reader.lost_by_restart(seen)) is not None:
        return f"it {why}"
    if others := reader.in_its_network(seen):
        return f"it shares its network with {', '.join(others)}, which a restart would cut off; {_together(target, others)}"
    for verb in ("stop", "start") if remedy == "stop_and_start" else ("restart",):
        path = f"/containers/{secrets.token_hex(32)}/{verb}"
        if (words := reader.engine.refusal(path, reader.deadline())) is not None:
            return (
                f"{target.address} of {target.host} allows looks and no {verb} (it says {words}): whatever stands before the "
                "Engine there has to allow it"
            )
    return None
