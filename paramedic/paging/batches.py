"""What one person gets next: one message alone, or many in one digest, with room for the others and for the channels."""

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
    """A message that left, and could not be written down as sent."""

    at: float
    person: Person
    how: str


@dataclass
class Memory:
    """What this process knows of messages that the store does not: what left unrecorded, and when, by a steady clock."""

    steady: Callable[[], float]
    unrecorded: dict[int, Sent] = field(default_factory=dict)
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
class Job:
    """A message in this round: who may still get it, and what the others answered."""

    message: QueuedMessage
    people: list[Person]
    taken: bool = False
    asked: list[Person] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    later: list[Person] = field(default_factory=list)
    error: TemporaryError | None = None


@dataclass(frozen=True)
class Batch:
    """What goes to one person as one message."""

    jobs: tuple[Job, ...]
    person: Person

    @property
    def urgent(self) -> bool:
        return urgent(self.jobs[0].message)

    @property
    def channel(self) -> str:
        return channel_of(self.person.ways[0])


def order(job: Job) -> tuple[int, datetime, int]:
    """As the store orders what is due: the worst first, and notices last."""
    message = job.message
    return deliveries.rank(message), message.due_at, message.id


def next_batch(jobs: Sequence[Job], told: Counter[str], memory: Memory, a_minute: int) -> Batch | None:
    """What one person gets next: the worst alone, or all in one where so much has come; None: nothing, for a while."""
    person = jobs[0].people[0]
    singly, at_all = limits(jobs[0].message, a_minute)
    had = told[person.id] + memory.told_lately(person.id)
    if had >= at_all:
        return None
    alone = had < singly or len(jobs) == 1
    return Batch(tuple(jobs[:1] if alone else jobs[:_DIGEST]), person)


def has_room(batch: Batch, under_way: Sequence[Batch]) -> bool:
    """Nobody gets two at once, and no channel more than it takes; what is urgent waits for nothing but its like."""
    alike = [one for one in under_way if one.urgent or not batch.urgent]
    by_it = sum(one.channel == batch.channel for one in under_way)
    most = _URGENT_BY_ONE_CHANNEL if batch.urgent else _BY_ONE_CHANNEL
    return by_it < most and all(one.person.id != batch.person.id for one in alike)
