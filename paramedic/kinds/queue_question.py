"""Checks of a queue: how much waits in it, and the key that names it."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from paramedic.kinds.metric import Metric
from paramedic.kinds.probing import Option, Written
from paramedic.text.quantity import Unit

#: How many are not done yet: a bound is a plain number.
QUEUED = Metric("queued", (Unit.COUNT,), held_for=timedelta(minutes=1))

QUEUE = Option(
    "queue",
    Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,255}$")],
    "the name of the queue; {host} is the target's host",
)


def needs_a_queue(written: Written) -> str:
    """The queue, as the subject of a check. Raises ValueError where its author names none."""
    queue = written.options.get("queue")
    if queue is None:
        raise ValueError("name the `queue`")
    return str(queue)
