"""`python -m paramedic.stack.serve_prefect PORT`: the embedded Prefect server, on loopback, until SIGTERM."""

import argparse

import uvicorn

from paramedic.machine import ports


def main() -> None:
    """Serve Prefect's application in this process."""
    parser = argparse.ArgumentParser(description="The embedded Prefect server.")
    parser.add_argument("port", type=int)
    port = parser.parse_args().port
    config = uvicorn.Config(
        "paramedic.stack.prefect_server:create_app",
        factory=True,
        timeout_keep_alive=5,
        log_level="warning",
    )
    uvicorn.Server(config).run(sockets=ports.listening_sockets("127.0.0.1", port))


if __name__ == "__main__":
    main()
