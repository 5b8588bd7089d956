"""A team's own mappings of senders (`sources/NAME.yaml`): what is added, changed or taken away is in force without a restart."""

import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType

from fastapi import Request, Response

from paramedic.errors import PermanentError
from paramedic.kinds.registry import Registry, Room

log = logging.getLogger(__name__)

#: How often the folder is looked at, while senders post.
_EVERY_SECONDS = 5.0

Endpoint = Callable[[Request], Awaitable[Response]]


class OwnMappings:
    """Keeps the addresses of a gateway as the folder has them. All of it runs in one event loop."""

    def __init__(
        self,
        folder: Path | None,
        prefix: str,
        receiving: dict[str, Endpoint],
        made: Callable[[str, ModuleType], Endpoint],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`folder`: of the team's plug-ins. `receiving`: the endpoint of each address, of which `made` makes one."""
        self._folder = None if folder is None else folder / Room.SOURCES
        self._plugins = folder
        self._prefix, self._receiving, self._made = prefix, receiving, made
        self._clock = clock
        self._looked_at = clock()
        self._in_force: dict[str, str] = {}
        self._in_force = self._texts()
        self._refused: dict[str, str] = {}

    def look(self) -> None:
        """Look at the folder, unless that was done within five seconds. A mapping that cannot be used changes nothing."""
        if self._folder is None or self._clock() - self._looked_at < _EVERY_SECONDS:
            return
        self._looked_at = self._clock()
        found = self._texts()
        if found == self._in_force:
            return
        plugins = Registry(self._plugins)
        for name in sorted(found.keys() | self._in_force.keys()):
            if found.get(name) != self._in_force.get(name):
                self._renew(name, found.get(name), plugins)

    def _renew(self, name: str, text: str | None, plugins: Registry) -> None:
        """Put the mapping as it is now in force, or take its address away."""
        path = f"{self._prefix}{name}"
        if text is None:
            del self._in_force[name]
            self._receiving.pop(path, None)
            log.warning("%s.yaml is gone: %s is no address of senders any more", name, path)
            return
        if self._refused.get(name) == text:
            return
        try:
            endpoint = self._made(name, plugins.plugin(Room.SOURCES, name))
        except PermanentError as error:
            self._refused[name] = text
            log.error("the mapping in force stays: %s", error)  # noqa: TRY400 - its words say it
            return
        self._in_force[name] = text
        self._receiving[path] = endpoint
        log.warning("%s.yaml has changed, and is in force", name)

    def _texts(self) -> dict[str, str]:
        """The mappings' files by name; one that cannot be read now stays as it was."""
        found: dict[str, str] = {}
        for file in sorted(self._folder.glob("[!_]*.yaml")) if self._folder is not None else ():
            try:
                found[file.stem] = file.read_text(encoding="utf-8", errors="replace")
            except OSError as error:
                log.warning("%s cannot be read: %s", file, error.strerror)
                if file.stem in self._in_force:
                    found[file.stem] = self._in_force[file.stem]
        return found
