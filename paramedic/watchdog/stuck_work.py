"""Looks at the store, each alone: orders that wait, incidents without anybody, alerts without their decision."""

from paramedic.incidents.incident import State
from paramedic.machine.clock import boottime, spoken
from paramedic.settings import Settings
from paramedic.store import Store, approvals, attempts, checks, inbox, incidents, messages, outbox
from paramedic.watchdog.attempts import hand_over

_AT_WORK = (State.OPEN, State.WORKING)


class Looks:
    """The looks that need the store and nothing else. All raise StoreUnavailable."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._began_at = boottime()

    def orders(self) -> None:
        """A run that Prefect could not be asked for goes to a person; the order is withdrawn with it."""
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
        """An incident on which nothing works gets a person: a run was lost, or Paramedic is at fault."""
        with self._store.read() as tx:
            found = attempts.without_work(tx)
        for number in found:
            with self._store.record() as tx:
                if attempts.without_work(tx, number=number):
                    reason = "nothing works on it: a lost run, or a fault in Paramedic"
                    hand_over(tx, incidents.get(tx, number), reason)

    def unapproved(self) -> None:
        """A change that nobody approved in time goes to a person with its incident: a time-out escalates."""
        with self._store.read() as tx:
            late = approvals.overdue(tx)
        for one in late:
            with self._store.record() as tx:
                if approvals.expire(tx, one.id, actor="watchdog") is not None:
                    hand_over(tx, incidents.get(tx, one.incident), one.nobody)

    def untold(self) -> None:
        """A handed-over incident of which nobody is being told climbs again from its first rung."""
        with self._store.read() as tx:
            quiet = bool(incidents.without_escalation(tx))
        if quiet:
            with self._store.record() as tx:
                for number in incidents.without_escalation(tx):
                    incidents.climb(tx, incidents.get(tx, number))

    def waiting_alerts(self) -> None:
        """Alerts that wait too long for their decision, or for their second look: somebody looks at the gateway."""
        with self._store.read() as tx:
            count = inbox.undecided(tx, since=tx.now - self._settings.silent_after)
        if count:
            with self._store.write() as tx:
                messages.queue_trouble(
                    tx,
                    subject="Alerts wait for their decision",
                    body=f"{count} alerts have had no decision for {spoken(self._settings.silent_after)} or longer. "
                    "Nothing is done about them, and no incident is open for them. Is the gateway up? What says its log?",
                    same_within_minutes=30,
                    times=0,
                )

    def untaken_checks(self) -> None:
        """Checks that nobody samples, whatever the reason: what they should see is seen by nobody.

        After a start their first round is waited for.
        """
        if boottime() - self._began_at < (3 * self._settings.checks_every).total_seconds():
            return
        with self._store.read() as tx:
            untaken = checks.untaken(tx)
        if untaken:
            named = "\n".join(sorted({f"{one.runbook}/{one.name} at {one.target}" for one in untaken})[:50])
            with self._store.write() as tx:
                messages.queue_trouble(
                    tx,
                    subject="Checks are not taken",
                    body=f"Nobody has sampled these for too long:\n{named}\n\n"
                    "Does Prefect plan runs of health-check, and does a responder take them?",
                    same_within_minutes=60,
                    times=0,
                )
