"""Stuck work in the store: orders that wait, incidents that nothing works on, alerts without a decision."""

from datetime import timedelta

from paramedic.incidents.incident import State
from paramedic.machine.clock import boottime, spoken
from paramedic.remediation.cure import Held
from paramedic.remediation.proposal import Verdict
from paramedic.settings import Settings
from paramedic.store import (
    Store,
    approvals,
    attempts,
    check_states,
    cure_looks,
    inbox,
    incidents,
    messages,
    outbox,
    proposals,
)
from paramedic.watchdog.attempts import hand_over

#: A look at a cure that nobody has taken for so long after it was due is not taken any more.
_LOOK_LATE = timedelta(hours=2)

_AT_WORK = (State.OPEN, State.WORKING)


class Looks:
    """The looks that need only the store. All raise StoreUnavailable."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._began_at = boottime()

    def orders(self) -> None:
        """Hand over incidents whose run could not be created in Prefect, and withdraw the order."""
        with self._store.read() as tx:
            stuck = outbox.waiting_since(tx, tx.now - self._settings.silent_after)
        for row in stuck:
            with self._store.record() as tx:
                attempt = attempts.get(tx, row.incident, row.attempt)
                now = incidents.get(tx, row.incident)
                unasked = attempt is not None and (attempt.state, attempt.dispatched_at) == ("open", None)
                if unasked and attempt is not None and attempt.began_at is None and now.state in _AT_WORK:
                    words = f"Prefect could not be asked to run it for {spoken(self._settings.silent_after)}"
                    hand_over(tx, now, f"{words}: {row.last_error or 'nobody asked: is dispatch up?'}")

    def orphans(self) -> None:
        """Hand over incidents on which nothing works: a run was lost, or Paramedic is at fault."""
        with self._store.read() as tx:
            found = attempts.without_work(tx)
        for number in found:
            with self._store.record() as tx:
                if attempts.without_work(tx, number=number):
                    reason = "nothing works on it: a lost run, or a fault in Paramedic"
                    hand_over(tx, incidents.get(tx, number), reason)

    def unapproved(self) -> None:
        """Hand over incidents with a question that nobody answered in time."""
        with self._store.read() as tx:
            late = approvals.overdue(tx)
        for approval in late:
            with self._store.record() as tx:
                if approvals.expire(tx, approval.id, actor="watchdog") is not None:
                    hand_over(tx, incidents.get(tx, approval.incident), approval.nobody)

    def unjudged(self) -> None:
        """Judge proposals whose run was lost: nobody knows whether they were needed, and the record of the runbook says so."""
        with self._store.read() as tx:
            late = proposals.overdue(tx)
        for proposal in late:
            with self._store.record() as tx:
                proposals.judge(tx, proposal, Verdict.UNSEEN, "the run that was to look was lost", actor="watchdog")

    def unlooked(self) -> None:
        """Judge looks at cures that nobody has taken: nobody knows whether those held, and the record says so.

        After a start it waits as long: the rounds that take them begin with what is due.
        """
        if boottime() - self._began_at < _LOOK_LATE.total_seconds():
            return
        with self._store.read() as tx:
            late = cure_looks.forgotten(tx, _LOOK_LATE)
        for look in late:
            with self._store.record() as tx:
                why = f"nobody looked for {spoken(_LOOK_LATE)}: does Prefect plan runs of look-again?"
                cure_looks.judge(tx, look, Held.UNSEEN, why, actor="watchdog")

    def untold(self) -> None:
        """Restart the escalation of handed-over incidents without one."""
        with self._store.read() as tx:
            quiet = bool(incidents.without_escalation(tx))
        if quiet:
            with self._store.record() as tx:
                for number in incidents.without_escalation(tx):
                    incidents.start_escalation(tx, incidents.get(tx, number))

    def waiting_alerts(self) -> None:
        """Report alerts that wait too long for a decision, first or after a hold."""
        with self._store.read() as tx:
            count = inbox.undecided(tx, since=tx.now - self._settings.silent_after)
        if count:
            with self._store.write() as tx:
                messages.queue_internal_alert(
                    tx,
                    subject="Alerts wait for their decision",
                    body=f"{count} alerts have had no decision for {spoken(self._settings.silent_after)} or longer. "
                    "Nothing is done about them, and no incident is open for them. Is the gateway up? What says its log?",
                    same_within_minutes=30,
                    times=0,
                )

    def untaken_checks(self) -> None:
        """Report checks that nobody samples, whatever the reason.

        After a start it waits for their first round.
        """
        if boottime() - self._began_at < (3 * self._settings.checks_every).total_seconds():
            return
        with self._store.read() as tx:
            untaken = check_states.unsampled(tx)
        if untaken:
            named = "\n".join(sorted({f"{check.runbook}/{check.name} at {check.target}" for check in untaken})[:50])
            with self._store.write() as tx:
                messages.queue_internal_alert(
                    tx,
                    subject="Checks are not taken",
                    body=f"Nobody has sampled these for too long:\n{named}\n\n"
                    "Does Prefect plan runs of health-check, and does a responder take them?",
                    same_within_minutes=60,
                    times=0,
                )
