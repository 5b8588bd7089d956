"""Whether a runbook agrees with services.yaml, oncall.yaml, the playbooks and the kinds of targets."""

from collections.abc import Iterator
from typing import NamedTuple

from paramedic.catalog import runbook_file, target_kinds
from paramedic.catalog.runbook import Runbook
from paramedic.catalog.runbook_file import BadRunbook
from paramedic.catalog.services import Services
from paramedic.checks import probes
from paramedic.checks.check import labels_of
from paramedic.kinds.place import LOCAL
from paramedic.oncall.on_call import Oncall
from paramedic.remediation import guardrail_rules
from paramedic.remediation.guardrail import Surroundings
from paramedic.remediation.remedy import RESTART, Verb
from paramedic.remediation.target import Target
from paramedic.text.model_words import At
from paramedic.text.nearest import nearest, several
from paramedic.text.template import can_become
from paramedic.text.yaml_document import BadDocument, Problem


class _Fault(NamedTuple):
    """A key of a runbook that disagrees with another file: what is wrong with it, and what is allowed."""

    key: str
    what: str
    allowed: str = ""
    of: tuple[str, ...] = ()  # the other keys that it is about


class Others(NamedTuple):
    """What a runbook must agree with."""

    file_name: str  # its own, without `.md`
    services: Services
    oncall: Oncall
    playbooks: tuple[str, ...]


def agreeing(runbook: Runbook, file: str, others: Others) -> Runbook:
    """The runbook, if it agrees with the others. Raises BadDocument with everything that does not, each at its key."""
    if found := _faults(runbook, others):
        places = [runbook_file.place_of(runbook.text, *parts(fault.key)) for fault in found]
        raise BadDocument(
            [
                Problem(file, *place, f"{fault.key}: {fault.what}", fault.allowed)
                for place, fault in zip(places, found, strict=True)
            ]
        )
    return runbook


def also_wrong(error: BadRunbook, others: Others) -> list[Problem]:
    """What disagrees of a runbook that cannot be used, in the parts that could be read."""
    if error.rest is None:
        return []
    draft = error.rest.draft
    return [
        draft.problem(parts(fault.key), f"{draft.name(parts(fault.key))}: {fault.what}", fault.allowed)
        for fault in _faults(error.rest.runbook, others)
        if all(draft.is_sound(*parts(key)) for key in (fault.key, *fault.of))
    ]


def _faults(runbook: Runbook, others: Others) -> list[_Fault]:
    return [
        *_misnamed(runbook, others),
        *_unlisted(runbook, others.services),
        *_unoffered(runbook),
        *_unplaced(runbook, others.services),
        *_untold(runbook, others.oncall),
    ]


def parts(key: str) -> At:
    """The path of a key that is written with dots."""
    return tuple(int(part) if part.isdecimal() else part for part in key.split("."))


def _misnamed(runbook: Runbook, others: Others) -> Iterator[_Fault]:
    if runbook.name != others.file_name:
        yield _Fault("runbook", f"{runbook.name!r} is not the file's name", f"write {others.file_name}")
    if runbook.playbook not in others.playbooks:
        yield _Fault("playbook", f"there is no {runbook.playbook!r}", f"there are: {', '.join(others.playbooks)}")
    if runbook.playbook == "restart-service" and runbook.remedies != (RESTART,):
        what = f"restart-service knows one remedy, restart, and not {runbook.remedies[-1].name}"
        yield _Fault("with.remedies", what, "write `playbook: restore-service` for a ladder", ("playbook",))


def _unlisted(runbook: Runbook, services: Services) -> Iterator[_Fault]:
    """What services.yaml does not have, of what the runbook needs of its service's targets."""
    listed = [target for target in services if target.service == runbook.service]
    if not listed:
        known = ", ".join(sorted({target.service for target in services})) or "none"
        yield _Fault("service", f"services.yaml lists no target of {runbook.service!r}", f"it lists: {known}")
        return
    around = Surroundings(runbook.service, runbook.remedies, len(listed))
    for misfit in guardrail_rules.misfits(runbook.guardrails.asked, around):
        at = ".".join(["guardrails", *misfit.at])
        yield _Fault(at, misfit.what, misfit.allowed, ("service", "with.remedies"))
    for fault in _unmeant(runbook, listed, services):
        yield fault._replace(of=(*fault.of, "service", "with.target"))
    for target in listed:
        if target.kind == runbook.target.kind:
            yield from _lacking(runbook, target)


def _unmeant(runbook: Runbook, listed: list[Target], services: Services) -> Iterator[_Fault]:
    """Where its `with.target` can mean no listed target, and what of those that it means a run could not use."""
    kind, name, host = runbook.target.kind, runbook.target.name, runbook.target.host
    of_kind = [target for target in listed if target.kind == kind]
    of_name = [target for target in of_kind if can_become(name, target.name)]
    meant = meant_by(runbook, services)
    key, words = f"with.target.{kind}", f"services.yaml lists no {kind}"
    if not of_kind:
        yield _Fault(key, f"{words} of {runbook.service}", f"it lists: {several(target.kind for target in listed)}")
    elif not of_name:
        yield _Fault(key, f"{words} {name!r:.80}", f"it lists: {several(target.name for target in of_kind)}")
    elif not meant:
        hosts = several(target.host for target in of_name)
        yield _Fault("with.target.host", f"{words} {name!r:.80} on host {host!r:.80}", f"it lists: {hosts}")
    elif runbook.checks and not runbook.targets(services):
        labels = ", ".join(labels_of("", "", meant[0]))
        what = "the checks under `when` find no target by it: an alert of theirs lacks a label that it needs"
        yield _Fault("with.target", what, f"it has: {labels}")
    else:
        for key, lacking, allowed in lacks(runbook, meant):
            if lacking == meant:
                what = (
                    f"services.yaml names no {allowed.partition(':')[0]} for {several(target.id for target in meant)}"
                )
                yield _Fault(key, what, f"services.yaml: {allowed}")


def lacks(runbook: Runbook, meant: list[Target]) -> Iterator[tuple[str, list[Target], str]]:
    """The keys that ask for what services.yaml does not name: of which of these targets, and what to write there."""
    if runbook.verify.health:
        yield "with.verify.health", [target for target in meant if target.health is None], "health: http://…"
    for check in runbook.checks:
        for key, example in probes.listed(check.kind).items():
            yield "when", [target for target in meant if getattr(target, key, None) is None], f"{key}: {example}"
    for number, evidence in enumerate(runbook.evidence):
        for key, example in target_kinds.listed_for_evidence(evidence).items():
            lacking = [target for target in meant if getattr(target, key, None) is None]
            yield f"with.evidence.{number}", lacking, f"{key}: {example}"


def meant_by(runbook: Runbook, services: Services) -> list[Target]:
    """The listed targets that its `with.target` can mean."""
    kind, name, host = runbook.target.kind, runbook.target.name, runbook.target.host
    return [
        target
        for target in services
        if (target.service, target.kind) == (runbook.service, kind)
        and can_become(name, target.name)
        and any(can_become(host, each) for each in services.names_of(target.host))
    ]


def _lacking(runbook: Runbook, target: Target) -> Iterator[_Fault]:
    """The remedies that this target could not take: without releases, without the command."""
    for number, remedy in enumerate(runbook.remedies):
        key, of = f"with.remedies.{number}", ("service", "with.target")
        if remedy.verb is Verb.ROLL_BACK and target.releases is None and not target_kinds.keeps_releases(target.kind):
            yield _Fault(key, f"{target.id} has no releases to roll back", "services.yaml: releases: /folder", of)
        if (needed := target_kinds.needs(target, remedy)) is not None:
            what = f"services.yaml names no {needed.partition(':')[0]} for {target.id}"
            yield _Fault(key, what, f"{target.kind}: {{…, {needed}}}", of)
        if remedy.command is not None and remedy.command not in target.commands:
            there = ", ".join(target.commands) or "none"
            what = f"services.yaml declares no command {remedy.command!r} for {target.id}"
            yield _Fault(key, what, f"there are: {there}", of)


def _unoffered(runbook: Runbook) -> Iterator[_Fault]:
    """What the runbook requires of its targets that their kind does not offer."""
    kind, of = runbook.target.kind, ("with.target",)
    for number, name in enumerate(runbook.evidence):
        if not target_kinds.offers_evidence(kind, name):
            what, offered = f"targets of the kind {kind} offer no {name!r}", target_kinds.evidence(kind)
            yield _Fault(f"with.evidence.{number}", what, f"they offer: {', '.join(offered)}", of)
    for number, what, allowed in target_kinds.refused(kind, runbook.remedies):
        yield _Fault(f"with.remedies.{number}", what, allowed, of)
    module = target_kinds.of(kind)
    if runbook.verify.memory_below is not None and not hasattr(module, "resident_memory"):
        yield _Fault("with.verify.memory_below", f"targets of the kind {kind} do not tell their memory", of=of)
    for check in runbook.checks:
        for lacking in probes.missing(check.kind, module):
            what = f"targets of the kind {kind} have no {lacking} for {check.name} to measure"
            yield _Fault("when", what, of=of)


def _unplaced(runbook: Runbook, services: Services) -> Iterator[_Fault]:
    """The places of its checks that are no hosts by SSH: nobody could be asked there."""
    by_ssh = [LOCAL, *(name for name, host in services.hosts.items() if host.ssh is not None)]
    for check in runbook.checks:
        for name in check.asked_from:
            if name not in services.hosts and name != LOCAL:
                what = f"{check.name} is asked `from` {name!r:.80}, and `hosts` of services.yaml lists no such host"
                yield _Fault("when", what, nearest(name, by_ssh))
            elif name not in by_ssh:
                what = f"{check.name} is asked `from` {name}, which is not reached by SSH"
                yield _Fault("when", what, f"allowed: {several(by_ssh)}")


def _untold(runbook: Runbook, oncall: Oncall) -> Iterator[_Fault]:
    if runbook.policy not in oncall.policies:
        yield _Fault("escalate.policy", f"there is no {runbook.policy!r}", f"there are: {', '.join(oncall.policies)}")
    addresses = {way for person in oncall.people.values() for way in person.contact_methods if not way.is_named}
    for way in runbook.notify:
        if not way.is_named and way not in addresses:
            yield _Fault("notify", f"{way} is nobody's address in oncall.yaml", ", ".join(sorted(map(str, addresses))))
