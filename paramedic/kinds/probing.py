"""The input and output of a probe."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from paramedic.errors import PermanentError
from paramedic.kinds.metric import ERROR, LATENCY, can_be_key
from paramedic.remediation.health import Sight
from paramedic.remediation.target import Target

#: Whether the target's owner says that it is not up, 1 or 0, and how much of the target is not ready, percent.
DOWN, UNREADY = "is_down", "unready"

#: Raw values by name, and what was seen, in words.
Seen = tuple[Mapping[str, float], str]


@dataclass(frozen=True, slots=True)
class Option:
    """A key that only the checks of one probe have, with a text value. Raises ValueError where its name is not allowed."""

    name: str
    pattern: str  # that the text must match, as a regular expression
    what: str  # what it is for, in words: `for its disk`

    def __post_init__(self) -> None:
        if not can_be_key(self.name):
            raise ValueError(f"an option cannot be called {self.name!r:.80}: it is a key of a check")


@dataclass(frozen=True, slots=True)
class Written:
    """A check as its author wrote it: the value of `check:`, its `name`, and the probe's own options."""

    check: str
    name: str | None
    options: Mapping[str, str]


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
    readiness: Callable[[], Seen] = _no_readiness  # DOWN and UNREADY of it, as its owner says; raises likewise


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
