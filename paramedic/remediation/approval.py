"""Approvals: a person's answer to one question, about one remedy of one attempt on one instance of a target."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from paramedic.machine.clock import iso, spoken
from paramedic.remediation.target import Identity

#: After this many wrong codes no link of the approval works any more; the command line does.
WRONG_CODES = 5

#: How a question ends that waited in a backup: what was answered since is lost with the generation that it was asked in.
RESTORE = "restore"


#: How an answer came: by the form in the Prefect UI. Its name is what somebody typed who may use Prefect.
FORM = "prefect"


class Answer(StrEnum):
    """The states of the question."""

    ASKED = "asked"  # nobody has answered yet
    GRANTED = "granted"
    DENIED = "denied"
    EXPIRED = "expired"  # nobody answered in time, or nobody needs the answer any more


@dataclass(frozen=True, slots=True)
class Approval:
    """One question to a person, and its answer."""

    id: int
    incident: int
    attempt: int
    rung: int
    target: str
    remedy: str  # as its author calls it
    identity: Identity  # the instance of the target that was running when it was asked
    asked_at: datetime
    expires_at: datetime
    state: Answer
    decided_by: str | None
    decided_at: datetime | None
    how: str | None  # FORM, link, command line; RESTORE
    flow_run: str
    resumed_at: datetime | None
    wrong_codes: int
    touches: str = (
        ""  # what the change would touch, as it was shown; its first line says most. Empty: its name says all
    )
    about: Sequence[Mapping[str, str]] = ()  # what of it came from alerts

    def answer(self, now: datetime) -> Answer:
        """Its state at this moment: a question past its time is expired, even if nobody has recorded it."""
        if self.state is Answer.ASKED and self.expires_at <= now:
            return Answer.EXPIRED
        return self.state

    def means(self, now: Identity) -> bool:
        """Whether the target still runs the instance that was shown to the person."""
        return self.identity.means(now)

    def names(self, about: Sequence[Mapping[str, str]]) -> bool:
        """Whether the person was shown all that the change is about now, as alerts say it; it may be less than was shown."""
        return all(one in self.about for one in about)

    @property
    def what(self) -> str:
        """The change, in words."""
        return f"the {self.remedy} of {self.target}"

    @property
    def with_touches(self) -> str:
        """The remedy, and what it would touch where its name does not say that: `block_address (address 203.0.113.7; for 1h)`."""
        first = self.touches.partition("\n")[0]
        return f"{self.remedy} ({first})" if first else self.remedy

    @property
    def decision(self) -> str:
        """The answer, in words."""
        when = f" at {iso(self.decided_at)}" if self.decided_at else ""
        match self.state:
            case Answer.ASKED:
                return f"nobody has approved {self.what} yet"
            case Answer.EXPIRED if self.how == RESTORE:
                return f"the question about {self.what} is void: the store was restored from a backup{when}"
            case Answer.EXPIRED if self.decided_at is not None and self.decided_at < self.expires_at:
                return f"the question about {self.what} is void since {iso(self.decided_at)}: the incident went on"
            case Answer.EXPIRED:
                return self.nobody
        return f"{self.decider} {'approved' if self.state is Answer.GRANTED else 'denied'} {self.what}{when}"

    @property
    def decider(self) -> str:
        """The person who answered, and how far that is proven, in words."""
        if self.how == FORM:
            return f"somebody with Prefect's form, who said to be {self.decided_by},"
        return self.decided_by or "nobody"

    @property
    def nobody(self) -> str:
        """The words for a question that was not answered in time."""
        return f"nobody approved {self.what} within {spoken(self.expires_at - self.asked_at)}"


def describe_instance(identity: Identity) -> str:
    """The instance of a target, in words."""
    instance = dict(identity.instance)
    started_at = instance.pop("started_at", None)
    began = f" since {iso(datetime.fromtimestamp(float(started_at), UTC))}" if started_at is not None else ""
    first = next(iter(instance), None)
    value = instance.pop(first, None) if first is not None else None
    process = f"{first} {value}{began}" if value is not None else "no process"
    known = {"revision": identity.revision} | instance
    return ", ".join(
        [process, identity.state, *[f"{name} {value}" for name, value in known.items() if value is not None]]
    )


def code(key: bytes, store: str, approval: int, person: str) -> str:
    """The eight digits that this person needs besides the link. Derived, so that they are stored nowhere."""
    words = "\0".join(["paramedic approval code", store, str(approval), person])
    digest = hmac.digest(key, words.encode("utf-8", "surrogatepass"), hashlib.sha256)
    return f"{int.from_bytes(digest) % 10**8:08}"
