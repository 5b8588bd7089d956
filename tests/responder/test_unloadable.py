"""A playbook that cannot be imported costs no three attempts: a person gets the incident at once, with the cause."""

from pathlib import Path
from typing import Any

import pytest
from incident_states import alert
from prefect.exceptions import MissingFlowError

from paramedic.incidents.incident import Incident, State
from paramedic.responder.unloadable import hand_over, words
from paramedic.store import Store, incidents, lifecycle
from paramedic.store.runbook_versions import Plan


def _error(code: str, tmp_path: Path) -> Exception:
    """What importing such a file raises."""
    file = tmp_path / "our_restart.py"
    file.write_text(code)
    try:
        exec(compile(file.read_text(), str(file), "exec"), {})
    except Exception as error:
        return error
    raise AssertionError("it can be imported")


def _parameters(store: Store, incident: Incident, attempt: int = 1) -> dict[str, Any]:
    return {"run": {"incident": f"{store.uuid}/{incident.id}", "attempt": attempt}}


@pytest.fixture
def incident(store: Store) -> Incident:
    text = (Path(__file__).parents[2] / "runbooks" / "tracking-api-memory.md").read_text()
    with store.record() as tx:
        return lifecycle.open_incident(
            tx,
            alert(),
            service="tracking",
            target="web-1/tracking-api",
            policy="default",
            reason="it is new",
            plan=Plan("tracking-api-memory", "v1", text, 1),
        )


def _now(store: Store, incident: Incident) -> Incident:
    with store.read() as tx:
        return incidents.get(tx, incident.number)


def test_a_person_gets_the_incident_with_cause_line_and_where_to_look(
    store: Store, incident: Incident, tmp_path: Path
) -> None:
    error = _error("x = 1\nimport nothing_like_this\n", tmp_path)
    assert hand_over(store, "run-1", _parameters(store, incident), error)
    now = _now(store, incident)
    assert now.state is State.HANDED_OVER
    assert now.because == (
        "the playbook restart-service cannot be imported: ModuleNotFoundError: No module named 'nothing_like_this' "
        f"({tmp_path}/our_restart.py, line 2); `paramedic playbook lint restart-service` says more"
    )


def test_what_prefect_wraps_is_told_in_the_files_own_words(store: Store, incident: Incident, tmp_path: Path) -> None:
    wrapped = MissingFlowError("Flow function not found")
    wrapped.__cause__ = _error("def our_restart(:\n", tmp_path)
    assert hand_over(store, "run-1", _parameters(store, incident), wrapped)
    because = _now(store, incident).because or ""
    assert "SyntaxError: invalid syntax (our_restart.py, line 1)" in because


def test_a_file_that_the_playbook_wants_and_lacks_is_told_at_once(
    store: Store, incident: Incident, tmp_path: Path
) -> None:
    error = _error(f"open({str(tmp_path / 'nothing')!r})\n", tmp_path)
    assert hand_over(store, "run-1", _parameters(store, incident), error)
    assert "FileNotFoundError" in (_now(store, incident).because or "")


def test_a_secret_in_the_error_is_not_told(tmp_path: Path) -> None:
    error = _error("raise ValueError('password=hunter2hunter2')\n", tmp_path)
    assert "hunter2" not in words("our-restart", error)


@pytest.mark.parametrize("error", [OSError(24, "Too many open files"), MemoryError()])
def test_what_may_pass_by_itself_is_left_to_the_next_attempt(
    store: Store, incident: Incident, error: Exception
) -> None:
    assert not hand_over(store, "run-1", _parameters(store, incident), error)
    assert _now(store, incident).state is State.OPEN


def test_a_run_that_is_not_the_incidents_own_changes_nothing(store: Store, incident: Incident) -> None:
    error = ImportError("no")
    for parameters in (
        {},
        {"run": {"group": "default", "every": 60}},
        _parameters(store, incident, attempt=2),
        {"run": {"incident": f"{'0' * 8}-0000-0000-0000-{'0' * 12}/INC-1", "attempt": 1}},
    ):
        assert not hand_over(store, "run-1", parameters, error)
    assert _now(store, incident).state is State.OPEN
    with store.record() as tx:
        lifecycle.acknowledge(tx, incident.number, by="ada", reason="on the command line")
    assert not hand_over(store, "run-1", _parameters(store, incident), error)
    assert _now(store, incident).state is State.ACKNOWLEDGED
