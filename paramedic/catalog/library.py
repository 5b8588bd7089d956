"""The folder that authors write: runbooks, services.yaml, oncall.yaml. A broken runbook is refused alone, and said aloud."""

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
from paramedic.checks.check import CheckAtTarget
from paramedic.kinds import registry
from paramedic.kinds.registry import Registry
from paramedic.machine.open_transaction import must_be_closed
from paramedic.oncall.contact import ContactMethod
from paramedic.oncall.escalation import Oncall, parse_oncall
from paramedic.oncall.rotation import Rotation
from paramedic.remediation.remedy import RESTART, Verb
from paramedic.remediation.target import Target
from paramedic.settings import Settings
from paramedic.text.last_usable import LastGood, Parse, Parsed, last_good, parsed, text_of
from paramedic.text.redaction import remember
from paramedic.text.yaml_document import BadDocument, Problem


@dataclass(frozen=True, slots=True)
class Library:
    """Everything in the folder that can be used, and what is wrong with the rest."""

    runbooks: Mapping[str, Runbook]
    services: Services
    oncall: Oncall
    problems: tuple[Problem, ...]

    @classmethod
    def unusable(cls, problems: tuple[Problem, ...]) -> "Library":
        """That of a folder in which nothing can be used: it wants no alert, and lists no target."""
        return cls({}, Services(), Oncall({}, Rotation("UTC", "2026-01-05 09:00", timedelta(days=7), ()), {}), problems)

    def placed(self) -> list[tuple[str, CheckAtTarget]]:
        """Every check at every target that it measures, with the group that it is run with."""
        return [(one.group, placed) for one in self.runbooks.values() for placed in one.placed(self.services)]

    def ways(self) -> list[ContactMethod]:
        """Every way that a person or a channel is told by."""
        told = {way for person in self.oncall.people.values() for way in person.ways}
        return sorted(told.union(*(one.notify for one in self.runbooks.values())), key=str)

    def groups(self) -> list[str]:
        """The groups that have checks."""
        return sorted({group for group, _ in self.placed()})


class _File(NamedTuple):
    """A runbook's file: its path, and its text or why it has none."""

    path: Path
    text: str | Problem


class _Playbooks(NamedTuple):
    """What runbooks may name, and what is wrong with files that hold none."""

    names: tuple[str, ...]
    problems: tuple[Problem, ...]


def open_library(settings: Settings, folder: Path | None = None) -> Library:
    """The library as its files are at this moment, of `folder` where another than the settings' is meant.

    Raises BadDocument where services.yaml or oncall.yaml cannot be used: nothing may act by such a library.
    """
    return read_folder(folder or settings.runbooks, settings.flows)


def library_in_force(settings: Settings) -> Library:
    """As `open_library`, for services that go on whatever an author writes: what is decided, measured and told goes by it.

    For a services.yaml or oncall.yaml that cannot be used its last good copy stands in, and `problems` says so. A runbook
    that cannot be used is missing. No act goes by it: before an act the library is `open_library`. Raises BadDocument where
    there is no good copy either.
    """
    folder, copies = settings.runbooks, settings.last_good()
    services = last_good(folder / "services.yaml", copies, _by(registry.current(), parse_services))
    oncall = last_good(folder / "oncall.yaml", copies, parse_oncall)
    return _made(registry.current(), folder, services, oncall, _runbooks(folder), _playbooks(settings.flows))


def read_folder(folder: Path, flows: Path | None = None) -> Library:
    """Read the folder, whose runbooks may name the shipped playbooks and those in `flows`; `open_library` is the way to it.

    Raises BadDocument where services.yaml or oncall.yaml cannot be used: nothing works without.
    """
    services = LastGood(text_of(folder / "services.yaml"), ())
    oncall = LastGood(text_of(folder / "oncall.yaml"), ())
    return _made(registry.current(), folder, services, oncall, _runbooks(folder), _playbooks(flows))


def _playbooks(flows: Path | None) -> _Playbooks:
    """What runbooks may name, and which files hold no playbook that they could."""
    unused = tuple(
        Problem(str(path), 1, 1, "is not used: Paramedic ships a flow of this name", "give the file another name")
        for path in deployments.shadowed(flows)
    )
    return _Playbooks(deployments.playbooks(flows), unused)


def _runbooks(folder: Path) -> tuple[_File, ...]:
    """The folder's runbooks; an editor's hidden files are none."""
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
    """`parse`, as a function of its own for each set of plug-ins: what it makes of a text, their kinds decide with it."""
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
    """Made once of the same texts, for whoever looks again and again."""
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
            one = parsed(_by(plugins, runbook_file.parse), text, str(path))
            _check(one, path, services, oncall, playbooks.names)
        except BadDocument as error:
            problems += error.problems
        else:
            runbooks[one.name] = one
    return Library(runbooks, services, oncall, tuple(problems))


class _Fault(NamedTuple):
    """What of a runbook does not agree with another file: the key, what is wrong with it, and what is allowed."""

    key: str
    what: str
    allowed: str = ""


def _check(one: Runbook, path: Path, services: Services, oncall: Oncall, playbooks: Collection[str]) -> None:
    """What the other files must agree with."""
    found = [
        *_misnamed(one, path, playbooks),
        *_unlisted(one, services),
        *_unoffered(one),
        *_untold(one, oncall),
    ]
    if found:
        raise BadDocument(
            [
                Problem(str(path), *runbook_file.place_of(one.text, *_parts(key)), f"{key}: {what}", allowed)
                for key, what, allowed in found
            ]
        )


def _parts(key: str) -> list[str | int]:
    return [int(part) if part.isdecimal() else part for part in key.split(".")]


def _misnamed(one: Runbook, path: Path, playbooks: Collection[str]) -> Iterator[_Fault]:
    if one.name != path.stem:
        yield _Fault("runbook", f"{one.name!r} is not the file's name", f"write {path.stem}")
    if one.playbook not in playbooks:
        yield _Fault("playbook", f"there is no {one.playbook!r}", f"there are: {', '.join(playbooks)}")
    if one.playbook == "restart-service" and one.remedies != (RESTART,):
        what = f"restart-service knows one remedy, restart, and not {one.remedies[-1].name}"
        yield _Fault("with.remedies", what, "write `playbook: restore-service` for a ladder")


def _unlisted(one: Runbook, services: Services) -> Iterator[_Fault]:
    listed = [target for target in services if target.service == one.service]
    if not listed:
        known = ", ".join(sorted({target.service for target in services})) or "none"
        yield _Fault("service", f"services.yaml lists no target of {one.service!r}", f"it lists: {known}")
        return
    at_once = one.guardrails.at_once
    if at_once is not None and at_once.of != len(listed):
        what = f"says {at_once.of} targets, and services.yaml lists {len(listed)} of {one.service}"
        yield _Fault("guardrails.at_once", what, f"write {min(at_once.count, len(listed))} of {len(listed)}")
    for target in listed:
        if target.kind == one.target.kind:
            yield from _lacking(one, target)


def _lacking(one: Runbook, target: Target) -> Iterator[_Fault]:
    for remedy in one.remedies:
        if remedy.verb is Verb.ROLL_BACK and target.releases is None:
            yield _Fault(
                "with.remedies", f"{target.id} has no releases to roll back", "services.yaml: releases: /folder"
            )
        if remedy.command is not None and remedy.command not in target.commands:
            there = ", ".join(target.commands) or "none"
            what = f"services.yaml declares no command {remedy.command!r} for {target.id}"
            yield _Fault("with.remedies", what, f"there are: {there}")


def _unoffered(one: Runbook) -> Iterator[_Fault]:
    """What the runbook asks of its targets that their kind does not offer."""
    kind = one.target.kind
    offered = target_kinds.evidence(kind)
    for at, name in enumerate(one.evidence):
        if name not in offered:
            what = f"targets of the kind {kind} offer no {name!r}"
            yield _Fault(f"with.evidence.{at}", what, f"they offer: {', '.join(offered)}")
    for at, what, allowed in target_kinds.refused(kind, one.remedies):
        yield _Fault(f"with.remedies.{at}", what, allowed)
    of = target_kinds.of(kind)
    if one.verify.memory_below is not None and not hasattr(of, "resident_memory"):
        yield _Fault("with.verify.memory_below", f"targets of the kind {kind} do not tell their memory")
    for check in one.checks:
        if check.kind == "process" and not hasattr(of, "process_use"):
            yield _Fault("when", f"targets of the kind {kind} have no process for {check.name} to measure")


def _untold(one: Runbook, oncall: Oncall) -> Iterator[_Fault]:
    if one.policy not in oncall.policies:
        yield _Fault("escalate.policy", f"there is no {one.policy!r}", f"there are: {', '.join(oncall.policies)}")
    addresses = {way for person in oncall.people.values() for way in person.ways if not way.is_named}
    for way in one.notify:
        if not way.is_named and way not in addresses:
            yield _Fault("notify", f"{way} is nobody's address in oncall.yaml", ", ".join(sorted(map(str, addresses))))
