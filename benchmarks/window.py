"""How long is the moment between the last look and the first byte? `make bench-window`.

Restarts a real supervisord's program, and beside it measures a bare `sendall` of the same size on a connected socket pair,
so that the figure stands next to what the machine itself needs.
"""

import argparse
import socket
import statistics
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from paramedic.catalog.services import parse_services
from paramedic.demo.world import World
from paramedic.doors import reading
from paramedic.errors import PermanentError, TemporaryError
from paramedic.integrations.targets import supervisord
from paramedic.transports.local import Local


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, default=50, help="restarts")
    asked = parser.parse_args()
    windows: list[float] = []
    looked_at = 0.0

    def looked() -> None:
        nonlocal looked_at
        looked_at = time.perf_counter()

    supervisord.kill_point = lambda _point, _subject="": windows.append(time.perf_counter() - looked_at)  # type: ignore[attr-defined]
    with (
        tempfile.TemporaryDirectory(prefix="pw-") as folder,
        World(Path(folder), [("tracking-api", "web-1", "")]) as world,
    ):
        target = parse_services(world.services_yaml("tracking-api"), "services.yaml").by_id("web-1/tracking-api")
        assert target is not None
        for _ in range(asked.n):
            identity = _running(target)
            supervisord.Changer(target, Local(), timedelta(seconds=30)).restart(identity, looked)
    print(f"{'':22}{'median':>10}{'p99':>10}{'max':>10}   us, n={asked.n}")
    _row("last look to sent", windows)
    _row("a bare sendall", _bare(asked.n))


def _running(target: supervisord.Target) -> supervisord.Identity:
    while True:
        try:
            identity = reading.reader(target).identity()
            if identity.state == "RUNNING":
                return identity
        except (TemporaryError, PermanentError):
            pass
        time.sleep(0.05)


def _bare(count: int) -> list[float]:
    left, right = socket.socketpair()
    took = []
    for _ in range(count):
        began = time.perf_counter()
        left.sendall(b"x" * 900)
        took.append(time.perf_counter() - began)
        right.recv(1000)
    return took


def _row(name: str, seconds: list[float]) -> None:
    micros = sorted(1e6 * second for second in seconds)
    p99 = micros[min(len(micros) - 1, int(0.99 * len(micros)))]
    print(f"{name:22}{statistics.median(micros):10.0f}{p99:10.0f}{micros[-1]:10.0f}")


if __name__ == "__main__":
    main()
