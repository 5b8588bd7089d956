"""Refusals: an answer in words, a metric, and a rate-limited log line with the client."""

import logging
import time
from collections import Counter

from fastapi import Request
from fastapi.responses import JSONResponse

from paramedic.gateway import metrics
from paramedic.text.sanitize import one_line

log = logging.getLogger(__name__)

_HEADERS = {
    401: {"WWW-Authenticate": 'Bearer, Basic realm="paramedic"'},
    415: {"Accept-Encoding": "gzip, identity"},
}


def refused(status: int, reason: str, **error: str) -> JSONResponse:
    """The refusal's answer; `reason` is its label in the metric."""
    metrics.REFUSED.labels(reason).inc()
    return JSONResponse({"error": error}, status_code=status, headers=_HEADERS.get(status))


class RefusalLog:
    """Logs refused clients: of each address the first three in a minute, then the 10th, the 100th and so on."""

    def __init__(self, *, addresses: int = 200) -> None:
        """Above the limit of addresses per minute only their number is logged."""
        self._addresses = addresses
        self._minute = 0.0
        self._seen: Counter[str] = Counter()
        self._others = 0

    def note(self, request: Request, why: str = "no known token or password") -> None:
        """Log the refusal of a request, and why, within the limits."""
        now = time.monotonic()
        if now - self._minute >= 60:
            self._minute, self._seen, self._others = now, Counter(), 0
        address = request.client.host if request.client else "an unknown address"
        if address not in self._seen and len(self._seen) >= self._addresses:
            self._others += 1
            if _is_told(self._others):
                log.warning("refused: %s, %d times from other addresses", why, self._others)
            return
        self._seen[address] += 1
        count = self._seen[address]
        if _is_told(count):
            forwarded_for = request.headers.get("x-forwarded-for")
            behind = f", which says it asks for {one_line(forwarded_for)[:100]}" if forwarded_for else ""
            times = f", the {count}th within a minute" if count > 3 else ""
            path = one_line(request.url.path)[:200]
            log.warning("refused: %s from %s%s: %s %s%s", why, address, behind, request.method, path, times)


def _is_told(count: int) -> bool:
    return count <= 3 or str(count).strip("0") == "1"
