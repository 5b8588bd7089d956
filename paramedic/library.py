"""The folder that authors write: runbooks, services.yaml, oncall.yaml. A broken runbook is refused alone, and said aloud."""

import functools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from paramedic import runbook
from paramedic.check import Placed
from paramedic.document import BadDocument, Problem
from paramedic.escalation import Oncall, parse_oncall
from paramedic.remedy import RESTART, Verb
from paramedic.runbook import Runbook
from paramedic.secret import remember
from paramedic.services import Services, parse_services
from paramedic.stamp import Stamps, stamps
from paramedic.target import Target

#: The playbooks that Paramedic ships.
PLAYBOOKS = ("restart-service", "restore-service")


@dataclass(frozen=True, slots=True)
class Library:
    """Everything in the folder that can be used, and what is wrong with the rest."""

    runbooks: Mapping[str, Runbook]
    services: Services
    oncall: Oncall
    problems: tuple[Problem, ...]

    def placed(self) -> list[tuple[str, Placed]]:
        """Every check at every target that it measures, with the group that it is run with."""
        return [(one.group, placed) for one in self.runbooks.values() for placed in one.placed(self.services)]

    def groups(self) -> list[str]:
        """The groups that have checks."""
        return sorted({group for group, _ in self.placed()})


def playbooks(flows: Path | None) -> tuple[str, ...]:
    """The shipped playbooks and those of a team's own folder: `restart_twice.py` holds `restart-twice`."""
    return PLAYBOOKS + tuple(path.stem.replace("_", "-") for path in own_flows(flows))


def own_flows(flows: Path | None) -> list[Path]:
    """The files of a team's own folder that hold a flow, by name."""
    return sorted(flows.glob("[a-z]*.py")) if flows is not None else []


def load(folder: Path, flows: Path | None = None) -> Library:
    """Read the folder, whose runbooks may name the shipped playbooks and those in `flows`.

    Raises BadDocument where services.yaml or oncall.yaml cannot be used: nothing works without.
    """
    known = playbooks(flows)
    services = parse_services(_text(folder / "services.yaml"), str(folder / "services.yaml"))
    for target in services:
        remember(urlsplit(target.address).password or "")
    oncall = parse_oncall(_text(folder / "oncall.yaml"), str(folder / "oncall.yaml"))
    runbooks: dict[str, Runbook] = {}
    problems: list[Problem] = []
    for path in sorted(folder.glob("*.md")):
        if path.name == "README.md":
            continue
        try:
            one = runbook.parse(_text(path), str(path))
            _check(one, path, services, oncall, known)
        except BadDocument as error:
            problems += error.problems
        else:
            runbooks[one.name] = one
    return Library(runbooks, services, oncall, tuple(problems))


def current(folder: Path, flows: Path | None = None) -> Library:
    """As `load`, for whoever looks again and again: the folder is read anew only where one of its files has changed."""
    return _as_of(folder, flows, stamps(filter(None, [folder, flows])))


@functools.lru_cache(maxsize=1)
def _as_of(folder: Path, flows: Path | None, _read: Stamps) -> Library:
    return load(folder, flows)


def _check(one: Runbook, path: Path, services: Services, oncall: Oncall, playbooks: Collection[str]) -> None:
    """What the other files must agree with."""
    found = [*_misnamed(one, path, playbooks), *_unlisted(one, services), *_untold(one, oncall)]
    if found:
        raise BadDocument([Problem(str(path), 2, 1, what, allowed) for what, allowed in found])


def _misnamed(one: Runbook, path: Path, playbooks: Collection[str]) -> Iterator[tuple[str, str]]:
    if one.name != path.stem:
        yield f"runbook: {one.name!r} is not the file's name", f"write {path.stem}"
    if one.playbook not in playbooks:
        yield f"playbook: there is no {one.playbook!r}", ", ".join(playbooks)
    if one.playbook == "restart-service" and one.remedies != (RESTART,):
        what = f"with.remedies: restart-service knows one remedy, restart, and not {one.remedies[-1].name}"
        yield what, "write `playbook: restore-service` for a ladder"


def _unlisted(one: Runbook, services: Services) -> Iterator[tuple[str, str]]:
    listed = [target for target in services if target.service == one.service]
    if not listed:
        yield f"service: services.yaml lists no target of {one.service!r}", ""
        return
    at_once = one.guardrails.at_once
    if at_once is not None and at_once.of != len(listed):
        what = f"guardrails.at_once: says {at_once.of} targets, and services.yaml lists {len(listed)} of {one.service}"
        yield what, f"write {min(at_once.count, len(listed))} of {len(listed)}"
    for target in listed:
        if target.kind == one.target.kind:
            yield from _lacking(one, target)


def _lacking(one: Runbook, target: Target) -> Iterator[tuple[str, str]]:
    for remedy in one.remedies:
        if remedy.verb is Verb.ROLL_BACK and target.releases is None:
            yield f"with.remedies: {target.id} has no releases to roll back", "services.yaml: releases: /folder"
        if remedy.command is not None and remedy.command not in target.commands:
            there = ", ".join(target.commands) or "none"
            what = f"with.remedies: services.yaml declares no command {remedy.command!r} for {target.id}"
            yield what, f"there are: {there}"


def _untold(one: Runbook, oncall: Oncall) -> Iterator[tuple[str, str]]:
    if one.policy not in oncall.policies:
        yield f"escalate.policy: there is no {one.policy!r}", ", ".join(oncall.policies)
    addresses = {way for person in oncall.people.values() for way in person.ways if way.kind == "email"}
    for way in one.notify:
        if way.kind == "email" and way not in addresses:
            yield f"notify: {way} is nobody's address in oncall.yaml", ", ".join(sorted(map(str, addresses)))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadDocument([Problem(str(path), 1, 1, f"cannot be read: {error}")]) from error
