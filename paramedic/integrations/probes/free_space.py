"""The target's free space: how much of its file system everybody may still fill."""

from paramedic.kinds.metric import Metric
from paramedic.kinds.probing import Question, Seen, Written
from paramedic.text.quantity import Unit

CHECK = ("free_space",)
ABOUT = "the target's disk, here or by SSH: how much of it is free, as `df` has it"
METRICS = (Metric("free", (Unit.PERCENT,), below=True, warning="20%", critical="10%", at_most="100%"),)
NEEDS = {"free_space": "free space"}


def subject(_written: Written) -> str:
    """Nothing: the target knows its file system."""
    return ""


def look(question: Question) -> Seen:
    """As it is now. Raises TemporaryError or PermanentError where it cannot be seen."""
    return question.free_space()
