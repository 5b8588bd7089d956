"""The target's own state, as its owner says it: systemd of a unit, the Engine of a container, the API server of a workload."""

from paramedic.kinds.metric import Metric
from paramedic.kinds.probing import DOWN, UNREADY, Question, Seen, Written
from paramedic.text.quantity import Unit

CHECK = ("ready",)
ABOUT = (
    "what the target's owner says of it (systemd, supervisord, the Docker Engine, the API server), here or by its host: "
    "`down`, in how many of a hundred looks it is not up; `unready`, how much of it is not ready (of a workload, its pods) now"
)
METRICS = (
    Metric("down", (Unit.PERCENT,), critical="50%", at_most="100%", share=True, raw={Unit.PERCENT: DOWN}),
    Metric(UNREADY, (Unit.PERCENT,), at_most="100%"),
)


def subject(_written: Written) -> str:
    """Nothing: the target knows its owner."""
    return ""


def look(question: Question) -> Seen:
    """As it is now. Raises TemporaryError or PermanentError where the owner does not say it: its host is not reached."""
    return question.readiness()
