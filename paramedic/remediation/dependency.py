"""Dependencies between services: while what a service needs is down, its alerts wait and nothing is changed for it."""

from dataclasses import dataclass
from datetime import datetime

from paramedic.incidents.incident import name
from paramedic.machine.clock import iso
from paramedic.remediation.guardrail import About, Case, Guardrail, No


@dataclass(frozen=True, slots=True)
class Needed:
    """A service that another one depends on, and its listed targets."""

    service: str
    targets: frozenset[str]

    def is_down(self, failing: int) -> bool:
        """Whether so many of its targets with a critical incident mean that the service is down: half of them at least."""
        return failing > 0 and 2 * failing >= len(self.targets)


@dataclass(frozen=True, slots=True)
class Down:
    """A service that is down: the incident that says so."""

    service: str
    incident: int
    since: datetime

    @property
    def words(self) -> str:
        """Which service, by which incident, since when."""
        return f"{self.service} is down ({name(self.incident)}, since {iso(self.since)})"


def _needs_it(case: Case, down: Down | None, _asked: None) -> No | None:
    if down is None:
        return None
    return No(
        f"{down.words}, and {case.service} depends on it: what is changed here now helps nothing, and hides the cause",
        f"mend {down.service} first; what still fails then: {case.by_hand}",
    )


DEPENDENCY_RULE = Guardrail(
    "dependency",
    _needs_it,
    About(
        "critical incidents on listed targets of the services that this one depends on (`depends_on` in services.yaml, also "
        "through others), of which an alert of their own fires",
        "which service is down, by which incident, since when",
        "mend that service first; `paramedic incident resolve` its incident, if it is up",
    ),
    yes=lambda *_: "nothing that it needs is down",
)
