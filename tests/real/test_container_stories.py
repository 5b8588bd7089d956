"""Containers that broke, by a real responder: a restart heals one, also where its answer is lost; one goes to a person."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from incident_states import PEOPLE, alert
from podman_engine import Podman, losing_answers, serving
from pool import Pool
from prefect_server import Prefect

from paramedic.catalog.library import open_library
from paramedic.demo.world import free_port
from paramedic.incidents.incident import Incident, State
from paramedic.intake import routing
from paramedic.settings import Settings
from paramedic.store import acts, evidence, incidents, lifecycle, messages, trail
from paramedic.store.runbook_versions import Plan

pytestmark = [pytest.mark.real, pytest.mark.long]

#: Answers 404 from its first start on, and 200 from its second one on if `$1` says that a restart helps.
SHOP = """
trap 'exit 0' TERM
echo begun
mkdir -p /www
test -e /once && $1 && echo well > /www/index.html
echo > /once
httpd -f -p 127.0.0.1:$2 -h /www & wait
"""

#: Whether a restart helps the container, by its name, which is its service's too.
HELPS = {"shop": "true", "till": "false", "stock": "true"}

TARGET = """\
  {name}:
    targets:
      - {{host: localhost, container: {{name: {name}, socket: "{socket}"}}, health: "http://127.0.0.1:{port}/"}}
"""

RUNBOOK = """\
---
runbook: {name}-down
service: {name}
when: [{{alert: {name}Down}}]
mode: act
playbook: restart-service
with:
  target: {{container: "{{container}}", host: "{{instance}}"}}
  evidence: [state, last-log]
  verify: {{health: ok, stable: 500ms, within: {within}}}
---
**Meaning.** It is down.
**Impact.** Nothing is sold.
## Diagnosis
Look.
## Mitigation
Restart it.
"""


@dataclass
class Played:
    pool: Pool
    podman: Podman
    incident: Incident
    ended: dict[str, Any]

    def now(self) -> Incident:
        with self.pool.store.read() as tx:
            return incidents.get(tx, self.incident.number)

    def happened(self) -> list[str]:
        with self.pool.store.read() as tx:
            return [entry.what for entry in trail.entries(tx, incident=self.incident.number)]


@pytest.fixture(scope="module")
def stories(
    prefect: Prefect, require: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Played]]:
    """The runs of the incidents that an alert about each container opens, to their ends."""
    folder = tmp_path_factory.mktemp("containers")
    books = folder / "runbooks"
    books.mkdir()
    (books / "oncall.yaml").write_text(PEOPLE)
    with serving(require) as podman, losing_answers(podman.socket) as losing:
        services = "services:\n"
        for name, helps in HELPS.items():
            port, socket = free_port(), losing if name == "stock" else podman.socket
            services += TARGET.format(name=name, socket=socket, port=port)
            within = "60s" if helps == "true" else "3s"
            (books / f"{name}-down.md").write_text(RUNBOOK.format(name=name, within=within))
            podman.start(name, f"set -- {helps} {port}; {SHOP}", network="host")
        (books / "services.yaml").write_text(services)
        pool = Pool(prefect, folder)
        try:
            pool.deploy("restart_service.restart_service")
            pool.start(PARAMEDIC_RUNBOOKS=str(books))
            opened = {name: _opened(pool, books, name) for name in HELPS}
            runs = {
                name: pool.create("restart_service", notified=True, run={"incident": incident.ref, "attempt": 1})
                for name, incident in opened.items()
            }
            yield {name: Played(pool, podman, opened[name], pool.ends(run, 200)) for name, run in runs.items()}
        finally:
            pool.close()


def _opened(pool: Pool, books: Path, name: str) -> Incident:
    library = open_library(Settings(data=pool.folder, runbooks=books))
    received = alert(f"{name}Down", container=name, instance="localhost")
    place = routing.place(received, library)
    assert library.problems == ()
    assert place.runbook is not None, place.why
    plan = Plan(place.runbook.name, place.runbook.version, place.runbook.text, rungs=1)
    with pool.store.record() as tx:
        return lifecycle.open_incident(
            tx, received, service=place.service, target=place.target, policy="default", reason=place.why, plan=plan
        )


def test_a_container_that_a_restart_heals_is_restarted_once_and_verified(stories: dict[str, Played]) -> None:
    shop = stories["shop"]
    assert (shop.ended["state_type"], shop.ended["state_name"]) == ("COMPLETED", "Remediated"), shop.pool.log()
    assert shop.podman.starts("shop", least=2) == 2
    assert shop.now().state is State.RESOLVED
    told = ("evidence.taken", "restart", "restart.done", "verification.well")
    assert [what for what in shop.happened() if what in told] == list(told)


def test_its_evidence_was_taken_before_the_restart(stories: dict[str, Played]) -> None:
    shop = stories["shop"]
    with shop.pool.store.read() as tx:
        found = {piece["kind"]: piece["body"] for piece in evidence.of(tx, shop.incident.number)}
    assert "status: running" in found["state"]
    assert found["last-log"].count("begun") == 1


def test_one_that_is_no_better_for_it_goes_to_a_person_and_is_not_restarted_again(stories: dict[str, Played]) -> None:
    till = stories["till"]
    assert till.ended["state_name"] == "HandedOver", till.pool.log()
    happened = till.happened()
    counted = [happened.count(what) for what in ("restart", "restart.done", "verification.failed")]
    assert counted == [1, 1, 1], (
        till.pool.log()
    )  # before its starts are waited for: one that was not restarted begins no more
    assert till.podman.starts("till", least=2) == 2
    assert till.now().state is State.HANDED_OVER
    with till.pool.store.read() as tx:
        assert messages.of(tx, till.incident.number)


def test_a_restart_whose_answer_is_lost_is_settled_by_the_next_look(stories: dict[str, Played]) -> None:
    stock = stories["stock"]
    assert stock.ended["state_name"] == "Remediated", stock.pool.log()
    assert stock.podman.starts("stock", least=2) == 2
    happened = stock.happened()
    assert [happened.count(what) for what in ("restart", "restart.unknown", "verification.well")] == [1, 1, 1]
    assert stock.now().state is State.RESOLVED
    with stock.pool.store.read() as tx:
        assert acts.open_on(tx, "localhost/container:stock") is None
