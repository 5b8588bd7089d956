"""Resource use of the target's machine, here or by SSH."""

from datetime import timedelta

from paramedic.kinds import host_use
from paramedic.kinds.log_source import kept
from paramedic.kinds.metric import CPU, MEMORY, Metric
from paramedic.kinds.probing import Option, Question, Seen, Written
from paramedic.machine.clock import boottime
from paramedic.text.quantity import Unit


def _share(name: str) -> Metric:
    return Metric(name, (Unit.PERCENT,), warning="80%", critical="90%", at_most="100%")


CHECK = ("host",)
ABOUT = (
    "the target's machine, here or by SSH: processors, memory, `disk` and `inodes` of the one that `path: /var` is on, `load` as "
    "a share of its processors, and `open_files` of as many as its kernel allows"
)
METRICS = (
    CPU,
    MEMORY,
    _share("disk"),
    _share("inodes"),
    Metric("load", (Unit.PERCENT,), at_most="100000%"),
    _share("open_files"),
)
OPTIONS = (Option("path", "^/", "for its disk"),)
BY_TRANSPORT = True

#: At the first look the processors are looked at twice, so far apart; later looks compare with the one before, if it is no older.
_APART = timedelta(milliseconds=500)
_OLDEST_SECONDS = 600.0


def subject(written: Written) -> str:
    """A path on the disk that is measured."""
    path: str = written.options.get("path", "/")
    return path


def look(question: Question) -> Seen:
    """The current use. Raises PermanentError where there is no such path, TemporaryError where the machine is not reached."""
    values = used(question)
    return values, f"{question.target.host}, the disk of {question.where}"


class _Last:
    """The look before this one."""

    def __init__(self) -> None:
        self.ticks: host_use.Ticks | None = None
        self.at = 0.0


def used(question: Question) -> dict[str, float]:
    """The raw values of one look. Raises as `look` does."""
    last = kept(("host", question.target.id, question.where), _Last)
    fresh = last.ticks is not None and 0.2 <= boottime() - last.at <= _OLDEST_SECONDS
    found = host_use.look(
        question.transport(),
        question.where,
        question.deadline,
        before=last.ticks if fresh else None,
        seconds=min(_APART, question.timeout / 3).total_seconds(),
    )
    last.ticks, last.at = found.ticks, boottime()
    return {
        "cpu": found.cpu,
        "memory": found.memory,
        "memory_percent": found.memory_percent,
        "disk": found.disk,
        "inodes": found.inodes,
        "load": found.load,
        "open_files": found.opened,
    }
