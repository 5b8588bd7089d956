"""Who should know that it ended well?"""

from collections.abc import Sequence
from datetime import timedelta

from paramedic.change import cure
from paramedic.incidents.evidence import Evidence
from paramedic.incidents.incident import Incident, State
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.machine.clock import spoken
from paramedic.machine.kill_points import kill_point
from paramedic.store import acts, cure_looks, lifecycle, messages
from tasks.answers import by_ending
from tasks.current_run import current_run
from tasks.kinds import tells


@tells(retries=3, timeout=timedelta(minutes=2), naming=by_ending)
def recovered(incident: Incident) -> Outcome:
    """Resolve the incident: the target is well, and nothing was changed. Without a message.

    Raises GivenUp where another attempt has the incident, StoreUnavailable.
    """
    run = current_run()
    outcome = Outcome(Ending.RECOVERED, f"seen well before anything was done{run.seen_by}")
    with run.store.record() as tx:
        if run.still_ours(tx).state is State.WORKING:
            lifecycle.resolve(tx, incident.number, outcome, actor=run.holder)
    run.say(f"{incident.id} is over: {outcome.because}")
    return outcome


@tells(retries=3, timeout=timedelta(minutes=2), naming=by_ending)
def resolved(incident: Incident, evidence: Sequence[Evidence]) -> Outcome:
    """Resolve the incident: the change helped and was verified. Whoever is on call gets a message.

    A target that came back by itself before any change was sent has recovered: it does not count as a cure. The third cure of
    a target in a day goes to a person although it helped: a cure that is needed so often hides a fault.

    Raises GivenUp where another attempt has the incident, StoreUnavailable.
    """
    run = current_run()
    day = timedelta(days=1)
    verified = cure.instance(run)
    with run.store.record() as tx:
        now = run.still_ours(tx)
        sent = [act for act in acts.since_begun(tx, now) if act.result != "not_sent"]
        if not sent:
            outcome = Outcome(Ending.RECOVERED, "seen well before any change was sent")
            if now.state is State.WORKING:
                lifecycle.resolve(tx, incident.number, outcome, actor=run.holder)
            run.say(f"{incident.id} is over: {outcome.because}")
            return outcome
        act = sent[-1]
        if acts.close(tx, act, result="cured", why="verified well after it", actor=run.holder):
            cure_looks.plan(tx, act, verified)
        cures = acts.cures(tx, incident.target, day)
        if now.state is not State.WORKING:
            outcome = Outcome(
                Ending.HANDED_OVER, f"it helped, and {incident.id} is {now.state}: it stays with its person"
            )
        elif cures >= run.settings.cures_per_day:
            outcome = Outcome(
                Ending.HANDED_OVER,
                f"the {act.remedy} helped, and it was cure number {cures} of {incident.target} within {spoken(day)}: "
                "find out why it keeps breaking",
            )
            lifecycle.hand_over(tx, incident.number, outcome, actor=run.holder)
        else:
            seen = f"; {len(evidence)} pieces of evidence are kept" if evidence else ""
            besides = f"; {run.besides}" if run.besides else ""
            outcome = Outcome(Ending.REMEDIATED, f"the {act.remedy} helped, verified{seen}{besides}")
            lifecycle.resolve(tx, incident.number, outcome, actor=run.holder, data={"act": act.id})
            messages.queue_resolution(tx, incident=incident.number, policy=incident.policy)
    run.say(f"{outcome.ending.replace('_', ' ')}: {outcome.because}")
    run.pager.deliver_due(incident.number)
    kill_point("told", incident.target)
    return outcome
