"""How the embedded Prefect stands once it has started."""

import contextlib
import json
import os
import subprocess
import sys

import httpx
import pytest
from prefect_server import Prefect
from websockets.sync.client import connect

#: With a small application in the place of Prefect's own, which takes ten seconds to start.
_STARTED = """
import gc, json, os, sys, types
from starlette.applications import Starlette
from starlette.testclient import TestClient
from paramedic.stack.prefect_server import create_app

sys.modules["prefect.server.api.server"] = types.SimpleNamespace(create_app=Starlette)
app = create_app()
off = gc.isenabled()
with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 1)) as client:
    client.get("/")
    print(json.dumps({
        "collects while it starts": off, "collects": gc.isenabled(),
        "kept": gc.get_freeze_count(), "seen": len(gc.get_objects()),
    }), flush=True)
    os._exit(0)  # how it ends is another story
"""


def test_the_collector_goes_on_and_leaves_alone_what_was_loaded_at_the_start() -> None:
    done = subprocess.run([sys.executable, "-c", _STARTED], capture_output=True, text=True, timeout=120, check=True)
    answer = json.loads(done.stdout)
    assert answer["collects while it starts"] is False
    assert answer["collects"] is True
    assert answer["kept"] > 10 * answer["seen"]


@pytest.mark.real
def test_prefects_own_application_starts_in_this_way_and_shows_that_it_lives(prefect: Prefect) -> None:
    assert os.read(prefect.heart, 1) == b"."


@pytest.mark.real
def test_the_websockets_of_many_runs_stop_no_call(prefect: Prefect) -> None:
    with contextlib.ExitStack() as open_ones:
        for _ in range(120):
            open_ones.enter_context(connect(f"ws://127.0.0.1:{prefect.port}/api/events/in", proxy=None))
        assert httpx.get(f"{prefect.api}/admin/version", timeout=10, trust_env=False).is_success
