"""One round of messages: the worst first, several people at once, and what is too much for one person as one digest."""

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime

from paramedic.errors import PermanentError, TemporaryError
from paramedic.incidents.incident import name
from paramedic.machine.clock import utc_now
from paramedic.machine.kill_points import reached
from paramedic.oncall.rotation import Person
from paramedic.paging.backoff import limits, urgent
from paramedic.paging.outcome import Outcomes
from paramedic.paging.recipients import Recipients
from paramedic.paging.rendering import Rendering
from paramedic.paging.sending import Round, channel_of, send
from paramedic.settings import Settings
from paramedic.store import Store, StoreUnavailable, StoreUnknown, Tx, deliveries
from paramedic.store import oncall_overrides as kept_overrides
from paramedic.store.messages import QueuedMessage

log = logging.getLogger(__name__)

#: No message is begun after so much of a round, and no notice after so much: the rest waits for the next round.
_BEGIN_SECONDS = 20.0
_NOTICES_SECONDS = 10.0

#: By then every send of a round is over, whatever the channels do.
ROUND_SECONDS = 35.0

#: How many sends go by one channel at once; what is urgent finds room beside what is not.
_BY_ONE_CHANNEL, _URGENT_BY_ONE_CHANNEL = 4, 6

_AT_ONCE = 24

#: Quick channels are used one after the other, in order; where one is slow, the next send begins beside it.
_SLOW_SECONDS = 0.5

_LOOK_AT = 1_000  # messages at once
_DIGEST = 500  # messages in one

#: What one process could not write down, and what it says without the store, it says once in this many seconds.
SAME_WORD_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class _Sent:
    """A message that left, and could not be written down as sent."""

    at: float
    person: Person
    how: str


@dataclass
class Memory:
    """What this process knows of messages that the store does not: what left unrecorded, and when, by a steady clock."""

    steady: Callable[[], float]
    unrecorded: dict[int, _Sent] = field(default_factory=dict)
    _told: dict[str, deque[float]] = field(default_factory=dict)

    def forget_old(self) -> None:
        """What left so long ago may be repeated."""
        now = self.steady()
        kept = {number: sent for number, sent in self.unrecorded.items() if now - sent.at < 2 * SAME_WORD_SECONDS}
        self.unrecorded = kept

    def tell(self, person: str) -> None:
        """A message left to this person, and no row says so."""
        self._told.setdefault(person, deque(maxlen=100)).append(self.steady())

    def told_lately(self, person: str) -> int:
        """How many such messages the person got within a minute."""
        since = self.steady() - deliveries.PER.total_seconds()
        return sum(at > since for at in tuple(self._told.get(person, ())))  # another thread may add to it


@dataclass
class _Job:
    """A message in this round: who may still get it, and what the others answered."""

    message: QueuedMessage
    people: list[Person]
    taken: bool = False
    asked: list[Person] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    later: list[Person] = field(default_factory=list)
    error: TemporaryError | None = None


@dataclass(frozen=True)
class _Batch:
    """What goes to one person as one message."""

    jobs: tuple[_Job, ...]
    person: Person

    @property
    def urgent(self) -> bool:
        return urgent(self.jobs[0].message)

    @property
    def channel(self) -> str:
        return channel_of(self.person.ways[0])


class Delivery:
    """One round. Several may run at once on one store, in one process or in many."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        recipients: Recipients,
        memory: Memory,
        incident: int | None,
    ) -> None:
        self._store = store
        self._settings = settings
        self._recipients = recipients
        self._memory = memory
        self._incident = incident
        self._rendering = Rendering(store, settings, recipients)
        self._outcomes = Outcomes(store, recipients)
        self._channels = Round(ROUND_SECONDS)
        self._began = memory.steady()
        self._now = utc_now()  # until the store's clock is read
        self._jobs: dict[int, _Job] = {}
        self._done: set[int] = set()  # what this round need not look at again
        self._climbed: set[int | None] = set()  # incidents of which a rung was told or given up: one rung a round
        self._tired: set[str | None] = set()  # channels that said "later" to a notice
        self._lock = threading.Lock()

    def run(self) -> int:
        """Send what is due; how many messages left. Raises StoreUnavailable if nothing can be read at the start."""
        batch = self._next({})
        if batch is None:
            return 0
        left = 0
        under_way: dict[Future[int], _Batch] = {}
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="deliver") as pool:
            while batch is not None or under_way:
                if batch is not None:
                    under_way[pool.submit(self._deliver, batch)] = batch
                for future in wait(under_way, timeout=_SLOW_SECONDS, return_when=FIRST_COMPLETED).done:
                    del under_way[future]
                    left += future.result()
                try:
                    batch = self._next(under_way)
                except (StoreUnavailable, StoreUnknown) as error:
                    log.warning("no further message is looked for: %s", error)
                    batch = None
        for job in self._jobs.values():
            if job.taken:  # the time of the round ended before its next person's turn
                self._outcomes.put_off(job.message, TemporaryError("; ".join(job.refusals)))
        return left

    # --- what comes next ----------------------------------------------------------------------------------------------

    def _next(self, under_way: dict[Future[int], _Batch]) -> _Batch | None:
        """The most urgent of what may begin now, and is ours; None if there is none."""
        spent = self._memory.steady() - self._began
        while spent <= _BEGIN_SECONDS and self._channels.left() > 1:
            told = self._look()
            batch = self._plan(list(under_way.values()), told, notices=spent <= _NOTICES_SECONDS)
            if batch is None:
                return None
            mine = self._take(batch)
            if mine is not None:
                return mine
        return None

    def _look(self) -> Counter[str]:
        """Know every message that is due; how many each person got lately."""
        with self._store.read() as tx:
            due, self._now = deliveries.due(tx, limit=_LOOK_AT + len(self._memory.unrecorded)), tx.now
            if self._incident is not None:
                due += deliveries.due(tx, incident=self._incident, limit=_LOOK_AT)
            told = Counter(deliveries.told_lately(tx))
            self._recipients.stand_in(kept_overrides.current(tx))
        for message in due:
            with self._lock:
                known = message.id in self._jobs or message.id in self._done
                climbed = message.kind == "rung" and message.incident in self._climbed
            if not known and not climbed and not self._left_before(message):
                self._know(message, self._now)
        ids = {message.id for message in due}
        with self._lock:
            self._jobs = {number: job for number, job in self._jobs.items() if job.taken or number in ids}
        return told

    def _know(self, message: QueuedMessage, now: datetime) -> None:
        try:
            people = self._recipients.of(message, now, climbs=self._outcomes.writable)
            if not people and self._incident in (None, message.incident):
                people = self._people_above(message, now)
        except Exception:  # a fault in one message keeps no other from its person (P5)
            log.exception("message %s did not leave", message.id)
            people = []
        with self._lock:
            if people:
                self._jobs[message.id] = _Job(message, people)
            else:
                self._done.add(message.id)

    def _people_above(self, message: QueuedMessage, now: datetime) -> list[Person]:
        """Nobody can be told: the next rung is, at once. Without a store to write it to, its people are tried now."""
        if not self._held(lambda tx: [message.id] if deliveries.take(tx, message.id) else []):
            return []
        if not self._outcomes.writable and (above := self._recipients.of(message, now, climbs=False)):
            return above
        self._climbed.add(message.incident)
        self._outcomes.unreachable(message, f"{self._recipients.named(message)} is nobody who can be told now")
        return []

    def _left_before(self, message: QueuedMessage) -> bool:
        """Whether it left by this process, which could not write it down; that is tried again."""
        sent = self._memory.unrecorded.get(message.id)
        if sent is None:
            return False
        if self._outcomes.left([message], sent.person, sent.how):
            self._memory.unrecorded.pop(message.id, None)
            return True
        return self._memory.steady() - sent.at < SAME_WORD_SECONDS

    def _plan(self, under_way: Sequence[_Batch], told: Counter[str], *, notices: bool) -> _Batch | None:
        """The most urgent batch whose person and channel have room for it."""
        at_work = {job.message.id for batch in under_way for job in batch.jobs}
        waiting: dict[str, list[_Job]] = {}
        for job in sorted(self._jobs.values(), key=_order):
            message = job.message
            listens = message.kind == "notice"
            if message.id in at_work or (listens and (not notices or message.recipient in self._tired)):
                continue
            waiting.setdefault(job.people[0].id, []).append(job)
        found = [_batch(jobs, told, self._memory, self._settings.messages_a_minute) for jobs in waiting.values()]
        ready = [one for one in found if one is not None and self._is_asked_for(one) and _has_room(one, under_way)]
        return min(ready, key=lambda batch: _order(batch.jobs[0]), default=None)

    def _is_asked_for(self, batch: _Batch) -> bool:
        """A playbook waits for the people of its own incident, and for no channel that listens."""
        mine = [job.message for job in batch.jobs if job.message.incident == self._incident]
        return self._incident is None or any(message.kind != "notice" for message in mine)

    def _take(self, batch: _Batch) -> _Batch | None:
        """Hold them, and count them as this person's; None where others have them, or the person has had enough."""
        person, jobs = batch.person, {job.message.id: job for job in batch.jobs}
        held = {number: job.message.tries + 1 for number, job in jobs.items() if job.taken}
        at_most = limits(batch.jobs[0].message, self._settings.messages_a_minute)[1] - self._memory.told_lately(
            person.id
        )
        had = self._held(lambda tx: deliveries.take_for(tx, jobs, person.id, held=held, at_most=at_most), tuple(jobs))
        for number, job in jobs.items():
            job.taken = job.taken or number in had
            if number not in had:
                self._forget(number)
        mine = tuple(jobs[number] for number in jobs if number in had)
        for job in mine:
            reached("message_taken", _about(job.message))
        return _Batch(mine, person) if mine else None

    def _held(self, take: Callable[[Tx], list[int]], unwritten: Sequence[int] = (1,)) -> list[int]:
        """A store that cannot be written keeps no message from its person: then they are sent without being held."""
        if self._outcomes.writable:
            try:
                with self._store.write() as tx:
                    return take(tx)
            except StoreUnavailable as error:
                log.warning("messages are sent without being taken: %s", error)
                self._outcomes.writable = False
        return list(unwritten)

    def _forget(self, number: int) -> None:
        with self._lock:
            self._jobs.pop(number, None)
            self._done.add(number)

    # --- one batch ----------------------------------------------------------------------------------------------------

    def _deliver(self, batch: _Batch) -> int:
        try:
            return self._send(batch)
        except Exception:  # a fault in one message keeps no other from its person (P5)
            log.exception("messages %s did not leave", [job.message.id for job in batch.jobs])
            for job in batch.jobs:
                job.taken = False
                self._forget(job.message.id)
            return 0

    def _send(self, batch: _Batch) -> int:
        rendered = self._rendering.render([job.message for job in batch.jobs], batch.person)
        jobs = [job for job in batch.jobs if job.message not in rendered.needless]
        if rendered.needless:
            self._outcomes.needless(rendered.needless)
        if rendered.letter is None:
            self._settle(batch.jobs)
            return 0
        first = jobs[0].message
        number = first.id if len(jobs) == 1 else f"digest.{first.id}.{len(jobs)}"
        message = rendered.letter.addressed(batch.person.id, number, self._mark())
        refusals: list[str] = []
        later: TemporaryError | None = None
        for way in batch.person.ways:
            if refusals and not self._still_ours(jobs):
                self._settle(batch.jobs)
                return 0
            try:
                send(self._settings, self._channels, way, message)
            except TemporaryError as error:
                later = later or error
                refusals.append(f"{way.spoken}: {error}")
            except PermanentError as error:
                refusals.append(f"{way.spoken}: {error}")
            else:
                how = f"by {way.spoken}" + (f", after {'; '.join(refusals)}" if refusals else "")
                self._left(jobs, batch.person, how)
                self._settle(batch.jobs)
                return len(jobs)
        self._refused(jobs, batch.person, "; ".join(refusals), later)
        self._settle([job for job in batch.jobs if job.message in rendered.needless])
        return 0

    def _left(self, jobs: Sequence[_Job], person: Person, how: str) -> None:
        for job in jobs:
            reached("message_left", _about(job.message))
            self._memory.unrecorded[job.message.id] = _Sent(self._memory.steady(), person, how)
        later = {job.message.id: job.later for job in jobs}
        if self._outcomes.left([job.message for job in jobs], person, how, later):
            for job in jobs:
                self._memory.unrecorded.pop(job.message.id, None)
        else:
            self._memory.tell(person.id)

    def _refused(self, jobs: Sequence[_Job], person: Person, words: str, later: TemporaryError | None) -> None:
        """On to the next who may get it; where nobody is left, it waits or goes up."""
        for job in jobs:
            message = job.message
            job.asked.append(person)
            job.people = job.people[1:] or self._people_without_a_store(job)
            if later is not None:
                job.later.append(person)
                job.error = job.error or later
            said = f"{person.name if message.kind == 'notice' else person.id} cannot be told"
            job.refusals.append(words if later is not None and not job.people else f"{said}: {words}")
            if job.people:
                continue
            self._settle([job])
            if job.error is None:
                self._outcomes.unreachable(message, "; ".join(job.refusals))
                continue
            if message.kind == "notice":
                self._tired.add(message.recipient)
            self._outcomes.put_off(message, TemporaryError("; ".join(job.refusals), after=job.error.after))

    def _people_without_a_store(self, job: _Job) -> list[Person]:
        """No next rung can be queued: its people are tried at once."""
        if self._outcomes.writable or job.message.kind != "rung":
            return []
        above = self._recipients.of(job.message, self._now, climbs=False)
        return [person for person in above if person not in job.asked]

    def _settle(self, jobs: Sequence[_Job]) -> None:
        for job in jobs:
            job.taken = False
            if job.message.kind == "rung":
                self._climbed.add(job.message.incident)
            self._forget(job.message.id)

    def _still_ours(self, jobs: Sequence[_Job]) -> bool:
        """Several ways may take longer than a message is held: nobody else may begin with it meanwhile."""
        held = [job.message for job in jobs]
        return bool(self._held(lambda tx: [one.id for one in held if deliveries.keep(tx, one.id, taken=one.tries + 1)]))

    def _mark(self) -> str:
        """Whose message it is; a store that never answered cannot say."""
        try:
            return self._store.uuid
        except (StoreUnavailable, StoreUnknown):
            return "unknown"


def _order(job: _Job) -> tuple[int, datetime, int]:
    """As the store orders what is due: the worst first, and notices last."""
    message = job.message
    return deliveries.rank(message), message.due_at, message.id


def _batch(jobs: Sequence[_Job], told: Counter[str], memory: Memory, a_minute: int) -> _Batch | None:
    """What one person gets next: the worst alone, or all in one where so much has come; None: nothing, for a while."""
    person = jobs[0].people[0]
    singly, at_all = limits(jobs[0].message, a_minute)
    had = told[person.id] + memory.told_lately(person.id)
    if had >= at_all:
        return None
    alone = had < singly or len(jobs) == 1
    return _Batch(tuple(jobs[:1] if alone else jobs[:_DIGEST]), person)


def _has_room(batch: _Batch, under_way: Sequence[_Batch]) -> bool:
    """Nobody gets two at once, and no channel more than it takes; what is urgent waits for nothing but its like."""
    alike = [one for one in under_way if one.urgent or not batch.urgent]
    by_it = sum(one.channel == batch.channel for one in under_way)
    most = _URGENT_BY_ONE_CHANNEL if batch.urgent else _BY_ONE_CHANNEL
    return by_it < most and all(one.person.id != batch.person.id for one in alike)


def _about(message: QueuedMessage) -> str:
    return name(message.incident) if message.incident is not None else message.kind
