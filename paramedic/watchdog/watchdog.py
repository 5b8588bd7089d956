"""The watchdog's rounds: every look, independently, and a page where one finds a problem."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import httpx

from paramedic import keys
from paramedic.audit.chain import Checkpoint
from paramedic.errors import PermanentError, TemporaryError
from paramedic.machine.clock import boot, boottime, spoken
from paramedic.paging import Pager
from paramedic.settings import Settings, web_address
from paramedic.store import Store, StoreUnavailable, StoreUnknown, clock_jumps, generation, kill_switch, write_probe
from paramedic.store import trail as stored_trail
from paramedic.store.messages import queue_internal_alert
from paramedic.store.table_facts import declared
from paramedic.text.sanitize import one_line
from paramedic.transports import http_deadline
from paramedic.upkeep import checkpoints
from paramedic.watchdog import metrics
from paramedic.watchdog.attempts import Attempts
from paramedic.watchdog.look import Look
from paramedic.watchdog.missing_processes import Missing
from paramedic.watchdog.orphaned_runs import Runs
from paramedic.watchdog.outward_heartbeat import OutwardHeartbeat
from paramedic.watchdog.prefect_status import PrefectStatus
from paramedic.watchdog.stuck_work import Looks

log = logging.getLogger(__name__)

#: A checkpoint is due after this many entries, and after this many seconds if there is a new one at all.
_CHECKPOINT_ENTRIES = 100
_CHECKPOINT_SECONDS = 60.0

#: Two clocks that were read within this time were read at once.
_AT_ONCE_SECONDS = 1.0

#: So long the next look waits for the one before (a store that is locked takes 5 s to say so), and a round for all of them: then
#: they go on without it.
_LOOK_SECONDS, _ROUND_SECONDS = 12.0, 30.0

_STORE, _PREFECT, _GATEWAY = "the store", "the Prefect server", "the gateway"


@dataclass
class _NoAnswer:
    """Since when something has not answered, and when a person was paged, by the steady clock."""

    since: float | None = None
    told_at: float | None = None


class Watchdog:
    """Runs the looks, in its own process, so that what it watches can die without it.

    `probe` is a second Store on the same database: it reconnects in every round, because an open connection
    says nothing about a file that is gone or a server that accepts no more. `steady` is a clock in seconds that never jumps.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        probe: Store,
        pager: Pager,
        prefect: PrefectStatus,
        *,
        steady: Callable[[], float] = boottime,
    ) -> None:
        self._settings = settings
        self._store = store
        self._probe = probe
        self._pager = pager
        self._prefect = prefect
        self._steady = steady
        self._unanswered = {name: _NoAnswer() for name in (_STORE, _PREFECT, _GATEWAY)}
        self._uuid: str | None = None
        self._refused: str | None = None
        self._checkpoint_at = steady()
        self._outward = OutwardHeartbeat(settings, steady)
        self._http = http_deadline.client(seconds=2.0)
        looks = Looks(store, settings)
        self._looks: list[Callable[[], object]] = [
            self.keep_pace,
            self.listen_to_the_store,
            self.listen_to_prefect,
            self.listen_to_the_gateway,
            looks.unapproved,
            Attempts(store, settings, prefect, steady).look,
            Runs(store, prefect).look,
            Missing(store, settings, steady).look,
            looks.orders,
            looks.orphans,
            looks.unjudged,
            looks.unlooked,
            looks.untold,
            looks.waiting_alerts,
            pager.end_acknowledgements,
            looks.untaken_checks,
            pager.deliver_due,
            self.checkpoint,
            self.heartbeat,
        ]
        self._threads = [Look() for _ in self._looks]
        self._listening = {_name(self.listen_to_the_store): _STORE, _name(self.listen_to_prefect): _PREFECT}
        self._listening[_name(self.listen_to_the_gateway)] = _GATEWAY
        self._telling = Look()
        self.beat: Callable[[], None] = lambda: None  # shows `up` that the rounds go on

    def look(self) -> None:
        """One round: every look in turn, whatever the outcome of the others.

        One that hangs is left behind: the next ones begin without it, and it is not started again before it is
        back. A round waits for at most _ROUND_SECONDS in all.
        """
        began, remaining = time.monotonic(), _ROUND_SECONDS
        for look, thread in zip(self._looks, self._threads, strict=True):
            self.beat()
            remaining -= thread.take(partial(self._guarded, look), min(remaining, _LOOK_SECONDS))
        self._telling.take(partial(self._guarded, self.report_stuck), min(remaining, _LOOK_SECONDS))
        metrics.STUCK.set(sum(thread.stuck_seconds() is not None for thread in self._threads))
        metrics.ROUND.observe(time.monotonic() - began)
        metrics.ROUND_AT.set_to_current_time()

    def _guarded(self, look: Callable[[], object]) -> None:
        """Take one look; a fault in it is reported and stops no other look."""
        name = _name(look)
        try:
            look()
        except (StoreUnavailable, StoreUnknown) as error:
            log.warning("the look %s waits: %s", name, error)
            self._refused = str(error)  # the next look at the store tells somebody
        except Exception as error:  # a fault in one look keeps no other from being taken, and is told (P5)
            log.exception("the look %s failed", name)
            metrics.FAULTS.labels(name).inc()
            subject, words = f"The watchdog fails at {name}", f"{type(error).__name__}: {error}"
            if look == self._pager.deliver_due:  # what is queued would not leave
                self._page_directly(subject, words)
            else:
                self._page(subject, words, once_in=self._pager.repeat)

    def report_stuck(self) -> None:
        """Report a look that hangs: what it waits for does not answer, or it is at fault itself."""
        for look, thread in zip(self._looks, self._threads, strict=True):
            name, stuck = _name(look), thread.stuck_seconds()
            if stuck is None:
                continue
            if name in self._listening:  # as if it did not answer
                self._listen(self._listening[name], f"a look at it has not come back for {stuck:.0f} s")
            elif stuck >= self._settings.silent_after.total_seconds() and not thread.is_reported:
                words = f"{name} has not come back for {stuck:.0f} s. The other looks go on without it."
                log.error("%s", words)
                thread.is_reported = self._page(
                    "A look of the watchdog stands still", words, once_in=self._pager.repeat
                )

    def keep_pace(self) -> None:
        """Correct timers for a clock that was set back, and page a person about it."""
        began, started = self._steady(), boot()
        with self._store.read() as tx:
            if clock_jumps.in_step(tx, started, self._steady()):
                return
        declared()  # reads the store's modules from the disk: not while the transaction holds the store
        with self._store.record() as tx:
            steady = self._steady()
            if steady - began > _AT_ONCE_SECONDS:  # it slept meanwhile: these may be two moments
                return
            back = clock_jumps.keep_pace(tx, started, steady)
        if back:
            self._page(
                "The clock went back",
                f"The store's clock went back by {spoken(back)}. What waits for a moment goes back with it: pages, "
                "leases, approvals and acknowledgements come when they would have come.",
            )

    # --- does it answer? ----------------------------------------------------------------------------------------------

    def listen_to_the_store(self) -> None:
        """Page a person when the store cannot be written: nothing acts, and no alert is accepted.

        A write refused to a look of the last round counts too: a full disk may still have room for a smaller one.
        """
        complaint, self._refused = self._refused, None
        try:
            self._write_something()
            self._store.close()  # to go on with what answers now, whatever stood there before
        except (TemporaryError, PermanentError) as error:
            complaint = str(error).partition("\n")[0]
            log.warning("%s", complaint)
        finally:
            self._probe.close()
        self._listen(_STORE, complaint)

    def _write_something(self) -> None:
        self._uuid = write_probe.write(self._probe, "watchdog", expected=self._uuid)

    def listen_to_prefect(self) -> None:
        """Page a person when Prefect does not answer: no playbook runs."""
        self._listen(_PREFECT, self._prefect.complaint())

    def listen_to_the_gateway(self) -> None:
        """Page a person when the gateway does not answer or accepts no alerts. A store that is away is reported once."""
        address = (self._settings.gateway_url or web_address(self._settings.host, self._settings.port)).rstrip("/")
        complaint = None
        try:
            answer = self._http.get(f"{address}/healthz")
            if answer.is_success and self._unanswered[_STORE].since is None:
                answer = self._http.get(f"{address}/readyz")
            complaint = None if answer.is_success else f"HTTP {answer.status_code}: {one_line(answer.text)[:100]}"
        except httpx.HTTPError as error:
            complaint = type(error).__name__
        self._listen(_GATEWAY, complaint)

    def _listen(self, name: str, complaint: str | None) -> None:
        """Page a person about one that gives no answer for long, repeatedly, and about its end."""
        unanswered, now = self._unanswered[name], self._steady()
        metrics.UNANSWERED.labels(name).set(complaint is not None)
        if complaint is None:
            told_at, unanswered.since, unanswered.told_at = unanswered.told_at, None, None
            if told_at is not None:
                self._page(f"{name} answers again", f"{name} answers again.")
            return
        unanswered.since = now if unanswered.since is None else unanswered.since
        if now - unanswered.since < self._settings.silent_after.total_seconds():
            return
        if unanswered.told_at is None or now - unanswered.told_at >= self._pager.repeat.total_seconds():
            after = spoken(self._settings.silent_after)
            words = f"{name} has not answered for {after} or longer: {complaint}.\n\nAlerts may not be acted on."
            if self._page(f"{name} does not answer", words):
                unanswered.told_at = now

    def _page(self, subject: str, body: str, *, once_in: timedelta = timedelta(minutes=1)) -> bool:
        """Page through the store where it works, for the record; else directly."""
        if self._unanswered[_STORE].since is None:
            try:
                with self._store.write() as tx:
                    minutes = math.ceil(once_in / timedelta(minutes=1))
                    queue_internal_alert(tx, subject=subject, body=body, same_within_minutes=minutes, times=0)
            except Exception:  # whatever keeps the word from the store, the person hears it
                log.exception("paged without the store: %s", subject)
            else:
                return True
        return self._page_directly(subject, body)

    def _page_directly(self, subject: str, body: str) -> bool:
        told = self._pager.page_directly(subject, body)
        metrics.DIRECT.labels("told" if told else "unreachable").inc()
        return told

    # --- what it leaves outside ---------------------------------------------------------------------------------------

    def checkpoint(self) -> None:
        """Sign a checkpoint of the trail outside the database, after proving that it follows from the last one.

        Where it does not follow, nothing is signed, acts are paused, and a person is paged until somebody vouches for it.
        """
        path = self._settings.checkpoints()
        last = checkpoints.newest(path)
        with self._store.read() as tx:
            entry = stored_trail.head(tx)
            ours = last is not None and last.store == tx.store
            again = last is not None and last.generation != generation(tx)
        grown = (entry.seq if entry is not None else 0) - (last.seq if last is not None and ours else 0)
        waited = self._steady() - self._checkpoint_at
        try:
            if again or grown < 0 or grown >= _CHECKPOINT_ENTRIES or (grown and waited >= _CHECKPOINT_SECONDS):
                checkpoints.sign(self._store, self._settings)
                self._checkpoint_at = self._steady()
            else:
                self._still_stands(last, path)
        except checkpoints.Unproven as error:
            self._distrust(str(error))

    def _still_stands(self, last: Checkpoint | None, path: Path) -> None:
        if last is not None:
            key = keys.public_key(self._settings)
            with self._store.read() as tx:
                checkpoints.prove(tx, last, key, path)

    def _distrust(self, why: str) -> None:
        """Pause acts and page a person: the trail cannot be proven."""
        self._page(
            "The trail is not what its last checkpoint saw",
            f"{why}. Nothing is signed, and acts are paused. Run `paramedic audit verify`; who could edit the store? Where "
            "you know why, `paramedic audit vouch` signs the trail as it stands now, and `paramedic resume` allows acts.",
            once_in=self._pager.repeat,
        )
        with self._store.record() as tx:
            reason = "the trail is not what its last checkpoint saw"
            kill_switch.pause(tx, by="watchdog", reason=reason, actor="watchdog")

    def heartbeat(self) -> None:
        """Send the outward heartbeat, except while the store is away and no person could be paged about it."""
        store = self._unanswered[_STORE]
        lasted = self._steady() - store.since if store.since is not None else 0.0
        self._outward.beat(
            silent=[name for name, unanswered in self._unanswered.items() if unanswered.since is not None],
            nobody_knows=lasted >= self._settings.silent_after.total_seconds() and store.told_at is None,
        )


def _name(look: Callable[[], object]) -> str:
    return getattr(look, "__qualname__", repr(look))
