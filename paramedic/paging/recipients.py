"""Whom a message means: the people who may get it, in their order."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from paramedic.oncall import overrides_file
from paramedic.oncall.contact import parse_contact_method
from paramedic.oncall.escalation import ONCALL, Oncall, Policy
from paramedic.oncall.rotation import Override, Person
from paramedic.store.messages import QueuedMessage


class OnCallBook(Protocol):
    """Where oncall.yaml is read: a Library, or something that needs less."""

    @property
    def oncall(self) -> Oncall:
        """Who is on call, by the file as it was last read."""


class Recipients:
    """Who is on call now, and who comes after them."""

    def __init__(self, shelf: OnCallBook, folder: Path) -> None:
        """`folder` keeps a copy of the overrides, for who comes when the store is away."""
        self._shelf = shelf
        self._folder = folder
        self._overrides = overrides_file.kept(folder)

    @property
    def oncall(self) -> Oncall:
        """oncall.yaml, with the overrides as they were last known."""
        return replace(self._shelf.oncall, overrides=self._overrides)

    def stand_in(self, current: tuple[Override, ...]) -> None:
        """Know the store's overrides, and keep their copy on disk."""
        if current != self._overrides:
            self._overrides = current
            overrides_file.keep(self._folder, current)

    def policy(self, message: QueuedMessage) -> Policy:
        """The policy that the message is escalated by."""
        return self.oncall.policy(message.policy, message.severity)

    def named(self, message: QueuedMessage) -> str:
        """Whom it means, by the word that stands in the message or in its policy."""
        if message.kind != "rung":
            return message.recipient or ONCALL
        return message.recipient or self.policy(message).rung(message.rung).tell

    def of(self, message: QueuedMessage, now: datetime, *, climbs: bool = True) -> list[Person]:
        """Who may get it: the first of them who takes it does, and each is tried at once after the one before.

        A rung is one person's, and the next rung another message; where none can be queued (`climbs` is False), the
        people of the rungs above are tried as well.
        """
        rungs = [rung.tell for rung in self.policy(message).rungs]
        match message.kind:
            case "trouble":
                return self.anybody(now)
            case "notice":
                return _at(message.recipient)
            case "approval":
                return self._reachable([message.recipient] if message.recipient else rungs, now)
            case "rung":
                return self._reachable([self.named(message), *([] if climbs else rungs[message.rung + 1 :])], now)
            case _:  # an update is its holder's, news are for whoever is on call
                return self._reachable([self.named(message), ONCALL, *rungs], now)

    def anybody(self, now: datetime) -> list[Person]:
        """Whoever is on call, then the default policy's people, then everybody: one of them hears of our trouble."""
        oncall = self.oncall
        rungs = oncall.policy("default").rungs
        return self._reachable([ONCALL, *(rung.tell for rung in rungs), *oncall.people], now)

    def _reachable(self, tells: Sequence[str], now: datetime) -> list[Person]:
        oncall = self.oncall
        found = [oncall.person(tell, now) for tell in tells]
        return list(dict.fromkeys(person for person in found if person is not None and person.ways))


def _at(recipient: str | None) -> list[Person]:
    """Who a notice is for; nobody where its kind of channel, a plug-in, has gone since it was queued."""
    try:
        way = parse_contact_method(recipient)
    except ValueError:
        return []
    return [Person(str(way), way.spoken, (way,))]
