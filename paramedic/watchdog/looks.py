"""What the watchdog looks at. Each look stands alone: one that fails stops no other."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select

from paramedic.clock import spoken
from paramedic.incident import Incident, State
from paramedic.outcome import Ending, Outcome
from paramedic.settings import Settings
from paramedic.store import Store, Tx, claims, inbox, incidents, messages, outbox
from paramedic.store.incidents import Attempt
from paramedic.store.tables import attempts, grants, outbox as orders
from paramedic.store.tables import incidents as table
from paramedic.store.tables import messages as letters
from paramedic.watchdog.prefect import FINISHED, GONE, STOPPED, PrefectEyes


@dataclass(frozen=True, slots=True)
class Suspect:
    """An attempt that nobody seems to work on."""

    attempt: Attempt
    incident: Incident
    silent_for: timedelta
    began: bool


class Looks:
    """The looks that need the store."""

    def __init__(self, store: Store, chosen: Settings, prefect: PrefectEyes) -> None:
        self._store = store
        self._settings = chosen
        self._prefect = prefect

    def attempts(self) -> None:
        """An attempt whose run died, or that nobody takes, goes on with a higher one, or to a person."""
        with self._store.read() as tx:
            suspects = [found for one in incidents.open_attempts(tx) if (found := self._suspect(tx, one))]
        for suspect in suspects:
            state = self._prefect.state(suspect.attempt.flow_run) if suspect.attempt.flow_run else None
            self._judge(suspect, state)

    def _suspect(self, tx: Tx, attempt: Attempt) -> Suspect | None:
        incident = incidents.get(tx, attempt.incident)
        if incident.state not in (State.OPEN, State.WORKING) or incident.attempt != attempt.attempt:
            return None
        if attempt.began_at is None:
            if attempt.dispatched_at is None:
                return None  # the outbox has it; `orders` looks there
            silent = tx.now - attempt.dispatched_at
            return Suspect(attempt, incident, silent, began=False) if silent > self._settings.claim_within else None
        held = claims.of_attempt(tx, attempt.incident, attempt.attempt)
        if held is not None and held[1]:
            return None  # whatever Prefect says: believe the claim
        last_seen = max(attempt.began_at, held[0].lease_until) if held is not None else attempt.began_at
        silent = tx.now - last_seen
        return Suspect(attempt, incident, silent, began=True) if silent > self._patience(held is not None) else None

    def _patience(self, had_claim: bool) -> timedelta:  # noqa: FBT001 - a fact, not a switch
        """A lease that ran out speaks for itself; a run that has none yet may still be waiting for one."""
        return timedelta(0) if had_claim else self._settings.claim_within

    def _judge(self, suspect: Suspect, state: str | None) -> None:
        attempt = suspect.attempt
        if state in STOPPED:
            self._hand_over(suspect, "an operator cancelled the run in Prefect")
        elif suspect.began:
            self._hand_on(
                suspect, f"the run of attempt {attempt.attempt} lost its claim (Prefect says {state or 'nothing'})"
            )
        elif state in ("SCHEDULED", "PAUSED") or state is None:
            if suspect.silent_for > max(timedelta(seconds=60), 2 * self._settings.claim_within):
                why = "Prefect does not answer" if state is None else "is the responder up?"
                self._hand_over(suspect, f"nobody took the run for {spoken(suspect.silent_for)}: {why}")
        elif state in (*FINISHED, GONE, "PENDING", "RUNNING"):
            self._hand_on(suspect, f"the run of attempt {attempt.attempt} is {state} and never began here")

    def _hand_on(self, suspect: Suspect, reason: str) -> None:
        number, attempt = suspect.attempt.incident, suspect.attempt.attempt
        if attempt >= self._settings.max_attempts:
            self._hand_over(suspect, f"{reason}; that was attempt {attempt} of {self._settings.max_attempts}")
            return
        with self._store.record() as tx:
            known = select(grants.c.rung).where(grants.c.incident == number)
            rungs = max(tx.conn.execute(known).scalars(), default=0)
            incidents.raise_attempt(tx, number, after=attempt, rungs=rungs, reason=reason)

    def _hand_over(self, suspect: Suspect, reason: str) -> None:
        with self._store.record() as tx:
            now = incidents.get(tx, suspect.incident.number)
            if now.attempt == suspect.attempt.attempt and now.state in (State.OPEN, State.WORKING):
                incidents.hand_over(tx, now.number, Outcome(Ending.HANDED_OVER, reason), actor="watchdog")

    def orders(self) -> None:
        """An order that Prefect does not take for too long goes to a person."""
        with self._store.read() as tx:
            late = tx.now - self._settings.silent_after
            query = select(orders).where(orders.c.state == "waiting", orders.c.written_at < late)
            stuck = list(tx.conn.execute(query))
        for row in stuck:
            with self._store.record() as tx:
                now = incidents.get(tx, row.incident)
                if now.attempt == row.attempt and now.state is State.OPEN:
                    words = f"Prefect could not be asked to work on it for {spoken(self._settings.silent_after)}"
                    reason = f"{words}: {row.last_error or 'nobody asked: is dispatch up?'}"
                    incidents.hand_over(tx, now.number, Outcome(Ending.HANDED_OVER, reason), actor="watchdog")

    def orphans(self) -> None:
        """No incident without somebody: one that nothing works on, or that nobody is being told of, gets its person."""
        with self._store.record() as tx:
            working = select(attempts.c.incident).where(attempts.c.state == "open")
            lost = select(table.c.number).where(
                table.c.state.in_((State.OPEN, State.WORKING)), table.c.number.not_in(working)
            )
            for number in list(tx.conn.execute(lost).scalars()):
                words = "nothing works on it: a lost run, or a fault in Paramedic"
                incidents.hand_over(tx, number, Outcome(Ending.HANDED_OVER, words), actor="watchdog")
            climbing = select(letters.c.incident).where(
                letters.c.kind == "rung", letters.c.state.in_(("due", "sending")), letters.c.incident.is_not(None)
            )
            silent = select(table.c.number, table.c.policy).where(
                table.c.state == State.HANDED_OVER, table.c.number.not_in(climbing)
            )
            for number, policy in list(tx.conn.execute(silent)):
                messages.queue_rung(tx, incident=number, policy=policy, rung=0, due_at=tx.now)

    def inbox(self) -> None:
        """Alerts that wait too long for their decision: somebody should look at the gateway."""
        with self._store.read() as tx:
            waiting, oldest = inbox.depth(tx)
            late = oldest is not None and tx.now - oldest > self._settings.silent_after
        if late:
            with self._store.write() as tx:
                messages.queue_trouble(
                    tx,
                    subject="Alerts wait for their decision",
                    body=f"{waiting} alerts have no decision yet; is the gateway up?",
                    same_within_minutes=30,
                )

    def outbox_age(self) -> timedelta:
        """How long the oldest order has waited: a figure for `doctor`."""
        with self._store.read() as tx:
            oldest = outbox.oldest_waiting(tx)
            return tx.now - oldest if oldest else timedelta(0)
