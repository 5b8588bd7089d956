"""Looks of `paramedic doctor` at what runbooks act on: each is asked as an act asks it, and nothing is changed."""

import os
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from paramedic.catalog import agreement
from paramedic.catalog.library import Library, open_library
from paramedic.catalog.runbook import Mode
from paramedic.checks import probes
from paramedic.cli.finding import Finding, listed
from paramedic.doors import reading
from paramedic.errors import PermanentError, Refused, TemporaryError
from paramedic.remediation.remedy import Verb
from paramedic.remediation.target import Target
from paramedic.settings import Settings
from paramedic.stack import instance
from paramedic.text.yaml_document import BadDocument

#: So many targets are looked at together.
_AT_ONCE = 16

_UNREADABLE = "services.yaml cannot be read: `paramedic runbook lint`"


def targets(settings: Settings) -> Finding:
    """Whether the supervisor and the health address of each target answer, and its process can be measured where it is to be."""
    try:
        library = open_library(settings)
        every, measured = list(library.services), _measured(library)
    except BadDocument:
        return Finding("targets", well=False, words=_UNREADABLE)
    with ThreadPoolExecutor(_AT_ONCE) as looks:
        wrong = [
            problem
            for found in looks.map(lambda target: _silent(target, settings, measured), every)
            for problem in found
        ]
    if wrong:
        return listed("targets", wrong, "start what is down, or mend services.yaml")
    return Finding("targets", well=True, words=f"{len(every)} answer")


def _measured(library: Library) -> set[str]:
    """The ids of the targets whose process a runbook looks at."""
    return {
        target.id
        for runbook in library.runbooks.values()
        if runbook.verify.memory_below is not None
        or any(probes.looks_by(check.kind, "process_use") for check in runbook.checks)
        for target in runbook.targets(library.services)
    }


def _silent(target: Target, settings: Settings, measured: Collection[str]) -> list[str]:
    """What of the target does not answer: its supervisor, its process where it is measured, its health address."""
    wrong = []
    try:
        identity = reading.reader(target).identity()
        if target.id in measured and reading.running(target, identity):
            reading.resident_memory(target, identity)
    except (TemporaryError, PermanentError) as error:
        wrong.append(f"{target.id}: {error}")
    if target.health is not None:
        try:
            seen = reading.probe(target.health, settings.probe_timeout)
        except PermanentError as error:
            wrong.append(f"{target.id}: its health {target.health}: {error}")
        else:
            wrong += [] if seen.ok else [f"{target.id}: its health {target.health}: {seen.why}"]
    return wrong


def rights(settings: Settings) -> Finding:
    """Whether this user may do to each target what a runbook does to it. Nothing is done to see it."""
    try:
        wanted = _wanted(open_library(settings))
    except BadDocument:
        return Finding("rights", well=False, words=_UNREADABLE)
    with ThreadPoolExecutor(_AT_ONCE) as looks:
        answers = looks.map(lambda asked: _forbidden(*asked), wanted)
        refused = [(why, acts) for why, acts in zip(answers, wanted.values(), strict=True) if why]
    wrong = [why for why, acts in refused if acts]
    later = [f"not yet, and its runbooks only observe: {why}" for why, acts in refused if not acts]
    words = (
        f"{len(wanted) - len(refused)} changes that runbooks make are allowed" if wanted else "no owner has to be asked"
    )
    lines = (*(wrong or [words]), *later)
    return Finding("rights", well=not wrong, words="; ".join(lines), lines=lines)


def _wanted(library: Library) -> dict[tuple[Target, str], bool]:
    """What runbooks do by the owner of a target that can be asked for it, and whether one of them acts (or only observes)."""
    wanted: dict[tuple[Target, str], bool] = {}
    for runbook in library.runbooks.values():
        for target in agreement.meant_by(runbook, library.services):
            if not reading.asks_for_rights(target):
                continue
            for remedy in {remedy.of_its_kind for remedy in runbook.remedies} - {None}:
                acts = runbook.mode is not Mode.OBSERVE
                wanted[target, str(remedy)] = acts or wanted.get((target, str(remedy)), False)
    return wanted


def _forbidden(target: Target, remedy: str) -> str | None:
    try:
        why = reading.forbidden(target, remedy)
    except (TemporaryError, PermanentError) as error:
        why = str(error)
    return None if why is None else f"{target.id}: {why}"


def releases(settings: Settings) -> Finding:
    """Whether each release folder has a healthy release to go back to, and a roll-back there can be carried out."""
    try:
        folders = _rolled_back(open_library(settings))
    except BadDocument:
        return Finding("releases", well=False, words=_UNREADABLE)
    wrong = []
    for target in folders:
        look = reading.releases(target)
        try:
            look.all()
            wrong += [f"{target.id}: {why}" for why in look.obstacles()]
            look.before()
        except Refused as no:
            wrong.append(f"{no}: {no.by_hand}")
        except (TemporaryError, PermanentError) as error:
            wrong.append(f"{target.id}: {error}: lay it out as docs/targets.md says")
    if wrong:
        return listed("releases", wrong)
    words = f"{len(folders)} can be rolled back" if folders else "no target has a release folder"
    return Finding("releases", well=True, words=words)


def _rolled_back(library: Library) -> list[Target]:
    """The targets with a release folder, and those whose owner keeps releases, where a runbook rolls them back."""
    meant = {
        target.id
        for runbook in library.runbooks.values()
        if any(remedy.verb is Verb.ROLL_BACK for remedy in runbook.remedies)
        for target in agreement.meant_by(runbook, library.services)
    }
    return [target for target in library.services if target.releases is not None or target.id in meant]


def commands(settings: Settings) -> Finding:
    """Whether each declared command has its program, its folder and its variables. None is started."""
    try:
        declared = [(target, name) for target in open_library(settings).services for name in target.commands]
    except BadDocument:
        return Finding("commands", well=False, words=_UNREADABLE)
    variables = instance.environment(settings.data) or os.environ  # those of the processes that will run it
    wrong = []
    for target, name in declared:
        try:
            reading.command_ready(target, name, variables)
        except (TemporaryError, PermanentError) as error:
            wrong.append(f"{name} of {target.id}: {error}")
    if wrong:
        return listed("commands", wrong, "mend services.yaml, or install what is missing")
    return Finding("commands", well=True, words=f"{len(declared)} can be started" if declared else "none is declared")
