"""In the time that is set by default, one part that hangs leaves what was seen of all others."""

import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import kubernetes_api
import pytest
from kubernetes_api import Fault
from kubernetes_nodes import filled
from lying_engine import BEFORE

from paramedic.change.gathering import Look, gather
from paramedic.doors import reading
from paramedic.machine.clock import boottime, utc_now
from paramedic.remediation.target import Target
from paramedic.settings import Settings
from paramedic.transports.local import Local

#: How long the test's own machine may take with the answer beyond it.
SLACK_SECONDS = 5.0


def looked(target: Target, *kinds: str) -> dict[str, Look]:
    """What is seen of it in the time of an installation where nobody has set another."""
    within = Settings().evidence_within
    assert within == timedelta(seconds=5)
    began = boottime()
    seen = gather(target, kinds, since=utc_now(), patience=within)
    assert boottime() - began < within.total_seconds() + SLACK_SECONDS
    return {look.kind: look for look in seen}


def body(look: Look) -> str:
    assert look.piece is not None, look.fault
    return look.piece.body


@pytest.fixture
def api(tmp_path: Path) -> Iterator[tuple[kubernetes_api.ApiServer, Target]]:
    with kubernetes_api.serving() as api:
        filled(api)
        file = kubernetes_api.kubeconfig(tmp_path, f"http://127.0.0.1:{api.port}")
        yield api, kubernetes_api.target(kubernetes_api.cluster(file))


def test_a_node_that_is_slow_leaves_the_others_and_every_other_piece(
    api: tuple[kubernetes_api.ApiServer, Target],
) -> None:
    server, target = api
    server.faults.append(Fault("GET", path="nodes/node-b", seconds=30))
    seen = looked(target, "workload", "pods", "events", "rollout-history", "previous-log", "nodes")
    assert {kind: look.unseen for kind, look in seen.items() if look.unseen}.keys() == {"nodes"}
    assert body(seen["nodes"]).splitlines()[:3] == ["3 nodes have pods of it", "node-a: ready", "node-c: ready"]
    [why] = seen["nodes"].unseen
    assert why.startswith("node-b: could not be seen: the API server of prod-cluster gave no whole answer: ")
    assert "3 pods, 3 ready" in body(seen["pods"])


def test_pods_that_are_slow_leave_the_events_of_the_workload(api: tuple[kubernetes_api.ApiServer, Target]) -> None:
    server, target = api
    server.faults.append(Fault("GET", path="/pods", seconds=30, times=9))
    seen = looked(target, "events", "workload", "pods")
    assert "Scaled Deployment api" in body(seen["events"])
    assert "events of its pods: which pods it has was not seen" in "; ".join(seen["events"].unseen)
    assert "available/complete" in body(seen["workload"])
    assert "gave no whole answer" in seen["pods"].fault, "its own reason, not that of all who are late"


@contextmanager
def hanging_engine() -> Iterator[Target]:
    """An Engine that describes a container, begins its log, and sends no more; what it lists it never sends."""
    log = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n\x01\0\0\0\0\0\0\x03ok\n\r\n"
    over = threading.Event()

    def serve(line: socket.socket) -> None:
        with line:
            request = line.recv(65_536)
            if b"/logs?" in request:
                line.sendall(log)
            elif b"/containers/web/json" in request:
                line.sendall(BEFORE)
                return
            over.wait(60)

    def accept(listener: socket.socket) -> None:
        with ExitStack() as stack:
            stack.callback(over.set)
            while True:
                try:
                    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
                except OSError:  # closed
                    return

    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/s")
        listener.listen()
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        yield Target("localhost/container:web", "shop", "localhost", "container", "web", f"{folder}/s")
        over.set()
        listener.shutdown(socket.SHUT_RDWR)


def test_an_engine_that_hangs_in_the_middle_leaves_what_it_has_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "transport", lambda *_: Local())
    with hanging_engine() as target:
        seen = looked(target, "last-log", "state", "memory")
    assert body(seen["last-log"]).startswith("ok\n")
    assert seen["last-log"].unseen == (
        "its end: the Engine sent no more of it in time; `docker logs --tail 100 web` shows it",
    )
    assert "status: running" in body(seen["state"])
    assert "what a roll-back has left beside it was not seen: " in "; ".join(seen["state"].unseen)
    assert seen["memory"].fault.endswith("did not answer in time")
