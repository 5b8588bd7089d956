"""What Prefect and its users do: it is away, it has forgotten, its runs are retried, its deployments are made by hand."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from forms import Form, form
from kill.driver import Driver, wait_for
from kill.steps import on_web_2, set_state, stands

from paramedic.incidents.incident import Incident
from paramedic.incidents.outcome import Ending
from paramedic.store import incidents, kill_switch, retrying

pytestmark = [pytest.mark.real, pytest.mark.kill, pytest.mark.timeout(600)]
sentinel = pytest.mark.sentinel
together = pytest.mark.together

SERVICES = on_web_2("retried", "dead-key", "frozen-prefect", "frozen-after-act", "ours", "undeployed")


@sentinel
def test_retry_in_the_ui_leaves_a_run_as_it_was_and_a_persons_retry_tries_again(whole: Driver) -> None:
    service = whole.service("retried")
    whole.break_it(service)
    with whole.store.record() as tx:
        kill_switch.pause(tx, by="ada", reason="a test")
    whole.send(whole.alert(service))
    incident = whole.ended(service)
    _stays_as_it_was(whole, incident, "FAILED", "Refused")
    with whole.store.record() as tx:
        kill_switch.resume(tx, by="ada", reason="the test is over")
        assert retrying.retry(tx, incident.number, by="ada", because="the test is over").attempt == 2
    incident = whole.ended(service)
    assert (incident.ending, incident.attempt, service.starts) == (Ending.REMEDIATED, 2, 2), whole.told_of(service)
    _stays_as_it_was(whole, incident, "COMPLETED", "Remediated")
    assert service.starts == 2


def _stays_as_it_was(whole: Driver, incident: Incident, kind: str, name: str) -> None:
    """The incident's last run ends so, and again after a Retry, with a word on what tries again."""

    def ended() -> bool:
        return bool(whole.flow_runs(incident)[-1]["state_type"] == kind)

    wait_for("the run's end", ended, whole.tick)
    run = whole.flow_runs(incident)[-1]["id"]
    set_state(whole, run, type="SCHEDULED", name="AwaitingRetry")

    def retried() -> bool:
        return f"`paramedic incident retry {incident.id} --by NAME`" in str(_state(whole, run)["message"])

    wait_for("the retried run", retried, whole.tick, seconds=60)
    now = _state(whole, run)
    assert (now["type"], now["name"]) == (kind, name)
    assert "is over" in now["message"]


def _state(whole: Driver, run: str) -> dict[str, Any]:
    state: dict[str, Any] = whole.ask_prefect("GET", f"/flow_runs/{run}")["state"]
    return state


@sentinel
def test_a_key_that_meets_a_dead_run_is_no_dispatch(whole: Driver) -> None:
    service = whole.service("dead-key")
    whole.break_it(service)
    with whole.store.read() as tx:
        number = incidents.listed(tx, limit=1)[0].number + 1
    deployment = whole.ask_prefect("GET", "/deployments/name/restart-service/restart-service")["id"]
    for store in (whole.store.uuid, "0" * 8 + whole.store.uuid[8:]):  # ours, and an old store with the same numbers
        run = whole.ask_prefect(
            "POST",
            f"/deployments/{deployment}/create_flow_run",
            json={
                "idempotency_key": f"paramedic:{store}:1:{number}:1",
                "parameters": {"run": {"incident": f"{store}/INC-{number}", "attempt": 1}},
                "state": {"type": "SCHEDULED", "state_details": {"scheduled_time": "2099-01-01T00:00:00Z"}},
            },
        )["id"]
        set_state(whole, run, type="COMPLETED")
    whole.send(whole.alert(service))
    incident = whole.ended(service)
    assert incident.number == number
    assert (incident.ending, incident.attempt, service.starts) == (Ending.REMEDIATED, 2, 2), whole.told_of(service)


def test_a_prefect_that_is_gone_in_mid_run_gives_no_permission_and_stops_no_page(whole: Driver) -> None:
    service = whole.service("frozen-prefect")
    stands(whole, service.name, "evidence_taken")
    with _gone_for_a_while(whole):
        whole.release("evidence_taken", service)
        incident = whole.ended(service, seconds=60)
    assert (incident.ending, service.starts) == (Ending.REFUSED, 1), whole.told_of(service)
    assert "Prefect does not say" in (incident.because or "")
    whole.prefect_is_well()


def test_a_prefect_that_is_gone_after_the_act_stops_neither_proof_nor_news(whole: Driver) -> None:
    service = whole.service("frozen-after-act")
    stands(whole, service.name, "outcome_written")
    with _gone_for_a_while(whole):
        whole.release("outcome_written", service)
        incident = whole.ended(service, seconds=60)
    assert (incident.ending, incident.attempt, service.starts) == (Ending.REMEDIATED, 1, 2), whole.told_of(service)
    whole.prefect_is_well()


@contextlib.contextmanager
def _gone_for_a_while(whole: Driver) -> Iterator[None]:
    """Prefect's server stands still inside the block; with LONG_TESTS=1 for two minutes at least."""
    server = psutil.Process(whole.stack.pids()["prefect"])
    server.suspend()
    back_at = time.monotonic() + (120 if form() is Form.LONG else 0)
    try:
        yield
        while time.monotonic() < back_at:
            time.sleep(1)
    finally:
        server.resume()


@together
def test_a_playbook_and_its_runbook_come_from_a_folder_outside_the_tree(whole: Driver) -> None:
    service = whole.service("ours")
    whole.break_it(service)
    whole.send(whole.alert(service, env="ours"))
    incident = whole.ended(service)
    assert (incident.ending, service.starts) == (Ending.HANDED_OVER, 2), whole.told_of(service)
    assert "restarted by our own playbook" in (incident.because or "")
    assert whole.flow_runs(incident)[0]["name"].startswith("our-restart · ")


def test_a_prefect_that_no_longer_knows_the_deployments_is_told_of_them_again(whole: Driver) -> None:
    service = whole.service("undeployed")
    whole.break_it(service)
    path = "/deployments/name/restart-service/restart-service"
    whole.ask_prefect("DELETE", f"/deployments/{whole.ask_prefect('GET', path)['id']}")
    whole.send(whole.alert(service))
    incident = whole.ended(service)
    assert (incident.ending, incident.attempt, service.starts) == (Ending.REMEDIATED, 1, 2), whole.told_of(service)


@together
def test_a_typo_in_a_runs_parameters_is_refused_when_it_is_created(whole: Driver) -> None:
    deployment = whole.ask_prefect("GET", "/deployments/name/restart-service/restart-service")["id"]
    run = {"incident": f"{whole.store.uuid}/INC-1", "attempt": 1, "atempt": 2}
    answer = whole.call_prefect("POST", f"/deployments/{deployment}/create_flow_run", json={"parameters": {"run": run}})
    assert answer.status_code in (409, 422), answer.text


@together
@pytest.mark.long  # tests/dispatch/ has it in one process
def test_prefect_deploy_makes_the_same_of_prefect_yaml(whole: Driver) -> None:
    path = "/deployments/name/restart-service/restart-service"
    before = whole.ask_prefect("GET", path)
    root = Path(__file__).parents[2]
    env = dict(os.environ) | whole.prefect_env | {"PREFECT_HOME": str(whole.folder / "home")}
    for _ in range(2):
        subprocess.run(
            [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
            cwd=root,
            env=env,
            check=True,
            capture_output=True,
            timeout=120,
        )
    after = whole.ask_prefect("GET", path)
    for key in ("id", "entrypoint", "path", "work_pool_name", "description", "tags", "parameter_openapi_schema"):
        assert after[key] == before[key], key
    assert not after["pull_steps"]
