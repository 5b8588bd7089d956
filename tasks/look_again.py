"""Did the cure hold?"""

from paramedic.change import cure
from paramedic.change.run import PlaybookRun
from paramedic.machine.clock import boottime
from paramedic.oncall.oncall_reload import OncallFile
from paramedic.paging import Pager
from paramedic.remediation.cure import CureLook, Held
from paramedic.store import cure_looks, incidents, runbook_versions
from paramedic.text.yaml_document import BadDocument
from tasks import run_cache
from tasks.run_log import say
from tasks.scheduled import Round


def look_at_what_was_cured(this: Round) -> str:
    """Take the looks that are due, until the round is over; what saw nothing is looked at again by a later one.

    Nothing is changed, whatever they show. Raises StoreUnavailable; GivenUp where another run has the round.
    """
    with this.store.read() as tx:
        due = cure_looks.due(tx)
    judged: list[CureLook] = []
    pager = Pager(this.store, this.settings, OncallFile(this.settings))
    for look in due:
        this.go_on()
        if boottime() >= this.ends_at:
            break
        taken = _taken(this, look, pager)
        if taken is not None:
            judged.append(taken)
            say(f"{taken.target}: {taken.words}")
            pager.deliver_due(taken.incident)
    waiting = len(due) - len(judged)
    counted = [f"{_count(judged, verdict)} {verdict}" for verdict in Held if _count(judged, verdict)]
    later = [f"{waiting} to be looked at again"] if waiting else []
    return ", ".join([*counted, *later]) or "no look is due"


def _count(judged: list[CureLook], verdict: Held) -> int:
    return sum(look.verdict is verdict for look in judged)


def _taken(this: Round, look: CureLook, pager: Pager) -> CureLook | None:
    target = this.library.services.by_id(look.target)
    with this.store.record() as tx:
        this.still_ours(tx)
        if target is None:
            gone = "services.yaml no longer lists it"
            return cure_looks.judge(tx, look, Held.UNSEEN, gone, actor=this.holder)
        incident = incidents.get(tx, look.incident)
        text = runbook_versions.runbook_text(tx, incident.runbook_version or "")
    try:
        runbook = run_cache.parsed(text, f"{incident.runbook}.md")
    except BadDocument as error:  # of a version before this one
        with this.store.record() as tx:
            unread = f"its runbook cannot be read any more: {error}"
            return cure_looks.judge(tx, look, Held.UNSEEN, unread, actor=this.holder)
    run = PlaybookRun(
        settings=this.settings,
        store=this.store,
        pager=pager,
        incident=incident,
        runbook=runbook,
        target=target,
        attempt=incident.attempt,
        flow_run=this.flow_run,
        ask_cancelled=lambda _: False,
        say=say,
    )
    return cure.take(run, look)
