"""The CPU time that small commands take, beside Python with its SQLite: `make bench-commands`."""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from paramedic.store.migrations import migrate

TIMES = 7

COMMANDS = (["--help"], ["--version"], ["config"], ["incident", "list"], ["check", "list"], ["runbook", "list"])


def cpu_seconds(argv: list[str], environment: dict[str, str]) -> float:
    """User and system time of one run, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(name: str, argv: list[str], environment: dict[str, str]) -> None:
    """Print the median of some runs."""
    took = [cpu_seconds(argv, environment) for _ in range(TIMES)]
    print(f"{name:<30} {statistics.median(took):.2f} s   ({min(took):.2f} to {max(took):.2f})")


with tempfile.TemporaryDirectory() as folder:
    Path(folder).chmod(0o700)
    url = f"sqlite:///{folder}/paramedic.db"
    migrate(url)
    environment = os.environ | {"PARAMEDIC_DATA": folder}
    measure("python -c 'import sqlite3'", [sys.executable, "-c", "import sqlite3"], environment)
    program = str(Path(sys.executable).with_name("paramedic"))
    for command in COMMANDS:
        measure(" ".join(["paramedic", *command]), [program, *command], environment)
