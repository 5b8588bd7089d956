"""The library: the folder with runbooks, services.yaml and oncall.yaml. A broken runbook is refused alone, and reported."""

import functools
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from paramedic.catalog import agreement, deployments, runbook_file
from paramedic.catalog.runbook import Runbook
from paramedic.catalog.services import Services, parse_services
from paramedic.checks.check import CheckAtTarget
from paramedic.kinds import registry
from paramedic.kinds.registry import Registry
from paramedic.machine.open_transaction import must_be_closed
from paramedic.oncall.contact import ContactMethod
from paramedic.oncall.on_call import Oncall
from paramedic.oncall.oncall_file import parse_oncall
from paramedic.oncall.rotation import Rotation
from paramedic.settings import Settings
from paramedic.text.last_usable import LastGood, Parse, Parsed, last_good, parsed, text_of
from paramedic.text.redaction import remember
from paramedic.text.yaml_document import BadDocument, Problem


@dataclass(frozen=True, slots=True)
class BrokenRunbook:
    """A runbook that cannot be used: its first problem, and its service; None where that cannot be told."""

    problem: Problem
    service: str | None


@dataclass(frozen=True, slots=True)
class Library:
    """Everything usable in the folder, and the problems of the rest."""

    runbooks: Mapping[str, Runbook]
    services: Services
    oncall: Oncall
    problems: tuple[Problem, ...]
    broken: tuple[BrokenRunbook, ...] = ()

    @classmethod
    def unusable(cls, problems: tuple[Problem, ...]) -> "Library":
        """The library of an unusable folder: it matches no alert and lists no target."""
        return cls({}, Services(), Oncall({}, Rotation("UTC", "2026-01-05 09:00", timedelta(days=7), ()), {}), problems)

    def placed(self) -> list[tuple[str, CheckAtTarget]]:
        """Every check at every target that it measures, with the check's group."""
        return [
            (runbook.group, placed) for runbook in self.runbooks.values() for placed in runbook.placed(self.services)
        ]

    def contact_methods(self) -> list[ContactMethod]:
        """Every contact method of a person, and every channel that a runbook notifies."""
        methods = {method for person in self.oncall.people.values() for method in person.contact_methods}
        return sorted(methods.union(*(runbook.notify for runbook in self.runbooks.values())), key=str)

    def groups(self) -> list[str]:
        """The groups that have checks."""
        return sorted({group for group, _ in self.placed()})


class _File(NamedTuple):
    """A runbook's file: its path, and its text or the reason why it cannot be read."""

    path: Path
    text: str | Problem


class _Playbooks(NamedTuple):
    """The playbooks that runbooks may name, and the problems of files without one."""

    names: tuple[str, ...]
    problems: tuple[Problem, ...]


def open_library(settings: Settings, folder: Path | None = None) -> Library:
    """The library from the files as they are now, of `folder` instead of the settings' if given.

    Raises BadDocument where services.yaml or oncall.yaml cannot be used: no act may rely on such a library.
    """
    return read_folder(folder or settings.runbooks, settings.flows)


def library_in_force(settings: Settings) -> Library:
    """As `open_library`, for services that must keep running whatever an author writes: triage, checks and paging use it.

    For a services.yaml or oncall.yaml that cannot be used its last good copy is used, and `problems` says so. A runbook
    that cannot be used is missing. Acts do not rely on it: before an act `open_library` is read. Raises BadDocument where
    there is no good copy either.
    """
    folder, services = settings.runbooks, _services_file(settings)
    oncall = last_good(folder / "oncall.yaml", settings.last_good(), parse_oncall)
    return _made(registry.current(), folder, services, oncall, _runbooks(folder), _playbooks(settings.flows))


def services_in_force(settings: Settings) -> Services:
    """The services of `library_in_force` alone, without a look at the other files. Raises BadDocument as that does."""
    return _services(registry.current(), _services_file(settings).text, settings.runbooks)


def _services_file(settings: Settings) -> LastGood:
    path = settings.runbooks / "services.yaml"
    return last_good(path, settings.last_good(), _by(registry.current(), parse_services))


def _services(plugins: Registry, text: str, folder: Path) -> Services:
    """The services, whose addresses' passwords are kept out of every log from now on."""
    services: Services = parsed(_by(plugins, parse_services), text, str(folder / "services.yaml"))
    for target in services:
        with suppress(ValueError):  # an address that is no URL holds no password
            remember(urlsplit(target.address).password or "")
    return services


def read_folder(folder: Path, flows: Path | None = None) -> Library:
    """Read the folder, whose runbooks may name the shipped playbooks and those in `flows`. Use `open_library`.

    Raises BadDocument where services.yaml or oncall.yaml cannot be used.
    """
    problems: list[Problem] = []
    found: list[LastGood] = []
    for path, parse in (
        (folder / "services.yaml", _by(registry.current(), parse_services)),
        (folder / "oncall.yaml", parse_oncall),
    ):
        try:
            found.append(LastGood(text := text_of(path), ()))
            parsed(parse, text, str(path))
        except BadDocument as error:
            problems += error.problems
    if problems:
        raise BadDocument(problems)
    return _made(registry.current(), folder, *found, _runbooks(folder), _playbooks(flows))


def problems_of_runbooks(folder: Path) -> list[Problem]:
    """What is wrong with the folder's runbooks by themselves, for when the files are unusable that they must agree with."""
    found: list[Problem] = []
    for path, text in _runbooks(folder):
        try:
            if isinstance(text, Problem):
                found.append(text)
            else:
                parsed(_by(registry.current(), runbook_file.parse), text, str(path))
        except BadDocument as error:
            found += error.problems
    return found


def _playbooks(flows: Path | None) -> _Playbooks:
    """The playbooks that runbooks may name, and the problems of the other files in `flows`."""
    unused = tuple(
        Problem(str(path), 1, 1, "is not used: Paramedic ships a flow of this name", "give the file another name")
        for path in deployments.shadowed(flows)
    )
    return _Playbooks(deployments.playbooks(flows), unused)


def _runbooks(folder: Path) -> tuple[_File, ...]:
    """The folder's runbook files, without hidden ones."""
    paths = sorted(path for path in folder.glob("*.md") if path.name != "README.md" and not path.name.startswith("."))
    return tuple(_File(path, _text(path)) for path in paths)


def _text(path: Path) -> str | Problem:
    must_be_closed(f"{path} is read")
    try:
        return text_of(path)
    except BadDocument as error:
        return error.problems[0]


@functools.lru_cache(maxsize=16)
def _by(_plugins: Registry, parse: Parse[Parsed]) -> Parse[Parsed]:
    """`parse`, as a separate function for each set of plug-ins, because the result depends on them."""
    return functools.partial(parse)


@functools.lru_cache(maxsize=4)
def _made(  # noqa: PLR0917 - what the library is made of, and the key of its cache
    plugins: Registry,
    folder: Path,
    services_file: LastGood,
    oncall_file: LastGood,
    files: tuple[_File, ...],
    playbooks: _Playbooks,
) -> Library:
    """The library of these texts, cached for repeated reads."""
    services = _services(plugins, services_file.text, folder)
    oncall = parsed(parse_oncall, oncall_file.text, str(folder / "oncall.yaml"))
    runbooks: dict[str, Runbook] = {}
    problems = [*services_file.problems, *oncall_file.problems, *playbooks.problems]
    broken: list[BrokenRunbook] = []
    for path, text in files:
        if isinstance(text, Problem):
            problems.append(text)
            broken.append(BrokenRunbook(text, None))
            continue
        others = agreement.Others(path.stem, services, oncall, playbooks.names)
        try:
            runbook = agreement.agreeing(parsed(_by(plugins, runbook_file.parse), text, str(path)), str(path), others)
        except runbook_file.BadRunbook as error:
            problems += [*error.problems, *agreement.also_wrong(error, others)]
            broken += _broken(error, text)
        except BadDocument as error:
            problems += error.problems
            broken += _broken(error, text)
        else:
            runbooks[runbook.name] = runbook.with_places(services)
    return Library(runbooks, services, oncall, tuple(problems), tuple(broken))


def _broken(error: BadDocument, text: str) -> list[BrokenRunbook]:
    """The runbook that this text was meant to be; none where it has no front matter, and so asks nothing."""
    if not runbook_file.has_front_matter(text):
        return []
    return [BrokenRunbook(error.problems[0], runbook_file.service_of(text))]
