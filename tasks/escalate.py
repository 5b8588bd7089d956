"""Who has it now?"""

from collections.abc import Sequence
from datetime import timedelta

from paramedic.incidents.evidence import Evidence
from paramedic.incidents.incident import Incident, State
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.machine.kill_points import kill_point
from paramedic.oncall.oncall_reload import OncallFile
from paramedic.paging import Pager
from paramedic.store import lifecycle
from tasks.answers import by_ending
from tasks.current_run import current_run
from tasks.kinds import tells
from tasks.scheduled import Round


@tells(retries=3, timeout=timedelta(minutes=2), naming=by_ending)
def hand_over(
    incident: Incident, because: str, evidence: Sequence[Evidence] = (), ending: Ending = Ending.HANDED_OVER
) -> Outcome:
    """Hand the incident over to a person: grants are revoked first, then the page is sent, with the evidence.

    `because` is what the person reads first. Raises GivenUp where another attempt has the incident, StoreUnavailable.
    """
    run = current_run()
    seen = f"; {len(evidence)} pieces of evidence are kept" if evidence else ""
    outcome = Outcome(ending, f"{because}{seen}")
    with run.store.record() as tx:
        if run.still_ours(tx).state in (State.OPEN, State.WORKING):
            lifecycle.hand_over(tx, incident.number, outcome, actor=run.holder)
    run.say(f"hands {incident.id} over to a person: {outcome.because}")
    sent = run.pager.deliver_due(incident.number)
    run.say(f"{sent} messages have left; the escalation goes on until somebody takes it")
    kill_point("told", incident.target)
    return outcome


def tell_what_is_due(this: Round) -> str:
    """End the acknowledgements that have lasted long enough, and send what is due. Raises StoreUnavailable."""
    pager = Pager(this.store, this.settings, OncallFile(this.settings))
    pager.end_acknowledgements()
    return f"{pager.deliver_due()} messages left"
