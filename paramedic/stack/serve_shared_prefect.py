"""`python -Pm paramedic.stack.serve_shared_prefect`: Prefect's own server, one of several on one database, until SIGTERM.

What `prefect server start` serves, by the same settings; it also tells systemd when it serves, and that its event loop runs.
"""

import importlib
from socket import socket

import uvicorn

from paramedic.machine import service_manager
from paramedic.machine.service_manager import ServiceManager


class NotifyingServer(uvicorn.Server):
    """A server that tells the service manager that it serves, that it lives, and that it ends."""

    def __init__(self, config: uvicorn.Config, manager: ServiceManager) -> None:
        super().__init__(config)
        self._manager = manager

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Ready once it listens."""
        await super().startup(sockets)
        if self.started:
            self._manager.ready()

    async def on_tick(self, counter: int) -> bool:
        """A sign of life, ten times a second at most; whether to end."""
        self._manager.alive("serving")
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """End what is open."""
        self._manager.stopping()
        await super().shutdown(sockets)


def main() -> None:
    """Serve Prefect's application in this process."""
    manager = service_manager.inherited()
    manager.alive("loading Prefect")
    settings = importlib.import_module("prefect.settings").get_current_settings().server  # by name: it takes seconds
    config = uvicorn.Config(
        importlib.import_module("prefect.server.api.server").create_app(final=True),
        host=settings.api.host,
        port=settings.api.port,
        timeout_keep_alive=settings.api.keepalive_timeout,
        log_level=settings.logging_level.lower(),
    )
    NotifyingServer(config, manager).run()


if __name__ == "__main__":
    main()
