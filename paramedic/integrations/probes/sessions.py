"""The target's sessions: for how long one of them has been idle in a transaction."""

from datetime import timedelta

from paramedic.kinds.metric import Metric
from paramedic.kinds.probing import Question, Seen, Written
from paramedic.text.quantity import Unit

CHECK = ("sessions",)
ABOUT = "the sessions of a database server: for how long the one that is so for longest has been idle in a transaction"
METRICS = (Metric("idle_for", (Unit.SECONDS,), warning="15m", critical="1h", at_most="365d", held_for=timedelta(0)),)
NEEDS = {"sessions": "sessions"}


def subject(_written: Written) -> str:
    """Nothing: the target knows its sessions."""
    return ""


def look(question: Question) -> Seen:
    """As they are now. Raises TemporaryError or PermanentError where they cannot be seen."""
    return question.sessions()
