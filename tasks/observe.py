"""What would we have done, and would it have been needed?"""

from datetime import timedelta

from paramedic.change import observing
from paramedic.incidents.incident import Incident
from paramedic.incidents.outcome import Outcome
from paramedic.machine.kill_points import kill_point
from paramedic.remediation.proposal import Proposal
from tasks.answers import by_ending
from tasks.current_run import current_run
from tasks.kinds import reads, tells


@tells(retries=3, timeout=timedelta(minutes=2), naming=by_ending)
def would_have(incident: Incident, proposal: Proposal) -> Outcome:
    """Tell channels, and a person as the runbook says, what would have been done; the incident is a person's."""
    run = current_run()
    outcome = observing.hand_over(run, proposal)
    run.say(f"observes and changes nothing: {proposal.words}")
    run.pager.deliver_due(incident.number)
    kill_point("told", incident.target)
    return outcome


@reads(retries=0, timeout=timedelta(hours=1), naming=by_ending)
def recovers_by_itself(incident: Incident, proposal: Proposal) -> Outcome:  # noqa: ARG001 - as every verb, it is said of an incident
    """Look for as long as a remedy would have had whether it becomes well without one, and write down which it was."""
    run = current_run()
    outcome = observing.watch(run, proposal)
    run.say(outcome.because)
    return outcome


@tells(retries=3, timeout=timedelta(minutes=2))
def told_of_the_verdict(incident: Incident) -> None:
    """Send what the verdict has queued."""
    current_run().pager.deliver_due(incident.number)
