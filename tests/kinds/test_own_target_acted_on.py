"""A target of a kind in a team's own folder is reloaded, found no better, restarted and verified, by a real responder."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from incident_states import PEOPLE, alert
from own_target import JOB, RUNBOOK, SERVICES
from pool import Pool
from prefect_server import Prefect

from paramedic.catalog.library import open_library
from paramedic.incidents.incident import Incident, State
from paramedic.intake import routing
from paramedic.kinds import plugin_folder
from paramedic.settings import Settings
from paramedic.store import heartbeats, incidents, lifecycle, trail
from paramedic.store.runbook_versions import Plan

pytestmark = pytest.mark.real

#: A reload leaves it down.
STUBBORN = JOB.replace('"up": True}', '"up": generation > 7}')

LADDER = (
    RUNBOOK.replace(
        "[{alert: JobDown}]",
        "\n  - alert: JobDown\n  - {check: heartbeat, name: beat, every: 1m, missing_for: {critical: 1h}}",
    )
    .replace("restart-service", "restore-service")
    .replace("  evidence:", "  remedies: [reload, restart]\n  evidence:")
    .replace("stable: 1m, within: 5m", "stable: 200ms, within: 2s")
)


@dataclass
class Played:
    pool: Pool
    incident: Incident
    job: Path
    ended: dict[str, object]


@pytest.fixture(scope="module")
def played(prefect: Prefect, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """The run of the incident that an alert about the job opens, to its end."""
    folder = tmp_path_factory.mktemp("own-target")
    plugins, books, job = folder / "plugins", folder / "runbooks", folder / "nightly.json"
    (plugins / "targets").mkdir(parents=True, mode=0o755)
    (plugins / "targets" / "job.py").write_text(STUBBORN)
    books.mkdir()
    for name, text in {
        "services.yaml": SERVICES.format(file=job),
        "oncall.yaml": PEOPLE,
        "job-down.md": LADDER,
    }.items():
        (books / name).write_text(text)
    job.write_text('{"generation": 7, "up": false}')
    pool = Pool(prefect, folder)
    try:
        pool.deploy("restore_service.restore_service")
        pool.start(PARAMEDIC_PLUGINS=str(plugins), PARAMEDIC_RUNBOOKS=str(books))
        incident = opened(pool, Settings(data=folder, runbooks=books, plugins=plugins))
        run = pool.create("restore_service", notified=True, run={"incident": incident.ref, "attempt": 1})
        yield Played(pool, incident, job, pool.ends(run, 200))
    finally:
        pool.close()


def opened(pool: Pool, settings: Settings) -> Incident:
    plugin_folder.use(settings.plugins)
    try:
        library = open_library(settings)
        received = alert("JobDown", job="nightly", instance="web-1")
        place = routing.place(received, library)
    finally:
        plugin_folder.use(None)
    assert library.problems == ()
    assert place.runbook is not None, place.why
    plan = Plan(place.runbook.name, place.runbook.version, place.runbook.text, rungs=2)
    with pool.store.record() as tx:
        heartbeats.beat(tx, "beat", sender="cron")
        return lifecycle.open_incident(
            tx, received, service=place.service, target=place.target, policy="default", reason=place.why, plan=plan
        )


def test_it_is_restored_by_the_second_rung(played: Played) -> None:
    assert (played.ended["state_type"], played.ended["state_name"]) == ("COMPLETED", "Remediated"), played.pool.log()
    assert json.loads(played.job.read_text()) == {"generation": 8, "up": True}
    with played.pool.store.read() as tx:
        assert incidents.get(tx, played.incident.number).state is State.RESOLVED


def test_the_trail_tells_both_remedies_by_their_names(played: Played) -> None:
    with played.pool.store.read() as tx:
        entries = [entry.what for entry in trail.entries(tx, incident=played.incident.number)]
        targets = {entry.target for entry in trail.entries(tx, incident=played.incident.number)}
    wanted = [
        "evidence.taken",
        "reload",
        "reload.done",
        "verification.failed",
        "restart",
        "restart.done",
        "verification.well",
    ]
    assert [what for what in entries if what in wanted] == wanted
    assert "web-1/job:nightly" in targets
