"""May we? One playbook per target at any time, whichever incident it serves."""

from contextlib import AbstractContextManager
from datetime import timedelta

from paramedic.change import exclusive as claims
from paramedic.change import ladder
from paramedic.incidents.incident import Incident
from paramedic.remediation.remedy import Remedy
from tasks.answers import Answer, yes_or_no
from tasks.current_run import current_run
from tasks.kinds import reads


def exclusive(target: str) -> AbstractContextManager[None]:
    """Hold the target's only claim, in a `with` block: `exclusive(incident.target)`. Every change is refused outside of it.

    Waits for at most one and a half leases; then raises Refused, naming the holder. Raises AlreadyActed if the incident's
    earlier work has touched the target (`@playbook` verifies that, and repeats nothing), Refused if another's act is open
    there, GivenUp where another attempt has the incident.
    """
    return claims.exclusive(current_run(), target)


@reads(retries=2, timeout=timedelta(seconds=30), naming=yes_or_no(Answer("Suits"), Answer("Skipped")))
def suits(incident: Incident, remedy: Remedy) -> bool:  # noqa: ARG001 - as every verb, it is said of an incident
    """Whether this rung applies: still granted to this attempt, and its condition holds. The timeline says why not.

    `remedy` is one of `runbook.remedies`. Raises StoreUnavailable.
    """
    return ladder.suits(current_run(), remedy)
