"""A playbook's page beside its run in a real Prefect server: whichever way the run ends, it is there."""

import logging
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_service import target
from playbook_runs import opened_by
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings
from prefect_server import Prefect

from paramedic.catalog.library import read_folder
from paramedic.catalog.runbook import Runbook
from paramedic.change.run import Cancelled, GivenUp
from paramedic.errors import Refused
from paramedic.incidents.incident import Incident
from paramedic.incidents.outcome import Outcome
from paramedic.store import Store, attempts
from tasks.current_run import current_run
from tasks.notify import recovered
from tasks.playbook import Run, playbook

pytestmark = [pytest.mark.real]

ROOT = Path(__file__).parents[2]


@pytest.fixture
def backend() -> str:
    return "sqlite"  # a run opens the store by its settings


@pytest.fixture
def home(prefect: Prefect, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process is a responder's."""
    monkeypatch.setenv("PARAMEDIC_DATA", str(tmp_path))
    monkeypatch.setenv("PARAMEDIC_STORE_URL", store_url)
    monkeypatch.setenv("PARAMEDIC_RUNBOOKS", str(ROOT / "runbooks"))
    with temporary_settings({PREFECT_API_URL: prefect.api, PREFECT_HOME: prefect.home / "client"}):
        yield
    logging.setLogRecordFactory(logging.LogRecord)


def _well(incident: Incident, _: Runbook) -> Outcome:
    return recovered(incident)


def _refused(*_: Any) -> Outcome:
    raise Refused("two restarts an hour are enough", by_hand="look at it")


def _cancelled(*_: Any) -> Outcome:
    raise Cancelled("an operator cancelled the run in Prefect")


def _given_up(incident: Incident, _: Runbook) -> Outcome:
    with current_run().store.record() as tx:
        attempts.raise_attempt(tx, incident.number, after=1, rungs=1, reason="it was silent")
    raise GivenUp("attempt 2 has it")


def _buggy(*_: Any) -> Outcome:
    raise ValueError("<b>a bug in a flow</b>")


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("story", "state", "heading", "says"),
    [
        (_well, "Recovered", "recovered", "seen well before anything was done"),
        (_refused, "Refused", "refused", "two restarts an hour are enough. By hand: look at it"),
        (_cancelled, "Cancelled", "handed over", "an operator cancelled the run in Prefect"),
        (_given_up, "GivenUp", "working", "Paramedic goes on with attempt 2, in a run of its own"),
        (_buggy, "HandedOver", "handed over", r"the playbook failed: ValueError: \<b\>a bug in a flow\</b\>"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_every_ending_leaves_its_page_beside_the_run(
    prefect: Prefect, store: Store, story: Callable[..., Outcome], state: str, heading: str, says: str
) -> None:
    ran = playbook(story)(run=_run(store), return_state=True)
    assert ran.name == state
    (page,) = _pages(prefect, str(ran.state_details.flow_run_id))
    assert page["key"] == "incident-inc-1"
    assert page["data"].startswith("# INC-1: TrackingApiMemory on web-1/tracking-api (critical)\n")
    assert re.search(rf"(?m)^As of .*: .*{heading}\. ", page["data"].replace("\\", ""))
    assert says in page["data"]


@pytest.mark.usefixtures("home")
def test_a_run_that_cannot_read_the_store_any_more_ends_as_it_would(prefect: Prefect, store: Store) -> None:
    def gone(*_: Any) -> Outcome:
        with sqlite3.connect(str(current_run().settings.store()).removeprefix("sqlite:///")) as broken:
            broken.execute("ALTER TABLE incidents RENAME TO gone")
        raise GivenUp("the store went away")

    ran = playbook(gone)(run=_run(store), return_state=True)
    assert ran.name == "GivenUp"
    assert _pages(prefect, str(ran.state_details.flow_run_id)) == []


def _run(store: Store) -> Run:
    runbook = read_folder(ROOT / "runbooks").runbooks["tracking-api-memory"]
    return Run(incident=opened_by(store, runbook, target()).ref, attempt=1)


def _pages(prefect: Prefect, flow_run: str) -> list[dict[str, Any]]:
    body = {"artifacts": {"flow_run_id": {"any_": [flow_run]}}}
    found: list[dict[str, Any]] = prefect.ask("POST", "/artifacts/filter", json=body)
    return found
