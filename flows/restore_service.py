"""The playbook for a service that one of several remedies may heal."""

from paramedic.catalog.runbook import Runbook
from paramedic.incidents.incident import Incident
from paramedic.incidents.outcome import Outcome
from tasks.act import apply
from tasks.detect import still_failing
from tasks.diagnose import gather_evidence
from tasks.escalate import hand_over
from tasks.guard import exclusive, suits
from tasks.notify import recovered, resolved
from tasks.playbook import playbook
from tasks.verify import stays_healthy


@playbook
def restore_service(incident: Incident, runbook: Runbook) -> Outcome:
    """Climb the runbook's ladder of remedies until one is verified to have helped, or hand over.

    No rung is tried twice, and none that does not suit: a roll-back where nothing was deployed heals nothing.
    """
    with exclusive(incident.target):  # one playbook per target, whichever incident it serves
        if not still_failing(incident):  # alerts arrive late, and some heal by themselves
            return recovered(incident)

        evidence = gather_evidence(incident, runbook)  # a remedy destroys evidence: collect it first
        for remedy in runbook.remedies:
            if not suits(incident, remedy):
                continue
            apply(remedy, incident.target)  # guardrails and audit are part of the change, not of the story
            if stays_healthy(incident, runbook):  # believe the probe, not the exit code
                return resolved(incident, evidence)

    return hand_over(incident, because="no remedy of the ladder is left, still failing", evidence=evidence)
