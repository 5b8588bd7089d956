"""The gateway's HTTP server: host names, strict HTTP, limited connections."""

import uvicorn
from starlette.types import ASGIApp

from paramedic.gateway import metrics
from paramedic.serving.connections import BACKLOG, Door, protocol, raise_file_limit
from paramedic.serving.hosts import HostGuard
from paramedic.settings import Settings

#: How long a stop waits for requests that have begun.
REQUESTS_SECONDS = 4


def server(app: ASGIApp, settings: Settings) -> uvicorn.Server:
    """The server, not yet running. Raises this process's limit of open files."""
    door = Door(raise_file_limit(), refused=_count)
    return uvicorn.Server(
        uvicorn.Config(
            HostGuard(app, settings, refused=_count),
            host=settings.host,
            port=settings.port,
            http=protocol(door),
            ws="none",
            backlog=BACKLOG,
            proxy_headers=False,  # whoever connects is whom the log names and the bounds are for
            server_header=False,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=REQUESTS_SECONDS,
        )
    )


def _count(reason: str) -> None:
    metrics.REFUSED.labels(reason).inc()
