"""A run whose target services.yaml no longer lists gives its incident to a person, and is shown as that."""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_service import target
from playbook_runs import opened_by

from paramedic.catalog.library import read_folder
from paramedic.incidents.incident import Incident, State
from paramedic.incidents.outcome import Outcome
from paramedic.store import Store, incidents, messages
from tasks.playbook import Run, playbook

ROOT = Path(__file__).parents[2]


@pytest.fixture
def backend() -> str:
    return "sqlite"  # a run opens the store by its settings


@pytest.fixture
def incident(store: Store, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Incident]:
    """Its target was listed when it was opened."""
    folder = tmp_path / "runbooks"
    shutil.copytree(ROOT / "runbooks", folder)
    one = read_folder(folder).runbooks["tracking-api-memory"]
    opened = opened_by(store, one, target())
    services = (folder / "services.yaml").read_text()
    (folder / "services.yaml").write_text(services.replace("host: web-1\n", "host: web-9\n"))
    monkeypatch.setenv("PARAMEDIC_DATA", str(tmp_path))
    monkeypatch.setenv("PARAMEDIC_STORE_URL", store_url)
    monkeypatch.setenv("PARAMEDIC_RUNBOOKS", str(folder))
    monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__ID", "0f3f1c52-9a3e-4f43-8f0c-0d9f6f6f4b11")
    yield opened
    logging.setLogRecordFactory(logging.LogRecord)


def test_it_is_red_and_named_for_what_became_of_its_incident(
    incident: Incident, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    played: list[str] = []

    def story(incident: Incident, _runbook: object) -> Outcome:
        played.append(incident.id)
        raise AssertionError("there is nothing to play on")

    with caplog.at_level(logging.INFO):
        state = playbook(story).fn(Run(incident=incident.ref, attempt=1))  # type: ignore[arg-type]
    why = "services.yaml no longer lists web-1/tracking-api"
    assert (state.type.value, state.name, state.message) == ("FAILED", "HandedOver", why)
    assert played == []
    assert f"{why}; a person has it" in caplog.text
    with store.read() as tx:
        now = incidents.get(tx, incident.number)
        assert (now.state, now.because) == (State.HANDED_OVER, why)
        assert {one.kind for one in messages.of(tx, incident.number)} == {"rung"}
