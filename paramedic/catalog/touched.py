"""Which services a change touches, and what their runbooks ask: read from the library."""

from collections.abc import Iterator
from dataclasses import replace

from paramedic.catalog import target_kinds
from paramedic.catalog.library import Library
from paramedic.remediation.guardrail import AT_ONCE_KEY
from paramedic.remediation.quorum import QUORUM
from paramedic.remediation.target import Target
from paramedic.remediation.touched import ServiceLimits, Touched


def touched_by(target: Target, library: Library) -> tuple[Touched, ...]:
    """The services of which a change of this target takes targets away: its own first, then those of its parts.

    For parts every usable runbook of their service is asked, whatever its mode and whichever runbook makes the change. Of a
    service with a runbook that cannot be used nobody knows what it asks; a runbook whose service cannot be told may be of any.
    """
    parts = target_kinds.parts(target, library.services)
    taken = {target.service: [target.id]}
    for part in parts:
        taken.setdefault(part.service, []).append(part.id)
    others: dict[str, dict[str, tuple[str, ...]]] = {service: {} for service in taken}
    for other in library.services:
        if other.service in taken and other.id not in taken[other.service]:
            others[other.service][other.id] = other.overlapping
    of_parts = {part.service for part in parts}
    found = [
        _with_limits(service, tuple(ids), others[service], library)
        if service in of_parts
        else Touched(service, tuple(ids), others[service])
        for service, ids in taken.items()
    ]
    return (replace(found[0], needs=library.services.needs.get(target.service, ())), *found[1:])


def _with_limits(service: str, taken: tuple[str, ...], others: dict[str, tuple[str, ...]], library: Library) -> Touched:
    broken = next((str(one.problem) for one in library.broken if one.service in (None, service)), None)
    unknown = None if broken is None else f"a runbook of it cannot be used: {broken}"
    return Touched(service, taken, others, has_parts=True, limits=tuple(_limits(service, library)), unknown=unknown)


def _limits(service: str, library: Library) -> Iterator[ServiceLimits]:
    """What its runbooks ask, each different wish once."""
    seen = set()
    for runbook in library.runbooks.values():
        asked = runbook.guardrails.asked
        wish = asked.get(QUORUM), asked.get(AT_ONCE_KEY.key)
        if runbook.service == service and wish != (None, None) and wish not in seen:
            seen.add(wish)
            yield ServiceLimits(runbook.name, *wish)
