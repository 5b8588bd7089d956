"""The kill switch: a pause says who stopped which acts, since when and why. It stops acts, never pages."""

import shlex
from dataclasses import dataclass
from datetime import datetime

from paramedic.machine.clock import iso

#: Everything; and everything because so much is broken at once that the cause is none of ours to cure.
ALL = "all"
MASS = "mass"

#: Everything, because more of the fleet was changed than one fault explains; and the command that ends it.
FLEET = "fleet"
RESET_FLEET = "paramedic breaker reset --fleet"

#: The one Prefect tag, that of every change: a limit of 0 on it is the operator's kill switch in Prefect.
TAG = "changes"

_SERVICE = "service:"
_RUNBOOK = "runbook:"


def scope_of(*, service: str | None = None, runbook: str | None = None, mass: bool = False) -> str:
    """The chosen scope. Raises ValueError where more than one is named."""
    if sum((service is not None, runbook is not None, mass)) > 1:
        raise ValueError("one scope at a time: a service, a runbook, or neither for everything")
    if service is not None:
        return f"{_SERVICE}{service}"
    if runbook is not None:
        return f"{_RUNBOOK}{runbook}"
    return MASS if mass else ALL


@dataclass(frozen=True, slots=True)
class Pause:
    """One pause in force."""

    scope: str
    by: str
    reason: str
    since: datetime

    @property
    def everywhere(self) -> bool:
        """Whether it stops every act. An unknown scope does."""
        return not self.scope.startswith((_SERVICE, _RUNBOOK))

    def stops(self, *, service: str, runbook: str | None) -> bool:
        """Whether it stops acts for this service by this runbook."""
        return self.everywhere or self.scope in (f"{_SERVICE}{service}", f"{_RUNBOOK}{runbook}")

    @property
    def words(self) -> str:
        """What is paused, who paused it, when and why, in words."""
        return f"{spoken(self.scope)}, by {self.by} since {iso(self.since)}: {self.reason}"

    @property
    def resume(self) -> str:
        """The command that ends it."""
        for prefix, option in ((_SERVICE, "--service"), (_RUNBOOK, "--runbook")):
            if self.scope.startswith(prefix):
                return f"paramedic resume {option} {shlex.quote(self.scope.removeprefix(prefix))}"
        if self.scope == FLEET:
            return RESET_FLEET
        return "paramedic resume" if self.scope == ALL else f"paramedic resume --{self.scope}"


def spoken(scope: str) -> str:
    """The scope in words."""
    if scope == ALL:
        return "everything"
    if scope == MASS:
        return "everything (many breaches at once)"
    if scope == FLEET:
        return "everything (too much of the fleet was changed)"
    return scope.replace(":", " ", 1)
