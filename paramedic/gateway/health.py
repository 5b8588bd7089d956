"""Health endpoints of the gateway: liveness, readiness and Prometheus metrics."""

from fastapi import Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CollectorRegistry, generate_latest

from paramedic.gateway import metrics, not_now
from paramedic.gateway.readiness import Readiness
from paramedic.gateway.refusal import refused
from paramedic.gateway.senders import KNOWN, Senders
from paramedic.serving.exposition import CONTENT_TYPE
from paramedic.serving.store_metrics import StoreMetrics
from paramedic.store import Store


class HealthEndpoint:
    """Serves /healthz, /readyz and /metrics."""

    def __init__(self, senders: Senders, store: Store, readiness: Readiness) -> None:
        self._senders = senders
        self._readiness = readiness
        self._of_store = CollectorRegistry()
        self._of_store.register(StoreMetrics(store))

    async def healthz(self) -> PlainTextResponse:
        """Liveness: answers even while every thread waits for the store."""
        return PlainTextResponse("ok\n")

    def readyz(self) -> PlainTextResponse:
        """Readiness: alerts can be committed, and triage runs."""
        complaint = self._readiness.complaint()
        return PlainTextResponse("ok\n") if complaint is None else not_now.to_probe(complaint)

    def metrics(self, request: Request) -> Response:
        """The metrics in Prometheus's format, for whoever could send alerts, too."""
        if self._senders.known(request) is None:
            return refused(401, "unknown sender", field="authorization", what="unknown sender", allowed=KNOWN)
        text = generate_latest(metrics.registry) + generate_latest(self._of_store)
        return Response(text, media_type=CONTENT_TYPE)
