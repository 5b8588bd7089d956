"""How many alerts per second get their 202, and what a storm does. `make bench-ingest`, in one run on one machine:

    sqlite      the whole `paramedic up` on embedded defaults (SQLite), triage running, under wrk: one alert a POST over 20
                connections, then groups of 100 over 4; and at half the single rate, in an open loop, the p99, while what
                came before is still decided
    postgresql  the same on a PostgreSQL of its own that waits for the disk
    yardstick   a bare ASGI app on uvicorn that commits the same rows to SQLite with full sync and group commit
    storm       `storm.py`: 10,000 different alerts on 50 services, the gateway killed in the middle

All rates are alerts per second (a group of 100 counts as 100). `--json FILE` writes the figures, `--quick` takes shorter
samples, to see that it works.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import load
import storm
from measured_stack import STAMP, TOKEN, settled, stamped, until

from paramedic.demo.world import free_port
from paramedic.machine.clock import iso, utc_now
from paramedic.store.migrations import migrate

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from databases import start_postgres, stop_postgres

#: How many different alerts the rates are measured with: 100 hosts with ten alerts each, again and again.
_FINGERPRINTS = 1000

#: What is reached: the share of the yardstick, or as many a second.
_SHARES = {"single_per_s": 0.7, "group_per_s": 0.6}
_ON_POSTGRESQL = {"single_per_s": 1300, "group_per_s": 9000}
_P99_MS = 50


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description="How many alerts per second get their 202.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--quick", action="store_true", help="short samples")
    parser.add_argument("--only", choices=("sqlite", "postgresql", "storm"), help="nothing else but the yardstick")
    asked = parser.parse_args()
    seconds = 4 if asked.quick else 15
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="pl-") as folder:
        if asked.only in (None, "sqlite"):
            figures["sqlite"] = _product(Path(folder, "sqlite"), seconds)
        if asked.only in (None, "postgresql"):
            with _postgres() as url:
                figures["postgresql"] = _product(Path(folder, "postgresql"), seconds, PARAMEDIC_STORE_URL=url)
        figures["yardstick"] = _yardstick(Path(folder), seconds)
        if asked.only in (None, "storm"):
            figures["storm"] = storm.play(Path(folder, "storm"))
    _print(figures)
    if asked.json:
        asked.json.write_text(json.dumps(figures, indent=2) + "\n")


def _rates(port: int, seconds: int) -> dict[str, float]:
    began = iso(utc_now())
    asked = {"fingerprints": _FINGERPRINTS, "seconds": seconds}
    single = load.rate(port, TOKEN, began, connections=20, group=1, **asked)
    group = load.rate(port, TOKEN, began, connections=4, group=100, **asked)
    return {"single_per_s": round(single, 1), "group_per_s": round(group, 1)}


def _product(folder: Path, seconds: int, **env: str) -> dict[str, float]:
    with settled(folder, "services:\n" + stamped(1), [STAMP], **env) as (stack, _mailbox):
        port = stack.settings.port
        print(f"{folder.name}:", flush=True)
        figures = _rates(port, seconds)
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


@contextmanager
def _postgres() -> Iterator[str]:
    """The URL of an empty database of a PostgreSQL that waits for the disk."""
    found = [shutil.which("initdb"), *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True))]
    initdb = next((path for path in found if path), None)
    if initdb is None:
        raise SystemExit("PostgreSQL is missing: install Debian's package `postgresql`")
    folder = Path(tempfile.mkdtemp(prefix="paramedic-pg-"))
    try:
        server, process = start_postgres(initdb, folder, durable=True)
        try:
            server.run("CREATE DATABASE bench")
            yield server.url("bench")
        finally:
            stop_postgres(process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _yardstick(folder: Path, seconds: int) -> dict[str, float]:
    database, port = folder / "bare.db", free_port()
    migrate(f"sqlite:///{database}")
    script = Path(__file__).with_name("bare_ingest.py")
    process = subprocess.Popen([sys.executable, script, str(database), str(port)])
    try:
        until(lambda: _listens(port), seconds=30)
        print("yardstick:", flush=True)
        return _rates(port, seconds)
    finally:
        process.terminate()
        process.wait(30)


def _listens(port: int) -> bool:
    try:
        httpx.get(f"http://127.0.0.1:{port}/", timeout=2, trust_env=False)
    except httpx.TransportError as error:
        return not isinstance(error, httpx.ConnectError)
    return True


def _print(figures: dict[str, Any]) -> None:
    bare = figures["yardstick"]
    print(f"\n{'alerts per second':28}{'paramedic':>12}{'yardstick':>12}{'share':>8}   reach")
    for database in ("sqlite", "postgresql"):
        for name, words in (("single_per_s", "one a POST, 20 connections"), ("group_per_s", "groups of 100, 4")):
            if database not in figures:
                continue
            ours = figures[database][name]
            reach = f"{_SHARES[name]}" if database == "sqlite" else f"{_ON_POSTGRESQL[name]}/s"
            print(f"{words:28}{ours:>12}{bare[name]:>12}{ours / bare[name]:>8.2f}   {reach} ({database})")
        if database in figures:
            took = figures[database]["p99_ms_at_half"]
            print(f"p99 at half the single rate: {took} ms, reach {_P99_MS} ms ({database})")
    if "storm" in figures:
        storm.show(figures["storm"])


if __name__ == "__main__":
    main()
