"""A message for one recipient, as a channel gets it: its subject matter, texts of two lengths, and links."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from paramedic.text.sanitize import one_line

#: Characters of the short form, unless the channel takes fewer.
SHORT_LIMIT = 300

#: The words before a link must at least say which incident it is about.
_FEWEST_WORDS = 12


@dataclass(frozen=True, slots=True)
class Link:
    """A link in the message, and what it does."""

    label: str  # `take it`, `answer it`: for a button
    url: str
    code: str = ""  # what is asked for there
    incident: str = ""  # `INC-42`: what is answered

    @property
    def line(self) -> str:
        """The link as a line of text."""
        return f"{self.label}: {self.address}"

    @property
    def address(self) -> str:
        """The link and its code."""
        return f"{self.url} code {self.code}" if self.code else self.url


@dataclass(frozen=True, slots=True)
class Message:
    """One message, redacted. Its subject is one line."""

    subject: str
    text: str
    kind: str = ""  # `page`, `approval`, `digest`, `update`, `news`, `trouble`, `test`
    severity: str = ""  # `critical`, `warning`; "" where nothing needs somebody
    incident: str = ""  # `INC-42`; "" where it is about none, or about several
    links: tuple[Link, ...] = ()  # the most urgent first
    marks: Mapping[str, str] = field(default_factory=dict)  # what else a program sorts it by: `service`, `target`
    store: str = ""  # whose message it is: the store's UUID
    recipient: str = ""  # an address of the channel, or the recipient's id where the settings know the address
    id: str = ""  # the same for a repeat
    thread: str = ""  # the same for all messages about one incident
    html: str = ""  # the text as a page of HTML, for channels that show one; empty: there is only the text

    def addressed(self, recipient: str, number: object, store: str) -> "Message":
        """The message addressed to this recipient; `number` is unique in the store."""
        thread = message_id(self.incident, store) if self.incident else ""
        return replace(self, recipient=recipient, id=message_id(number, store), store=store, thread=thread)

    def short(self, limit: int = SHORT_LIMIT, write: Callable[[str], str] = one_line) -> str:
        """At most `limit` characters: the subject, cut if needed, and the first link, never cut.

        A link that leaves no room for words is replaced by words that say so. `write` escapes what the channel would read
        as markup; a link is not written by it.
        """
        words = write(self.subject)
        if not self.links:
            return _cut(words, limit)
        first = self.links[0]
        label = first.line if first.incident == self.incident else f"{first.incident}, {first.line}"
        for answer in (label, first.address):
            if limit - len(answer) - 1 >= min(len(words), _FEWEST_WORDS):
                return f"{_cut(words, limit - len(answer) - 1)}\n{answer}"
        look = f"paramedic incident show {first.incident}" if first.incident else "paramedic incident list"
        answer = f"Its link is too long for here: {look}"
        return f"{_cut(words, limit - len(answer) - 1)}\n{answer}" if limit > 2 * len(answer) else _cut(words, limit)


def message_id(what: object, store: str) -> str:
    """The id of a message, the same for a repeat."""
    return f"{what}.{store}"


def _cut(words: str, limit: int) -> str:
    return words if len(words) <= limit else words[: max(limit - 3, 0)].rstrip() + "..."[: max(limit, 0)]
