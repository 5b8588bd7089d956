"""The target's own health address, probed as by `http`."""

from paramedic.errors import PermanentError
from paramedic.kinds.metric import EXCHANGE
from paramedic.kinds.probing import Question, Seen, Written
from paramedic.transports import http_question

CHECK = ("health",)
ABOUT = "the target's `health` address in services.yaml, asked as `http://…` is"
METRICS = EXCHANGE
OPTIONS = http_question.OPTIONS
misfits = http_question.misfits
LISTED = {"health": "http://…"}


def subject(_written: Written) -> str:
    """Nothing: the target knows its address."""
    return ""


def look(question: Question) -> Seen:
    """Ask once. Raises PermanentError also where services.yaml names no address."""
    health = question.target.health
    if health is None:
        raise PermanentError(f"services.yaml names no health address for {question.target.id}")
    return http_question.exchanged(health, question)
