"""The recipients of a message: the people who may get it, in order."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from paramedic.oncall import overrides_file
from paramedic.oncall.contact import parse_contact_method
from paramedic.oncall.escalation import ONCALL, Policy
from paramedic.oncall.on_call import Oncall
from paramedic.oncall.rotation import Override, Person
from paramedic.store.messages import QueuedMessage


class OnCallBook(Protocol):
    """A source of the on-call data: a Library, or an OncallFile."""

    @property
    def oncall(self) -> Oncall:
        """oncall.yaml, read again at each access where it is a file."""


class Recipients:
    """Resolves messages to people: who is on call now, and who comes after them."""

    def __init__(self, book: OnCallBook, folder: Path) -> None:
        """`folder` holds a copy of the overrides, for when the store is away."""
        self._book = book
        self._read: Oncall | None = None
        self._folder = folder
        self._overrides = overrides_file.read_copy(folder)

    @property
    def oncall(self) -> Oncall:
        """oncall.yaml as `read_again` found it, with the overrides as they were last known."""
        self._read = self._read or self._book.oncall
        return replace(self._read, overrides=self._overrides)

    def read_again(self) -> None:
        """Read oncall.yaml as it is now: at the begin of a round, for a file must not be waited for inside a transaction."""
        self._read = self._book.oncall

    def stand_in(self, current: tuple[Override, ...]) -> None:
        """Use the store's overrides from now on, and update their copy on disk."""
        if current != self._overrides:
            self._overrides = current
            overrides_file.write_copy(self._folder, current)

    def policy(self, message: QueuedMessage) -> Policy:
        """The policy that the message is escalated by."""
        return self.oncall.policy(message.policy, message.severity)

    def named(self, message: QueuedMessage) -> str:
        """The recipient as named in the message or in its policy's step."""
        if message.kind != "rung":
            return message.recipient or ONCALL
        return message.recipient or self.policy(message).step(message.step).tell

    def of(self, message: QueuedMessage, now: datetime, *, escalates: bool = True) -> list[Person]:
        """The people who may get it, in order: each is tried as soon as the one before has failed.

        A step pages one person, and the next step is another message; where none can be queued (`escalates` is False), the
        people of the later steps are tried as well.
        """
        people = [step.tell for step in self.policy(message).steps]
        match message.kind:
            case "trouble":
                return self.anybody(now)
            case "notice":
                return _at(message.recipient)
            case "approval":
                return self._reachable([message.recipient] if message.recipient else people, now)
            case "rung":
                return self._reachable([self.named(message), *([] if escalates else people[message.step + 1 :])], now)
            case _:  # an update goes to its holder, a resolution to whoever is on call
                return self._reachable([self.named(message), ONCALL, *people], now)

    def anybody(self, now: datetime) -> list[Person]:
        """Whoever is on call, then the default policy's people, then everybody: for alerts about Paramedic itself."""
        oncall = self.oncall
        steps = oncall.policy("default").steps
        return self._reachable([ONCALL, *(step.tell for step in steps), *oncall.people], now)

    def _reachable(self, tells: Sequence[str], now: datetime) -> list[Person]:
        oncall = self.oncall
        found = [oncall.person(tell, now) for tell in tells]
        return list(dict.fromkeys(person for person in found if person is not None and person.contact_methods))


def _at(recipient: str | None) -> list[Person]:
    """The channel of a channel update; empty where its plug-in has gone since it was queued."""
    try:
        method = parse_contact_method(recipient)
    except ValueError:
        return []
    return [Person(str(method), method.spoken, (method,))]
