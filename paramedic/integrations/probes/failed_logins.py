"""Failed log-ins, by address, in a window of a log of the target's machine."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from pydantic import Field

from paramedic.kinds.failed_logins import FORMATS, Reader, own
from paramedic.kinds.failed_logins import subject as subject_of
from paramedic.kinds.log_source import FILE, JOURNAL, Source, kept
from paramedic.kinds.log_source import subject as log_of
from paramedic.kinds.login_window import LoginWindow
from paramedic.kinds.metric import Metric
from paramedic.kinds.probing import Option, Question, SeenEach, Written
from paramedic.machine.clock import spoken
from paramedic.text.quantity import Unit

Network = IPv4Network | IPv6Network

CHECK = ("failed_logins",)
ABOUT = (
    "how often each address has failed to log in within the `window` (10m), as a log of the target's machine says it (`file:` or "
    "`journal:`): IPv6 by its /64; the address is the label `address` of the alert"
)
METRICS = (
    Metric("failures", (Unit.COUNT,), critical="6", held_for=timedelta(0), by="address"),
    Metric("failures_in_all", (Unit.COUNT,), held_for=timedelta(0)),
)
WINDOW = timedelta(minutes=10)
BY_TRANSPORT = True
OPTIONS = (
    FILE,
    JOURNAL,
    Option("format", f"^({'|'.join(FORMATS)})$", "for who writes the log: sshd, unless it says otherwise"),
    Option(
        "failed",
        "^.{1,2000}$",
        "for lines of an application: a regular expression (RE2) with a group `address`",
        as_it_is=True,
    ),
    Option("per_ipv6", "^/(48|56|64|128)$", "for how much of an IPv6 address is one customer: /64"),
    Option(
        "ignore",
        list[Annotated[str, Field(pattern=r"^[0-9A-Fa-f:./]{2,50}$")]],
        "for addresses and networks that are never counted",
    ),
)


def subject(written: Written) -> str:
    """The log. Raises ValueError where none is named, or one of its options is none."""
    where = log_of(written.options)
    if where is None:
        raise ValueError("name the log: `file: /var/log/auth.log`, or `journal: sshd`")
    if "failed" in written.options and "format" in written.options:
        raise ValueError("name one of `format` and `failed`")
    _reader(written.options.get("format"), written.options.get("failed"))
    _networks(written.options.get("ignore", ()))
    return where


def look(question: Question) -> SeenEach:
    """The failures of the window. Raises TemporaryError or PermanentError where the log cannot be read."""
    key = ("failed_logins", question.target.id, question.where, repr(sorted(question.options.items())))
    return kept(key, lambda: _Logins(question)).look(question)


class _Logins:
    """One log, read on from look to look, and the failures in it that a window may still hold."""

    def __init__(self, question: Question) -> None:
        options = question.options
        self._source = Source(question.where)
        self._read = _reader(options.get("format"), options.get("failed"))
        self._v6_prefix = int(options.get("per_ipv6", "/64")[1:])
        self._ignored = [*_networks(options.get("ignore", ())), *_never_blocked(question)]
        self._window = LoginWindow()
        self._longest = 0.0

    def look(self, question: Question) -> SeenEach:
        """What is new is read and counted, and what is too old forgotten."""
        if question.window.total_seconds() > self._longest:  # of a longer window more was to be read at first
            self._source, self._window = Source(question.where), LoginWindow()
            self._longest = question.window.total_seconds()
        found = self._source.read(question)
        undated = 0
        for line in found.lines:
            failure = self._read(line)
            if failure is None or (whose := subject_of(failure.address, self._v6_prefix)) is None:
                continue
            at = found.at(line)
            undated += at is None
            if at is not None and at >= found.now - self._longest:
                self._window.add(whose, failure, at)
        self._window.forget(found.now - self._longest)
        begins = found.now - (question.now - question.begins_at()).total_seconds()
        counts = self._window.since(begins)
        counted = {whose: count for whose, count in counts.items() if not self._is_ignored(whose)}
        return SeenEach(
            {"failures_in_all": float(sum(counted.values()))},
            self._words(question, counted, len(counts) - len(counted), undated, found.notes),
            {whose: {"failures": float(count)} for whose, count in counted.items()},
        )

    def _is_ignored(self, whose: str) -> bool:
        if not self._ignored:
            return False
        network = ip_network(whose)
        return any(network.version == other.version and network.overlaps(other) for other in self._ignored)

    def _words(
        self, question: Question, counted: Mapping[str, int], ignored: int, undated: int, notes: Sequence[str]
    ) -> str:
        many = "1 address has" if len(counted) == 1 else f"{len(counted):,} addresses have"
        said = [f"{many} failed {sum(counted.values()):,} times within {spoken(question.window)} by {question.where}"]
        said += [f"{ignored:,} more are never counted"] if ignored else []
        said += [f"{undated:,} older lines have no time that can be trusted, and were left out"] if undated else []
        said += [f"{self._window.forgotten:,} addresses were too many to be counted"] if self._window.forgotten else []
        return "; ".join([*said, *notes])


def _reader(form: str | None, pattern: str | None) -> Reader:
    return own(pattern) if pattern is not None else FORMATS[form or "sshd"]


def _networks(words: Iterable[str]) -> list[Network]:
    try:
        return [ip_network(word, strict=False) for word in words]
    except ValueError as error:
        raise ValueError(f"`ignore` lists addresses and networks: {error}") from error


def _never_blocked(question: Question) -> list[Network]:
    """Whom the target itself, a blocklist, never blocks: no alert asks for that."""
    return _networks(getattr(question.target.words, "never", ()))
