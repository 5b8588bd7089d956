"""What dispatch asks a real Prefect for: runs of playbooks, and of nothing else that stands under a playbook's name."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from busy_prefect import BusyPrefect
from databases import Clock
from incident_states import alert
from prefect import Flow, flow
from prefect.utilities.callables import parameter_schema
from prefect_server import Prefect

from paramedic.catalog.runbook import Runbook
from paramedic.dispatch.loop import Dispatch
from paramedic.dispatch.prefect_runs import PrefectRuns
from paramedic.incidents.incident import Incident, State
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.store import Store, incidents, lifecycle, outbox
from paramedic.store.runbook_versions import Plan
from paramedic.transports.prefect_http import PrefectApi
from tasks.playbook import playbook

pytestmark = [pytest.mark.real]

RUNBOOK = (Path(__file__).parents[2] / "runbooks" / "tracking-api-memory.md").read_text()


@pytest.fixture
def backend() -> str:
    return "sqlite"  # what Prefect is asked for hangs on no store


@playbook
def well_made(incident: Incident, runbook: Runbook) -> Outcome:
    """Never run here."""
    return Outcome(Ending.RECOVERED, "never run here")


@playbook
def much_wanted(incident: Incident, runbook: Runbook) -> Outcome:
    """Never run here."""
    return Outcome(Ending.RECOVERED, "never run here")


@flow
def well_meant(ticket: str) -> None:
    """A flow as somebody may have deployed it under a playbook's name."""


def _deployed(prefect: Prefect, flow: Flow[..., Any]) -> None:
    made = prefect.ask("POST", "/flows/", json={"name": flow.name})
    prefect.ask("POST", "/work_pools/", json={"name": flow.name, "type": "process"})
    prefect.ask("POST", f"/work_pools/{flow.name}/queues", json={"name": "critical"})
    schema = parameter_schema(flow).model_dump_for_openapi()
    deployment = {"flow_id": made["id"], "parameter_openapi_schema": schema, "entrypoint": "nobody.runs"}
    prefect.ask("POST", "/deployments/", json=deployment | {"name": flow.name, "work_pool_name": flow.name})


def _opened(store: Store, flow: Flow[..., Any], target: str) -> Incident:
    """A new incident whose runbook names the flow."""
    plan = Plan("r", flow.name, RUNBOOK.replace("playbook: restart-service", f"playbook: {flow.name}"), 1)
    with store.record() as tx:
        return lifecycle.open_incident(
            tx, alert(), service="tracking-api", target=target, policy="default", reason="new", plan=plan
        )


def _given_to(store: Store, prefect: Prefect, flow: Flow[..., Any]) -> Incident:
    """A new incident whose runbook names the flow, after dispatch has worked."""
    opened = _opened(store, flow, "web-1/tracking-api")
    assert Dispatch(store, PrefectRuns(PrefectApi(prefect.api)), lambda: None).work() == 1
    with store.read() as tx:
        return incidents.get(tx, opened.number)


def _runs(prefect: Prefect, incident: Incident) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = prefect.ask(
        "POST", "/flow_runs/filter", json={"flow_runs": {"tags": {"all_": [incident.id]}}}
    )
    return [run for run in found if incident.ref in str(run["parameters"])]


def test_a_playbook_gets_the_incident_and_the_attempt(store: Store, prefect: Prefect) -> None:
    _deployed(prefect, well_made)
    incident = _given_to(store, prefect, well_made)
    assert incident.state is State.OPEN
    assert [run["parameters"] for run in _runs(prefect, incident)] == [
        {"run": {"incident": incident.ref, "attempt": 1}}
    ]


def test_a_flow_that_takes_something_else_gets_no_run_and_a_person_the_incident(store: Store, prefect: Prefect) -> None:
    _deployed(prefect, well_meant)
    incident = _given_to(store, prefect, well_meant)
    assert incident.state is State.HANDED_OVER
    assert "well-meant/well-meant is not a playbook, which takes `run` and nothing else" in (incident.because or "")
    assert "ticket" in (incident.because or "")
    assert _runs(prefect, incident) == []


@pytest.mark.usefixtures("store")  # it has an identity of its own by then
def test_a_prefect_that_says_503_to_every_third_call_has_one_run_of_each_incident(
    timed: Store, clock: Clock, prefect: Prefect
) -> None:
    """Every other of them it has carried out all the same."""
    _deployed(prefect, much_wanted)
    opened = [_opened(timed, much_wanted, f"web-{number}/tracking-api") for number in range(12)]
    with BusyPrefect(prefect.api, loses=True) as busy:
        dispatch = Dispatch(timed, PrefectRuns(PrefectApi(busy.api)), lambda: None)
        for _ in range(20):
            dispatch.work()
            clock.advance(timedelta(seconds=10))  # what was put off is due again
        assert sum("create_flow_run" in call for call in busy.busy) >= 4, "it was hardly busy"
    with timed.read() as tx:
        assert outbox.waiting(tx) == []
    assert [len(_runs(prefect, incident)) for incident in opened] == [1] * 12
