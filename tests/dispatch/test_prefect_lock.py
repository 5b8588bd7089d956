"""A Prefect whose database is locked says so, and soon: whoever asked comes again, and nobody waits for a minute."""

import contextlib
import sqlite3

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
