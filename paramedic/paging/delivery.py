"""One round of delivery: the worst messages first, several people at once, and a digest for a person with too many."""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime
from functools import partial

from paramedic.errors import TemporaryError
from paramedic.incidents.incident import name
from paramedic.machine.clock import utc_now
from paramedic.machine.kill_points import kill_point
from paramedic.oncall.rotation import Person
from paramedic.paging.backoff import limits
from paramedic.paging.batches import SAME_WORD_SECONDS, Batch, Job, Memory, Sent, has_room, next_batch, order
from paramedic.paging.contact_attempts import try_each
from paramedic.paging.outcome import Outcomes
from paramedic.paging.recipients import Recipients
from paramedic.paging.rendering import Rendering
from paramedic.paging.sending import Round, send
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


_AT_ONCE = 24

#: Quick channels are used one after the other, in order; where one is slow, the next send begins beside it.
_SLOW_SECONDS = 0.5

_LOOK_AT = 1_000  # messages at once


class Delivery:
    """One round of delivery. Several may run at once on one store, in one process or in many."""

    def __init__(
        self, store: Store, settings: Settings, recipients: Recipients, memory: Memory, incident: int | None
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
        self._jobs: dict[int, Job] = {}
        self._done: set[int] = set()  # what this round need not look at again
        self._escalated: set[int | None] = set()  # incidents of which a page was sent or given up: one step a round
        self._tired: set[str | None] = set()  # channels that said "later" to a notice
        self._lock = threading.Lock()

    def run(self) -> int:
        """Send what is due; returns how many messages were sent. Raises StoreUnavailable if nothing can be read at the start."""
        batch = self._next({})
        if batch is None:
            return 0
        left = 0
        under_way: dict[Future[int], Batch] = {}
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
                    log.warning("the queue of messages cannot be read, and this round ends: %s", error)
                    batch = None
        for job in self._jobs.values():
            if job.taken:  # the time of the round ended before its next person's turn
                self._outcomes.put_off(job.message, TemporaryError("; ".join(job.refusals)))
        return left

    def _next(self, under_way: dict[Future[int], Batch]) -> Batch | None:
        """The most urgent batch that may start now and that this round holds; None without one."""
        spent = self._memory.steady() - self._began
        while spent <= _BEGIN_SECONDS and self._channels.left() > 1:
            messages_had = self._look()
            batch = self._plan(list(under_way.values()), messages_had, notices=spent <= _NOTICES_SECONDS)
            if batch is None:
                return None
            mine = self._take(batch)
            if mine is not None:
                return mine
        return None

    def _look(self) -> Counter[str]:
        """Load every message that is due; returns how many each person got lately."""
        with self._store.read() as tx:
            due, self._now = deliveries.due(tx, limit=_LOOK_AT + len(self._memory.unrecorded)), tx.now
            if self._incident is not None:
                due += deliveries.due(tx, incident=self._incident, limit=_LOOK_AT)
            messages_had = Counter(deliveries.sent_lately(tx))
            overrides = kept_overrides.current(tx)
        self._recipients.stand_in(overrides)
        for message in due:
            if self._outcomes.waits(message, self._now):
                continue
            with self._lock:
                known = message.id in self._jobs or message.id in self._done
                escalated = message.kind == "rung" and message.incident in self._escalated
            if not known and not escalated and not self._left_before(message):
                self._know(message, self._now)
        ids = {message.id for message in due}
        with self._lock:
            self._jobs = {number: job for number, job in self._jobs.items() if job.taken or number in ids}
        return messages_had

    def _know(self, message: QueuedMessage, now: datetime) -> None:
        """Make a job of the message, or put it aside for this round where it has nobody."""
        try:
            people = self._recipients.of(message, now, escalates=self._outcomes.writable)
            if not people and self._incident in (None, message.incident):
                people = self._people_above(message, now)
        except Exception:  # a fault in one message keeps no other from its person (P5)
            log.exception("message %s was not sent", message.id)
            people = []
        with self._lock:
            if people:
                self._jobs[message.id] = Job(message, people)
            else:
                self._done.add(message.id)

    def _people_above(self, message: QueuedMessage, now: datetime) -> list[Person]:
        """No recipient can be reached: the next step is due at once. Without a writable store, its people are tried now."""
        if not self._held(lambda tx: [message.id] if deliveries.take(tx, message.id) else []):
            return []
        if not self._outcomes.writable and (above := self._recipients.of(message, now, escalates=False)):
            return above
        self._escalated.add(message.incident)
        self._outcomes.unreachable(message, f"{self._recipients.named(message)} is nobody who can be told now")
        return []

    def _left_before(self, message: QueuedMessage) -> bool:
        """Whether this process sent it already and could not record it; recording is tried again."""
        sent = self._memory.unrecorded.get(message.id)
        if sent is None:
            return False
        if self._outcomes.left([message], sent.person, sent.how):
            self._memory.unrecorded.pop(message.id, None)
            return True
        return self._memory.steady() - sent.at < SAME_WORD_SECONDS

    def _plan(self, under_way: Sequence[Batch], had: Counter[str], *, notices: bool) -> Batch | None:
        """The most urgent batch whose person and channel have room for it."""
        at_work = {job.message.id for batch in under_way for job in batch.jobs}
        waiting: dict[str, list[Job]] = {}
        for job in sorted(self._jobs.values(), key=order):
            message = job.message
            listens = message.kind == "notice"
            if message.id in at_work or (listens and (not notices or message.recipient in self._tired)):
                continue
            waiting.setdefault(job.people[0].id, []).append(job)
        found = [next_batch(jobs, had, self._memory, self._settings.messages_a_minute) for jobs in waiting.values()]
        ready = [due for due in found if due and _is_asked_for(due, self._incident) and has_room(due, under_way)]
        return min(ready, key=lambda batch: order(batch.jobs[0]), default=None)

    def _take(self, batch: Batch) -> Batch | None:
        """Hold the batch's messages for this person; None where others hold them, or the person's limit is reached."""
        person, jobs = batch.person, {job.message.id: job for job in batch.jobs}
        held = {number: job.message.tries + 1 for number, job in jobs.items() if job.taken}
        _, most = limits(batch.jobs[0].message, self._settings.messages_a_minute)
        at_most = most - self._memory.sent_lately(person.id)
        had = self._held(lambda tx: deliveries.take_for(tx, jobs, person.id, held=held, at_most=at_most), tuple(jobs))
        for number, job in jobs.items():
            job.taken = job.taken or number in had
            if number not in had:
                self._forget(number)
        mine = tuple(jobs[number] for number in jobs if number in had)
        for job in mine:
            kill_point("message_taken", _about(job.message))
        return Batch(mine, person) if mine else None

    def _held(self, take: Callable[[Tx], list[int]], unwritten: Sequence[int] = (1,)) -> list[int]:
        """Run the write; if the store cannot be written, the messages are sent without being held."""
        if self._outcomes.writable:
            try:
                with self._store.write() as tx:
                    return take(tx)
            except StoreUnavailable as error:
                log.warning("messages are sent without being held in the store: %s", error)
                self._outcomes.writable = False
        return list(unwritten)

    def _forget(self, number: int) -> None:
        with self._lock:
            self._jobs.pop(number, None)
            self._done.add(number)

    def _deliver(self, batch: Batch) -> int:
        try:
            return self._send(batch)
        except Exception:  # a fault in one message keeps no other from its person (P5)
            log.exception("messages %s were not sent", [job.message.id for job in batch.jobs])
            for job in batch.jobs:
                job.taken = False
                self._forget(job.message.id)
            return 0

    def _send(self, batch: Batch) -> int:
        rendered = self._rendering.render([job.message for job in batch.jobs], batch.person)
        jobs = [job for job in batch.jobs if job.message not in rendered.needless]
        if rendered.needless:
            self._outcomes.needless(rendered.needless)
        if rendered.message is None:
            self._settle(batch.jobs)
            return 0
        first = jobs[0].message
        number = first.id if len(jobs) == 1 else f"digest.{first.id}.{len(jobs)}"
        message = rendered.message.addressed(batch.person.id, number, store_mark(self._store))
        tried = try_each(
            batch.person.contact_methods,
            lambda method: send(self._settings, self._channels, method, message),
            still_ours=lambda: self._still_ours(jobs),
        )
        if tried.how is not None:
            self._left(jobs, batch.person, tried.how)
        if tried.how is not None or tried.lost:
            self._settle(batch.jobs)
            return len(jobs) if tried.how is not None else 0
        self._refused(jobs, batch.person, "; ".join(tried.refusals), tried.later)
        self._settle([job for job in batch.jobs if job.message in rendered.needless])
        return 0

    def _left(self, jobs: Sequence[Job], person: Person, how: str) -> None:
        """Remember that they were sent before it is written, so that a failing store causes no second sending."""
        for job in jobs:
            kill_point("message_left", _about(job.message))
            self._memory.unrecorded[job.message.id] = Sent(self._memory.steady(), person, how)
        later = {job.message.id: job.later for job in jobs}
        if self._outcomes.left([job.message for job in jobs], person, how, later):
            for job in jobs:
                self._memory.unrecorded.pop(job.message.id, None)
        else:
            self._memory.count_sent(person.id)

    def _refused(self, jobs: Sequence[Job], person: Person, words: str, later: TemporaryError | None) -> None:
        """Go on to the next recipient; without one, the message waits or escalates."""
        for job in jobs:
            message = job.message
            job.asked.append(person)
            job.people = job.people[1:] or self._people_without_a_store(job)
            if later is not None:
                job.later.append(person)
                job.error = job.error or later
            prefix = f"{person.name if message.kind == 'notice' else person.id} cannot be told"
            job.refusals.append(words if later is not None and not job.people else f"{prefix}: {words}")
            if job.people:
                continue
            self._settle([job])
            if job.error is None:
                self._outcomes.unreachable(message, "; ".join(job.refusals))
                continue
            if message.kind == "notice":
                self._tired.add(message.recipient)
            self._outcomes.put_off(message, TemporaryError("; ".join(job.refusals), after=job.error.after))

    def _people_without_a_store(self, job: Job) -> list[Person]:
        """No next step can be queued: its people are tried at once."""
        if self._outcomes.writable or job.message.kind != "rung":
            return []
        above = self._recipients.of(job.message, self._now, escalates=False)
        return [person for person in above if person not in job.asked]

    def _settle(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            job.taken = False
            if job.message.kind == "rung":
                self._escalated.add(job.message.incident)
            self._forget(job.message.id)

    def _still_ours(self, jobs: Sequence[Job]) -> bool:
        """Renew the hold: several contact methods may take longer than a message is held."""
        return bool(self._held(partial(_renew_holds, [job.message for job in jobs])))


def _renew_holds(held: Sequence[QueuedMessage], tx: Tx) -> list[int]:
    return [message.id for message in held if deliveries.renew_hold(tx, message.id, taken=message.tries + 1)]


def _about(message: QueuedMessage) -> str:
    return name(message.incident) if message.incident is not None else message.kind


def _is_asked_for(batch: Batch, incident: int | None) -> bool:
    """Whether a playbook waits for it: the people of its own incident count, channels do not."""
    mine = [job.message for job in batch.jobs if job.message.incident == incident]
    return incident is None or any(message.kind != "notice" for message in mine)


def store_mark(store: Store) -> str:
    """Whose store a message is of: its id; `unknown` where it never answered."""
    try:
        return store.uuid
    except (StoreUnavailable, StoreUnknown):
        return "unknown"
