"""An HTTP address: the duration of one request, and whether its answer is what is expected."""

from paramedic.kinds.metric import EXCHANGE
from paramedic.kinds.probing import Question, Seen, Written
from paramedic.text.address import host_and_port
from paramedic.transports import http_question

CHECK = ("http://…", "https://…")
ABOUT = (
    "one GET, or what `method` and `send` say: anything but a whole 2xx in time, or but what `status`, `headers` and `body` ask, "
    "is an error ([checks.md](checks.md#http))"
)
METRICS = EXCHANGE
OPTIONS = http_question.OPTIONS
misfits = http_question.misfits


def subject(written: Written) -> str:
    """The address itself. Raises ValueError where it has no host."""
    host_and_port(written.check.replace("{host}", "host"), needs_port=False)
    return written.check


def look(question: Question) -> Seen:
    """Ask once; `paramedic.remediation.probe_answer` decides what is failing and unknown, and the check's own keys do."""
    return http_question.exchanged(question.where, question)
