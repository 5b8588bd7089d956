"""A real Alertmanager posts its own webhook, with its own idea of repeats, to a real gateway."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from paramedic.demo.world import free_port
from paramedic.machine.parent_death import command
from paramedic.store import Store, incident_alerts
from paramedic.store.migrations import migrate
from paramedic.store.tables import inbox

pytestmark = [pytest.mark.real]

CONFIG = """
route: {{receiver: paramedic, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 2s}}
receivers:
  - name: paramedic
    webhook_configs:
      - url: http://127.0.0.1:{port}/alerts/alertmanager
        send_resolved: true
        http_config: {{authorization: {{type: Bearer, credentials: a-token-of-this-test}}}}
"""


def _until(what: str, holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until, what
        time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.TransportError:
        return False


@pytest.fixture
def store(tmp_path: Path) -> Store:
    url = f"sqlite:///{tmp_path}/paramedic.db"
    migrate(url)
    return Store(url)


@pytest.fixture
def alertmanager(require: Callable[[str], str], tmp_path: Path, store: Store) -> Iterator[str]:
    program = require("prometheus-alertmanager")
    port, gateway = free_port(), free_port()
    (tmp_path / "alertmanager.yml").write_text(CONFIG.format(port=gateway))
    runbooks = Path(__file__).parents[2] / "runbooks"
    env = {
        "PARAMEDIC_DATA": str(tmp_path),
        "PARAMEDIC_RUNBOOKS": str(runbooks),
        "PARAMEDIC_PORT": str(gateway),
        "PARAMEDIC_GATEWAY_TOKENS": '{"alertmanager": "a-token-of-this-test"}',
    }
    started = [
        subprocess.Popen(command([sys.executable, "-m", "paramedic.gateway"]), env=env, cwd=runbooks.parent),
        subprocess.Popen(
            command(
                [
                    program,
                    f"--config.file={tmp_path}/alertmanager.yml",
                    f"--storage.path={tmp_path}/am",
                    f"--web.listen-address=127.0.0.1:{port}",
                    "--cluster.listen-address=",
                ]
            ),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ),
    ]
    try:
        _until("the gateway", lambda: _answers(f"http://127.0.0.1:{gateway}/readyz"))
        _until("the Alertmanager", lambda: _answers(f"http://127.0.0.1:{port}/-/ready"))
        yield f"http://127.0.0.1:{port}"
    finally:
        for process in started:
            process.terminate()
            process.wait(10)


def _rows(store: Store) -> list[Any]:
    with store.read() as tx:
        return list(tx.conn.execute(inbox.select().order_by(inbox.c.position)))


def test_what_a_real_alertmanager_says_is_taken_repeated_and_resolved(alertmanager: str, store: Store) -> None:
    labels = {"alertname": "TrackingApiMemory", "instance": "web-9", "severity": "critical", "env": "prod"}
    alert = {"labels": labels, "annotations": {"summary": "it is full"}}
    httpx.post(f"{alertmanager}/api/v2/alerts", json=[alert], timeout=5, trust_env=False).raise_for_status()
    _until("two of its repeats", lambda: len(_rows(store)) >= 2)
    over = alert | {"endsAt": "2026-01-01T00:00:00Z", "startsAt": "2025-12-31T00:00:00Z"}
    httpx.post(f"{alertmanager}/api/v2/alerts", json=[over], timeout=5, trust_env=False).raise_for_status()
    _until("its end", lambda: _rows(store)[-1].alert["status"] == "resolved")
    _until("every decision", lambda: all(row.state == "triaged" for row in _rows(store)))
    rows = _rows(store)
    assert {row.alert["fingerprint"] for row in rows} == {rows[0].alert["fingerprint"]}
    assert {row.incident for row in rows if row.verdict != "drop"} == {1}


def test_what_two_prometheus_servers_say_through_a_real_alertmanager_is_over_at_its_end(
    alertmanager: str, store: Store
) -> None:
    now = datetime.now(UTC)
    labels = {"alertname": "TrackingApiMemory", "instance": "web-9", "severity": "critical", "env": "prod"}

    def post(*, began: timedelta, ended: timedelta) -> None:
        alert = {"labels": labels, "startsAt": (now + began).isoformat(), "endsAt": (now + ended).isoformat()}
        httpx.post(f"{alertmanager}/api/v2/alerts", json=[alert], timeout=5, trust_env=False).raise_for_status()

    def starts() -> set[str]:
        return {row.alert["starts_at"] for row in _rows(store)}

    later, merged, hour = timedelta(minutes=-8), timedelta(minutes=-10), timedelta(hours=1)
    post(began=later, ended=hour)
    _until("the later start", lambda: len(starts()) == 1)
    post(began=merged, ended=hour)
    _until("the merged start", lambda: len(starts()) == 2)
    post(began=merged, ended=timedelta(seconds=-1))
    _until("its end", lambda: _rows(store)[-1].alert["status"] == "resolved")
    _until("every decision", lambda: all(row.state == "triaged" for row in _rows(store)))
    assert _rows(store)[-1].verdict == "mark_resolved"
    with store.read() as tx:
        assert [one["status"] for one in incident_alerts.of(tx, 1)] == ["resolved"]
