"""The page of an incident in a real Prefect, from its run's end to its own."""

from pathlib import Path
from typing import Any

import pytest
from incident_states import on_call
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect_server import Prefect
from store_states import opened

from paramedic.dispatch.events import Events
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.settings import Settings
from paramedic.store import Store, attempts, incidents, lifecycle
from paramedic.transports.prefect_http import PrefectApi
from tasks.prefect_artifacts import show_incident

pytestmark = pytest.mark.real


@pytest.fixture
def run(prefect: Prefect) -> str:
    """A flow run that Prefect knows."""
    flow = prefect.ask("POST", "/flows/", json={"name": "restart-service"})["id"]
    state = {"type": "FAILED", "name": "HandedOver"}
    created = prefect.ask("POST", "/flow_runs/", json={"flow_id": flow, "state": state})
    return str(created["id"])


def pages(prefect: Prefect, run: str) -> list[dict[str, Any]]:
    wanted = {"artifacts": {"flow_run_id": {"any_": [run]}}}
    found: list[dict[str, Any]] = prefect.ask("POST", "/artifacts/filter", json=wanted)
    return found


def send_events(prefect: Prefect, store: Store) -> None:
    events = Events(store, PrefectApi(prefect.api), who=lambda: on_call().oncall)
    while events.work():
        pass


def test_the_page_follows_its_incident_to_its_end_and_is_one(prefect: Prefect, store: Store, run: str) -> None:
    with store.record() as tx:
        number = opened(tx)
        attempts.begin_attempt(tx, number, 1, flow_run=run)
    send_events(prefect, store)
    assert pages(prefect, run) == [], "while it runs, the run's own end writes it"

    with store.record() as tx:
        lifecycle.hand_over(tx, number, Outcome(Ending.HANDED_OVER, "still failing"), actor=f"run:{run}")
    send_events(prefect, store)
    [page] = pages(prefect, run)  # its run died before it wrote one
    assert page["key"] == "incident-inc-1"
    assert "People are being paged" in page["data"]
    assert "Next: ada, at" in page["data"]

    with store.record() as tx:
        lifecycle.acknowledge(tx, number, by="ada", reason="by the link in a message")
        incidents.note(tx, number, by="ada", text="it was the deploy")
    send_events(prefect, store)
    [taken] = pages(prefect, run)
    assert taken["id"] == page["id"]
    assert "Somebody has it" in taken["data"]
    assert "it was the deploy" in taken["data"]

    with store.record() as tx:
        lifecycle.resolve(tx, number, Outcome(Ending.HANDED_OVER, "rolled it back"), actor="person:ada")
    send_events(prefect, store)
    [over] = pages(prefect, run)
    assert "It is over: nothing is left to do." in over["data"]
    latest = prefect.ask("GET", "/artifacts/incident-inc-1/latest")
    assert "It is over" in latest["data"], "the list of artifacts has the same"


def test_a_run_that_ends_after_its_page_was_written_by_dispatch_writes_the_same_page(
    prefect: Prefect, store: Store, run: str, tmp_path: Path
) -> None:
    """It tells people before it ends, which may take longer than the event of the hand-over."""
    with store.record() as tx:
        number = opened(tx)
        attempts.begin_attempt(tx, number, 1, flow_run=run)
        lifecycle.hand_over(tx, number, Outcome(Ending.HANDED_OVER, "still failing"), actor=f"run:{run}")
    send_events(prefect, store)
    with temporary_settings({PREFECT_API_URL: prefect.api}):
        show_incident(store, Settings(data=tmp_path), number, flow_run=run)
        show_incident(store, Settings(data=tmp_path), number, flow_run=run)
    assert len(pages(prefect, run)) == 1
    with store.record() as tx:
        lifecycle.acknowledge(tx, number, by="ada", reason="by the link in a message")
    send_events(prefect, store)
    [page] = pages(prefect, run)
    assert "Somebody has it" in page["data"]


def test_a_prefect_that_takes_no_page_delays_no_event(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    from events_api import EventsApi  # it knows no artifacts

    with EventsApi() as api:
        threading.Thread(target=api.serve_forever, daemon=True).start()
        with store.record() as tx:
            number = opened(tx)
            attempts.begin_attempt(tx, number, 1, flow_run="0f3f1c52-9a3e-4f43-8f0c-0d9f6f6f4b11")
            lifecycle.hand_over(tx, number, Outcome(Ending.HANDED_OVER, "x"), actor="watchdog")
        events = Events(store, PrefectApi(api.url))
        assert events.work() > 0
        assert events.work() == 0
        assert "paramedic.incident.handed_over" in api.names
        api.shutdown()
