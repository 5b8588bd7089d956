"""A run in a real Prefect server: its log tells the story, its steps are named for their answers."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_service import Service, service, target
from playbook_runs import opened_by
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_HOME,
    PREFECT_LOGGING_LEVEL,
    PREFECT_LOGGING_TO_API_ENABLED,
    temporary_settings,
)
from prefect_server import Prefect
from sqlalchemy import update
from waiting import until

from paramedic.catalog.library import read_folder
from paramedic.catalog.runbook import Runbook
from paramedic.doors import reading
from paramedic.incidents.incident import Incident
from paramedic.incidents.outcome import Outcome
from paramedic.kinds.process_target import process_identity
from paramedic.store import Store
from paramedic.store.tables import attempts
from paramedic.text.redaction import forget_all, remember
from tasks.current_run import current_run
from tasks.detect import still_failing
from tasks.escalate import hand_over
from tasks.playbook import Run, playbook
from tasks.verify import stays_healthy

pytestmark = [pytest.mark.real]
__all__ = ["service"]

ROOT = Path(__file__).parents[2]

SECRET = "correct-horse-battery"


class Owner:
    def identity(self) -> object:
        return process_identity(4711, 1.0, "RUNNING")


@pytest.fixture
def backend() -> str:
    return "sqlite"  # a run opens the store by its settings


@pytest.fixture
def home(prefect: Prefect, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process is a responder's."""
    monkeypatch.setenv("PARAMEDIC_DATA", str(tmp_path))
    monkeypatch.setenv("PARAMEDIC_STORE_URL", store_url)
    monkeypatch.setenv("PARAMEDIC_RUNBOOKS", str(ROOT / "runbooks"))
    monkeypatch.setattr(reading, "reader", lambda _: Owner())
    remember(SECRET)
    with temporary_settings(
        {
            PREFECT_API_URL: prefect.api,
            PREFECT_HOME: prefect.home / "client",
            PREFECT_LOGGING_TO_API_ENABLED: True,
            PREFECT_LOGGING_LEVEL: "INFO",
        }
    ):
        yield
    forget_all()
    logging.setLogRecordFactory(logging.LogRecord)


def _run(store: Store) -> Run:
    runbook = read_folder(ROOT / "runbooks").runbooks["tracking-api-memory"]
    return Run(incident=opened_by(store, runbook, target()).ref, attempt=1)


def _step_states(prefect: Prefect, run: str) -> dict[str, tuple[str, str]]:
    steps = prefect.ask("POST", "/task_runs/filter", json={"flow_runs": {"id": {"any_": [run]}}})
    return {step["name"].rpartition("-")[0]: (step["state_name"], step["state_type"]) for step in steps}


def _log_of(prefect: Prefect, run: str) -> list[str]:
    body: dict[str, Any] = {"logs": {"flow_run_id": {"any_": [run]}}, "sort": "TIMESTAMP_ASC"}
    return [line["message"] for line in prefect.ask("POST", "/logs/filter", json=body)]


@pytest.mark.usefixtures("home")
def test_the_log_tells_the_story_and_the_steps_are_named_for_their_answers(
    prefect: Prefect, store: Store, service: Service
) -> None:
    service.status = 503
    answers: list[object] = []

    def story(incident: Incident, runbook: Runbook) -> Outcome:
        run = current_run()
        run.target = replace(run.target, health=service.url)
        seconds = {"stable": timedelta(milliseconds=50), "within": timedelta(milliseconds=200)}
        run.runbook = replace(
            runbook, verify=replace(runbook.verify, health=True, memory_below=None, metrics=(), **seconds)
        )
        answers.append(still_failing(incident))
        answers.append(stays_healthy(incident, run.runbook))
        return hand_over(incident, because=f"restarted, still failing ({SECRET})")

    ran = playbook(story)(run=_run(store), return_state=True)
    assert (ran.name, ran.type.value) == ("HandedOver", "FAILED")
    assert answers == [True, False], "a playbook gets the answer, not the state"

    run = str(ran.state_details.flow_run_id)

    expected = {
        "still_failing": ("StillFailing", "COMPLETED"),
        "stays_healthy": ("NotHealthy", "FAILED"),
        "hand_over": ("HandedOver", "COMPLETED"),
    }
    until("the server has the steps' states", lambda: _step_states(prefect, run) == expected, 30)

    until("the server has the log", lambda: any("messages have left" in line for line in _log_of(prefect, run)), 30)
    log = _log_of(prefect, run)
    story_of_it = [
        "INC-1: TrackingApiMemory on web-1/tracking-api (critical); attempt 1, by the runbook tracking-api-memory",
        "seen failing: its health address: answered 503",
        "looks whether it stays well for",
        "seen failing: its health address: answered 503",
        "it did not help: not well for",
        "hands INC-1 over to a person: restarted, still failing ([secret])",
    ]
    rest = iter(log)
    assert all(any(words in line for line in rest) for words in story_of_it), log
    assert sum(line.startswith("seen failing") for line in log) == 2, "one line for each change, not for each look"
    assert SECRET not in "".join(log)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(("minutes", "looks_again"), [(9, False), (11, True)])
def test_a_run_that_begins_long_after_its_attempt_was_raised_looks_once_more_before_a_change(
    store: Store, minutes: int, looks_again: bool
) -> None:
    """As after hours without Paramedic: `change` refuses where what `waited` says is no longer seen failing."""
    run, waited = _run(store), []
    with store.write() as tx:
        tx.conn.execute(update(attempts).values(raised_at=tx.now - timedelta(minutes=minutes)))

    def story(incident: Incident, runbook: Runbook) -> Outcome:
        waited.append(current_run().waited)
        return hand_over(incident, because="as the test says")

    playbook(story)(run=run, return_state=True)
    assert waited == [looks_again]
