"""A way over HTTP that asks again, after a moment, where a server says 503: Prefect on SQLite does while it is written to."""

import time

import httpx

from paramedic.transports.http_deadline import Deadline, over

#: After each 503. Prefect's own client waits whole seconds.
_AGAIN_SECONDS = (0.02, 0.04, 0.08, 0.16, 0.32)


class RetryOn503(Deadline):
    """As httpx's own, each call with one deadline for all its tries; the last of several 503 is the answer.

    What is sent again is whole: no stream.
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
