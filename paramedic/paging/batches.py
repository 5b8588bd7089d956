"""Batches: what one person gets next, one message or a digest of many, within the limits of people and channels."""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from paramedic.errors import TemporaryError
from paramedic.oncall.rotation import Person
from paramedic.paging.backoff import limits, urgent
from paramedic.paging.sending import channel_of
from paramedic.store import deliveries
from paramedic.store.messages import QueuedMessage

#: How many sends go by one channel at once; what is urgent finds room beside what is not.
_BY_ONE_CHANNEL, _URGENT_BY_ONE_CHANNEL = 4, 6


_DIGEST = 500  # messages in one

#: What one process could not write down, and what it says without the store, it says once in this many seconds.
SAME_WORD_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that was sent, and could not be recorded as sent."""

    at: float
    person: Person
    how: str


@dataclass
class Memory:
    """What only this process knows about messages: which were sent unrecorded, and when, by a steady clock."""

    steady: Callable[[], float]
    unrecorded: dict[int, Sent] = field(default_factory=dict)
    _sent_at: dict[str, deque[float]] = field(default_factory=dict)

    def forget_old(self) -> None:
        """Forget messages that were sent so long ago that they may be repeated."""
        now = self.steady()
        recent = {number: sent for number, sent in self.unrecorded.items() if now - sent.at < 2 * SAME_WORD_SECONDS}
        self.unrecorded = recent

    def count_sent(self, person: str) -> None:
        """Count a message to this person that the store does not know."""
        self._sent_at.setdefault(person, deque(maxlen=100)).append(self.steady())

    def sent_lately(self, person: str) -> int:
        """How many such messages the person got within the last minute."""
        since = self.steady() - deliveries.PER.total_seconds()
        return sum(at > since for at in tuple(self._sent_at.get(person, ())))  # another thread may add to it


@dataclass
class Job:
    """A message in this round: the people who may still get it, and what the others answered."""

    message: QueuedMessage
    people: list[Person]
    taken: bool = False
    asked: list[Person] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    later: list[Person] = field(default_factory=list)
    error: TemporaryError | None = None


@dataclass(frozen=True)
class Batch:
    """The queued messages that go to one person as one message."""

    jobs: tuple[Job, ...]
    person: Person

    @property
    def urgent(self) -> bool:
        return urgent(self.jobs[0].message)

    @property
    def channel(self) -> str:
        return channel_of(self.person.contact_methods[0])


def order(job: Job) -> tuple[tuple[int, int], datetime, int]:
    """The sort key of what is due, as in the store: the worst first, channel updates last."""
    message = job.message
    return deliveries.rank(message), message.due_at, message.id


def next_batch(jobs: Sequence[Job], messages_had: Counter[str], memory: Memory, a_minute: int) -> Batch | None:
    """The person's next batch: the worst message alone, or all in one when there are many; None: nothing for now."""
    person = jobs[0].people[0]
    singly, at_all = limits(jobs[0].message, a_minute)
    had = messages_had[person.id] + memory.sent_lately(person.id)
    if had >= at_all:
        return None
    alone = had < singly or len(jobs) == 1
    return Batch(tuple(jobs[:1] if alone else jobs[:_DIGEST]), person)


def has_room(batch: Batch, under_way: Sequence[Batch]) -> bool:
    """Whether the batch may start: one at a time per person, and a limit per channel; urgent ones wait only for urgent ones."""
    alike = [other for other in under_way if other.urgent or not batch.urgent]
    by_it = sum(other.channel == batch.channel for other in under_way)
    most = _URGENT_BY_ONE_CHANNEL if batch.urgent else _BY_ONE_CHANNEL
    return by_it < most and all(other.person.id != batch.person.id for other in alike)
