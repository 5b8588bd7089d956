"""The outward heartbeat: posts to an outside service while paging works; when it stops, that service alerts somebody."""

import logging
from collections.abc import Callable, Sequence

import httpx

from paramedic.settings import Settings
from paramedic.transports import http_deadline
from paramedic.watchdog import metrics

log = logging.getLogger(__name__)


class OutwardHeartbeat:
    """Posts to `heartbeat_url` every `heartbeat_every`. `steady` is a clock in seconds that never jumps."""

    def __init__(self, settings: Settings, steady: Callable[[], float]) -> None:
        self._settings = settings
        self._steady = steady
        self._sent_at: float | None = None
        self._http = http_deadline.client(seconds=2.0)

    def beat(self, *, silent: Sequence[str], nobody_knows: bool) -> None:
        """Send the heartbeat if it is due, with the names of what is `silent`. A failure is only logged.

        `nobody_knows`: the store is away and no person could be paged about it; then no heartbeat is sent.
        """
        url, now = self._settings.heartbeat_url, self._steady()
        every = self._settings.heartbeat_every.total_seconds()
        if url is None or (self._sent_at is not None and now - self._sent_at < every):
            return
        if nobody_knows:
            log.error("no heartbeat is sent: the store is away, and no person could be paged about it")
            metrics.HEARTBEATS.labels("withheld").inc()
            return
        self._sent_at = now
        try:
            answer = self._http.post(url.get_secret_value(), json={"paramedic": "alive", "silent": list(silent)})
            answer.raise_for_status()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            log.warning("the heartbeat could not be sent: %s", type(error).__name__)  # its words may hold the address
            metrics.HEARTBEATS.labels("failed").inc()
        else:
            metrics.HEARTBEATS.labels("sent").inc()
