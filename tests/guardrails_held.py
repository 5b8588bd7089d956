"""What must hold at each change of a schedule, by what the test remembers itself: the store's own word is not asked."""

import itertools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from store_states import HOUR

from paramedic.remediation.guardrail import AtOnce, Budget
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.remediation.health import Sight
from paramedic.remediation.quorum import Quorum
from paramedic.remediation.site_limits import BreakerLimit, FleetLimit, SiteLimits
from paramedic.remediation.touched import ServiceLimits, Touched
from paramedic.store.acts import Act
from paramedic.store.claims import Claim

#: Two machines with two units each, and two units elsewhere. The units are one service, machines another.
PARTS = {"m-1": ("m-1/a", "m-1/b"), "m-2": ("m-2/a", "m-2/b")}
UNITS = (*PARTS["m-1"], *PARTS["m-2"], "m-3/a", "m-4/a")
SERVICES = {"tracking": UNITS, "machines": tuple(PARTS)}
SERVICE = {target: service for service, members in SERVICES.items() for target in members}
TARGETS = tuple(SERVICE)
OVERLAPPING = {
    target: PARTS.get(target, tuple(whole for whole, parts in PARTS.items() if target in parts)) for target in TARGETS
}

#: Small, so that a short schedule comes to each of them.
BUDGET, SERVICE_BUDGET, OF_FLEET = 2, 4, 5
PER, REST, COOLDOWN = timedelta(minutes=10), timedelta(minutes=5), timedelta(minutes=1)
QUORUMS = {"tracking": Quorum("3 of 6", 3, 6), "machines": Quorum("50%", 50, 100)}
AT_ONCE = {"tracking": AtOnce(2, 6), "machines": AtOnce(1, 2)}
BREAKER = BreakerLimit(2, 4 * HOUR)
FLEET = FleetLimit(50, timedelta(minutes=30), len(TARGETS))

_SITE = SiteLimits(BREAKER, FLEET, REST)
_OF_ALL = {"cooldown": COOLDOWN, "budget": Budget(BUDGET, PER), "service_budget": Budget(SERVICE_BUDGET, PER)}

#: By the service of the target that is changed.
ASKED = {
    service: Guardrails("act", _OF_ALL | {"keep_healthy": QUORUMS[service], "at_once": AT_ONCE[service]}, site=_SITE)
    for service in SERVICES
}

UNHELPFUL = ("done", "failed", "unknown")


def touched_by(target: str) -> tuple[Touched, ...]:
    """The services that a change of the target touches: its own, and that of its parts, which is asked by its own limits."""
    parts = PARTS.get(target, ())
    of_parts = [_touched("tracking", parts, has_parts=True)] if parts else []
    return (_touched(SERVICE[target], (target,), has_parts=False), *of_parts)


def _touched(service: str, taken: tuple[str, ...], *, has_parts: bool) -> Touched:
    others = {other: OVERLAPPING[other] for other in SERVICES[service] if other not in taken}
    limits = ServiceLimits("tracking-down", QUORUMS[service], AT_ONCE[service])
    return Touched(service, taken, others, has_parts=has_parts, limits=(limits,) if has_parts else ())


@dataclass
class Done:
    """An act as the test remembers it: what the store says of it later is not asked."""

    act: Act
    at: datetime  # by the clock as it is set now, once the watchdog has looked at it
    result: str | None = None
    incident_ended: bool = False
    counts: bool = True  # for the breaker: since its reset, and for the fleet since the fleet's

    @property
    def touched(self) -> bool:
        return self.result != "not_sent"

    @property
    def unverified(self) -> bool:
        return self.result is None or (self.result in UNHELPFUL and not self.incident_ended)


@dataclass
class Memory:
    """Every act of a schedule, in its order."""

    done: list[Done] = field(default_factory=list)
    fleet_from: int = 0  # acts before this one were done before the fleet's reset

    def changed_beside(self, target: str) -> set[str]:
        """The targets, this one's own acts apart, on which a change is not verified, or on a part or a whole of which."""
        at = {done.act.target for done in self.done if done.unverified and done.act.target != target}
        return at.union(*(OVERLAPPING[each] for each in at))

    def budgets_and_breakers_held(self, claim: Claim, now: datetime) -> None:
        target = claim.target
        mine = [done for done in self.done if done.act.target == target and done.touched]
        service = [done for done in self.done if SERVICE[done.act.target] == SERVICE[target] and done.touched]
        before = [done for done in mine if (done.act.incident, done.act.attempt) != (claim.incident, claim.attempt)]
        assert all(done.at + COOLDOWN <= now for done in before)
        assert sum(done.at > now - PER for done in mine) < BUDGET
        assert sum(done.at > now - PER for done in service) < SERVICE_BUDGET
        recent = [done for done in self.done[self.fleet_from :] if done.touched and done.at > now - FLEET.within]
        assert len({done.act.target for done in recent} | {target}) <= OF_FLEET
        unhelpful = [done for done in mine if done.counts and done.result in UNHELPFUL]
        for first, last in itertools.pairwise(unhelpful):
            assert last.at - first.at > BREAKER.within, "two that did not help trip the breaker until it is reset"

    def services_held(self, target: str, sights: Mapping[str, Sight], incidents_at: Collection[str]) -> None:
        """The quorum and `at_once` of each service that the change takes a target of: its own, and those of its parts."""
        taken = {target, *PARTS.get(target, ())}
        for service in {SERVICE[each] for each in taken}:
            ours = taken.intersection(SERVICES[service])
            others = set(SERVICES[service]) - ours
            changing = others & self.changed_beside(target)
            healthy = _seen_well(others, sights) - changing - set(incidents_at)
            assert len(healthy) >= QUORUMS[service].needed(len(SERVICES[service])), service
            reachable = len(healthy | changing) + len(ours)
            is_alone = not changing and target in ours
            assert is_alone or len(changing) + len(ours) <= AT_ONCE[service].allowed(reachable), service


def _seen_well(targets: Iterable[str], sights: Mapping[str, Sight]) -> set[str]:
    return {target for target in targets if sights[target] is Sight.WELL}
