"""A look at the other targets of the service, just before a change whose guardrails count them."""

import logging
import threading
from datetime import timedelta
from functools import partial

from paramedic.catalog.library import open_library
from paramedic.change.look import of_its_address, of_its_owner
from paramedic.change.run import PlaybookRun
from paramedic.machine.clock import boottime
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.remediation.health import Health, Sight
from paramedic.remediation.quorum import Members
from paramedic.remediation.target import Target
from paramedic.settings import Settings
from paramedic.store.guardrail_facts import Around
from paramedic.text.yaml_document import BadDocument

log = logging.getLogger(__name__)

#: How long the look may take in all; a member that has not answered by then cannot be seen.
PATIENCE = timedelta(seconds=4)


def look_around(run: PlaybookRun, *asked: Guardrails) -> Around:
    """What is around the target now: its parts, and how the service's other targets look, where a guardrail counts them.

    Reads files and asks every such target, so never inside a transaction. The answer ages: the guardrails judge how old it
    is. Raises StoreUnavailable.
    """
    overlapping = run.target.overlapping
    if not any(guardrails.counts_healthy for guardrails in asked):
        return Around(overlapping=overlapping)
    try:
        services = open_library(run.settings).services
    except BadDocument as error:
        log.warning("nobody can look at the service's other targets: %s", error)
        return Around(overlapping=overlapping)
    with run.store.read() as tx:
        taken_at = tx.now
    others = [target for target in services if target.service == run.target.service and target.id != run.target.id]
    return Around(Members(taken_at, looked_at(others, run.settings)), overlapping)


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
