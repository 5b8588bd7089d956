"""A real Alertmanager posts its own webhook, with its own idea of repeats, to a real gateway."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect_server import http
from waiting import until

from paramedic.demo.world import free_port
from paramedic.machine.parent_death import command
from paramedic.store import Store, incident_alerts
from paramedic.store.migrations import migrate
from paramedic.store.tables import inbox

pytestmark = [pytest.mark.real]

CONFIG = """
route: {{receiver: paramedic, group_by: [alertname, instance], group_wait: 0s, group_interval: 1s, repeat_interval: 2s}}
receivers:
  - name: paramedic
    webhook_configs:
      - url: http://127.0.0.1:{port}/alerts/alertmanager
        send_resolved: true
        http_config: {{authorization: {{type: Bearer, credentials: a-token-of-this-test}}}}
"""


HTTP = http()


def _answers(url: str) -> bool:
    try:
        return HTTP.get(url, timeout=2).is_success
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("alertmanager")


@pytest.fixture(scope="module")
def store(folder: Path) -> Store:
    url = f"sqlite:///{folder}/paramedic.db"
    migrate(url)
    return Store(url)


@pytest.fixture(scope="module")
def alertmanager(require: Callable[[str], str], folder: Path, store: Store) -> Iterator[str]:
    program = require("prometheus-alertmanager")
    port, gateway = free_port(), free_port()
    (folder / "alertmanager.yml").write_text(CONFIG.format(port=gateway))
    runbooks = Path(__file__).parents[2] / "runbooks"
    env = {
        "PARAMEDIC_DATA": str(folder),
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
                    f"--config.file={folder}/alertmanager.yml",
                    f"--storage.path={folder}/am",
                    f"--web.listen-address=127.0.0.1:{port}",
                    "--cluster.listen-address=",
                ]
            ),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ),
    ]
    try:
        until("the gateway", lambda: _answers(f"http://127.0.0.1:{gateway}/readyz"))
        until("the Alertmanager", lambda: _answers(f"http://127.0.0.1:{port}/-/ready"))
        yield f"http://127.0.0.1:{port}"
    finally:
        for process in started:
            process.terminate()
            process.wait(10)


def _labels(instance: str) -> dict[str, str]:
    """Of an alert, as its Prometheus sends it."""
    return {"alertname": "TrackingApiMemory", "instance": instance, "severity": "critical", "env": "prod"}


@dataclass(frozen=True)
class Story:
    """What is said of one instance, and what has come of it; two are told at once."""

    alertmanager: str
    store: Store
    instance: str

    def post(self, **alert: Any) -> None:
        body = [{"labels": _labels(self.instance)} | alert]
        HTTP.post(f"{self.alertmanager}/api/v2/alerts", json=body, timeout=5).raise_for_status()

    @property
    def rows(self) -> list[Any]:
        """What has come, the oldest first."""
        with self.store.read() as tx:
            found = tx.conn.execute(inbox.select().order_by(inbox.c.position)).all()
        return [row for row in found if row.alert["labels"]["instance"] == self.instance]

    def is_over(self) -> bool:
        return bool(self.rows) and self.rows[-1].alert["status"] == "resolved"

    def is_decided(self) -> bool:
        return all(row.state == "triaged" for row in self.rows)

    def starts(self) -> set[str]:
        return {row.alert["starts_at"] for row in self.rows}


@pytest.fixture(scope="module")
def full(alertmanager: str, store: Store) -> Story:
    """It goes on and on, and is repeated while the other test tells its own."""
    story = Story(alertmanager, store, "web-9")
    story.post(annotations={"summary": "it is full"})
    return story


@pytest.mark.usefixtures("full")
def test_what_two_prometheus_servers_say_through_a_real_alertmanager_is_over_at_its_end(
    alertmanager: str, store: Store
) -> None:
    now = datetime.now(UTC)
    two = Story(alertmanager, store, "web-8")

    def post(*, began: timedelta, ended: timedelta) -> None:
        two.post(startsAt=(now + began).isoformat(), endsAt=(now + ended).isoformat())

    later, merged, hour = timedelta(minutes=-8), timedelta(minutes=-10), timedelta(hours=1)
    post(began=later, ended=hour)
    until("the later start", lambda: len(two.starts()) == 1)
    post(began=merged, ended=hour)
    until("the merged start", lambda: len(two.starts()) == 2)
    post(began=merged, ended=timedelta(seconds=-1))
    until("its end", two.is_over)
    until("every decision", two.is_decided)
    last = two.rows[-1]
    assert last.verdict == "mark_resolved"
    with store.read() as tx:
        assert [alert["status"] for alert in incident_alerts.of(tx, last.incident)] == ["resolved"]


def test_what_a_real_alertmanager_says_is_taken_repeated_and_resolved(full: Story) -> None:
    until("two of its repeats", lambda: len(full.rows) >= 2)
    full.post(annotations={"summary": "it is full"}, endsAt="2026-01-01T00:00:00Z", startsAt="2025-12-31T00:00:00Z")
    until("its end", full.is_over)
    until("every decision", full.is_decided)
    rows = full.rows
    assert {row.alert["fingerprint"] for row in rows} == {rows[0].alert["fingerprint"]}
    assert len({row.incident for row in rows if row.verdict != "drop"}) == 1
    assert rows[0].incident is not None
