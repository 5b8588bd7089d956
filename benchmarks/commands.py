"""The CPU time that small commands take, beside Python with its SQLite: `make bench-commands`.

As on a machine that keeps bytecode: without PYTHONDONTWRITEBYTECODE, and after one run of each that is not counted. On a folder
with the shipped runbooks, two incidents, the second with a runbook, and a signed trail. It prints the median of seven runs, and
the least and most.
"""

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from paramedic import keys
from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.catalog.library import open_library
from paramedic.settings import ROOT, Settings
from paramedic.store import Store, lifecycle
from paramedic.store.migrations import migrate
from paramedic.store.runbook_versions import Plan
from paramedic.upkeep import checkpoints

TIMES = 7

COMMANDS = (
    "--help",
    "--version",
    "config",
    "services schema",
    "incident list",
    "incident show 1",
    "incident show 2",
    "incident ack 1",
    "check list",
    "oncall who",
    "pause",
    "pauses",
    "resume",
    "maintenance list",
    "alert list",
    "runbook list",
    "runbook lint",
    "audit show",
    "audit verify",
)


def folder_with_incidents(folder: Path) -> None:
    """Make the data folder."""
    folder.chmod(0o700)
    shutil.copytree(ROOT / "runbooks", folder / "runbooks")
    settings = Settings(data=folder)
    migrate(settings.store())
    store = Store(settings.store())
    alert = Alert("alertmanager", "Slow", Severity.CRITICAL, Status.FIRING, datetime.now(UTC), "f", {})
    memory = open_library(settings, folder / "runbooks").runbooks["tracking-api-memory"]
    with store.record() as tx:
        for target, plan in (
            ("web-2/tracking-api", None),
            ("web-1/tracking-api", Plan(memory.name, memory.version, memory.text, rungs=1)),
        ):
            lifecycle.open_incident(
                tx, alert, service="tracking-api", target=target, policy="default", reason="measured", plan=plan
            )
    checkpoints.write(store, keys.signing_key(settings), settings.checkpoints())
    store.close()


def cpu_seconds(argv: list[str], environment: dict[str, str]) -> float:
    """User and system time of one run, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(name: str, argv: list[str], environment: dict[str, str]) -> None:
    """Print the median of some runs."""
    cpu_seconds(argv, environment)
    took = [cpu_seconds(argv, environment) for _ in range(TIMES)]
    print(f"{name:<30} {statistics.median(took):.2f} s   ({min(took):.2f} to {max(took):.2f})", flush=True)


with tempfile.TemporaryDirectory() as made:
    folder = Path(made)
    folder_with_incidents(folder)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"USER": "ada"}
    measure("python -c 'import sqlite3'", [sys.executable, "-c", "import sqlite3"], environment)
    program = str(Path(sys.executable).with_name("paramedic"))
    for command in COMMANDS:
        data = [] if command.startswith("-") or command.endswith("schema") else ["--data", str(folder)]
        measure(f"paramedic {command}", [program, *command.split(), *data], environment)
