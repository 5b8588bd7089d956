"""Which bodies are kept as they came: so many bytes within a minute, whatever is posted, so that a storm is not slowed by it."""

import threading
import time
from collections.abc import Callable, Mapping

from paramedic.gateway import metrics
from paramedic.store.raw_bodies import BODY_LIMIT, RawBody, raw_body

#: So many bytes at once, and so many more a second: 4 MiB, and 1 MiB a minute.
_AT_ONCE, _A_SECOND = 4 * 1024 * 1024, 1024 * 1024 / 60

#: What a body costs beside its bytes.
_EACH = 500


class RawBodies:
    """The allowance of one gateway. Any thread may ask."""

    def __init__(self, *, at_once: int = _AT_ONCE, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = float(at_once)
        self._left = self._most
        self._clock = clock
        self._at = clock()
        self._lock = threading.Lock()

    def keep(self, headers: Mapping[str, str], body: bytes) -> RawBody | None:
        """The body as it is kept; None where too much came within the last minutes."""
        cost = min(len(body), BODY_LIMIT) + _EACH
        with self._lock:
            now = self._clock()
            self._left = min(self._most, self._left + (now - self._at) * _A_SECOND)
            self._at = now
            if cost > self._left:
                metrics.RAW_NOT_KEPT.inc()
                return None
            self._left -= cost
        return raw_body(headers, body)
