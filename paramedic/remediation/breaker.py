"""Circuit breakers: what does not help a target is blocked there; too much changed over the fleet stops every act.

Neither ends by itself: a person resets it, once the reason is known.
"""

import shlex
from dataclasses import dataclass
from datetime import datetime

from paramedic.machine.clock import iso, spoken
from paramedic.remediation.guardrail import About, Case, Guardrail, No
from paramedic.remediation.kill_switch import RESET_FLEET
from paramedic.remediation.site_limits import BreakerLimit, FleetLimit

#: The names of the two on the trail.
BREAKER, FLEET = "breaker", "fleet"


@dataclass(frozen=True, slots=True)
class Unhelpful:
    """The last acts by one remedy that did not help one target, the newest first, since a person last reset its breaker."""

    target: str
    remedy: str  # its name on the trail
    at: tuple[datetime, ...]

    def trips(self, limit: BreakerLimit) -> bool:
        """Whether the breaker is tripped. It stays so: no act by this remedy follows that could change the answer."""
        return len(self.at) >= limit.count and self.at[0] - self.at[limit.count - 1] <= limit.within

    def words(self, limit: BreakerLimit) -> str:
        """What did not help, how often and when, in words."""
        return (
            f"{self.remedy} did not help {self.target} {limit.count} times within "
            f"{spoken(self.at[0] - self.at[limit.count - 1]) or '0s'}, the last at {iso(self.at[0])}"
        )

    @property
    def reset(self) -> str:
        """The command that allows the remedy there again."""
        return f"paramedic breaker reset {shlex.quote(self.target)} --remedy {shlex.quote(self.remedy)}"


@dataclass(frozen=True, slots=True)
class Changed:
    """How many different targets were changed within the fleet's time, and whether this one is among them."""

    count: int
    is_among: bool


def _tripped(_case: Case, unhelpful: Unhelpful, limit: BreakerLimit) -> No | None:
    if not unhelpful.trips(limit):
        return None
    return No(
        f"{unhelpful.words(limit)} (the limit is {limit.count} within {spoken(limit.within)}): it is blocked there until "
        "a person resets it",
        f"look why it does not help, and act by the Mitigation; `{unhelpful.reset}` allows it again",
    )


def _closed(_case: Case, unhelpful: Unhelpful, limit: BreakerLimit) -> str:
    recent = sum(unhelpful.at[0] - at <= limit.within for at in unhelpful.at)
    return f"{recent} of {limit.count} unhelpful within {spoken(limit.within)}"


def _too_much(_case: Case, changed: Changed, limit: FleetLimit) -> No | None:
    if limit.allowed is None or changed.count + (not changed.is_among) <= limit.allowed:
        return None
    return No(
        f"{changed.count} of {limit.listed} targets were changed within {spoken(limit.within)}, and {limit.allowed} may be "
        f"({limit.percent}%): one fault does not need so many changes, and every act is stopped",
        f"look what all of them have in common; `{RESET_FLEET}` allows acts again",
    )


def _little(_case: Case, changed: Changed, limit: FleetLimit) -> str:
    return f"{changed.count} of {limit.allowed or 'any number of'} targets changed within {spoken(limit.within)}"


FLEET_RULE = Guardrail(
    FLEET,
    _too_much,
    About(
        "how many different targets were changed within `PARAMEDIC_FLEET_WITHIN` (1h), of all that services.yaml lists",
        "how many, and how many may be: `PARAMEDIC_FLEET_SHARE` (50%) of them, and always 5; from then on every act is paused",
        "look what they have in common; then `paramedic breaker reset --fleet`",
    ),
    yes=_little,
    of_site=lambda site: site.fleet,
)

BREAKER_RULE = Guardrail(
    BREAKER,
    _tripped,
    About(
        "acts on this target by the same remedy, of whichever incident, that were not verified well",
        "how often it did not help: `PARAMEDIC_BREAKER_FAILURES` (3) within `PARAMEDIC_BREAKER_WITHIN` (4h)",
        "look why; act by the Mitigation, then `paramedic breaker reset TARGET`: the refusal names the command",
    ),
    yes=_closed,
    of_site=lambda site: site.breaker,
)
