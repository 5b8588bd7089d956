"""Paramedic is killed in the middle of its work and started again after hours: what is well by then is not touched."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from boundaries import Boundaries
from kill.authored import AGO, ONCALL, RUNBOOK
from mail_server import Postbox
from prefect_server import lay_out
from whole_paramedic import Paramedic, all_gone, running, until

from paramedic.demo.world import Service, World, free_port
from paramedic.incidents.incident import Incident, State
from paramedic.incidents.outcome import Ending
from paramedic.machine.clock import iso, utc_now
from paramedic.settings import Settings
from paramedic.store import Store, acts, clock_jumps, incidents, trail
from paramedic.store.table_facts import declared
from paramedic.store.tables import attempts as attempt_rows
from paramedic.store.tables import incident_alerts as alert_rows
from paramedic.store.tables import incidents as incident_rows

pytestmark = [pytest.mark.real, pytest.mark.kill, pytest.mark.long, pytest.mark.timeout(900)]

HOURS = timedelta(hours=5)
TOKEN = "a-token-that-only-this-test-knows"

#: Each target's run is killed where it stands: once it has the target, or once it has all but acted.
STANDS = {"claimed": "claimed", "about-to-act": "evidence_taken", "still-down": "evidence_taken"}


@dataclass
class Stage:
    """Real services under a real supervisord, and the Paramedic that looks after them."""

    folder: Path
    world: World
    boundaries: Boundaries
    env: dict[str, str]

    def service(self, name: str) -> Service:
        return next(one for one in self.world.services if one.name == name)

    def runs(self, name: str) -> bool:
        with suppress(OSError):  # its supervisord may not listen yet
            return self.world.is_running(self.service(name))
        return False

    def up(self) -> Any:
        return running(self.folder, "up", "--data", "data", **self.env)

    def takes(self, paramedic: Paramedic) -> bool:
        """Whether the gateway has taken the alerts about all of them."""
        assert paramedic.process.poll() is None, paramedic.output_text
        alerts = [
            {
                "status": "firing",
                "labels": {
                    "alertname": f"Broken-{one.name}",
                    "env": "kill",
                    "instance": one.host,
                    "program": one.name,
                    "severity": "critical",
                },
                "annotations": {},
                "startsAt": iso(utc_now()),
                "endsAt": "0001-01-01T00:00:00Z",
            }
            for one in self.world.services
        ]
        with suppress(httpx.TransportError):
            answer = httpx.post(
                f"http://127.0.0.1:{self.env['PARAMEDIC_PORT']}/alerts/alertmanager",
                json={"version": "4", "status": "firing", "alerts": alerts},
                headers={"Authorization": f"Bearer {TOKEN}"},
                timeout=30,
                trust_env=False,
            )
            return answer.status_code == 202
        return False

    def store(self) -> Store:
        return Store(Settings(data=self.folder / "data").store())

    def hours_pass(self) -> None:
        """Everything that waits for a moment, and what is dated, is hours older."""
        store = self.store()
        dated = (
            incident_rows.c.opened_at,
            attempt_rows.c.raised_at,
            alert_rows.c.starts_at,
            alert_rows.c.first_seen,
            alert_rows.c.last_seen,
        )
        with store.record() as tx:
            timers = [time for facts in declared() for time in facts.times]
            moved = {column for column, _ in timers}
            for column, runs in [*timers, *((one, one.is_not(None)) for one in dated if one not in moved)]:
                clock_jumps._move(tx, column, runs, HOURS)

    def incident(self, name: str) -> Incident:
        with self.store().read() as tx:
            [found] = [one for one in incidents.listed(tx, limit=10) if one.target == f"web-1/{name}"]
        return found

    def told(self, name: str) -> str:
        with self.store().read() as tx:
            return "\n".join(
                f"{entry.at} {entry.what}: {entry.reason}" for entry in trail.entries(tx) if name in str(entry)
            )


@pytest.fixture
def stage() -> Iterator[Stage]:
    folder = Path(tempfile.mkdtemp(prefix="hours"))  # short: the address of a socket has no room for more
    try:
        for name in ("runbooks", "boundaries", "data", "world"):
            (folder / name).mkdir(mode=0o755)
        with (
            World(folder / "world", [(name, "web-1", "") for name in STANDS], deployed_before=AGO) as world,
            Postbox() as postbox,
        ):
            texts = {
                "broken-service.md": RUNBOOK,
                "oncall.yaml": ONCALL,
                "services.yaml": world.services_yaml("tracking-api"),
            }
            for name, text in texts.items():
                (folder / "runbooks" / name).write_text(text)
            env = {
                "PARAMEDIC_RUNBOOKS": str(folder / "runbooks"),
                "PARAMEDIC_SMTP_URL": postbox.url,
                "PARAMEDIC_MAIL_FROM": "paramedic@example.org",
                "PARAMEDIC_GATEWAY_TOKENS": json.dumps({"test": TOKEN}),
                "PARAMEDIC_KILL_POINTS": str(folder / "boundaries"),
                "PARAMEDIC_PORT": str(free_port()),
                "PREFECT_SERVER_API_PORT": str(free_port()),
                "PARAMEDIC_WATCHDOG_EVERY": "1s",
                "PARAMEDIC_CLOCK_SKEW": "5m",
                "PARAMEDIC_FLEET_SHARE": "100",
                **lay_out(folder / "data" / "prefect"),
            }
            yield Stage(folder, world, Boundaries(folder / "boundaries"), env)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_what_is_well_after_hours_is_left_alone_and_what_is_not_is_healed(stage: Stage) -> None:
    for name, point in STANDS.items():
        service = stage.service(name)
        until(lambda name=name: stage.runs(name), name)
        httpx.get(f"{service.url}/break", timeout=5, trust_env=False).raise_for_status()
        stage.boundaries.arm(point, f"web-1/{name}")
    with stage.up() as paramedic:
        until(lambda: stage.takes(paramedic), "the gateway", 300)
        for name, point in STANDS.items():
            stage.boundaries.wait(point, lambda: None, subject=f"web-1/{name}", seconds=300)
        family = paramedic.family()
        paramedic.kill()
        all_gone(family)
    for name, point in STANDS.items():
        stage.boundaries.clear(point, f"web-1/{name}")
    mended = [name for name in STANDS if name != "still-down"]
    for name in mended:
        stage.world.restart(stage.service(name))
    stage.hours_pass()
    with stage.up() as paramedic:
        for name in STANDS:
            until(lambda name=name: stage.incident(name).state not in (State.OPEN, State.WORKING), name, 300)
        assert paramedic.process.poll() is None
    for name in mended:
        incident = stage.incident(name)
        assert (incident.state, incident.ending) == (State.RESOLVED, Ending.RECOVERED), stage.told(name)
        assert incident.attempt == 2, "the run that was killed is not the one that looked"
        with stage.store().read() as tx:
            assert acts.of(tx, incident.number) == []
        assert stage.service(name).starts == 2, "started, and restarted by hand: by nobody since"
    incident = stage.incident("still-down")
    assert (incident.ending, stage.service("still-down").starts) == (Ending.REMEDIATED, 2), stage.told("still-down")
