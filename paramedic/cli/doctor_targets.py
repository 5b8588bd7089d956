"""Looks of `paramedic doctor` at what runbooks act on: each is asked as an act asks it, and nothing is changed."""

import os
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from paramedic.catalog.library import Library, open_library
from paramedic.checks import probes
from paramedic.cli.finding import Finding
from paramedic.doors import reading
from paramedic.errors import PermanentError, Refused, TemporaryError
from paramedic.remediation.target import Target
from paramedic.settings import Settings
from paramedic.stack import instance
from paramedic.text.yaml_document import BadDocument

#: So many targets are looked at together.
_AT_ONCE = 16


def targets(settings: Settings) -> Finding:
    """Whether the supervisor and the health address of each target answer, and its process can be measured where it is to be."""
    try:
        library = open_library(settings)
        listed, measured = list(library.services), _measured(library)
    except BadDocument:
        return Finding("targets", well=False, words="services.yaml cannot be read: `paramedic runbook lint`")
    with ThreadPoolExecutor(_AT_ONCE) as looks:
        wrong = [
            problem
            for found in looks.map(lambda target: _silent(target, settings, measured), listed)
            for problem in found
        ]
    if wrong:
        return Finding("targets", well=False, words=f"{'; '.join(wrong)}: start what is down, or mend services.yaml")
    return Finding("targets", well=True, words=f"{len(listed)} answer")


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


def releases(settings: Settings) -> Finding:
    """Whether each release folder has a healthy release to go back to."""
    try:
        listed = [target for target in open_library(settings).services if target.releases is not None]
    except BadDocument:
        return Finding("releases", well=False, words="services.yaml cannot be read: `paramedic runbook lint`")
    wrong = []
    for target in listed:
        look = reading.releases(target)
        try:
            look.all()
            look.before()
        except Refused as no:
            wrong.append(f"{no}: {no.by_hand}")
        except (TemporaryError, PermanentError) as error:
            wrong.append(f"{target.id}: {error}: lay it out as docs/targets.md says")
    words = f"{len(listed)} can be rolled back" if listed else "no target has a release folder"
    return Finding("releases", well=not wrong, words="; ".join(wrong) or words)


def commands(settings: Settings) -> Finding:
    """Whether each declared command has its program, its folder and its variables. None is started."""
    try:
        listed = [(target, name) for target in open_library(settings).services for name in target.commands]
    except BadDocument:
        return Finding("commands", well=False, words="services.yaml cannot be read: `paramedic runbook lint`")
    variables = instance.environment(settings.data) or os.environ  # those of the processes that will run it
    wrong = []
    for target, name in listed:
        try:
            reading.command_ready(target, name, variables)
        except (TemporaryError, PermanentError) as error:
            wrong.append(f"{name} of {target.id}: {error}")
    if wrong:
        return Finding(
            "commands", well=False, words=f"{'; '.join(wrong)}: mend services.yaml, or install what is missing"
        )
    return Finding("commands", well=True, words=f"{len(listed)} can be started" if listed else "none is declared")
