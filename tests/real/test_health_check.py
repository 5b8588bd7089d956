"""The scheduled health check on a real Prefect, in the whole stack: what hangs is found, and a restart brings no second one."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fake_service import Service, service
from sqlalchemy import func, select

from paramedic.checks.threshold import Level
from paramedic.demo.world import free_port
from paramedic.settings import Settings
from paramedic.stack.instance import Running, running
from paramedic.store import Store, Tx, checks, leases, trail
from paramedic.store.tables import check_samples, inbox

__all__ = ["service"]

pytestmark = [pytest.mark.real, pytest.mark.timeout(540)]

LOGIN = "paramedic:a-login-that-only-this-test-knows"

PARAMEDIC = str(Path(sys.executable).parent / "paramedic")

RUNBOOK = """\
---
runbook: tracking-api-hangs
service: tracking-api
when:
  - check: health
    error_rate: {critical: 3%, for: 1s}
    every: 5s
    timeout: 5s
    window: 5s
mode: observe
playbook: restart-service
with:
  target: {supervisord: tracking-api, host: "{instance}"}
  verify: {check: error_rate, stable: 1s, within: 5s}
---
**Meaning.** It does not answer.
**Impact.** Nobody sees where dinner is.
## Diagnosis
## Mitigation
"""


@pytest.fixture
def env(tmp_path: Path, service: Service) -> dict[str, str]:
    books = tmp_path / "runbooks"
    books.mkdir()
    (books / "tracking-api-hangs.md").write_text(RUNBOOK)
    (books / "oncall.yaml").write_text((Path(__file__).parents[2] / "runbooks" / "oncall.yaml").read_text())
    target = {
        "host": "web-1",
        "health": service.url,
        "supervisord": {"program": "tracking-api", "address": "unix:///s"},
    }
    (books / "services.yaml").write_text(json.dumps({"services": {"tracking-api": {"targets": [target]}}}))
    (tmp_path / "data").mkdir()
    settings = {
        "RUNBOOKS": str(books),
        "DATA": str(tmp_path / "data"),
        "PORT": str(free_port()),
        "PREFECT_API_AUTH": LOGIN,
    }
    return dict(os.environ) | {f"PARAMEDIC_{name}": value for name, value in settings.items()}


@contextmanager
def up(tmp_path: Path, env: dict[str, str]) -> Iterator[Running]:
    with (tmp_path / "up.out").open("ab") as out:
        process = subprocess.Popen([PARAMEDIC, "up"], env=env, cwd=tmp_path, stdout=out, stderr=out)
    try:
        yield until(lambda: running(tmp_path / "data"))
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def until(found: Callable[[], Any], seconds: float = 180) -> Any:
    ends = time.monotonic() + seconds
    while not (it := found()):
        assert time.monotonic() < ends, "it never came"
        time.sleep(0.3)
    return it


def ask(here: Running, method: str, path: str, **body: Any) -> Any:
    try:
        auth = ("paramedic", LOGIN.partition(":")[2])
        answer = httpx.request(method, f"{here.prefect}{path}", timeout=10, trust_env=False, auth=auth, **body)
        return answer.json() if answer.is_success else None
    except httpx.HTTPError:
        return None


def at_work(here: Running) -> list[dict[str, Any]]:
    """The rounds of the health check that run now."""
    wanted = {"flows": {"name": {"any_": ["health-check"]}}, "flow_runs": {"state": {"name": {"any_": ["Running"]}}}}
    return ask(here, "POST", "/flow_runs/filter", json=wanted) or []


def deployed(here: Running) -> dict[str, Any]:
    found: dict[str, Any] = until(lambda: ask(here, "GET", "/deployments/name/health-check/health-check"))
    return found


@contextmanager
def kept(tmp_path: Path) -> Iterator[Tx]:
    """What is in the store now."""
    store = Store(Settings(data=tmp_path / "data").store())
    with store.read() as tx:
        yield tx
    store.close()


def told(env: dict[str, str], tmp_path: Path, *command: str) -> Any:
    done = subprocess.run([PARAMEDIC, *command, "--json"], env=env, cwd=tmp_path, capture_output=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else None


def test_what_hangs_is_found_by_the_schedule_and_a_restart_makes_no_second_one(
    tmp_path: Path, env: dict[str, str], service: Service
) -> None:
    with up(tmp_path, env) as here:
        until(lambda: service.asked)
        assert set(until(lambda: at_work(here))[0]["tags"]) >= {"paramedic", "checks"}
        assert told(env, tmp_path, "incident", "list") == []
        service.hang()
        incident = until(lambda: told(env, tmp_path, "incident", "list"))[0]
        assert incident["title"] == "tracking-api-hangs error_rate"
        before = deployed(here)
    asked = service.asked
    with up(tmp_path, env) as here:
        until(lambda: service.asked > asked)
        after = deployed(here)
        assert after["id"] == before["id"]
        assert [[one["slug"] for one in each["schedules"]] for each in (before, after)] == [["default"], ["default"]]
        assert len(at_work(here)) <= 2, "one in its round, and at most the next that waits for it"


def test_a_round_that_is_killed_in_mid_sampling_is_followed_by_one_that_goes_on_as_if_it_had_not_been(
    tmp_path: Path, env: dict[str, str], service: Service
) -> None:
    service.status = 500
    with up(tmp_path, env | {"PARAMEDIC_CHECKS_EVERY": "20s"}) as here:
        until(lambda: told(env, tmp_path, "incident", "list"))
        [first] = until(lambda: [run for run in at_work(here) if run["infrastructure_pid"] and works(run, tmp_path)])
        os.kill(int(first["infrastructure_pid"]), signal.SIGKILL)
        before = samples(tmp_path)
        until(lambda: (ask(here, "GET", f"/flow_runs/{first['id']}") or {}).get("state_name") == "Crashed")
        until(lambda: samples(tmp_path) >= before + 6)  # the next round, and into the one after it
    with kept(tmp_path) as tx:
        happened = [entry.what for entry in trail.entries(tx)]
        [one] = checks.listed(tx)
        receipts = tx.conn.execute(select(inbox.c.position)).all()
    assert [what for what in happened if what.startswith("check.")] == ["check.critical"], "it never was unknown"
    assert happened.count("incident.opened") == len(receipts) == 1
    assert one.standing.level is Level.CRITICAL


def works(run: dict[str, Any], tmp_path: Path) -> bool:
    """Whether it is this run that takes the samples."""
    with kept(tmp_path) as tx:
        return leases.held(tx, "health-check/default", holder=f"run:{run['id']}")


def samples(tmp_path: Path) -> int:
    with kept(tmp_path) as tx:
        return tx.conn.execute(select(func.count()).select_from(check_samples)).scalar_one()
