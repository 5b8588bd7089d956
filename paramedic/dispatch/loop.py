"""The dispatch loop: every order in the outbox becomes exactly one flow run, whatever is killed or silent in between."""

import contextlib
import functools
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from paramedic.catalog import runbook_file
from paramedic.dispatch import metrics
from paramedic.dispatch.prefect_runs import FINISHED, CreatedRun, NotDeployed, PrefectRuns
from paramedic.errors import PermanentError, TemporaryError
from paramedic.incidents.incident import Incident
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.incidents.tier import urgency
from paramedic.machine.backoff import Backoff
from paramedic.machine.kill_points import kill_point
from paramedic.remediation.approval import Answer
from paramedic.store import Store, StoreUnavailable, approvals, attempts, incidents, lifecycle, outbox, runbook_versions
from paramedic.store.outbox import Order
from paramedic.store.wakeups import DISPATCH, RESPONDER, notify, subscribe
from paramedic.text.yaml_document import BadDocument

log = logging.getLogger(__name__)

#: How long an order waits after its first, second, … failed try. Our own: Prefect's client would wait longer on a 503.
_BACKOFF = Backoff((0.2, 0.5, 1, 2, 5, 10))

#: How soon Prefect is asked again to resume a run.
_RESUME_AGAIN = timedelta(seconds=1)

#: A responder that has just been told of a run writes its lease first: who comes second to the store waits for milliseconds.
_LEASE_FIRST_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Wanted:
    """One order, with the flow run's data."""

    order: Order
    incident: Incident
    runbook: str
    """The text that was pinned when the incident opened."""


class Dispatch:
    """Works the outbox. Several may run on one store: the idempotency key makes their runs one."""

    def __init__(
        self,
        store: Store,
        prefect: PrefectRuns,
        deploy: Callable[[], Mapping[str, str] | None],
        *,
        pool: str = "paramedic",
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        """`deploy` registers the deployments in `pool`; it raises TemporaryError while that is not possible.

        `beat` is called regularly while the loop runs.
        """
        self._beat = beat
        self._store = store
        self._prefect = prefect
        self._deploy = deploy
        self._pool = pool

    def run(self, stop: threading.Event, *, poll_seconds: float = 0.5) -> None:
        """Work until `stop`: on each wake-up, and at the latest on each poll."""
        with contextlib.closing(subscribe(self._store, DISPATCH)) as subscription:
            while not stop.is_set():
                self._beat()
                subscription.wait(poll_seconds)
                try:
                    self.work()
                    self.resume()
                except StoreUnavailable as error:
                    log.warning("dispatch waits for the store: %s", error)

    def work(self) -> int:
        """Create the runs that are due; returns the number of orders. Raises StoreUnavailable."""
        asked: dict[str, tuple[Order, CreatedRun | None]] = {}
        while due := [wanted for wanted in self._due() if wanted.order.key not in asked]:
            for wanted in due:
                asked[wanted.order.key] = wanted.order, self._ask(wanted)
            if any(asked[wanted.order.key][1] is None for wanted in due):
                break  # each may have waited for a Prefect that does not answer: what else there is to do comes first
        # Written down only now: who takes a run needs the store meanwhile, and so does what brings the next order.
        if any(run is not None for _, run in asked.values()):
            time.sleep(_LEASE_FIRST_SECONDS)
        for order, run in asked.values():
            if run is not None:
                self._settle(order, run)
        return len(asked)

    def _due(self) -> list[Wanted]:
        """The due orders, the most urgent ones first."""
        with self._store.read() as tx:
            due = []
            for order in outbox.waiting(tx):
                incident = incidents.get(tx, order.incident)
                due.append(Wanted(order, incident, runbook_versions.runbook_text(tx, incident.runbook_version or "")))
        return sorted(due, key=lambda wanted: urgency(wanted.incident.severity, wanted.incident.tier))

    def resume(self) -> int:
        """Resume every run whose approval is settled; returns their number. Raises StoreUnavailable."""
        with self._store.read() as tx:
            due = approvals.to_resume(tx)
        for approval in due:
            self._beat()
            answer = {
                "decision": "approve" if approval.state is Answer.GRANTED else "deny",
                "by": approval.decided_by or "nobody",
            }
            try:
                self._prefect.resume(approval.flow_run, run_input=answer)
            except TemporaryError as error:
                log.info("the run that asked for approval %s is not resumed yet: %s", approval.id, error)
                with self._store.write() as tx:
                    approvals.resume_later(tx, approval.id, until=tx.now + _RESUME_AGAIN)
                continue
            except PermanentError as error:  # the watchdog suspects the attempt
                log.error("the run that asked for approval %s cannot be resumed: %s", approval.id, error)  # noqa: TRY400 - its words say it
            with self._store.write() as tx:
                approvals.resumed(tx, approval.id)
        return len(due)

    def _ask(self, wanted: Wanted) -> CreatedRun | None:
        """Create the run and notify the responders; None where Prefect did not take it."""
        self._beat()
        order, incident = wanted.order, wanted.incident
        kill_point("outbox_written", incident.target)
        try:
            playbook = _playbook(wanted.runbook, f"{incident.runbook}.md")
            created = self._prefect.create_run(
                f"{playbook}/{playbook}",
                incident_ref=incident.ref,
                attempt=order.attempt,
                idempotency_key=order.key,
                name=_run_name(playbook, incident),
                tags=[incident.id, incident.service],
                queue=incident.severity.value,
            )
        except TemporaryError as error:
            if isinstance(error, NotDeployed):  # a new Prefect, or another than the one that we knew
                with contextlib.suppress(TemporaryError):
                    cause = (self._deploy() or {}).get(playbook)
                    if cause is not None:
                        self._hand_over(order, cause)
                        return None
            pause = timedelta(seconds=_BACKOFF.after(order.tries))
            log.warning("%s: Prefect did not create the run; tried again in %s: %s", incident.id, pause, error)
            with self._store.write() as tx:
                outbox.put_off(tx, order.incident, order.attempt, error=str(error), until=tx.now + pause)
            metrics.ORDERS.labels("put_off").inc()
            return None
        except BadDocument as error:
            self._hand_over(order, f"this version cannot read the runbook that it opened with: {error}")
            return None
        except PermanentError as error:
            self._hand_over(order, f"Prefect refuses the run: {error}")
            return None
        kill_point("run_created", incident.target)
        metrics.ORDERS.labels("created").inc()
        notify(self._store, RESPONDER, {"pool": self._pool, "queue": incident.severity.value, "run": created.payload})
        return created

    def _hand_over(self, order: Order, because: str) -> None:
        metrics.ORDERS.labels("handed_over").inc()
        with self._store.record() as tx:
            if incidents.get(tx, order.incident).attempt == order.attempt:
                lifecycle.hand_over(tx, order.incident, Outcome(Ending.HANDED_OVER, because), actor="dispatch")

    def _settle(self, order: Order, created: CreatedRun) -> None:
        with self._store.record() as tx:
            if not outbox.sent(tx, order.incident, order.attempt):
                return
            attempt = attempts.get(tx, order.incident, order.attempt)
            attempts.dispatched(tx, order.incident, order.attempt, flow_run=str(created.id))
            if created.state_type in FINISHED and attempt is not None and attempt.began_at is None:
                # The key met a run that is dead: that is not a dispatch, and the next attempt has a key of its own.
                attempts.raise_attempt(
                    tx,
                    order.incident,
                    after=order.attempt,
                    rungs=attempts.rungs_of(tx, order.incident),
                    reason=f"Prefect's run for attempt {order.attempt} is {created.state_type} and never began here{created.why}",
                )


@functools.lru_cache(maxsize=64)
def _playbook(text: str, name: str) -> str:
    """The playbook that the runbook names. Raises BadDocument."""
    return runbook_file.parse(text, name).playbook


def _run_name(playbook: str, incident: Incident) -> str:
    host = incident.target.split("/", 1)[0]
    return f"{playbook} · {incident.service} @ {host} · {incident.id}"
