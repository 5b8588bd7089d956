"""The playbook for a service that one restart may heal."""

from paramedic.catalog.runbook import Runbook
from paramedic.incidents.incident import Incident
from paramedic.incidents.outcome import Outcome
from tasks.act import restart
from tasks.detect import still_failing
from tasks.diagnose import gather_evidence
from tasks.escalate import hand_over
from tasks.guard import exclusive
from tasks.notify import recovered, resolved
from tasks.playbook import playbook
from tasks.verify import stays_healthy


@playbook
def restart_service(incident: Incident, runbook: Runbook) -> Outcome:
    """Bring the target back with one restart, or hand it to whoever is on call.

    Never restarts twice: a service that needs a second restart needs a person.
    """
    with exclusive(incident.target):  # one playbook per target, whichever incident it serves
        if not still_failing(incident):  # alerts arrive late, and some heal by themselves
            return recovered(incident)

        evidence = gather_evidence(incident, runbook)  # a restart destroys evidence: collect it first
        restart(incident.target)  # guardrails and audit are part of the change, not of the story
        healthy = stays_healthy(incident, runbook)  # believe the probe, not the exit code

    if not healthy:
        return hand_over(incident, because="restarted, still failing", evidence=evidence)
    return resolved(incident, evidence)
