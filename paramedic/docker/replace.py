"""A container replaced by one like it of another image: the old one is kept, stopped, and put back where the new one fails.

The order of the steps decides what a crash between two of them leaves (docs/targets.md): the new one is made beside the old
one first, which runs on; then the old one is stopped, gives its name, and the new one is started under it.
"""

import json
import shlex
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlencode

from paramedic.docker import releases, spec
from paramedic.docker.answers import identity_of, mapping, moment
from paramedic.docker.look import BESIDE, again
from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TemporaryError
from paramedic.kinds.docker_engine import Answer, Engine
from paramedic.machine.clock import boottime
from paramedic.remediation.target import Target

#: So long a new container has to go on running before it counts as started.
RUNS_SECONDS = 1.0
_LOOK_AGAIN_SECONDS = 0.1


class Replacement:
    """One replacement of a container. Every step names ids, but for the names that it gives."""

    def __init__(self, target: Target, engine: Engine, deadline: float, act: str = "") -> None:
        self._target, self._engine, self._deadline, self._act = target, engine, deadline, act

    def by(self, image: str, seen: Mapping[str, Any], stop: int, last_look: Callable[[], None]) -> None:
        """Replace the container that was seen by one of the image with this id.

        Refused and TemporaryError: the container was not touched. PermanentError: it failed, and the container runs as before,
        or as the message says. OutcomeUnknown: what there is now is not known; the message says how to put it back.
        """
        made = self._ready(image, seen)
        try:
            self._stop(seen, stop, last_look)
        except OutcomeUnknown:
            raise
        except BaseException:  # raised again: what was made for nothing is taken away
            self._remove(made)
            raise
        self._swap(made, seen)

    def _stop(self, seen: Mapping[str, Any], stop: int, last_look: Callable[[], None]) -> None:
        """Stop the container that has the name, after a last look. OutcomeUnknown: the stop was sent, and is open."""
        try:
            with self._engine.prepared(self._deadline) as send:
                answer = send(self._path(seen["Id"], f"stop?t={stop}"), last_look)
        except OutcomeUnknown as error:
            raise OutcomeUnknown(
                f"the stop of {self._target.id} was sent, and its outcome is open: {error}; by hand, if it does not run: "
                f"`docker start {shlex.quote(self._target.name)}`"
            ) from error
        if answer.status not in (204, 304):
            raise PermanentError(f"the Docker Engine did not stop {self._target.id}: {answer.words}")

    def undo(self, expected: str, seen: Mapping[str, Any], stop: int, last_look: Callable[[], None]) -> str:
        """Put the one back that `seen`, of the image `expected`, has replaced, and keep `seen` stopped; the image that runs then.

        Refused and TemporaryError: nothing was touched. OutcomeUnknown: as the message says.
        """
        labels = mapping(mapping(seen.get("Config")).get("Labels"))
        if seen.get("Image") != expected or spec.REPLACED not in labels:
            raise Refused(f"{self._target.id} is not the container that the roll-back to {expected:.19} has made")
        try:
            old = dict(self._engine.ask(self._path(labels[spec.REPLACED], "json"), self._deadline, dict))
        except PermanentError as error:
            raise Refused(f"the container that {self._target.id} has replaced is there no more: {error}") from error
        self._stop(seen, stop, last_look)
        try:
            self._keep_down(seen)
            self._rename(seen["Id"], self._name("undone", seen))
            self._rename(old["Id"], self._target.name)
            self._policy_again(old, str(labels.get(spec.POLICY)))
            self._start(str(old["Id"]))
        except (PermanentError, TemporaryError, OutcomeUnknown) as error:
            left = self._left(old, str(labels.get(spec.POLICY)))
            raise OutcomeUnknown(f"the roll-back of {self._target.id} was not undone whole: {error}; {left}") from error
        return str(old.get("Image"))

    def _policy_again(self, old: Mapping[str, Any], name: str) -> None:
        if name in spec.STARTED_AT_BOOT:
            self._done("POST", self._path(old["Id"], "update"), {"RestartPolicy": {"Name": name}})

    def _ready(self, image: str, seen: Mapping[str, Any]) -> str:
        """The id of the new container, whole and not started. Where it raises the old one was not touched, and none is left."""
        try:
            made = self._made(image, seen)
            self._complete(made, seen)
        except OutcomeUnknown as error:  # of a step of the preparation
            self._remove_unstarted()
            raise TemporaryError(f"no container like {self._target.id} was made: {error}") from error
        except BaseException:  # raised again: what was made for nothing is taken away
            self._remove_unstarted()
            raise
        return made

    def _made(self, image: str, seen: Mapping[str, Any]) -> str:
        """The id of the new container, made and not started. Raises Refused where the Engine makes none."""
        if (why := spec.lost(seen, docker=self._engine.is_docker)) is not None:
            raise Refused(f"{self._target.id} cannot be made again: {why}", by_hand=self._by_hand(image))
        self._free_of_what_was_written(image, seen)
        releases.image(self._engine, image, self._deadline)
        now = releases.image(self._engine, str(seen.get("Image")), self._deadline)
        self._remove_unstarted()  # what a roll-back that was cut off has left
        path = f"/containers/create?{urlencode({'name': self._name('new')})}"
        answer = self._engine.change("POST", path, self._deadline, spec.body(seen, now, image, self._act))
        if answer.status != 201:
            raise Refused(
                f"the Engine makes no container like {self._target.id}: {answer.words}", by_hand=self._by_hand(image)
            )
        return str(_said(answer).get("Id"))

    def _free_of_what_was_written(self, image: str, seen: Mapping[str, Any]) -> None:
        if getattr(self._target.words, "writes", None) == "disposable":
            return
        try:
            found = spec.written(self._engine.ask(self._path(seen["Id"], "changes"), self._deadline, list), seen)
        except (TypeError, KeyError) as error:
            raise TemporaryError(f"the Docker Engine does not say what {self._target.id} has written") from error
        if found:
            more = f" and {len(found) - 3} more" if len(found) > 3 else ""
            raise Refused(
                f"{self._target.id} has files outside its mounts that another container would lack: {', '.join(found[:3])}{more}",
                by_hand=f"say `writes: disposable` of it in services.yaml where nobody needs them; or {self._by_hand(image)}",
            )

    def _complete(self, made: str, seen: Mapping[str, Any]) -> None:
        """Join the new one to its other networks; then it has all that the old one has. Raises Refused where it has not."""
        for network, end in spec.networks(seen).items():
            if network not in spec.joined_at_once(seen):
                path = f"/networks/{quote(network, safe='')}/connect"
                answer = self._engine.change("POST", path, self._deadline, {"Container": made, "EndpointConfig": end})
                if answer.status != 200:
                    raise Refused(f"a container like {self._target.id} cannot join {network}: {answer.words}")
        now = releases.image(self._engine, str(seen.get("Image")), self._deadline)
        new = self._engine.ask(self._path(made, "json"), self._deadline, dict)
        unlike = spec.differences(seen, new, now)
        if set(spec.networks(seen)) - set(spec.networks(new)):
            unlike.append("NetworkSettings.Networks")
        if unlike:
            raise Refused(
                f"the Engine would not give a new container all that {self._target.id} has: {', '.join(unlike)}",
                by_hand=self._by_hand(str(new.get("Image"))),
            )

    def _swap(self, made: str, seen: Mapping[str, Any]) -> None:
        """The old one is stopped: give its name to the new one, and start that."""
        try:
            self._keep_down(seen)
            self._rename(seen["Id"], self._name("before", seen))
            self._rename(made, self._target.name)
            self._start(made)
        except (PermanentError, TemporaryError, OutcomeUnknown, Refused) as error:
            self._put_back(made, seen, str(error))

    def _keep_down(self, seen: Mapping[str, Any]) -> None:
        """See to it that no restart policy starts the old one again, beside the new one."""
        if spec.comes_back(seen):
            self._done("POST", self._path(seen["Id"], "update"), {"RestartPolicy": {"Name": "no"}})

    def _rename(self, which: str, name: str) -> None:
        self._done("POST", self._path(which, f"rename?{urlencode({'name': name})}"))

    def _start(self, which: str) -> None:
        self._done("POST", self._path(which, "start"))
        until = boottime() + RUNS_SECONDS
        while True:
            seen = self._engine.ask(self._path(which, "json"), self._deadline, dict)
            state = identity_of(seen).state
            if state not in ("running", "created", "configured", "initialized"):
                code = mapping(seen.get("State")).get("ExitCode")
                raise PermanentError(f"it did not stay up: it is {state}, exit code {code}")
            if boottime() >= until and state == "running":
                return
            if boottime() >= self._deadline:
                raise PermanentError(f"it was not up in time: it is {state}")
            time.sleep(_LOOK_AGAIN_SECONDS)

    def _put_back(self, made: str, seen: Mapping[str, Any], why: str) -> None:
        """The old one as it was. Raises PermanentError once it is, OutcomeUnknown where it is not known to be."""
        image = str(_image_of(self._engine, self._path(made, "json"), self._deadline))
        try:
            self._remove(made)
            now = self._engine.ask(self._path(seen["Id"], "json"), self._deadline, dict)
            if str(now.get("Name")).removeprefix("/") != self._target.name:
                self._rename(seen["Id"], self._target.name)
            self._policy_again(seen, spec.policy(seen))
            self._start(str(seen["Id"]))
        except (PermanentError, TemporaryError, OutcomeUnknown) as error:
            left = self._left(seen, spec.policy(seen))
            raise OutcomeUnknown(
                f"{self._target.id} was not replaced ({why}), and was not put back either: {error}; {left}"
            ) from error
        raise PermanentError(
            f"{self._target.id} did not start from the image {image:.19}: {why}; the container that ran before was put back"
        )

    def _remove(self, made: str) -> None:
        """Take away one that we have made, by its id."""
        with suppress(TemporaryError, PermanentError, OutcomeUnknown):
            self._engine.change("DELETE", f"/containers/{quote(made, safe='')}?force=true", self._deadline)

    def _remove_unstarted(self) -> None:
        """Take away one that a roll-back has made beside the container and not started: it bears our mark, and never ran."""
        with suppress(TemporaryError, PermanentError):
            found = self._engine.ask(self._path(self._name("new"), "json"), self._deadline, dict)
            marked = spec.REPLACED in mapping(mapping(found.get("Config")).get("Labels"))
            if marked and moment(mapping(found.get("State")).get("StartedAt")) is None:
                self._remove(str(found.get("Id")))

    def _done(self, method: str, path: str, content: Any = None) -> None:
        answer = self._engine.change(method, path, self._deadline, content)
        if answer.status not in (200, 201, 204, 304):
            raise PermanentError(f"{path.rpartition('/')[2].partition('?')[0]}: {answer.words}")

    def _name(self, what: str, seen: Mapping[str, Any] | None = None) -> str:
        return f"{self._target.name}{BESIDE}{what}" + ("" if seen is None else f"-{str(seen['Id'])[:12]}")

    def _path(self, which: object, what: str) -> str:
        return f"/containers/{quote(str(which), safe='')}/{what}"

    def _left(self, old: Mapping[str, Any], policy: str) -> str:
        name, aside = shlex.quote(self._target.name), shlex.quote(self._name("aside"))
        return (
            f"by hand: `docker rename {name} {aside}` where another has its name, `docker rename {str(old['Id'])[:12]} {name}`"
            f"{again(self._target.name, policy)} and `docker start {name}`"
        )

    def _by_hand(self, image: str) -> str:
        return f"make it again from {image:.19} as it was made"


def _said(answer: Answer) -> Mapping[str, Any]:
    try:
        return mapping(json.loads(answer.body))
    except ValueError as error:
        raise TemporaryError("the Engine's answer to a create is not JSON") from error


def _image_of(engine: Engine, path: str, deadline: float) -> object:
    """The image of a container; "?" where the Engine does not say."""
    with suppress(TemporaryError, PermanentError):
        return engine.ask(path, deadline, dict).get("Image")
    return "?"
