"""An HTTP transport that repeats a request that is answered 503, as by Prefect on SQLite while its database is locked."""

import time

import httpx

from paramedic.transports.http_deadline import Deadline, over

#: After each 503. Prefect's own client waits whole seconds.
_AGAIN_SECONDS = (0.02, 0.04, 0.08, 0.16, 0.32)


class RetryOn503(Deadline):
    """As httpx's own, with one deadline for all tries of a call; the last of several 503 is returned.

    A request's body must be whole, not a stream: it is sent again.
    """

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer. Raises what httpx raises, without another try."""
        for pause in _AGAIN_SECONDS:
            answer = super().handle_request(request)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or over(request, within=pause):
                return answer
            answer.close()
            time.sleep(pause)
        return super().handle_request(request)
