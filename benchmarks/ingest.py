"""How many alerts per second get their 202, and what a storm does. `make bench-ingest`, in one run on one machine:

    sqlite     the whole `paramedic up` on embedded defaults (SQLite), triage running, under wrk: one alert a POST over 20
               connections, then groups of 100 over 4 connections; and at half the single rate, in an open loop, the p99
    yardstick  a bare ASGI app on uvicorn that commits the same rows to SQLite with full sync and group commit
    storm      10,000 different alerts in groups of 100, one critical among them that starts a playbook, the gateway killed
               (SIGKILL) in the middle and started again by `up`; senders repeat what got no 202

All rates are alerts per second (a group of 100 counts as 100). `--json FILE` writes the figures, `--quick` takes shorter
samples, to see that it works.
"""

import argparse
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import alertmanager
import httpx
import load
from measured_stack import STAMP, TOKEN, stamp_file, stamped, started, until

from paramedic.demo.world import Mailbox, free_port
from paramedic.machine.clock import iso, utc_now
from paramedic.stack.stack import Stack
from paramedic.store.migrations import migrate

#: How many different alerts the rates are measured with: 100 hosts with ten alerts each, again and again.
_FINGERPRINTS = 1000

_STORM, _GROUP = 10_000, 100

#: Which group of the storm holds the critical alert, and after which one the gateway is killed.
_CRITICAL_AT, _KILL_AT = 30, 60

#: After a start, before anything is measured.
_SETTLE_SECONDS = 10


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description="How many alerts per second get their 202.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--quick", action="store_true", help="short samples")
    asked = parser.parse_args()
    seconds = 4 if asked.quick else 15
    with tempfile.TemporaryDirectory(prefix="pl-") as folder:
        figures: dict[str, Any] = {"sqlite": _product(Path(folder, "rates"), seconds)}
        figures["yardstick"] = _yardstick(Path(folder), seconds)
        figures["storm"] = _storm(Path(folder, "storm"))
    _print(figures)
    if asked.json:
        asked.json.write_text(json.dumps(figures, indent=2) + "\n")


def _rates(port: int, seconds: int) -> dict[str, float]:
    began = iso(utc_now())
    asked = {"fingerprints": _FINGERPRINTS, "seconds": seconds}
    single = load.rate(port, TOKEN, began, connections=20, group=1, **asked)
    group = load.rate(port, TOKEN, began, connections=4, group=_GROUP, **asked)
    return {"single_per_s": round(single, 1), "group_per_s": round(group, 1)}


def _product(folder: Path, seconds: int) -> dict[str, float]:
    with _up(folder) as (stack, port):
        print("the product:", flush=True)
        figures = _rates(port, seconds)
        _until_decided(folder, stack, seconds=600)
        began = iso(utc_now())
        took = load.latencies_ms(
            port,
            TOKEN,
            lambda number: load.body([number % _FINGERPRINTS], began),
            per_second=figures["single_per_s"] / 2,
            seconds=seconds,
            connections=20,
        )
    ordered = sorted(took)
    figures["p99_ms_at_half"] = round(ordered[int(0.99 * len(ordered))], 1)
    print(f"  open loop at half: p50 {ordered[len(ordered) // 2]:.1f} ms, worst {ordered[-1]:.1f} ms", flush=True)
    return figures


def _yardstick(folder: Path, seconds: int) -> dict[str, float]:
    database, port = folder / "bare.db", free_port()
    migrate(f"sqlite:///{database}")
    script = Path(__file__).with_name("bare_ingest.py")
    process = subprocess.Popen([sys.executable, script, str(database), str(port)])
    try:
        until(lambda: _listens(port), seconds=30)
        print("the yardstick:", flush=True)
        return _rates(port, seconds)
    finally:
        process.terminate()
        process.wait(30)


def _storm(folder: Path) -> dict[str, float]:
    with _up(folder) as (stack, port):
        (pid,) = (stack.pids()["gateway"],)
        began = iso(utc_now())
        bodies = [
            load.body(list(range(at, at + _GROUP)), began, run=str(at)) for at in range(0, _STORM - _GROUP, _GROUP)
        ]
        last = list(range(_STORM - _GROUP, _STORM - 1))
        critical = _critical(began)
        bodies.append(load.body(last, began, run="last"))
        storm = _Storm(port, pid, bodies, critical)
        print("the storm:", flush=True)
        first = time.time()
        storm.post(stack)
        stamp = stamp_file(folder, "b-1")
        _until_decided(folder, stack, seconds=600)
        decided = time.time() - first
        until(lambda: stamp.exists() and bool(stamp.read_text()), stack.tick, seconds=300)
        kept = _receipts(folder)
    return {
        "sent": storm.sent,
        "lost": len(storm.receipts - kept),
        "decided_s": round(decided, 1),
        "critical_first_step_ms": round(1000 * (float(stamp.read_text()) - storm.critical_posted), 1),
    }


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


def _critical(began: str) -> bytes:
    return json.dumps(alertmanager.body([alertmanager.bench_alert("stamp", "b-1", "stamp", began)])).encode()


@contextmanager
def _up(folder: Path) -> Iterator[tuple[Stack, int]]:
    """`paramedic up`, settled, and the port of its gateway."""
    with Mailbox() as mailbox, started(folder, mailbox, "services:\n" + stamped(1), [STAMP]) as stack:
        time.sleep(_SETTLE_SECONDS)  # warm processes are made after that
        yield stack, stack.settings.port


def _database(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{folder}/data/paramedic.db?mode=ro", uri=True, timeout=30)


def _until_decided(folder: Path, stack: Stack, *, seconds: float) -> None:
    def decided() -> bool:
        with contextlib.closing(_database(folder)) as connection:
            return connection.execute("SELECT 1 FROM inbox WHERE state = 'new' LIMIT 1").fetchone() is None

    until(decided, stack.tick, seconds=seconds, every=0.25)


def _receipts(folder: Path) -> set[str]:
    with contextlib.closing(_database(folder)) as connection:
        return {receipt for (receipt,) in connection.execute("SELECT receipt FROM inbox")}


def _listens(port: int) -> bool:
    try:
        httpx.get(f"http://127.0.0.1:{port}/", timeout=2, trust_env=False)
    except httpx.TransportError as error:
        return not isinstance(error, httpx.ConnectError)
    return True


def _print(figures: dict[str, Any]) -> None:
    ours, bare, storm = figures["sqlite"], figures["yardstick"], figures["storm"]
    print(f"\n{'alerts per second':28}{'paramedic':>12}{'yardstick':>12}{'share':>8}")
    for name, words in (("single_per_s", "one a POST, 20 connections"), ("group_per_s", "groups of 100, 4")):
        print(f"{words:28}{ours[name]:>12}{bare[name]:>12}{ours[name] / bare[name]:>8.2f}")
    print(f"p99 at half the single rate: {ours['p99_ms_at_half']} ms")
    print(
        f"storm: {storm['sent']} alerts got their 202, {storm['lost']} lost, all decided after {storm['decided_s']} s; "
        f"the critical one's first step after {storm['critical_first_step_ms']} ms"
    )


if __name__ == "__main__":
    main()
