"""Looks at one container."""

import json
import shlex
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from math import inf
from typing import Any
from urllib.parse import quote

from paramedic.docker import spec
from paramedic.docker.answers import identity_of, mapping, network_of
from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.docker_engine import Engine, demultiplexed
from paramedic.kinds.evidence import Gathered
from paramedic.kinds.transport import Transport
from paramedic.machine.clock import boottime
from paramedic.remediation.target import Identity, Target
from paramedic.text.sanitize import one_line, visible

#: What a roll-back adds to the name of a container that it makes or keeps beside the one of that name.
BESIDE = "-paramedic-"

LOG_LINES = 100
LOG_LIMIT = 16_384  # bytes of the log that are kept, the last ones

_LOOK_AT_ANOTHER = timedelta(seconds=1)


class Reader:
    """Looks at one container: each look is over when `timeout` is, and all are by `by`, a moment of `boottime`."""

    def __init__(
        self, target: Target, transport: Transport, timeout: timedelta = timedelta(seconds=5), *, by: float = inf
    ) -> None:
        self._target, self._timeout, self._by = target, timeout, by
        self.engine = Engine(target, transport)

    def identity(self) -> Identity:
        """The running instance of the container: its id, and when it was started last.

        Raises PermanentError where there is no container of this name, or it may not be seen; TemporaryError without an answer.
        """
        return identity_of(self.inspected())

    def inspected(self) -> Mapping[str, Any]:
        """All that the Engine says of the container. Raises as `identity` does."""
        target = self._target
        try:
            answer = self.engine.get(f"/containers/{quote(target.name, safe='')}/json", self.deadline())
        except PermanentError as error:
            raise PermanentError(f"{error}{self._cut_off()}") from error
        try:
            seen: dict[str, Any] = json.loads(answer.body)
            names = {seen["Name"].removeprefix("/"), seen["Id"]}
            identity_of(seen)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise TemporaryError(f"the Docker Engine's answer does not describe the container {target.id}") from error
        if target.name not in names:  # the Engine also finds a container by the beginning of its id
            raise PermanentError(f"there is no container {target.name}: the Engine means {one_line(min(names))}")
        return seen

    def clock(self) -> datetime:
        """The Engine's clock as it answers, in whole seconds. Raises TemporaryError where it tells no time, and as `identity`."""
        self.inspected()
        try:
            return parsedate_to_datetime(self.engine.date).astimezone(UTC)
        except ValueError as error:
            raise TemporaryError(f"the Docker Engine of {self._target.id} does not tell its time") from error

    def left(self) -> list[str]:
        """The names of the containers that a roll-back of this one has made or kept beside it. Raises as `identity` does."""
        return sorted(name for name, _ in self._beside())

    def policy_taken(self, old: object) -> str:
        """The restart policy that a roll-back has taken from the container of this id; empty where it took none.

        Only while the one that replaces it is beside it: after that it bears the policy itself. Raises as `identity` does.
        """
        return _policy_taken(self._beside(), old)

    def listed(self) -> list[Mapping[str, Any]]:
        """Every container of the Engine, running or not, as it lists them. Raises as `identity` does."""
        return [mapping(row) for row in self.engine.ask("/containers/json?all=1", self.deadline(), list)]

    def _beside(self) -> list[tuple[str, Mapping[str, Any]]]:
        """What a roll-back has made or kept beside the container, by name, as the Engine lists it; the one made last first."""
        rows = self.listed()
        rows.sort(key=lambda row: made if isinstance(made := row.get("Created"), int) else 0, reverse=True)
        named = ((one_line(str(name).removeprefix("/")), row) for row in rows for name in row.get("Names") or ())
        return [(name, row) for name, row in named if name.startswith(f"{self._target.name}{BESIDE}")]

    def _cut_off(self) -> str:
        """What a roll-back has left that was cut off, and how to put it back; empty where none was."""
        with suppress(PermanentError, TemporaryError):
            beside = self._beside()
            kept = [(name, row) for name, row in beside if name.startswith(f"{self._target.name}{BESIDE}before-")]
            if kept:
                last, row = kept[0]
                policy = again(self._target.name, _policy_taken(beside, row.get("Id")))
                name, old = shlex.quote(self._target.name), shlex.quote(last)
                return (
                    f"; a roll-back of it was cut off in the middle, and {last} is the container that ran before: "
                    f"`docker rename {old} {name}`{policy} and `docker start {name}`"
                )
        return ""

    def in_its_network(self, seen: Mapping[str, Any], deadline: float | None = None) -> list[str]:
        """The names of the running containers that share the inspected one's network namespace. Raises as `identity` does.

        podman is asked about each of them, and waits with its answer about one that it is stopping: `deadline` may be later than
        that of other looks.
        """
        deadline = self.deadline() if deadline is None else deadline
        joined = {f"container:{name}" for name in (seen["Id"], seen["Name"].removeprefix("/"))}
        found = [
            one_line(str((row.get("Names") or [row.get("Id")])[0])).removeprefix("/")
            for row in self.engine.ask("/containers/json", deadline, list)
            if (network_of(row) or self._network(row)) in joined
        ]
        if boottime() >= deadline:
            raise TemporaryError(
                f"it takes too long to see whether another container shares {self._target.id}'s network"
            )
        return sorted(found)

    def lost_by_restart(self, seen: Mapping[str, Any]) -> str | None:
        """Why a restart may end with no container at all, after "it"; None where it cannot.

        Docker keeps one that was made with `--rm` while it restarts it. podman's own cleanup, a process that runs beside the
        restart once the container has stopped, removes it if it comes first: on a busy machine it does.
        """
        if not mapping(seen.get("HostConfig")).get("AutoRemove") or self.engine.is_docker:
            return None
        return "was made with --rm, and podman may remove it as it stops, in the middle of a restart"

    def _network(self, row: Mapping[str, Any]) -> object:
        """The network of a running container; None where it has gone, or does not answer, as one that podman is stopping."""
        soon = boottime() + _LOOK_AT_ANOTHER.total_seconds()
        with suppress(PermanentError, TemporaryError):
            return network_of(self.engine.ask(f"/containers/{quote(str(row.get('Id')), safe='')}/json", soon, dict))
        return None

    def used(self) -> str:
        """The memory and the processes that the container has now. Raises as `identity` does."""
        path = f"/containers/{quote(self.inspected()['Id'], safe='')}/stats?stream=false&one-shot=true"
        stats = self.engine.ask(path, self.deadline(), dict)
        memory, processes = mapping(stats.get("memory_stats")), mapping(stats.get("pids_stats"))
        used, limit = memory.get("usage"), memory.get("limit")
        if not isinstance(used, int) or not isinstance(limit, int):
            raise TemporaryError(f"the Docker Engine does not say what {self._target.id} uses: it may not run")
        return (
            f"{used:,} B of memory, page cache included, of at most {limit:,} B; processes: {processes.get('current')}"
        )

    def log(self) -> Gathered:
        """The end of what the container printed, stderr marked as such, and what is missing of it. Raises as `identity` does."""
        seen, name = self.inspected(), shlex.quote(self._target.name)
        path = f"/containers/{quote(seen['Id'], safe='')}/logs?stdout=1&stderr=1&tail={LOG_LINES}"
        answer = self.engine.get(path, self.deadline(), partly=True)
        printed = answer.body if mapping(seen.get("Config")).get("Tty") else b"".join(demultiplexed(answer.body))
        text, unseen = visible(printed[-LOG_LIMIT:].decode(errors="replace")), list[str]()
        if len(printed) > LOG_LIMIT:
            unseen.append(
                f"only the last {LOG_LIMIT:,} bytes are kept: `docker logs --tail {LOG_LINES} {name}` shows more"
            )
        if not answer.whole:
            text += "\n(cut off: the Engine sent no more of it in time, or it is too long)"
            unseen.append(
                f"its end: the Engine sent no more of it in time; `docker logs --tail {LOG_LINES} {name}` shows it"
            )
        return Gathered(text, unseen)

    def deadline(self) -> float:
        """When a look that begins now has to be over."""
        return min(boottime() + self._timeout.total_seconds(), self._by)


def again(name: str, policy: str) -> str:
    """The command that gives a container its restart policy again, after a comma; empty where a roll-back takes none such."""
    return f", `docker update --restart={policy} {shlex.quote(name)}`" if policy in spec.STARTED_AT_BOOT else ""


def _policy_taken(beside: list[tuple[str, Mapping[str, Any]]], old: object) -> str:
    labels = [mapping(row.get("Labels")) for _, row in beside]
    taken = [str(label.get(spec.POLICY)) for label in labels if old and label.get(spec.REPLACED) == old]
    return next((policy for policy in taken if policy in spec.STARTED_AT_BOOT), "")
