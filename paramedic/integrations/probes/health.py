"""The target's own health address, probed as by `http`."""

from paramedic.errors import PermanentError
from paramedic.kinds.metric import EXCHANGE
from paramedic.kinds.probing import Question, Seen, Written, measured

CHECK = ("health",)
ABOUT = "one GET of the target's `health` in services.yaml, as `http://…`"
METRICS = EXCHANGE
LISTED = {"health": "http://…"}


def subject(_written: Written) -> str:
    """Nothing: the target knows its address."""
    return ""


def look(question: Question) -> Seen:
    """Ask once. Raises PermanentError also where services.yaml names no address."""
    from paramedic.transports import http_probe  # here: libcurl is needed for a look alone

    health = question.target.health
    if health is None:
        raise PermanentError(f"services.yaml names no health address for {question.target.id}")
    return measured(http_probe.probe(health, question.timeout))
