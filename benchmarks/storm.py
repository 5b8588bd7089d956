"""A storm of alerts, for `make bench-ingest`: what is lost, done twice, and told, and how long what is critical waits.

10,000 different alerts on 50 services come in groups of 100. Among them: for five real services (below a real supervisord, and
broken) twenty critical alerts each, which lead to one restart each; and one critical alert that starts a playbook which only
writes down when it began. The gateway is killed (SIGKILL) in the middle, and started again by `up`; senders repeat what got
no 202.
"""

import contextlib
import json
import os
import signal
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import alertmanager
import httpx
import load
from measured_stack import RESTART, STAMP, TOKEN, settled, stamp_file, stamped, until
from sqlalchemy import select

from paramedic.demo.world import Mailbox, Service, World
from paramedic.machine.clock import iso, utc_now
from paramedic.stack.stack import Stack
from paramedic.store import Store, inbox, incidents
from paramedic.store.tables import inbox as inbox_table

_STORM, _GROUP, _SERVICES = 10_000, 100, 50

#: How many real services are broken, and how many alerts there are about each.
_BROKEN, _ALERTS_EACH = 5, 20

#: Which group of the storm comes with the one alert that starts a playbook at once, and before which one the gateway is killed.
_CRITICAL_AT, _KILL_AT = 30, 60

#: How long messages are waited for, after the last decision.
_MESSAGES_SECONDS = 10


def play(folder: Path) -> dict[str, float]:
    """The figures of one storm."""
    broken = [("tracking-api", f"web-{number}", "") for number in range(_BROKEN)]
    with World(folder / "w", broken, deployed_before=timedelta(days=1)) as world:
        services_yaml = world.services_yaml("tracking-api") + stamped(1) + _listed()
        with settled(folder, services_yaml, [STAMP, RESTART]) as (stack, mailbox):
            return _played(folder, stack, mailbox, world)


def _played(folder: Path, stack: Stack, mailbox: Mailbox, world: World) -> dict[str, float]:
    store = Store(stack.settings.store())
    began = iso(utc_now())
    for service in world.services:
        until(lambda url=service.url: _answers(f"{url}/health"), stack.tick)
        httpx.get(f"{service.url}/break", timeout=5, trust_env=False).raise_for_status()
    starts = {service.host: service.starts for service in world.services}
    storm = _Storm(stack.settings.port, stack.pids()["gateway"], _bodies(world.services, began), _critical(began))
    print("storm:", flush=True)
    messages = len(mailbox.messages)
    first = time.time()
    storm.post(stack)
    until(lambda: not _undecided(store), stack.tick, seconds=600, every=0.25)
    decided = time.time() - first
    stamp = stamp_file(folder, "b-1")
    until(lambda: stamp.exists() and bool(stamp.read_text()), stack.tick, seconds=300)
    until(lambda: _over(store, world), stack.tick, seconds=300)
    quiet_at = time.monotonic() + _MESSAGES_SECONDS
    until(lambda: time.monotonic() > quiet_at, stack.tick)
    return {
        "sent": storm.sent,
        "lost": len(storm.receipts - _kept(store)),
        "acts_twice": sum(max(0, service.starts - starts[service.host] - 1) for service in world.services),
        "messages_per_person": len(mailbox.messages) - messages,  # one person is on call
        "decided_s": round(decided, 1),
        "critical_first_step_ms": round(1000 * (float(stamp.read_text()) - storm.critical_posted), 1),
    }


def show(figures: dict[str, Any]) -> None:
    """Print them, beside what is to be reached."""
    words = (
        ("sent", "alerts got their 202", ""),
        ("lost", "of them are lost", "0"),
        ("acts_twice", "acts were done twice", "0"),
        ("messages_per_person", "messages to the one on call", "5"),
        ("decided_s", "seconds until all are decided", "60"),
        ("critical_first_step_ms", "ms to the critical one's first step", "2000"),
    )
    print("storm of 10,000:")
    for name, what, reach in words:
        print(f"{figures[name]:>12} {what}{f', reach {reach}' if reach else ''}")


class _Storm:
    """Posts every group until it gets its 202, over four connections, as senders do."""

    def __init__(self, port: int, pid: int, bodies: list[bytes], critical: bytes) -> None:
        self._url = f"http://127.0.0.1:{port}{alertmanager.PATH}"
        self._pid = pid
        self._bodies = list(enumerate(bodies))[::-1]
        self._critical = critical
        self._lock = threading.Lock()
        self.receipts: set[str] = set()
        self.sent = 0
        self.critical_posted = 0.0

    def post(self, stack: Stack) -> None:
        """All of them."""
        threads = [threading.Thread(target=self._work) for _ in range(4)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            stack.tick()
            time.sleep(0.05)

    def _work(self) -> None:
        with httpx.Client(trust_env=False, timeout=30, headers={"Authorization": f"Bearer {TOKEN}"}) as client:
            while True:
                with self._lock:
                    if not self._bodies:
                        return
                    number, body = self._bodies.pop()
                if number == _CRITICAL_AT:
                    self.critical_posted = time.time()
                    self._until_taken(client, self._critical)
                if number == _KILL_AT:
                    os.kill(self._pid, signal.SIGKILL)
                self._until_taken(client, body)

    def _until_taken(self, client: httpx.Client, body: bytes) -> None:
        while True:
            with contextlib.suppress(httpx.TransportError):
                answer = client.post(self._url, content=body)
                if answer.status_code == 202:
                    with self._lock:
                        self.receipts |= set(answer.json()["receipts"])
                        self.sent += len(answer.json()["receipts"])
                    return
            time.sleep(0.2)


def _listed() -> str:
    """The 50 services, for services.yaml: no runbook is for them."""
    return "".join(
        f"  svc-{number}:\n    owner: nobody\n    targets:\n"
        f'      - {{host: s-{number}, supervisord: {{program: svc-{number}, address: "http://127.0.0.1:9"}}}}\n'
        for number in range(_SERVICES)
    )


def _bodies(broken: list[Service], began: str) -> list[bytes]:
    """The groups, every alert another one; with the criticals about the broken services there are as many as said."""
    groups = [
        load.body(list(range(at, at + _GROUP)), began, run=f"{at}", service=f"svc-{at // _GROUP % _SERVICES}")
        for at in range(0, _STORM - _GROUP, _GROUP)
    ]
    several = [
        alertmanager.alert(alert["labels"] | {"part": str(part)}, began)
        for part in range(_ALERTS_EACH)
        for service in broken
        for alert in [alertmanager.bench_alert("restart", service.host, service.name, began)]
    ]
    groups.insert(len(groups) // 2, json.dumps(alertmanager.body(several[: _GROUP - 1])).encode())
    return groups


def _critical(began: str) -> bytes:
    return json.dumps(alertmanager.body([alertmanager.bench_alert("stamp", "b-1", "stamp", began)])).encode()


def _undecided(store: Store) -> int:
    with store.read() as tx:
        return inbox.depth(tx)[0]


def _over(store: Store, world: World) -> bool:
    """Whether the incident of each broken service is over."""
    about = {f"{service.host}/{service.name}" for service in world.services}
    with store.read() as tx:
        found = [incident for incident in incidents.listed(tx, limit=5000) if incident.target in about]
    return {incident.target for incident in found} == about and all(incident.ended_at for incident in found)


def _kept(store: Store) -> set[str]:
    with store.read() as tx:
        return set(tx.conn.execute(select(inbox_table.c.receipt)).scalars())


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.TransportError:
        return False
