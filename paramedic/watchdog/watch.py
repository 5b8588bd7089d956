"""The watchdog's round: every look, each on its own, and a person told where one shows trouble."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from paramedic import checkpoints, settings
from paramedic.clock import boottime, spoken
from paramedic.paging import Pager
from paramedic.settings import Settings
from paramedic.store import Store, StoreUnavailable
from paramedic.store.messages import queue_trouble
from paramedic.watchdog.looks import Looks
from paramedic.watchdog.prefect import PrefectEyes

log = logging.getLogger(__name__)

#: A checkpoint at the latest after so many seconds, if the trail has grown.
_CHECKPOINT_SECONDS = 60.0


@dataclass
class _Silence:
    """How long something has not answered."""

    name: str
    since: float | None = None
    told: bool = False


class Watchdog:
    """Looks around. It is a process of its own, so that what it watches can die without it."""

    def __init__(self, chosen: Settings, store: Store, pager: Pager, prefect: PrefectEyes) -> None:
        self._settings = chosen
        self._store = store
        self._pager = pager
        self._prefect = prefect
        self._looks = Looks(store, chosen, prefect)
        self._silences = {name: _Silence(name) for name in ("the store", "the Prefect server", "the gateway")}
        self._checkpoint_at = boottime()
        self._heartbeat_at = 0.0
        self._http = httpx.Client(timeout=2.0, trust_env=False)

    def look(self) -> None:
        """One round."""
        self._listen("the store", self._store_answers())
        self._listen("the Prefect server", self._prefect.healthy())
        self._listen("the gateway", self._gateway_answers())
        looks: list[Callable[[], object]] = [
            self._looks.attempts,
            self._looks.orders,
            self._looks.orphans,
            self._looks.inbox,
            self._pager.deliver_due,
            self._checkpoint,
            self._heartbeat,
        ]
        for one in looks:
            try:
                one()
            except StoreUnavailable as error:
                log.warning("%s waits: %s", one.__name__, error)
            except Exception:  # noqa: BLE001 - the watchdog's edge: whatever fails in one look, the others are taken
                log.exception("a look failed: %s", one.__name__)

    def _listen(self, name: str, answers: bool) -> None:  # noqa: FBT001 - a fact, not a switch
        silence = self._silences[name]
        if answers:
            if silence.told:
                self._tell(f"{name} answers again", f"{name} answers again.")
            silence.since, silence.told = None, False
            return
        if silence.since is None:
            silence.since = boottime()
        if not silence.told and boottime() - silence.since >= self._settings.silent_after.total_seconds():
            words = f"{name} has not answered for {spoken(self._settings.silent_after)}. Alerts may not be acted on."
            silence.told = self._tell(f"{name} does not answer", words)

    def _tell(self, subject: str, body: str) -> bool:
        """Through the store where it works, for its record; else straight to the person."""
        try:
            with self._store.write() as tx:
                queue_trouble(tx, subject=subject, body=body, same_within_minutes=1)
        except StoreUnavailable:
            return self._pager.page_directly(subject, body)
        return True

    def _store_answers(self) -> bool:
        """Whether it can be written: one that is full or locked is as good as gone."""
        try:
            with self._store.write() as tx:
                tx.conn.exec_driver_sql("UPDATE meta SET generation = generation")
        except StoreUnavailable as error:
            log.warning("%s", error)
            return False
        return True

    def _gateway_answers(self) -> bool:
        try:
            return self._http.get(f"http://{self._settings.host}:{self._settings.port}/healthz").is_success
        except httpx.HTTPError:
            return False

    def _checkpoint(self) -> None:
        if boottime() - self._checkpoint_at >= _CHECKPOINT_SECONDS:
            checkpoints.write(self._store, settings.signing_key(self._settings), self._settings.checkpoints())
            self._checkpoint_at = boottime()

    def _heartbeat(self) -> None:
        """Out to an address that the operator named: when it stops, somebody outside knows that we are gone."""
        url = self._settings.heartbeat_url
        if url is None or boottime() - self._heartbeat_at < self._settings.heartbeat_every.total_seconds():
            return
        self._heartbeat_at = boottime()
        quiet = [silence.name for silence in self._silences.values() if silence.since is not None]
        try:
            self._http.post(url.get_secret_value(), json={"paramedic": "alive", "silent": quiet}).raise_for_status()
        except httpx.HTTPError as error:
            log.warning("the heartbeat did not leave: %s", type(error).__name__)
