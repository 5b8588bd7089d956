"""Containers, by the Docker Engine API on a Unix socket of the target's machine (Docker, or podman's service)."""

import json
import secrets
import shlex
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TargetChanged, TemporaryError
from paramedic.kinds.docker_engine import Engine, Send, demultiplexed
from paramedic.kinds.transport import Transport
from paramedic.machine.clock import boottime, spoken
from paramedic.remediation.target import Identity, Target
from paramedic.text.sanitize import one_line, visible
from paramedic.text.template import as_it_is

LABEL = "container"
REMEDIES = ("restart", "stop_and_start")
DOCKER = "/var/run/docker.sock"
LOG_LINES = 100
LOG_LIMIT = 16_384  # bytes of the log that are kept, the last ones

#: How long a stop may take where the container names no time: what the Engine itself waits before SIGKILL.
DEFAULT_STOP = timedelta(seconds=10)
#: What is left of the deadline for SIGKILL, the start and the answer.
AFTER_STOP = timedelta(seconds=3)

_LOOK_AT_ANOTHER = timedelta(seconds=1)


class _Owner(NamedTuple):
    """Something that replaces a container of its own as soon as that stops; `{}` is the label's value."""

    label: str
    words: str
    by_hand: str


#: Docker Compose is not one: it leaves a container alone that somebody else restarts.
_OWNERS = (
    _Owner(
        "PODMAN_SYSTEMD_UNIT",
        "systemd runs it, as the unit {}",
        "list `systemd: {}` in services.yaml, or `systemctl restart {}` (`--user` for a user's)",
    ),
    _Owner(
        "com.docker.swarm.service.name", "it is a task of the Swarm service {}", "`docker service update --force {}`"
    ),
    _Owner(
        "io.kubernetes.pod.name", "a kubelet runs it, in the pod {}", "`kubectl delete pod {}` in the pod's namespace"
    ),
    _Owner("com.hashicorp.nomad.alloc_id", "it is in the Nomad allocation {}", "`nomad alloc restart {}`"),
    _Owner("com.amazonaws.ecs.task-arn", "it is in the ECS task {}", "`aws ecs stop-task --task {}` in its cluster"),
)

#: podman-compose puts this unit's name on every container, whether the unit exists or not; the unit runs none of them itself.
_OF_PODMAN_COMPOSE = "podman-compose@"

#: The labels of a project and its service, by Docker Compose and by podman-compose.
_COMPOSE = ("com.docker.compose.project", "com.docker.compose.service")


class _Named(BaseModel):
    """A container of another socket than Docker's own."""

    model_config = ConfigDict(extra="forbid", strict=True)
    name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S"), AfterValidator(as_it_is)] = Field(
        description="its name, or its whole id: shop-web-1"
    )
    socket: Annotated[str, Field(pattern=r"^/"), AfterValidator(as_it_is)] = Field(
        default=DOCKER, description="where its Docker Engine API listens: /run/podman/podman.sock"
    )


#: `container: NAME`, or `container: {name: NAME, socket: /run/podman/podman.sock}`, in services.yaml.
Words = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S"), AfterValidator(as_it_is)] | _Named


def name_of(words: str | _Named) -> str:
    """The container's name."""
    return words if isinstance(words, str) else words.name


def address_of(words: str | _Named) -> str:
    """The socket that its Engine listens on."""
    return DOCKER if isinstance(words, str) else words.socket


def running(identity: Identity) -> bool:
    """Whether the Engine reports the container as running, which does not prove that it is well. A paused one is not."""
    return identity.state == "running"


def restarted(before: Identity, now: Identity) -> bool:
    """Whether the container runs now, and was started since `before`, or is another one of its name."""
    return running(now) and _instance(now) != _instance(before)


def _instance(identity: Identity) -> tuple[object, object]:
    return identity.instance.get("container"), identity.instance.get("started_at")


class Reader:
    """Looks at one container."""

    def __init__(self, target: Target, transport: Transport, timeout: timedelta = timedelta(seconds=5)) -> None:
        self._target, self._timeout = target, timeout
        self._engine = Engine(target, transport)

    def identity(self) -> Identity:
        """The running instance of the container: its id, and when it was started last.

        Raises PermanentError where there is no container of this name, or it may not be seen; TemporaryError without an answer.
        """
        return _identity(self.inspected())

    def inspected(self) -> Mapping[str, Any]:
        """All that the Engine says of the container. Raises as `identity` does."""
        target = self._target
        answer = self._engine.get(f"/containers/{quote(target.name, safe='')}/json", self.deadline())
        try:
            seen: dict[str, Any] = json.loads(answer.body)
            names = {seen["Name"].removeprefix("/"), seen["Id"]}
            _identity(seen)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise TemporaryError(f"the Docker Engine's answer does not describe the container {target.id}") from error
        if target.name not in names:  # the Engine also finds a container by the beginning of its id
            raise PermanentError(f"there is no container {target.name}: the Engine means {one_line(min(names))}")
        return seen

    def in_its_network(self, seen: Mapping[str, Any]) -> list[str]:
        """The names of the running containers that share the inspected one's network namespace. Raises as `identity` does."""
        deadline = self.deadline()
        joined = {f"container:{name}" for name in (seen["Id"], seen["Name"].removeprefix("/"))}
        found = [
            one_line(str((row.get("Names") or [row.get("Id")])[0])).removeprefix("/")
            for row in self._engine.ask("/containers/json", deadline, list)
            if (_network_of(row) or self._network(row)) in joined
        ]
        if boottime() >= deadline:
            raise TemporaryError(
                f"it takes too long to see whether another container shares {self._target.id}'s network"
            )
        return sorted(found)

    def _network(self, row: Mapping[str, Any]) -> object:
        """The network of a running container; None where it has gone, or does not answer, as one that podman is stopping."""
        soon = boottime() + _LOOK_AT_ANOTHER.total_seconds()
        with suppress(PermanentError, TemporaryError):
            return _network_of(self._engine.ask(f"/containers/{quote(str(row.get('Id')), safe='')}/json", soon, dict))
        return None

    def used(self) -> str:
        """The memory and the processes that the container has now. Raises as `identity` does."""
        path = f"/containers/{quote(self.inspected()['Id'], safe='')}/stats?stream=false&one-shot=true"
        stats = self._engine.ask(path, self.deadline(), dict)
        memory, processes = _mapping(stats.get("memory_stats")), _mapping(stats.get("pids_stats"))
        used, limit = memory.get("usage"), memory.get("limit")
        if not isinstance(used, int) or not isinstance(limit, int):
            raise TemporaryError(f"the Docker Engine does not say what {self._target.id} uses: it may not run")
        return (
            f"{used:,} B of memory, page cache included, of at most {limit:,} B; processes: {processes.get('current')}"
        )

    def log(self) -> str:
        """The end of what the container printed, stderr marked as such. Raises as `identity` does."""
        seen = self.inspected()
        path = f"/containers/{quote(seen['Id'], safe='')}/logs?stdout=1&stderr=1&tail={LOG_LINES}"
        answer = self._engine.get(path, self.deadline())
        printed = answer.body if _mapping(seen.get("Config")).get("Tty") else b"".join(demultiplexed(answer.body))
        text = visible(printed[-LOG_LIMIT:].decode(errors="replace"))
        return text + ("" if answer.whole else "\n(cut off: the Engine sent no more of it, or it is too long)")

    def deadline(self) -> float:
        """When a look that begins now has to be over."""
        return boottime() + self._timeout.total_seconds()


class Changer:
    """Restarts one container."""

    def __init__(self, target: Target, transport: Transport, total_timeout: timedelta = timedelta(seconds=30)) -> None:
        self._target, self._total = target, total_timeout
        self._engine = Engine(target, transport)
        self._reader = Reader(target, transport, min(total_timeout, timedelta(seconds=5)))

    def restart(self, expected: Identity, last_look: Callable[[], None]) -> Identity:
        """Restart the instance `expected` of the container, by one request that names its id; returns the new instance.

        `last_look` is called once everything is ready, and its exception stops the restart: only a send follows it.
        The Engine carries the restart out to its end even if this process dies once the request is sent, and after
        `total_timeout`, which bounds only how long this call takes.

        Nothing was sent if it raises Refused (another instance; a paused container, one that is being stopped or removed, one
        that needs more time to stop than there is, one that systemd or an orchestrator would replace, or whose
        network others share) or TemporaryError.
        PermanentError says that it failed, or cannot be done. OutcomeUnknown: it was sent, and its outcome is open.
        """
        deadline = boottime() + self._total.total_seconds()
        self._refuse_where_others_share_its_network()
        with self._engine.prepared(deadline) as send:
            stop = self._stop_seconds(self._judged(expected), deadline)
            self._sent(send, f"restart?t={stop}", expected, last_look)
        return self._after(expected, "restarted")

    def stop_and_start(self, expected: Identity, last_look: Callable[[], None]) -> Identity:
        """Stop the instance `expected` of the container, then start it: two requests, where `restart` is one.

        If this process dies between the two, the container stays stopped, and the act is open. Parameters, result and errors
        as those of `restart`; Refused also for a container that is removed when it stops.
        """
        deadline = boottime() + self._total.total_seconds()
        self._refuse_where_others_share_its_network()
        with self._engine.prepared(deadline) as send:
            seen = self._judged(expected)
            if _mapping(seen.get("HostConfig")).get("AutoRemove"):
                raise Refused(f"{self._target.id} was made with --rm: it is removed when it stops")
            self._sent(send, f"stop?t={self._stop_seconds(seen, deadline)}", expected, last_look)
        try:
            with self._engine.prepared(deadline) as send:
                self._sent(send, "start", expected, lambda: None)
        except (TemporaryError, Refused) as error:
            raise OutcomeUnknown(f"{self._target.id} was stopped, and its start was not sent: {error}") from error
        return self._after(expected, "stopped and started")

    def _sent(self, send: Send, what: str, expected: Identity, last_look: Callable[[], None]) -> None:
        """Send one request about the judged container. Raises as `restart` does."""
        target, verb = self._target, what.partition("?")[0]
        try:
            answer = send(f"/containers/{quote(str(expected.instance['container']), safe='')}/{what}", last_look)
        except OutcomeUnknown as error:
            raise OutcomeUnknown(f"the {verb} of {target.id} was sent, and its outcome is open: {error}") from error
        if answer.status not in (200, 204, 304):  # 304: it is stopped, or started, already
            raise PermanentError(f"the Docker Engine did not {verb} {target.id}: {answer.words}; {self._state_now()}")

    def _refuse_where_others_share_its_network(self) -> None:
        if others := self._reader.in_its_network(self._reader.inspected()):
            raise Refused(
                f"{self._target.id} shares its network with {', '.join(others)}: a restart would cut them off until they are "
                "restarted too",
                by_hand=_together(self._target, others),
            )

    def _judged(self, expected: Identity) -> Mapping[str, Any]:
        """What the Engine says of the judged instance. Raises TargetChanged, Refused, and as `Reader.identity` does."""
        target, seen = self._target, self._reader.inspected()
        now = _identity(seen)
        if _instance(now) != _instance(expected):
            (was_id, was), (is_id, began) = _instance(expected), _instance(now)
            raise TargetChanged(
                f"{target.id} is no longer the one that was judged: container {was_id!s:.12} started at {was} then, "
                f"{is_id!s:.12} started at {began} now"
            )
        if now.state in ("paused", "stopping", "removing", "dead"):
            raise Refused(f"{target.id} is {now.state}: somebody else is at work on it")
        if (owner := _owner(seen)) is not None:
            raise Refused(f"{target.id} is not the Engine's to restart: {owner.words}", by_hand=owner.by_hand)
        return seen

    def _stop_seconds(self, seen: Mapping[str, Any], deadline: float) -> int:
        """The container's own time to stop, before which it is not killed. Raises Refused where it ends after our deadline."""
        asked = _mapping(seen.get("Config")).get("StopTimeout")
        wants = asked if isinstance(asked, int) else int(DEFAULT_STOP.total_seconds())
        room = deadline - boottime() - AFTER_STOP.total_seconds()
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


def _owner(seen: Mapping[str, Any]) -> _Owner | None:
    """What would replace the container if it were restarted here, in words about this one."""
    labels = _mapping(_mapping(seen.get("Config")).get("Labels"))
    for label, words, by_hand in _OWNERS:
        name = one_line(str(labels.get(label) or ""))[:200]
        if name and not name.startswith(_OF_PODMAN_COMPOSE):
            return _Owner(label, words.format(name), by_hand.replace("{}", shlex.quote(name)))
    return None


def _together(target: Target, others: list[str]) -> str:
    return f"`docker restart {shlex.join([target.name, *others])}`: together, it first"


def forbidden(target: Target, transport: Transport, remedy: str) -> str | None:
    """Why this user may not do the remedy to the container, and what grants it. Raises TemporaryError or PermanentError.

    The Engine is asked to change a container that does not exist: whoever may change none is refused before that is noticed.
    """
    reader, engine = Reader(target, transport), Engine(target, transport)
    seen = reader.inspected()
    if (owner := _owner(seen)) is not None:
        return f"it is not the Engine's to restart: {owner.words}; {owner.by_hand}"
    if others := reader.in_its_network(seen):
        return f"it shares its network with {', '.join(others)}, which a restart would cut off; {_together(target, others)}"
    for verb in ("stop", "start") if remedy == "stop_and_start" else ("restart",):
        path = f"/containers/{secrets.token_hex(32)}/{verb}"
        if (words := engine.refusal(path, reader.deadline())) is not None:
            return (
                f"{target.address} of {target.host} allows looks and no {verb} (it says {words}): whatever stands before the "
                "Engine there has to allow it"
            )
    return None


def _identity(seen: Mapping[str, Any]) -> Identity:
    state = seen["State"]
    return Identity(one_line(state["Status"]), {"container": seen["Id"], "started_at": _moment(state.get("StartedAt"))})


def _moment(text: object) -> float | None:
    """Seconds since the epoch of `2026-11-29T19:02:48.758633109Z`, to the microsecond; None for Go's zero: it never began."""
    if not isinstance(text, str) or not text or text.startswith("0001-"):
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError as error:
        raise TemporaryError(f"the Docker Engine named an invalid time: {one_line(text):.40}") from error


def _state(target: Target, transport: Transport) -> str:
    seen = Reader(target, transport).inspected()
    state, host, config = (_mapping(seen.get(key)) for key in ("State", "HostConfig", "Config"))
    policy, health = _mapping(host.get("RestartPolicy")), _mapping(state.get("Health"))
    checks = health.get("Log") or [{}]
    facts = {
        "container": seen["Id"],
        "image": f"{config.get('Image', '')} ({seen.get('Image', '')})",
        "status": state["Status"],
        "started": state.get("StartedAt"),
        "finished": state.get("FinishedAt"),
        "exit code": state.get("ExitCode"),
        "killed for memory (OOMKilled)": state.get("OOMKilled"),
        "error": state.get("Error"),
        "made by Compose, as": _compose(config),
        "restarts by its policy": f"{seen.get('RestartCount')} ({policy.get('Name') or 'no'})",
        "health": health.get("Status") or "no health check",
        "failing health checks in a row": health.get("FailingStreak"),
        "last health check": _mapping(checks[-1]).get("Output"),
        "memory limit, bytes": host.get("Memory") or "none",
        "CPU limit, billionths of a core": host.get("NanoCpus") or "none",
        "process limit": host.get("PidsLimit") or "none",
        "time to stop, seconds": config.get("StopTimeout"),
    }
    return "\n".join(f"{what}: {one_line(str(fact))[:500]}" for what, fact in facts.items() if fact not in (None, ""))


def _network_of(seen: Mapping[str, Any]) -> object:
    """`host`, `container:ID`, …; nothing where it is not told, as in podman's list."""
    return _mapping(seen.get("HostConfig")).get("NetworkMode")


def _compose(config: Mapping[str, Any]) -> str:
    """Project and service, where Compose has made the container; otherwise nothing."""
    labels = _mapping(config.get("Labels"))
    return "/".join(str(labels[name]) for name in _COMPOSE if name in labels)


def _mapping(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}


def _last_log(target: Target, transport: Transport) -> str:
    return Reader(target, transport).log()


def _memory(target: Target, transport: Transport) -> str:
    return Reader(target, transport).used()


EVIDENCE = {"state": _state, "memory": _memory, "last-log": _last_log}
