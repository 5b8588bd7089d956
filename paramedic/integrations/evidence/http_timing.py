"""Where the time of one request to the target's health address goes: name, connection, TLS, first byte, body."""

from datetime import timedelta

from paramedic.errors import PermanentError
from paramedic.kinds.evidence import Gathered, Of, Scene, table
from paramedic.machine.clock import boottime
from paramedic.transports import http_probe

ABOUT = (
    "one GET of its `health`, from the machine of Paramedic: time for its name, connection, TLS, first byte and body"
)
OF = Of.TARGET
LISTED = {"health": "http://…"}

#: So long the request may take. Seconds.
_SECONDS = 4.0


def gather(scene: Scene) -> Gathered:
    """One GET. Raises PermanentError where services.yaml names no health address, or one that cannot be asked."""
    if scene.target.health is None:
        raise PermanentError(f"services.yaml names no `health` for {scene.target.id}")
    left = min(_SECONDS, max(scene.deadline - boottime(), 0.1))
    return Gathered(told(http_probe.probe(scene.target.health, timedelta(seconds=left))))


def told(probe: http_probe.Probe) -> str:
    """The answer and its phases in words. The phase in which it failed is the one that did not end."""
    head = f"{probe.sight}: {probe.why}; {probe.took_ms:,.0f} ms in all"
    timing = probe.timing
    if timing is None:
        return head
    rows = [
        (name, f"{seconds * 1000:,.1f} ms", "" if ended else "did not end") for name, seconds, ended in timing.phases()
    ]
    at = f"from {timing.address}, {timing.size:,} B of body" if timing.address else "no connection"
    return "\n".join([head, at, "", table(rows, right=(1,))])
