"""A look at the other targets of the services that a change touches, just before one whose guardrails count them."""

import logging
import threading
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from paramedic.catalog.library import open_library
from paramedic.catalog.touched import touched_by
from paramedic.change.look import of_its_address, of_its_owner
from paramedic.change.run import PlaybookRun
from paramedic.machine.clock import boottime
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.remediation.health import Health, Sight
from paramedic.remediation.quorum import Members
from paramedic.remediation.target import Target
from paramedic.remediation.touched import Touched
from paramedic.settings import Settings
from paramedic.store.guardrail_facts import Around
from paramedic.text.yaml_document import BadDocument

log = logging.getLogger(__name__)

#: How long the look may take in all; a member that has not answered by then cannot be seen.
PATIENCE = timedelta(seconds=4)


def look_around(run: PlaybookRun, *asked: Guardrails) -> Around:
    """What is around the target now: its parts, their services, and how other targets look, where a guardrail counts them.

    Reads files and asks every such target, so never inside a transaction. The answer ages: the guardrails judge how old it
    is. Raises StoreUnavailable.
    """
    target = run.target
    try:
        library = open_library(run.settings)
    except BadDocument as error:
        log.warning("nobody can look at the other targets of the service, nor tell the parts of this one: %s", error)
        lost = Touched(target.service, (target.id,), has_parts=bool(target.overlapping), unknown=str(error.problems[0]))
        return Around(overlapping=target.overlapping, touched=(lost,))
    touched = touched_by(target, library)
    listed = library.services.by_id(target.id)
    overlapping = {*target.overlapping, *(() if listed is None else listed.overlapping)}  # as it was, and as it is now
    counted = [each for each in touched if _counts_healthy(each, target, asked)]
    if not counted:
        return Around(None, tuple(sorted(overlapping)), touched)
    with run.store.read() as tx:
        taken_at = tx.now
    others = [library.services.targets[other] for each in counted for other in each.others]
    return Around(Members(taken_at, looked_at(others, run.settings)), tuple(sorted(overlapping)), touched)


def _counts_healthy(touched: Touched, target: Target, asked: Sequence[Guardrails]) -> bool:
    """Whether what the run's own runbook asks, or the service's, counts how the service's other targets are."""
    by_own = touched.service == target.service and any(guardrails.counts_healthy for guardrails in asked)
    return by_own or any(limits.counts_healthy for limits in touched.limits)


def looked_at(targets: list[Target], settings: Settings) -> dict[str, Health]:
    """How each looks, all of them side by side, within PATIENCE: one that hangs delays no other. Never raises."""
    seen: dict[str, Health] = {}
    threads = [
        threading.Thread(target=partial(_look, target, settings, seen), name=f"member {target.id}", daemon=True)
        for target in targets
    ]
    ends_at = boottime() + PATIENCE.total_seconds()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, ends_at - boottime()))
    late = Health(Sight.UNKNOWN, "it did not answer in time")
    return {target.id: seen.get(target.id, late) for target in targets}


def _look(target: Target, settings: Settings, seen: dict[str, Health]) -> None:
    try:
        found = of_its_owner(target)
        if not isinstance(found, Health):
            found = of_its_address(target, settings.probe_timeout) or Health(Sight.WELL, "it runs, and answers")
    except Exception as error:  # a plug-in's edge: what it cannot see is not healthy
        log.exception("%s cannot be looked at", target.id)
        found = Health(Sight.UNKNOWN, f"{type(error).__name__}: {error}")
    seen[target.id] = found
