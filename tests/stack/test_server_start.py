"""How the embedded Prefect stands once it has started."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from paramedic.stack.prefect_server import server_env

pytestmark = pytest.mark.real

_STARTED = """
import gc, json, os
from starlette.testclient import TestClient
from paramedic.stack.prefect_server import create_app

app = create_app()
with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 1)) as client:
    ok = client.get("/api/health").json()
    said = {"ok": ok, "collects": gc.isenabled(), "kept": gc.get_freeze_count(), "seen": len(gc.get_objects())}
    print(json.dumps(said), flush=True)
    os._exit(0)  # how it ends is another story
"""


def test_the_collector_goes_on_and_leaves_alone_what_was_loaded_at_the_start(tmp_path: Path) -> None:
    env = dict(os.environ) | server_env(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", _STARTED], env=env, capture_output=True, text=True, timeout=240, check=True
    )
    said = json.loads(done.stdout.strip().rpartition("\n")[2])
    assert said["ok"] is True
    assert said["collects"] is True
    assert said["kept"] > 10 * said["seen"]
