"""The story's rules for an API, as docs/sources/alertmanager.md has them: two services as a real Prometheus scrapes them, a real
Alertmanager, our gateway. Slow and failing fire at both bounds, and end when all is well."""

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from scripted_http import Asked, Said, scripted
from waiting import until

from paramedic.demo.world import free_port
from paramedic.machine.parent_death import command
from paramedic.store import Store, incidents
from paramedic.store.migrations import migrate
from paramedic.store.tables import inbox

pytestmark = [pytest.mark.real]

PAGE = (Path(__file__).parents[2] / "docs" / "sources" / "alertmanager.md").read_text(encoding="utf-8")

#: The page's rules and route, with times that a test can wait for.
FASTER = (("interval: 15s", "interval: 500ms"), ("[2m]", "[3s]"), ("for: 1m", "for: 1s"))

SCRAPES = """
global: {{scrape_interval: 250ms, scrape_timeout: 200ms, evaluation_interval: 500ms}}
rule_files: [{folder}/rules.yml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["127.0.0.1:{alertmanager}"]}}]}}]}}
scrape_configs:
  - job_name: apis
    static_configs:
      - {{targets: ["127.0.0.1:{tracking}"], labels: {{service: tracking-api, instance: web-1}}}}
      - {{targets: ["127.0.0.1:{orders}"], labels: {{service: order-status, instance: web-1}}}}
"""


@dataclass
class Api:
    """What a service's client library counts: a hundred requests a second, each as slow as it is now, so many of them errors."""

    seconds: float = 0.05
    errors: float = 0.0
    _counted: dict[str, float] = field(default_factory=dict)
    _at: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def scraped(self, _: Asked) -> Said:
        with self._lock:
            now = time.monotonic()
            requests, self._at = 100 * (now - self._at), now
            for le in ("0.1", "0.2", "0.3", "0.5", "+Inf"):
                name = f'http_request_duration_seconds_bucket{{le="{le}"}}'
                self._counted[name] = self._counted.get(name, 0.0) + (requests if self.seconds <= float(le) else 0.0)
            for code, share in (("200", 1 - self.errors), ("503", self.errors)):
                name = f'http_requests_total{{code="{code}"}}'
                self._counted[name] = self._counted.get(name, 0.0) + requests * share
            body = "".join(f"{name} {value}\n" for name, value in self._counted.items())
        return Said(200, body.encode(), {"Content-Type": "text/plain; version=0.0.4"})


@dataclass(frozen=True)
class Story:
    """The two services, and what has come of them."""

    tracking: Api
    orders: Api
    store: Store
    prometheus: str

    def severities(self) -> set[str]:
        """Of the alerts that Prometheus has, pending ones too."""
        answer = httpx.get(f"{self.prometheus}/api/v1/alerts", timeout=5, trust_env=False).raise_for_status()
        return {alert["labels"]["severity"] for alert in answer.json()["data"]["alerts"]}

    def said(self, service: str, name: str) -> list[tuple[str, str]]:
        """Severity and status of each report, without repeats, oldest first."""
        with self.store.read() as tx:
            rows = [row.alert for row in tx.conn.execute(inbox.select().order_by(inbox.c.position))]
        found = [
            (alert["severity"], alert["status"])
            for alert in rows
            if (alert["labels"]["service"], alert["name"]) == (service, name)
        ]
        return list(dict.fromkeys(found))


def _page_block(first: str) -> str:
    [block] = [block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if block.startswith(first)]
    return block


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.TransportError:
        return False


@pytest.fixture
def story(require: Callable[[str], str], tmp_path: Path) -> Iterator[Story]:
    prometheus, alertmanager = require("prometheus"), require("prometheus-alertmanager")
    store = Store(f"sqlite:///{tmp_path}/paramedic.db")
    migrate(f"sqlite:///{tmp_path}/paramedic.db")
    gateway, receives, serves = free_port(), free_port(), free_port()
    (tmp_path / "token").write_text("a-token-of-this-test")
    route = (
        _page_block("receivers:")
        .replace("8650", str(gateway))
        .replace("/etc/alertmanager/paramedic-token", f"{tmp_path}/token")
    )
    (tmp_path / "alertmanager.yml").write_text(f"{route}  group_interval: 1s\n  group_by: [alertname, service]\n")
    rules = _page_block("groups:")
    for slow, fast in FASTER:
        assert slow in rules
        rules = rules.replace(slow, fast)
    (tmp_path / "rules.yml").write_text(rules)
    tracking, orders = Api(), Api()
    with ExitStack() as stack:
        ports = [stack.enter_context(scripted(api.scraped)).url.rpartition(":")[2] for api in (tracking, orders)]
        scrapes = SCRAPES.format(folder=tmp_path, alertmanager=receives, tracking=ports[0], orders=ports[1])
        (tmp_path / "prometheus.yml").write_text(scrapes)
        runbooks = Path(__file__).parents[2] / "runbooks"
        env = {
            "PARAMEDIC_DATA": str(tmp_path),
            "PARAMEDIC_RUNBOOKS": str(runbooks),
            "PARAMEDIC_PORT": str(gateway),
            "PARAMEDIC_GATEWAY_TOKENS": '{"alertmanager": "a-token-of-this-test"}',
        }
        _run(stack, tmp_path, [sys.executable, "-m", "paramedic.gateway"], env=env, cwd=runbooks.parent)
        storage = [
            f"--storage.path={tmp_path}/am",
            f"--web.listen-address=127.0.0.1:{receives}",
            "--cluster.listen-address=",
        ]
        _run(stack, tmp_path, [alertmanager, f"--config.file={tmp_path}/alertmanager.yml", *storage])
        until("the gateway", lambda: _answers(f"http://127.0.0.1:{gateway}/readyz"))
        until("the Alertmanager", lambda: _answers(f"http://127.0.0.1:{receives}/-/ready"))
        storage = [f"--storage.tsdb.path={tmp_path}/data", f"--web.listen-address=127.0.0.1:{serves}"]
        _run(stack, tmp_path, [prometheus, f"--config.file={tmp_path}/prometheus.yml", *storage])
        until("the Prometheus", lambda: _answers(f"http://127.0.0.1:{serves}/-/ready"))
        yield Story(tracking, orders, store, f"http://127.0.0.1:{serves}")


def _run(stack: ExitStack, folder: Path, arguments: list[str], **options: Any) -> None:
    log = stack.enter_context((folder / f"{Path(arguments[0]).name}.log").open("wb"))
    process = subprocess.Popen(command(arguments), stdout=log, stderr=log, **options)
    stack.callback(process.wait, 20)
    stack.callback(process.terminate)


WARNED, WORSE, WELL = ("warning", "firing"), ("critical", "firing"), ("critical", "resolved")


@pytest.mark.timeout(180)
def test_slow_and_failing_fire_at_both_bounds_and_end(story: Story) -> None:
    story.tracking.seconds, story.orders.errors = 0.25, 0.02
    until(
        "the warnings",
        lambda: WARNED in story.said("tracking-api", "ApiSlow") and WARNED in story.said("order-status", "ApiErrors"),
        seconds=40,
    )
    assert story.severities() == {"warning"}, "250 ms is no 300 ms, and 2% is no 3%"
    story.tracking.seconds, story.orders.errors = 0.4, 0.1
    until(
        "what is worse",
        lambda: WORSE in story.said("tracking-api", "ApiSlow") and WORSE in story.said("order-status", "ApiErrors"),
        seconds=40,
    )
    story.tracking.seconds, story.orders.errors = 0.05, 0.0
    over = {WELL, ("warning", "resolved")}
    until(
        "the end",
        lambda: over <= {*story.said("tracking-api", "ApiSlow")} and over <= {*story.said("order-status", "ApiErrors")},
        seconds=40,
    )
    assert story.said("tracking-api", "ApiErrors") == story.said("order-status", "ApiSlow") == []
    with story.store.read() as tx:
        opened = sorted(incident.service for incident in incidents.listed(tx, limit=50))
    assert opened == ["order-status", "tracking-api"], "one incident a service, however many alerts"
