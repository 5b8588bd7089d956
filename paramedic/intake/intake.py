"""The intake loop: every alert in the inbox gets a decision, written with its consequence in one transaction."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType

from paramedic.alerts.alert import Alert, Status
from paramedic.alerts.flapping import Bounds, Flapping, key_of
from paramedic.alerts.held_back import HeldBack
from paramedic.alerts.last_word import LastWord
from paramedic.alerts.silence import Silence
from paramedic.catalog.library import Library
from paramedic.incidents.incident import Incident
from paramedic.intake import consequence, routing, triage
from paramedic.intake.consequence import Decided
from paramedic.intake.routing import Place
from paramedic.intake.triage import Known, Verdict
from paramedic.machine.kill_points import kill_point
from paramedic.store import (
    Store,
    StoreUnavailable,
    Tx,
    dependencies,
    fingerprints,
    flaps,
    inbox,
    incident_alerts,
    incidents,
    inhibitions,
    maintenance,
    messages,
    silences,
)
from paramedic.store.inbox import Receipt
from paramedic.text.yaml_document import BadDocument

log = logging.getLogger(__name__)

#: How long one transaction of decisions lasts, how many it makes at most, and how long others have the store after it.
_LONGEST_SECONDS, _MOST, _PAUSE_SECONDS = 0.05, 100, 0.01

#: The same while alerts come in, whose senders wait for each transaction: a tenth of the time is left to decide in, however many
#: come, and half where a critical one is among them.
_SHORT_SECONDS = 0.02
_YIELD_SECONDS, _URGENT_SECONDS = 0.18, 0.02


class Wake:
    """The signal that alerts have arrived."""

    def __init__(self) -> None:
        self._any, self._critical = threading.Event(), threading.Event()

    def set(self, *, critical: bool = False) -> None:
        """Signal that alerts arrived; `critical` if one of them is."""
        if critical:
            self._critical.set()
        self._any.set()

    def cleared(self) -> bool:
        """Whether alerts arrived since the last call; clears the signal."""
        came = self._any.is_set()
        self._any.clear()
        return came

    def wait(self, seconds: float) -> bool:
        """Wait until alerts arrive, at most `seconds`; whether any did."""
        came = self._any.wait(seconds)
        self._any.clear()
        return came

    def wait_critical(self, seconds: float) -> bool:
        """Wait until a critical alert arrives, at most `seconds`; whether one did."""
        came = self._critical.wait(seconds)
        self._critical.clear()
        return came


class Intake:
    """The loop that decides on every receipt. Several may run on one store: the first to decide wins."""

    def __init__(
        self,
        store: Store,
        load_library: Callable[[], Library],
        *,
        reopen_within: timedelta = timedelta(minutes=30),
        flapping: Bounds = Bounds(),  # noqa: B008 - frozen
        sender_services: Mapping[str, Collection[str]] = MappingProxyType({}),
        decided: Callable[[], None] = lambda: None,
        held_back: Callable[[HeldBack, int], None] = lambda *_: None,
    ) -> None:
        """An alert that fires again within `reopen_within` after a playbook resolved its incident reopens that incident.

        `flapping`: what counts as that, and how long it must be steady.

        `sender_services`: by a sender's name the services that it may speak for; one that is not there may for all.

        `load_library` is asked before each round of decisions, outside their transactions.

        `decided` is called after each decision that opened one; `held_back` with how many alerts what has held back, after their
        decisions are written.
        """
        self._store = store
        self._reopen_within = reopen_within
        self._flapping = flapping
        self._sender_services = sender_services
        self._load_library = load_library
        self._decided = decided
        self._count_held_back = held_back
        self._held_back: Counter[HeldBack] = Counter()  # within the transaction
        self._size = _MOST
        self._alerts_come = False

    def run(self, stop: threading.Event, wake: Wake, *, poll_seconds: float = 1.0) -> None:
        """Run until `stop`. Waits for a store that does not answer; nothing is lost meanwhile."""
        came = False
        while not stop.is_set():
            try:
                busy = self.decide_some(come=came) > 0
            except StoreUnavailable as error:
                log.warning("triage waits: %s", error)
                busy = False
            came = False
            if not busy:
                came = wake.wait(poll_seconds)
            elif wake.cleared():  # alerts come in: their senders wait now, and what is decided can catch up later
                self._alerts_come = True
                stop.wait(_URGENT_SECONDS)
                wake.wait_critical(_YIELD_SECONDS - _URGENT_SECONDS)
            else:
                self._alerts_come = False
                stop.wait(_PAUSE_SECONDS)

    def work(self) -> int:
        """Decide until nothing waits; returns the number of decisions. Raises StoreUnavailable."""
        count = 0
        while some := self.decide_some():
            count += some
        return count

    def decide_some(self, *, come: bool = False) -> int:
        """Decide on a part of what waits, the worst first; returns the number of decisions. Raises StoreUnavailable.

        Whether anything waits is not asked first where alerts are known to have `come`.
        """
        if not come:
            with self._store.read() as tx:
                if not inbox.any_waiting(tx):
                    return 0
        library = self._read_library()
        try:
            return self._decide_many(library)
        except StoreUnavailable:
            raise
        except Exception:  # the transaction is undone, whosever fault it was: one by one, only that one is given up
            log.exception("a batch of decisions could not be made; each is made alone")
            return self._decide_one_by_one(library)

    def _decide_many(self, library: Library) -> int:
        """Make many decisions in one short transaction: others need the store. The most urgent ones come first."""
        opened: list[str] = []
        longest = _SHORT_SECONDS if self._alerts_come else _LONGEST_SECONDS
        count, until = 0, time.monotonic() + longest
        self._held_back.clear()
        with self._store.record() as tx:
            receipts = inbox.waiting(tx, limit=self._size)
            quiet = silences.in_force(tx) if receipts else []
            for receipt in receipts:
                if count and (receipt.urgency != receipts[0].urgency or time.monotonic() > until):
                    break
                target = self._decide(tx, receipt, library, quiet)
                opened += [target] if target is not None else []
                count += 1
        if count:  # none where another gateway was first
            self._size = min(_MOST, 2 * count)  # what is read and then not decided on is read again
        self._say_held_back()
        for target in opened:
            kill_point("triaged", target)
        if opened:
            self._decided()
        return count

    def _say_held_back(self) -> None:
        for why, count in self._held_back.items():
            self._count_held_back(why, count)
        self._held_back.clear()

    def _decide_one_by_one(self, library: Library) -> int:
        with self._store.read() as tx:
            waiting = inbox.waiting(tx)
        for receipt in waiting:
            self._held_back.clear()
            try:
                with self._store.record() as tx:
                    waits = inbox.still_waits(tx, receipt)
                    opened = self._decide(tx, receipt, library, silences.in_force(tx)) if waits else None
            except StoreUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 - a fault about one alert keeps no other from its decision (P5)
                self._give_up(receipt, error)
            else:
                self._say_held_back()
                if opened is not None:
                    kill_point("triaged", opened)
                    self._decided()
        return len(waiting)

    def _give_up(self, receipt: Receipt, error: Exception) -> None:
        """Hand an alert on which no decision could be made to a person."""
        log.error("no decision on receipt %s", receipt.id, exc_info=error)
        reason = f"no decision could be made: {type(error).__name__}: {error}"
        with self._store.record() as tx:
            inbox.decided(tx, receipt, verdict="given up", reason=reason, incident=None, look_again_at=None)
            messages.queue_internal_alert(
                tx,
                subject=f"No decision on the alert {receipt.fields.get('name')}",
                body=f"{reason}\n\nIt opened no incident: look at it (`paramedic alert list`, receipt {receipt.id}).",
                same_within_minutes=10,
            )

    def _read_library(self) -> Library:
        """The current library. If it cannot be used, no runbook matches and every alert goes to a person."""
        try:
            return self._load_library()
        except BadDocument as error:
            log.error("every alert goes to a person: %s", error)  # noqa: TRY400 - its words say it
            return Library.unusable(error.problems)

    def _decide(self, tx: Tx, receipt: Receipt, library: Library, quiet: Sequence[Silence]) -> str | None:
        """Decide on a receipt that still waits; returns the target where an incident opened. `quiet`: the silences in force."""
        alert = triage.bounded(receipt.alert, receipt.received_at)
        at, live = routing.placed(tx, alert, library, self._sender_services.get(receipt.sender))
        known = self._known(tx, receipt, alert, at, live, library)
        known = replace(known, silence=next((silence for silence in quiet if silence.matches(alert)), None))
        alert = triage.begun_again(alert, known.last, receipt.received_at)
        known = replace(known, flaps=self._flaps(tx, receipt, alert, at, known))
        decision = triage.decide(alert, known)
        other = live is not None and at.runbook is not None and at.runbook.name != live.runbook
        if other or decision.verdict is Verdict.OPEN:
            decision = replace(decision, reason=f"{at.why}; {decision.reason}")
        kept = consequence.carry_out(tx, Decided(receipt, alert, at, live, known, decision), library.services)
        if decision.is_last_word and _is_end(alert, known.last):
            flaps.ended(tx, key_of(alert, service=at.service, target=at.target), self._flapping)
        if decision.is_last_word and known.last != LastWord(alert.status, alert.effective_at):
            fingerprints.remember(tx, alert, heard_at=receipt.received_at)
        if receipt.is_new and (decision.is_last_word or alert.informational):
            inhibitions.heard(tx, library.services.inhibit, alert)
        inbox.decided(
            tx,
            receipt,
            verdict=decision.verdict,
            reason=kept.reason,
            incident=kept.incident,
            look_again_at=decision.until,
            waits_for=kept.waits_for,
            held_by=decision.held_by,
        )
        if decision.held_by is not None:
            self._held_back[decision.held_by] += 1
        return at.target if kept.opened or decision.verdict in (Verdict.OPEN, Verdict.REOPEN) else None

    def _flaps(self, tx: Tx, receipt: Receipt, alert: Alert, at: Place, known: Known) -> Flapping | None:
        """Whether it flaps; not asked where the answer would change nothing: a repetition on its incident."""
        if alert.informational or alert.status is Status.ACKNOWLEDGED:
            return None
        turned = triage.is_newer(alert, known.last) and (known.last is None or known.last.status is not alert.status)
        if not turned and receipt.is_new and (known.live is not None or alert.status is Status.RESOLVED):
            return None
        begins = turned and receipt.is_new and alert.status is Status.FIRING
        key = key_of(alert, service=at.service, target=at.target)
        found = flaps.known(tx, alert, key, self._flapping, begins=begins)
        return replace(found, is_held=True) if found is not None and receipt.waits_for == found.waits_for else found

    def _known(  # noqa: PLR0917 - what a decision is based on
        self, tx: Tx, receipt: Receipt, alert: Alert, at: Place, live: Incident | None, library: Library
    ) -> Known:
        """The input of `triage.decide`; earlier incidents are not looked up where one is live."""
        known = Known(
            now=tx.now,
            live=(live.number, live.state) if live else None,
            last=triage.comparable(fingerprints.last_word(tx, alert.fingerprint), tx.now),
            reopen_within=self._reopen_within,
        )
        if at.runbook is not None:
            known = replace(known, settle=at.runbook.settle)
        if live is not None:
            return known
        return replace(
            known,
            well_at=incidents.well_at(tx, at.target),
            cured=incident_alerts.cured(
                tx, alert, service=at.service, target=at.target, runbook=at.runbook.name if at.runbook else None
            ),
            window=maintenance.covering(tx, service=at.service, target=at.target),
            down=dependencies.down(tx, library.services.needs.get(at.service, ())),
            waited=_waited(tx, receipt),
            inhibited=inhibitions.inhibiting(tx, library.services.inhibit, alert),
        )


def _is_end(alert: Alert, last: LastWord | None) -> bool:
    return alert.status is Status.RESOLVED and last is not None and last.status is Status.FIRING


def _waited(tx: Tx, receipt: Receipt) -> tuple[int, datetime] | None:
    """The incident that the alert waited for, and when that was over; None without one that is known to be."""
    number = dependencies.incident_of(receipt.waits_for)
    over_at = None if number is None else dependencies.over_at(tx, number)
    return None if number is None or over_at is None else (number, over_at)
