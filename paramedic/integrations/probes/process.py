"""The target's process on this machine: what it uses."""

from paramedic.kinds.metric import CPU, MEMORY
from paramedic.kinds.probing import Question, Seen, Written

CHECK = ("process",)
ABOUT = "the target's process; a `cpu` of 100% is one core, `memory` is a size or a share of the machine's"
METRICS = (CPU, MEMORY)
NEEDS = {"process_use": "process"}


def subject(_written: Written) -> str:
    """Nothing: the target knows its process."""
    return ""


def look(question: Question) -> Seen:
    """Its current use. Raises TemporaryError or PermanentError where no process runs, or it may not be read."""
    use, which = question.process_use()
    values = {"cpu": use.cpu_percent, "memory": float(use.rss), "memory_percent": use.memory_percent}
    return values, which
