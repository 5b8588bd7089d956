"""Finds plug-ins by name: shipped with Paramedic, in a team's own folder, or as an entry point of an installed package.

A plug-in is one module, and its name there is the word that files, addresses and commands use. A name that comes from data
imports nothing but what was found here before. A plug-in that cannot be used is named with its reason and stops no other.
"""

import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, partial
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from paramedic.errors import PermanentError
from paramedic.kinds import face_faults, plugin_folder
from paramedic.machine import file_ownership


class Room(StrEnum):
    """The kinds of plug-ins: each is a folder of its name, here and in a team's own folder."""

    SOURCES = "sources"
    TARGETS = "targets"
    PROBES = "probes"
    CHANNELS = "channels"
    EVIDENCE = "evidence"


_PACKAGE = Path(__file__).parents[1]

#: Where the shipped ones are, as packages below `paramedic`.
_SHIPPED = {room: "sources" if room is Room.SOURCES else f"integrations.{room}" for room in Room}

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_NAME_RULE = "a name is small letters, digits and `_`, at most 40"


@dataclass(frozen=True, slots=True)
class Broken:
    """A plug-in that was found and cannot be used."""

    room: Room
    name: str
    where: str  # its file, or the entry point of its package
    why: str

    def __str__(self) -> str:
        return f"the plug-in {self.name} of {self.room} ({self.where}) cannot be used: {self.why}"


@dataclass(frozen=True, slots=True)
class _Found:
    where: str
    load: Callable[[], ModuleType]
    why_not: str | None = None


class Registry:
    """The plug-ins of this process. All methods may be called from any thread."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder`: a team's own, with a folder for each room in it; none of them must exist."""
        self._folder = folder
        self._lock = threading.RLock()
        self._found: dict[Room, dict[str, list[_Found]]] = {}
        self._loaded: dict[tuple[Room, str], ModuleType | Broken] = {}

    @property
    def folder(self) -> Path | None:
        """The team's own folder."""
        return self._folder

    def names(self, room: Room) -> tuple[str, ...]:
        """Every name in the room, in order; nothing is imported."""
        return tuple(sorted(self._all(room)))

    def plugin(self, room: Room, name: str) -> ModuleType:
        """The module of this name. Raises PermanentError where there is none, or where it cannot be used."""
        if name not in self._all(room):
            raise PermanentError(
                f"there is no plug-in {name!r:.80} among the {room}; there are {', '.join(self.names(room))}"
            )
        loaded = self._load(room, name)
        if isinstance(loaded, Broken):
            raise PermanentError(str(loaded))
        return loaded

    def usable(self, room: Room) -> Mapping[str, ModuleType]:
        """Every module of the room that can be used, by its name."""
        loaded = {name: self._load(room, name) for name in self.names(room)}
        return {name: module for name, module in loaded.items() if not isinstance(module, Broken)}

    def broken(self, *rooms: Room) -> tuple[Broken, ...]:
        """The plug-ins of these rooms that cannot be used, of all if none is named; also a second one of a name or word.

        To know that, every plug-in of these rooms is loaded.
        """
        faults = []
        for room in rooms or Room:
            for name, found in sorted(self._all(room).items()):
                loaded = self._load(room, name)
                faults += [loaded] if isinstance(loaded, Broken) else []
                faults += [
                    Broken(room, name, duplicate.where, f"{found[0].where} has this name") for duplicate in found[1:]
                ]
        return tuple(faults)

    def _all(self, room: Room) -> Mapping[str, list[_Found]]:
        with self._lock:
            if room not in self._found:
                found: dict[str, list[_Found]] = {}
                for name, module in (
                    *_shipped(room),
                    *self._own(room),
                    *_installed(room, self._entry_points),
                ):
                    found.setdefault(name, []).append(module)
                self._found[room] = found
            return self._found[room]

    @cached_property
    def _entry_points(self) -> Any:  # before Python 3.12 another class, with the same `select`
        """Those of every installed package: to read them takes a look into each package's folder."""
        return entry_points()

    def _own(self, room: Room) -> Iterator[tuple[str, _Found]]:
        if self._folder is None:
            return
        for file in sorted((self._folder / room).glob("[!_]*.py")):
            why_not = None if _NAME.fullmatch(file.stem) else _NAME_RULE
            yield file.stem, _Found(str(file), partial(_from_file, room, file), why_not or _untrusted(file))
        if room is Room.SOURCES:
            for file in sorted((self._folder / room).glob("[!_]*.yaml")):
                why_not = None if _NAME.fullmatch(file.stem) else _NAME_RULE
                yield file.stem, _Found(str(file), partial(_from_mapping, file), why_not or _untrusted(file))

    def _load(self, room: Room, name: str) -> ModuleType | Broken:
        with self._lock:
            key = (room, name)
            if key not in self._loaded:
                found = self._all(room)[name][0]
                loaded = _loaded(room, name, found)
                if isinstance(loaded, ModuleType) and (clash := self._clash(room, name, loaded)) is not None:
                    loaded = Broken(room, name, found.where, clash)
                self._loaded[key] = loaded
            return self._loaded[key]

    def _clash(self, room: Room, name: str, module: ModuleType) -> str | None:
        """What of the module belongs to one that comes before it: shipped, then a team's own, then installed, by name."""
        if not face_faults.can_clash(room):
            return None
        for other, found in self._all(room).items():
            if other == name:
                return None
            first = self._load(room, other)
            if isinstance(first, ModuleType) and (taken := face_faults.clash(room, module, first)) is not None:
                return f"{taken} belongs to {other} ({found[0].where})"
        return None


def _untrusted(file: Path) -> str | None:
    try:
        return file_ownership.complaint(file)
    except OSError as error:
        return f"it cannot be looked at: {error.strerror}"


def _loaded(room: Room, name: str, found: _Found) -> ModuleType | Broken:
    if found.why_not is not None:
        return Broken(room, name, found.where, found.why_not)
    try:
        module = found.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the edge of somebody else's code: it stops no other plug-in
        return Broken(room, name, found.where, f"{type(error).__name__}: {error}")
    missing = face_faults.missing(room, module)
    return module if missing is None else Broken(room, name, found.where, missing)


def _shipped(room: Room) -> Iterator[tuple[str, _Found]]:
    folder = _PACKAGE.joinpath(*_SHIPPED[room].split("."))
    for file in sorted(folder.glob("[!_]*.py")):
        yield file.stem, _Found("shipped", partial(import_module, f"paramedic.{_SHIPPED[room]}.{file.stem}"))


def _installed(room: Room, entries: Any) -> Iterator[tuple[str, _Found]]:
    for entry in entries.select(group=f"paramedic.{room}"):
        package = entry.dist.name if entry.dist else "a package"
        where = f"{package}, entry point {entry.value}"
        why_not = None if _NAME.fullmatch(entry.name) else _NAME_RULE
        yield entry.name, _Found(where, partial(_from_package, entry.value), why_not)


def _from_package(value: str) -> ModuleType:
    module, _, attribute = value.partition(":")
    if attribute:
        raise ImportError(f"the entry point is {value}: it names a module, with no `:{attribute}`")
    return import_module(module)


def _from_file(room: Room, file: Path) -> ModuleType:
    name = f"paramedic_plugins.{room}.{file.stem}"
    spec = spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError("it is no Python module")
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling look a class's module up by its name
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _from_mapping(file: Path) -> ModuleType:
    """A source that a team's own mapping makes: a module with what every source has."""
    from paramedic.alerts.mapping import MappedSource  # only where there is a mapping

    source = MappedSource(file.stem, file.read_text(encoding="utf-8"), str(file))
    module = ModuleType(f"paramedic_plugins.sources.{file.stem}", source.BODY)
    for name in ("BODY", "EXAMPLE", "SEVERITIES", "read"):
        setattr(module, name, getattr(source, name))
    return module


_of_folder: dict[Path | None, Registry] = {}


def current() -> Registry:
    """The plug-ins of this process: the shipped ones, and those of the folder in use, which is read once."""
    folder = plugin_folder.current()
    return _of_folder.get(folder) or _of_folder.setdefault(folder, Registry(folder))
