"""The input and output of a probe."""

import socket
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from pydantic import Field

from paramedic.errors import PermanentError
from paramedic.kinds import logins
from paramedic.kinds.logins import Login
from paramedic.kinds.metric import ERROR, LATENCY, can_be_key
from paramedic.remediation.health import Sight
from paramedic.remediation.target import Target

if TYPE_CHECKING:
    from paramedic.kinds.transport import Transport

#: Whether the target's owner says that it is not up, 1 or 0, and how much of the target is not ready, percent.
DOWN, UNREADY = "is_down", "unready"

#: Raw values by name, and what was seen, in words.
Seen = tuple[Mapping[str, float], str]


@dataclass(frozen=True, slots=True)
class SeenEach:
    """What was seen of several subjects of one check, such as the addresses that fail to log in."""

    values: Mapping[str, float]  # the raw values of all of it together
    why: str  # what was seen, in words
    each: Mapping[str, Mapping[str, float]]  # by subject: the raw values of the metrics that are `by` subject


@dataclass(frozen=True, slots=True)
class Option:
    """A key that only the checks of one probe have, or of several to which it means the same.

    Raises ValueError where its name is not allowed.
    """

    name: str
    form: Any  # a regular expression that its text must match; or a type by which pydantic reads it, strictly
    what: str  # what it is for, in words: `for its disk`
    as_it_is: bool = False  # its braces are its own, as in a regular expression: nothing is filled in for them

    def __post_init__(self) -> None:
        if not can_be_key(self.name):
            raise ValueError(f"an option cannot be called {self.name!r:.80}: it is a key of a check")

    @property
    def is_text(self) -> bool:
        """Whether it is a text in which `{host}` is the target's host; what a type reads is taken as it is written."""
        return isinstance(self.form, str) and not self.as_it_is

    @property
    def type(self) -> Any:
        """The type by which pydantic reads it."""
        return Annotated[str, Field(pattern=self.form)] if isinstance(self.form, str) else self.form


@dataclass(frozen=True, slots=True)
class Written:
    """A check as its author wrote it: the value of `check:`, its `name`, and the probe's own options by name."""

    check: str
    name: str | None
    options: Mapping[str, Any]


class ProcessUse(Protocol):
    """The resource use of one process."""

    @property
    def cpu_percent(self) -> float:
        """Of one core."""

    @property
    def rss(self) -> int:
        """Bytes."""

    @property
    def memory_percent(self) -> float:
        """Of the machine's."""


def _no_sessions() -> Seen:
    raise PermanentError("nobody here counts the target's sessions")


def _no_readiness() -> Seen:
    raise PermanentError("nobody here asks the target's owner")


def _no_free_space() -> Seen:
    raise PermanentError("nobody here measures the target's free space")


def _no_transport() -> "Transport":
    raise PermanentError("nobody here reaches the target's machine")


def _never() -> None:
    return None


#: Opens a connection to a host's port from another machine, as a socket of this one. Raises OSError by what is met there, and
#: TemporaryError or PermanentError where that machine cannot be asked.
Line = Callable[[str, int], AbstractContextManager[socket.socket]]


@dataclass(frozen=True, slots=True)
class Question:
    """One requested measurement."""

    where: str  # what `subject` answered, with the target's host for `{host}`
    target: Target
    timeout: timedelta
    now: datetime
    process_use: Callable[[], tuple[ProcessUse, str]]  # of the target's; raises TemporaryError or PermanentError
    last_heard: Callable[[str], timedelta | None]  # how long ago a heartbeat was heard; None: never
    sessions: Callable[[], Seen] = _no_sessions  # of the target's; raises TemporaryError or PermanentError
    free_space: Callable[[], Seen] = _no_free_space  # likewise
    login: Callable[[str], Login] = logins.named  # what the setting `logins` has under a name; raises PermanentError
    readiness: Callable[[], Seen] = _no_readiness  # DOWN and UNREADY of it, as its owner says; raises likewise
    options: Mapping[str, Any] = field(default_factory=dict)  # the probe's own keys that the author wrote, as read
    window: timedelta = timedelta(minutes=1)  # of the check
    deadline: float = 0.0  # when `timeout` is over, a moment of `boottime`
    transport: Callable[[], "Transport"] = (
        _no_transport  # to the target's machine, for looks; its probe is `BY_TRANSPORT`
    )
    ended_at: Callable[[], datetime | None] = _never  # when an incident on the target last ended
    line: Line | None = None  # by which it is asked from elsewhere; None: from here. Its probe has the key `from`

    def begins_at(self) -> datetime:
        """The begin of the window: what was before an incident on the target ended is not in it."""
        ended_at, begins = self.ended_at(), self.now - self.window
        return begins if ended_at is None else max(begins, ended_at)


class Exchange(Protocol):
    """One request to a server and its outcome."""

    @property
    def sight(self) -> Sight:
        """The health that it showed."""

    @property
    def took_ms(self) -> float:
        """The time it took, in milliseconds."""

    @property
    def why(self) -> str:
        """The outcome, in words."""


def measured(seen: Exchange) -> Seen:
    """The raw values of `paramedic.kinds.metric.EXCHANGE`, and the outcome in words.

    Raises PermanentError where the outcome is unknown: such an exchange is neither slow nor an error.
    """
    if seen.sight is Sight.UNKNOWN:
        raise PermanentError(seen.why)
    return {LATENCY: seen.took_ms / 1000, ERROR: float(seen.sight is Sight.FAILING)}, seen.why


def check_word(check: str) -> str:
    """What selects the probe after `check:`: its word, or the scheme of the address."""
    scheme, is_address, _ = check.partition("://")
    return scheme + is_address
