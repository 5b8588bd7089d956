"""The ladder of remedies: which rungs are left to this attempt, and which conditions hold."""

from datetime import datetime, timedelta

from paramedic.change.run import PlaybookRun
from paramedic.doors import reading
from paramedic.errors import PermanentError
from paramedic.machine.clock import spoken
from paramedic.remediation.guardrail_judgements import had_before
from paramedic.remediation.release import Release
from paramedic.remediation.remedy import Remedy
from paramedic.remediation.target import Target
from paramedic.store import Tx, attempts, guardrail_facts, incidents


def suits(run: PlaybookRun, remedy: Remedy) -> bool:
    """Whether this rung applies: still granted to this attempt, and its condition holds. The timeline says why not."""
    number = run.incident.number
    release = _release(run.target, remedy)  # read before the transaction: a disk that hangs must not hold it open
    with run.store.record() as tx:
        if not attempts.is_granted(tx, number, run.attempt, remedy.rung):
            why_not = _tried(tx, run, remedy)
        else:
            why_not = _no_cause(remedy, release, tx.now, run.settings.clock_skew)
        if why_not:
            reason = f"{remedy.name}: {why_not}"
            incidents.append_to_timeline(tx, number, actor=run.holder, what="rung.skipped", reason=reason)
    run.say(
        f"skips rung {remedy.rung}, {remedy.name}: {why_not}" if why_not else f"tries rung {remedy.rung}, {remedy.name}"
    )
    return not why_not


def _tried(tx: Tx, run: PlaybookRun, remedy: Remedy) -> str:
    """What the incident had of this rung before."""
    earlier = guardrail_facts.had_before(tx, run.incident.number, run.target.id, remedy.rung)
    what = "it was tried before" if earlier is None else had_before(earlier, tx.now)
    return f"{what}, and no rung is tried twice"


def rungs_left(run: PlaybookRun) -> bool:
    """Whether the ladder has a rung that is still granted to this attempt."""
    with run.store.read() as tx:
        return any(
            attempts.is_granted(tx, run.incident.number, run.attempt, remedy.rung) for remedy in run.runbook.remedies
        )


def _release(target: Target, remedy: Remedy) -> Release | str | None:
    """The current release for a conditional roll-back, or why it cannot be read; None where the remedy has no condition."""
    if remedy.deployed_within is None:
        return None
    try:
        return reading.releases(target).current()
    except PermanentError as error:
        return str(error)


def _no_cause(remedy: Remedy, release: Release | str | None, now: datetime, skew: timedelta) -> str:
    """Why the condition of a roll-back does not hold: the release is too old, or of unknown age."""
    if remedy.deployed_within is None or release is None:
        return ""
    if isinstance(release, str):
        return release
    if release.deployed_at is None:
        return f"nobody knows when release {release.id} was deployed"
    age = now - release.deployed_at
    if age < -skew:
        return f"release {release.id} was deployed in the future, by its clock: the clocks are not to be trusted"
    if age > remedy.deployed_within:
        return f"nothing was deployed so recently: release {release.id} is {spoken(age)} old"
    return ""
