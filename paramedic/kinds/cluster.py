"""The interface of a cluster: what a kind of target may ask of a Kubernetes API server."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from paramedic.errors import PermanentError
from paramedic.kinds.transport import Transport


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer of the API server, whichever it is."""

    status: int  # of HTTP
    text: str
    after: timedelta | None = None  # how long it asks to wait (Retry-After)
    date: str | None = None  # its clock (Date), as it writes it


class Cluster(Protocol):
    """The API server of one cluster. Thread-safe.

    Deadlines are moments of `paramedic.machine.clock.boottime()`, and hold for a whole call.
    """

    def ask(
        self,
        method: str,
        path: str,
        deadline: float,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        media_type: str = "application/json",
        accept: str = "application/json",
    ) -> Reply:
        """One request, sent at most once, and its whole answer. A redirect is an answer, and is not followed.

        Raises PermanentError where the server cannot be asked as services.yaml says; TemporaryError where nothing was
        sent, or what only looks (GET) has no whole answer; OutcomeUnknown where a change was sent and has none.
        """


def cluster_of(transport: Transport) -> Cluster:
    """The cluster that the transport leads to. Raises PermanentError where it leads to a machine."""
    ask = getattr(transport, "ask", None)
    if ask is None:
        raise PermanentError(
            "its host is a machine: a workload of Kubernetes needs a host with `kubernetes: {…}` in `hosts`"
        )
    return transport  # type: ignore[return-value]  # it has what a Cluster has
