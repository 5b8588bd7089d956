"""Debian's own Chromium, without a window: what a page looks like once its scripts have run."""

import subprocess
from pathlib import Path

#: A browser that asks nothing of the network but the page it is shown, and finds every name at this machine.
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP *.example 127.0.0.1",
]


def dom_of(chromium: str, address: str, profile: Path, *, budget_ms: int | None = 15_000) -> str:
    """The page's HTML after its scripts had `budget_ms` of the page's own time, or as it is loaded; the profile stays."""
    done = subprocess.run(
        [
            chromium,
            *FLAGS,
            f"--user-data-dir={profile}",
            *([f"--virtual-time-budget={budget_ms}"] if budget_ms else []),
            "--dump-dom",
            address,
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout
