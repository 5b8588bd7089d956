"""A storm ends with a rest: after a mass failure nothing is changed for a while, as much recovers by itself then."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from paramedic.machine.clock import iso, spoken
from paramedic.remediation.guardrail import About, Case, Guardrail, No


@dataclass(frozen=True, slots=True)
class Storm:
    """The last mass failure: when it was over, and what it was."""

    over_at: datetime
    why: str


def _too_soon(case: Case, storm: Storm | None, cooldown: timedelta) -> No | None:
    if storm is None or case.now >= storm.over_at + cooldown:
        return None
    return No(
        f"a mass failure ({storm.why}) was over at {iso(storm.over_at)}, and {spoken(cooldown)} of rest follow: "
        f"until {iso(storm.over_at + cooldown)}",
        f"much recovers by itself now; what cannot wait: {case.by_hand}",
    )


def _rested(_case: Case, storm: Storm | None, cooldown: timedelta) -> str:
    last = "no mass failure before" if storm is None else f"the last mass failure was over at {iso(storm.over_at)}"
    return f"{spoken(cooldown) or '0s'}, {last}"


STORM_RULE = Guardrail(
    "storm rest",
    _too_soon,
    About(
        "when the last mass failure was over",
        "when that was, and until when the rest lasts: `PARAMEDIC_STORM_COOLDOWN` (5m)",
        "wait until it ends: much recovers by itself then; what cannot wait is a person's",
    ),
    yes=_rested,
    of_site=lambda site: site.storm_cooldown,
)
