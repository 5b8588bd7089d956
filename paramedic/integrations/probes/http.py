"""An HTTP address: the duration of one GET, and whether its answer is a success."""

from paramedic.kinds.metric import EXCHANGE
from paramedic.kinds.probing import Question, Seen, Written, measured
from paramedic.text.address import host_and_port

CHECK = ("http://…", "https://…")
ABOUT = "one GET: anything but a whole 2xx in time is an error"
METRICS = EXCHANGE


def subject(written: Written) -> str:
    """The address itself. Raises ValueError where it has no host."""
    host_and_port(written.check.replace("{host}", "host"), needs_port=False)
    return written.check


def look(question: Question) -> Seen:
    """Send one GET; `paramedic.remediation.probe_answer` decides what is failing and what is unknown."""
    from paramedic.transports import http_probe  # here: libcurl is needed for a look alone

    return measured(http_probe.probe(question.where, question.timeout))
