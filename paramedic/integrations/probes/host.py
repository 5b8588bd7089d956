"""Resource use of the machine that Paramedic runs on."""

from dataclasses import dataclass
from datetime import timedelta

from paramedic.errors import PermanentError
from paramedic.kinds.metric import CPU, MEMORY, Metric
from paramedic.kinds.probing import Option, Question, Seen, Written
from paramedic.text.quantity import Unit

CHECK = ("host",)
ABOUT = "the machine that Paramedic runs on; `path: /var` names the disk"
METRICS = (CPU, MEMORY, Metric("disk", (Unit.PERCENT,), warning="80%", critical="90%", at_most="100%"))
OPTIONS = (Option("path", "^/", "for its disk"),)


def subject(written: Written) -> str:
    """A path on the disk that is measured."""
    return str(written.options.get("path", "/"))


def look(question: Question) -> Seen:
    """The current use. Raises PermanentError where there is no such path, or the target is on another machine."""
    if question.target.elsewhere:
        raise PermanentError(f"this machine can be measured, and {question.target.host} is reached by SSH")
    use = used(question.where)
    values = {
        "cpu": use.cpu_percent,
        "memory": float(use.memory),
        "memory_percent": use.memory_percent,
        "disk": use.disk_percent,
    }
    return values, f"this machine, the disk of {question.where}"


@dataclass(frozen=True, slots=True)
class HostRow:
    """The resource use of the machine."""

    cpu_percent: float  # of all cores
    memory: int  # bytes that no program could have
    memory_percent: float
    disk_percent: float  # of what an ordinary user may fill


def used(path: str, sample: timedelta = timedelta(milliseconds=500)) -> HostRow:
    """The current use, CPU over `sample`; the disk is the one that holds `path`.

    Raises PermanentError where there is none.
    """
    import psutil  # it takes a while to import, and every file that authors write loads this module; only a look pays

    try:
        disk = psutil.disk_usage(path)
    except OSError as error:
        raise PermanentError(f"the disk of {path} cannot be read: {error.strerror}") from error
    cpu = psutil.cpu_percent(sample.total_seconds())
    memory = psutil.virtual_memory()
    return HostRow(cpu, memory.total - memory.available, memory.percent, disk.percent)
