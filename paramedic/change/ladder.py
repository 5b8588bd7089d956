"""The ladder of remedies: which rungs are left to this attempt, and which conditions hold."""

from paramedic.change import cause
from paramedic.change.run import PlaybookRun
from paramedic.doors import reading
from paramedic.remediation.cause import Verdict
from paramedic.remediation.guardrail_judgements import had_before
from paramedic.remediation.remedy import Remedy, undo_of
from paramedic.store import Tx, acts, attempts, guardrail_facts, incidents


def suits(run: PlaybookRun, remedy: Remedy) -> bool:
    """Whether this rung applies: still granted to this attempt, and its condition holds. The timeline says why, or why not."""
    number = run.incident.number
    within = remedy.deployed_within
    verdict = cause.judged(run, within) if within is not None else Verdict(holds=True, words="")
    with run.store.record() as tx:
        if not attempts.is_granted(tx, number, run.attempt, remedy.rung):
            verdict = Verdict(holds=False, words=_tried(tx, run, remedy))
        if verdict.words:
            incidents.append_to_timeline(
                tx,
                number,
                actor=run.holder,
                what="cause.found" if verdict.holds else "rung.skipped",
                reason=f"{remedy.name}: {verdict.words}",
                data=verdict.numbers,
            )
    why = f": {verdict.words}" if verdict.words else ""
    run.say(f"{'tries' if verdict.holds else 'skips'} rung {remedy.rung}, {remedy.name}{why}")
    return verdict.holds


def _tried(tx: Tx, run: PlaybookRun, remedy: Remedy) -> str:
    """What the incident had of this rung before."""
    earlier = guardrail_facts.had_before(tx, run.incident.number, run.target.id, remedy.rung)
    what = "it was tried before" if earlier is None else had_before(earlier, tx.now)
    return f"{what}, and no rung is tried twice"


def undo_for(run: PlaybookRun, why: str) -> Remedy | None:
    """What undoes the incident's last change, granted to this attempt and its reason on the timeline; None where nothing can."""
    undoable = reading.undoable(run.target)
    with run.store.record() as tx:
        done = [act for act in acts.since_begun(tx, run.still_ours(tx)) if act.result != "not_sent"]
        rung = done[-1].rung if done and done[-1].attempt == run.attempt else None
        remedy = next((one for one in run.runbook.remedies if one.rung == rung), None)
        undoing = None if remedy is None else undo_of(remedy, undoable)
        if undoing is None:
            return None
        attempts.grant_undo(tx, run.incident.number, run.attempt, undoing.rung)
        data = {"of_act": done[-1].id, "rung": undoing.rung}
        incidents.append_to_timeline(
            tx, run.incident.number, actor=run.holder, what="undo.chosen", reason=f"{undoing.name}: {why}", data=data
        )
    return undoing


def rungs_left(run: PlaybookRun) -> bool:
    """Whether the ladder has a rung that is still granted to this attempt."""
    with run.store.read() as tx:
        return any(
            attempts.is_granted(tx, run.incident.number, run.attempt, remedy.rung) for remedy in run.runbook.remedies
        )
