"""Health endpoints of the gateway: liveness, readiness and Prometheus metrics."""

import logging

from fastapi import Response
from fastapi.responses import PlainTextResponse
from prometheus_client import generate_latest

from paramedic.gateway import metrics, not_now
from paramedic.gateway.readiness import Readiness
from paramedic.store import Store, StoreUnavailable, StoreUnknown, inbox

log = logging.getLogger(__name__)


class HealthEndpoint:
    """Serves /healthz, /readyz and /metrics."""

    def __init__(self, store: Store, readiness: Readiness) -> None:
        self._store = store
        self._readiness = readiness

    async def healthz(self) -> PlainTextResponse:
        """Liveness: answers even while every thread waits for the store."""
        return PlainTextResponse("ok\n")

    def readyz(self) -> PlainTextResponse:
        """Readiness: alerts can be committed, and triage runs."""
        complaint = self._readiness.complaint()
        return PlainTextResponse("ok\n") if complaint is None else not_now.to_probe(complaint)

    def metrics(self) -> Response:
        """The metrics in Prometheus's format."""
        try:
            with self._store.read() as tx:
                waiting, oldest = inbox.depth(tx)
                metrics.INBOX.set(waiting)
                metrics.INBOX_AGE.set((tx.now - oldest).total_seconds() if oldest else 0)
        except (StoreUnavailable, StoreUnknown) as error:
            log.warning("the inbox cannot be counted: %s", error)
        return Response(generate_latest(metrics.registry), media_type="text/plain; version=0.0.4")
