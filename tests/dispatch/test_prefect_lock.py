"""A Prefect whose database is locked says so, and soon: whoever asked comes again, and nobody waits for a minute."""

import contextlib
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from prefect_server import Prefect

from paramedic.dispatch.prefect_server import LOCK_SECONDS

pytestmark = pytest.mark.real


def test_a_write_that_cannot_be_made_is_refused_long_before_prefects_own_minute(prefect: Prefect) -> None:
    pool = {"name": "of-a-lock", "type": "process"}
    with contextlib.closing(sqlite3.connect(prefect.home / "prefect.db", isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        answer = httpx.post(f"{prefect.api}/work_pools/", json=pool, timeout=3 * LOCK_SECONDS, trust_env=False)
        database.execute("ROLLBACK")
    assert answer.status_code == 503
    assert prefect.ask("POST", "/work_pools/", json=pool)["name"] == "of-a-lock"


def test_who_writes_while_others_write_waits_and_is_not_refused(prefect: Prefect) -> None:
    flow = prefect.ask("POST", "/flows/", json={"name": "of-many-writers"})["id"]

    def write(_: int) -> list[int]:
        said = []
        with httpx.Client(base_url=prefect.api, timeout=60, trust_env=False) as client:
            for _ in range(5):
                made = client.post("/flow_runs/", json={"flow_id": flow, "state": {"type": "PENDING"}})
                said.append(made.status_code)
                path = f"/flow_runs/{made.json().get('id')}/set_state"
                bodies = [{"state": {"type": state}, "force": True} for state in ("RUNNING", "COMPLETED")]
                said += [client.post(path, json=body).status_code for body in bodies]
        return said

    with ThreadPoolExecutor(6) as writers:
        answers = [code for said in writers.map(write, range(6)) for code in said]
    assert answers == [201] * 90
