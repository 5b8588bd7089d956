"""Did it help? Believe the probe, not the exit code."""

import time
from datetime import timedelta
from typing import Any

from paramedic.catalog.runbook import Runbook
from paramedic.catalog.withdrawal import stricter
from paramedic.change import figures, reach
from paramedic.change.elsewhere import Elsewhere, broken_since, named
from paramedic.change.look import measure
from paramedic.change.run import PlaybookRun
from paramedic.change.second_look import keep_what_is_seen
from paramedic.change.seen_log import SeenLog
from paramedic.errors import BrokeElsewhere, CannotSee, MadeWorse
from paramedic.incidents.incident import Incident
from paramedic.machine.clock import boottime, spoken
from paramedic.machine.kill_points import kill_point
from paramedic.remediation.health import Health, Sight
from paramedic.store import incidents
from tasks.answers import Answer, yes_or_no
from tasks.current_run import current_run
from tasks.kinds import reads


@reads(
    retries=0,
    timeout=timedelta(hours=1),
    naming=yes_or_no(Answer("Healthy"), Answer("NotHealthy", is_red=True)),
)
def stays_healthy(incident: Incident, runbook: Runbook) -> bool:
    """Whether all conditions of the breach hold for `stable` without a break, within `within` from now.

    Fresh samples of the target itself; one that sees nothing proves nothing and restarts the stretch. Raises CannotSee
    where the last look that was not well saw nothing: that the remedy did not help is not known either. Raises MadeWorse where
    it does not hold, and a figure is clearly worse than before the change or something else broke in the service since;
    BrokeElsewhere where it holds and something else broke: `@playbook` undoes what can be undone, and hands over.
    Where it does not hold, what the target shows then is kept as evidence (`paramedic.change.second_look`).
    """
    run = current_run()
    run.forget_samples()
    verify = stricter(runbook.verify, run.runbook.verify)  # an author may have raised it before the act
    pause = min(1.0, verify.stable.total_seconds() / 5)
    ends_at = boottime() + verify.within.total_seconds()
    well_since: float | None = None
    why = "it was over too soon to tell"  # what the last sample that was not well saw
    last = Sight.FAILING  # what that sample was
    seen = SeenLog(run.say)
    run.say(f"looks whether it stays well for {spoken(verify.stable)}, for {spoken(verify.within)} at most")
    health = Health(last, why)
    while boottime() < ends_at:
        run.go_on()
        taken_at = boottime()
        health = measure(run)
        seen.see(health)
        if health.sight is not Sight.WELL:
            well_since, why, last = None, health.why, health.sight
        elif well_since is None:
            well_since = taken_at
        elif taken_at - well_since >= verify.stable.total_seconds():
            return _helped(run, incident, f"every condition held for {spoken(verify.stable)}")
        time.sleep(pause)
    if last is Sight.UNKNOWN:
        words = f"for {spoken(verify.within)} we could not see whether {incident.target} is well: {why}"
        words += f"; {reach.look_around(run, health).words}" if health.second is not None else ""
        _append_to_timeline(incident, what="verification.blind", reason=words, seen=why)
        keep_what_is_seen(run, why)
        raise CannotSee(f"{words}. No other remedy is tried")
    words = f"not well for {spoken(verify.stable)} on end: {why}"
    run.say(f"it did not help: {words}")
    worse, elsewhere, kept = _append_to_timeline(incident, what="verification.failed", reason=words, seen=why)
    keep_what_is_seen(run, why)
    kill_point("verified", incident.target)
    if found := [*worse, *([elsewhere] if elsewhere else [])]:
        raise MadeWorse(f"it is worse than before the change: {'; '.join(found)}", kept="" if worse else kept)
    return False


def _helped(run: PlaybookRun, incident: Incident, words: str) -> bool:
    """True; raises BrokeElsewhere where something else broke in the service since the change."""
    _, elsewhere, kept = _append_to_timeline(incident, what="verification.well", reason=words)
    run.say(f"it helped: {words}")
    kill_point("verified", incident.target)
    if elsewhere:
        raise BrokeElsewhere(f"it is well, and {elsewhere}", kept=kept)
    return True


def _append_to_timeline(
    incident: Incident, *, what: str, reason: str, seen: str | None = None
) -> tuple[list[str], str, str]:
    """What the last change made worse, in words; what broke elsewhere since, "" for nothing; why it is not undone for that.

    `seen` is what the last sample that was not well saw, apart from the sentence.
    """
    run = current_run()
    data: dict[str, Any] = {} if seen is None else {"seen": seen}
    with run.store.record() as tx:
        act, found = figures.keep_after(tx, run) or (None, [])
        broken = Elsewhere() if act is None else broken_since(tx, run, act)
        if act is not None and found:
            data |= {"of_act": act.id, "figures": [figure.as_json() for figure in found]}
        if broken.incidents:
            data["broken_elsewhere"] = [one.id for one in broken.incidents]
        if broken.same:
            data["same_elsewhere"] = [one.id for one in broken.same]
            run.besides = f"since then the same trouble began: {named(broken.same)}"
            reason = f"{reason}; {run.besides}"
        incidents.append_to_timeline(tx, incident.number, actor=run.holder, what=what, reason=reason, data=data or None)
    elsewhere = (
        f"since the change something else broke in {incident.service}: {named(broken.incidents)}"
        if broken.incidents
        else ""
    )
    for words in [*(figure.words for figure in found), *([elsewhere] if elsewhere else [])]:
        run.say(words)
    return [figure.words for figure in found if figure.worse], elsewhere, broken.kept
