"""Evidence that is not a target kind's own: its interface, what it is asked with, and what it answers."""

import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.changes import Changes
from paramedic.kinds.evidence_scope import Of
from paramedic.kinds.transport import OutOfTime, Transport
from paramedic.machine.clock import boottime
from paramedic.remediation.release import Release
from paramedic.remediation.target import Target

__all__ = [
    "LOG_TAIL",
    "PTRACE",
    "ByDeadline",
    "EvidenceKind",
    "FromBeginning",
    "Gathered",
    "Of",
    "Printed",
    "Scene",
    "Unseen",
    "collected",
    "megabytes",
    "name_of",
    "table",
    "time_left",
    "word",
]

#: Looked at by Paramedic itself, whatever the target's kind: the end of the file that services.yaml names as `log`.
LOG_TAIL = "log-tail"

#: What each of these rights is, in the words of a page.
PTRACE = "CAP_SYS_PTRACE, or to be the process's own user or root"

#: A script's output is kept to so many bytes, where it does not ask for more.
_KEPT = 262_144

#: Every script can begin a part of its output by a line that nothing on the machine can have written: `part NAME`.
_PRELUDE = (
    'exec </dev/null; PATH="$PATH:/usr/sbin:/sbin"; token=$1; shift; part() { printf "\\n%s %s\\n" "$token" "$1"; }\n'
)

#: So long a look of a target's kind may take where nobody names a deadline. Seconds.
_USUAL_SECONDS = 5.0

_NOT_PERMITTED = re.compile(r"[Pp]ermission denied|[Oo]peration not permitted|Access denied")


@dataclass(frozen=True, slots=True)
class FromBeginning:
    """Gathers evidence whose beginning says most, such as a tree from its root on: that end of it is kept."""

    gather: Callable[[Target, Transport], str]

    def __call__(self, target: Target, transport: Transport) -> str:
        """The text. Raises as `gather` does."""
        return self.gather(target, transport)


@dataclass(frozen=True, slots=True)
class Gathered:
    """A piece of evidence, and what could not be seen of it."""

    text: str
    unseen: Sequence[str] = ()  # each with the right or the tool that would have shown it
    from_beginning: bool = True  # its beginning says most, and is kept where the text is too long; else its end


class Unseen(str):
    """A line about what could not be seen, with the right or the tool that would have shown it."""

    __slots__ = ()


def collected(lines: Iterable[str]) -> Gathered:
    """The lines as far as they come; those that are Unseen, and the fault that ends them, are what could not be seen.

    Raises TemporaryError or PermanentError where nothing was seen at all.
    """
    text: list[str] = []
    unseen: list[str] = []
    try:
        for line in lines:
            text.append(line)
            if isinstance(line, Unseen):
                unseen.append(line)
    except (TemporaryError, PermanentError) as error:
        if len(text) == len(unseen):
            raise
        text.append(f"the rest could not be seen: {error}")
        unseen.append(text[-1])
    if unseen and len(text) == len(unseen):
        raise PermanentError("; ".join(unseen))
    return Gathered("\n".join(text), unseen)


@dataclass(frozen=True, slots=True)
class ByDeadline:
    """Gathers evidence of a target by a deadline of `boottime`; what was seen by then is kept, and the rest said as unseen."""

    gather: Callable[[Target, Transport, float], Gathered]
    from_beginning: bool = True  # as in `Gathered`: told before anything is gathered, and of all that it gathers

    def __call__(self, target: Target, transport: Transport, deadline: float | None = None) -> Gathered:
        """One look, in 5 s where no deadline is named. Raises as `gather` does."""
        by = boottime() + _USUAL_SECONDS if deadline is None else deadline
        return replace(self.gather(target, transport, by), from_beginning=self.from_beginning)


@dataclass(frozen=True, slots=True)
class Printed:
    """What a script printed."""

    parts: Mapping[str, str]  # by the names that it gave them; what it printed outside of them is ""
    errors: str  # the end of its standard error
    whole: bool  # it ran to its end in time

    def part(self, name: str) -> str:
        """The part without its last newline, "" where it is not there."""
        return self.parts.get(name, "").rstrip("\n")

    @property
    def not_permitted(self) -> bool:
        """Whether it says that this user may not look at something."""
        return _NOT_PERMITTED.search(self.errors) is not None


@dataclass(frozen=True, slots=True)
class Scene:
    """What evidence is gathered of, and by what."""

    target: Target
    transport: Transport  # to the machine that the target is on
    deadline: float  # of `boottime`; the kind keeps to it, and returns what it has by then
    since: datetime  # when what is wrong began, as far as that is known
    now: datetime
    #: The target's main process. Raises TemporaryError or PermanentError, where there is none too.
    process_id: Callable[[], int]
    #: The releases of the target, the last deployed first. Raises PermanentError, where services.yaml names none too.
    releases: Callable[[], Sequence[Release]]
    #: So many last lines of the target's log that its owner keeps, since then, each after its time (seconds since the epoch).
    log_lines: Callable[[int, float], Gathered]
    seconds_for_answer: float = field(default=0.2)  # an answer is on its way for so long
    on_machine: bool = True  # whether there is a machine to look at: a workload of a cluster is on none of its own
    #: What the target's kind says that changed of it since then; None where it says nothing of that. Raises as the transport.
    changes: Callable[[datetime], Changes | None] = lambda _since: None

    def shell(self, script: str, *words: str, kept: int = _KEPT, within: float | None = None) -> Printed:
        """Run a POSIX shell script that only looks, on the target's machine; `words` are its "$1", "$2", …, as data.

        `part NAME` begins a part of its output; of all of it the end is kept. `within`: seconds, at most to the deadline;
        what it printed until then is kept. Raises as `Transport.run` does, but for OutOfTime.
        """
        token = secrets.token_hex(8)
        deadline = self.deadline - self.seconds_for_answer
        if within is not None:
            deadline = min(deadline, boottime() + within)
        try:
            ended = self.transport.run(["sh", "-c", _PRELUDE + script, "sh", token, *words], deadline, kept=kept)
        except OutOfTime as late:
            return Printed(_parts(late.output, token), "", whole=False)
        return Printed(_parts(ended.output, token), ended.errors, whole=True)


def _parts(output: str, token: str) -> dict[str, str]:
    first, *rest = re.split(rf"^{token} ", f"\n{output}", flags=re.MULTILINE)
    parts = {"": first.strip("\n")}
    for part in rest:
        name, _, text = part.partition("\n")
        parts[name] = text
    return parts


class EvidenceKind(Protocol):
    """A module of `evidence`: gathers one kind of evidence. Its word in `with.evidence` is its name, with `-` for each `_`.

    It asks the target's machine by the scene's transport and by nothing else, so that it sees the same wherever that leads.
    It may have `LISTED: Mapping[str, str]`, the keys of a target in services.yaml that it looks by, each with an example.
    """

    #: What is seen, in one line, for the documentation.
    ABOUT: str

    #: What it looks at.
    OF: Of

    @staticmethod
    def gather(scene: Scene) -> Gathered:
        """One look, from any thread; it changes nothing. It says in words what it could not see, and what would have shown it.

        Raises TemporaryError or PermanentError where nothing could be seen.
        """


def time_left(deadline: float) -> timedelta:
    """How long it is until a moment of `boottime`; nothing where that has passed."""
    return timedelta(seconds=max(deadline - boottime(), 0.0))


def word(name: str) -> str:
    """The word in `with.evidence` of the kind of this name."""
    return name.replace("_", "-")


def name_of(evidence_word: str) -> str:
    """The name of the kind with this word in `with.evidence`."""
    return evidence_word.replace("-", "_")


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """The rows as text in columns; those in `right` stand to the right of theirs."""
    if not rows:
        return ""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = (
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def megabytes(count: float) -> str:
    """A number of bytes in MB (10^6 B), as pages show it."""
    return f"{count / 1e6:,.1f} MB"
