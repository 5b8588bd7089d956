"""Heartbeats: a job reports regularly; the probe measures how long it has been silent."""

from datetime import timedelta

from paramedic.errors import PermanentError
from paramedic.kinds.metric import Metric
from paramedic.kinds.probing import Question, Seen, Written
from paramedic.machine.clock import spoken
from paramedic.text.quantity import Unit

CHECK = ("heartbeat",)
ABOUT = (
    "how long the heartbeat called `name` has stayed away; somebody posts it to `/heartbeats/NAME` of the gateway, "
    "with a sender's token"
)
METRICS = (Metric("missing_for", (Unit.SECONDS,), at_most="365d", held_for=timedelta(0)),)


def subject(written: Written) -> str:
    """The heartbeat's name. Raises ValueError where the author names none."""
    if written.name is None:
        raise ValueError("`name` the heartbeat: it is posted to /heartbeats/NAME")
    return written.name


def look(question: Question) -> Seen:
    """The time since the last heartbeat. Raises PermanentError where there was none."""
    name = question.where
    ago = question.last_heard(name)
    if ago is None:
        raise PermanentError(f"no heartbeat {name} has ever come: it is posted to /heartbeats/{name}")
    return {"missing_for": ago.total_seconds()}, f"heard {spoken(ago)} ago"
