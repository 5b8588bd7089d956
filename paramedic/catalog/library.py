"""The library: the folder with runbooks, services.yaml and oncall.yaml. A broken runbook is refused alone, and reported."""

import functools
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from paramedic.catalog import deployments, runbook_file, target_kinds
from paramedic.catalog.runbook import Runbook
from paramedic.catalog.services import Services, parse_services
from paramedic.checks import probes
from paramedic.checks.check import CheckAtTarget
from paramedic.kinds import registry
from paramedic.kinds.registry import Registry
from paramedic.machine.open_transaction import must_be_closed
from paramedic.oncall.contact import ContactMethod
from paramedic.oncall.on_call import Oncall
from paramedic.oncall.oncall_file import parse_oncall
from paramedic.oncall.rotation import Rotation
from paramedic.remediation import guardrail_rules
from paramedic.remediation.guardrail import Surroundings
from paramedic.remediation.remedy import RESTART, Verb
from paramedic.remediation.target import Target
from paramedic.settings import Settings
from paramedic.text.last_usable import LastGood, Parse, Parsed, last_good, parsed, text_of
from paramedic.text.redaction import remember
from paramedic.text.yaml_document import BadDocument, Problem


@dataclass(frozen=True, slots=True)
class Library:
    """Everything usable in the folder, and the problems of the rest."""

    runbooks: Mapping[str, Runbook]
    services: Services
    oncall: Oncall
    problems: tuple[Problem, ...]

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
    folder, copies = settings.runbooks, settings.last_good()
    services = last_good(folder / "services.yaml", copies, _by(registry.current(), parse_services))
    oncall = last_good(folder / "oncall.yaml", copies, parse_oncall)
    return _made(registry.current(), folder, services, oncall, _runbooks(folder), _playbooks(settings.flows))


def read_folder(folder: Path, flows: Path | None = None) -> Library:
    """Read the folder, whose runbooks may name the shipped playbooks and those in `flows`. Use `open_library`.

    Raises BadDocument where services.yaml or oncall.yaml cannot be used.
    """
    services = LastGood(text_of(folder / "services.yaml"), ())
    oncall = LastGood(text_of(folder / "oncall.yaml"), ())
    return _made(registry.current(), folder, services, oncall, _runbooks(folder), _playbooks(flows))


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
    services = parsed(_by(plugins, parse_services), services_file.text, str(folder / "services.yaml"))
    for target in services:
        with suppress(ValueError):  # an address that is no URL holds no password
            remember(urlsplit(target.address).password or "")
    oncall = parsed(parse_oncall, oncall_file.text, str(folder / "oncall.yaml"))
    runbooks: dict[str, Runbook] = {}
    problems = [*services_file.problems, *oncall_file.problems, *playbooks.problems]
    for path, text in files:
        if isinstance(text, Problem):
            problems.append(text)
            continue
        try:
            runbook = parsed(_by(plugins, runbook_file.parse), text, str(path))
            _check(runbook, path, services, oncall, playbooks.names)
        except BadDocument as error:
            problems += error.problems
        else:
            runbooks[runbook.name] = runbook
    return Library(runbooks, services, oncall, tuple(problems))


class _Fault(NamedTuple):
    """A key of a runbook that disagrees with another file: what is wrong with it, and what is allowed."""

    key: str
    what: str
    allowed: str = ""


def _check(runbook: Runbook, path: Path, services: Services, oncall: Oncall, playbooks: Collection[str]) -> None:
    """Check the runbook against the other files. Raises BadDocument."""
    found = [
        *_misnamed(runbook, path, playbooks),
        *_unlisted(runbook, services),
        *_unoffered(runbook),
        *_untold(runbook, oncall),
    ]
    if found:
        raise BadDocument(
            [
                Problem(str(path), *runbook_file.place_of(runbook.text, *_parts(key)), f"{key}: {what}", allowed)
                for key, what, allowed in found
            ]
        )


def _parts(key: str) -> list[str | int]:
    return [int(part) if part.isdecimal() else part for part in key.split(".")]


def _misnamed(runbook: Runbook, path: Path, playbooks: Collection[str]) -> Iterator[_Fault]:
    if runbook.name != path.stem:
        yield _Fault("runbook", f"{runbook.name!r} is not the file's name", f"write {path.stem}")
    if runbook.playbook not in playbooks:
        yield _Fault("playbook", f"there is no {runbook.playbook!r}", f"there are: {', '.join(playbooks)}")
    if runbook.playbook == "restart-service" and runbook.remedies != (RESTART,):
        what = f"restart-service knows one remedy, restart, and not {runbook.remedies[-1].name}"
        yield _Fault("with.remedies", what, "write `playbook: restore-service` for a ladder")


def _unlisted(runbook: Runbook, services: Services) -> Iterator[_Fault]:
    listed = [target for target in services if target.service == runbook.service]
    if not listed:
        known = ", ".join(sorted({target.service for target in services})) or "none"
        yield _Fault("service", f"services.yaml lists no target of {runbook.service!r}", f"it lists: {known}")
        return
    around = Surroundings(runbook.service, runbook.remedies, len(listed))
    for misfit in guardrail_rules.misfits(runbook.guardrails.asked, around):
        yield _Fault(".".join(["guardrails", *misfit.at]), misfit.what, misfit.allowed)
    for target in listed:
        if target.kind == runbook.target.kind:
            yield from _lacking(runbook, target)


def _lacking(runbook: Runbook, target: Target) -> Iterator[_Fault]:
    for remedy in runbook.remedies:
        if remedy.verb is Verb.ROLL_BACK and target.releases is None:
            yield _Fault(
                "with.remedies", f"{target.id} has no releases to roll back", "services.yaml: releases: /folder"
            )
        if remedy.command is not None and remedy.command not in target.commands:
            there = ", ".join(target.commands) or "none"
            what = f"services.yaml declares no command {remedy.command!r} for {target.id}"
            yield _Fault("with.remedies", what, f"there are: {there}")


def _unoffered(runbook: Runbook) -> Iterator[_Fault]:
    """What the runbook requires of its targets that their kind does not offer."""
    kind = runbook.target.kind
    offered = target_kinds.evidence(kind)
    for at, name in enumerate(runbook.evidence):
        if name not in offered:
            what = f"targets of the kind {kind} offer no {name!r}"
            yield _Fault(f"with.evidence.{at}", what, f"they offer: {', '.join(offered)}")
    for at, what, allowed in target_kinds.refused(kind, runbook.remedies):
        yield _Fault(f"with.remedies.{at}", what, allowed)
    of = target_kinds.of(kind)
    if runbook.verify.memory_below is not None and not hasattr(of, "resident_memory"):
        yield _Fault("with.verify.memory_below", f"targets of the kind {kind} do not tell their memory")
    for check in runbook.checks:
        for lacking in probes.missing(check.kind, of):
            yield _Fault("when", f"targets of the kind {kind} have no {lacking} for {check.name} to measure")


def _untold(runbook: Runbook, oncall: Oncall) -> Iterator[_Fault]:
    if runbook.policy not in oncall.policies:
        yield _Fault("escalate.policy", f"there is no {runbook.policy!r}", f"there are: {', '.join(oncall.policies)}")
    addresses = {way for person in oncall.people.values() for way in person.contact_methods if not way.is_named}
    for way in runbook.notify:
        if not way.is_named and way not in addresses:
            yield _Fault("notify", f"{way} is nobody's address in oncall.yaml", ", ".join(sorted(map(str, addresses))))
