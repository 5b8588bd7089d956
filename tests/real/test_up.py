"""A whole Paramedic, from a Prefect that is not there yet to its end, and the demo beside it."""

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from fake_service import Service, serving
from mail_server import Postbox, text_of
from prefect_relay import Relay
from prefect_server import Prefect
from sqlalchemy import func, select
from whole_paramedic import IMPATIENT, OFTEN, PARAMEDIC, Paramedic, all_gone, running, until

from paramedic.checks.threshold import Level
from paramedic.demo.world import free_port
from paramedic.incidents.incident import Incident
from paramedic.settings import Settings
from paramedic.store import Store, check_states, incidents, leases, trail
from paramedic.store.tables import check_samples, inbox

pytestmark = [pytest.mark.real, pytest.mark.timeout(540)]

ONCALL = """\
people: {ada: {name: Ada, email: ada@example.org}}
rotation: {zone: UTC, starts: 2026-01-05 09:00, every: 1 week, people: [ada]}
policies: {default: {critical: [{tell: oncall}], warning: [{tell: oncall}], repeat: 10m}}
"""

RUNBOOK = """\
---
runbook: {service}-hangs
service: {service}
group: {group}
when:
  - check: health
    error_rate: {{critical: 60%, for: 1s}}
    every: {every}
    timeout: {every}
    window: 4s
mode: observe
playbook: restart-service
with:
  target: {{supervisord: {service}, host: "{{instance}}"}}
  verify: {{check: error_rate, stable: 1s, within: 5s}}
---
**Meaning.** It does not answer.
**Impact.** Nobody sees where dinner is.
## Diagnosis
## Mitigation
"""


#: Two of the services break here; with over half of all broken at once that would be a mass failure, and no incident.
WELL = ("orders-api", "couriers-api")
FAILS = "web-1/menu-api"


class Moody(ThreadingHTTPServer):
    """What listens where Prefect should: it hangs, refuses our login, or is somebody else's."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Answer)
        self.mood = "hangs"
        self.over = threading.Event()


class _Answer(BaseHTTPRequestHandler):
    server: Moody

    def do_GET(self) -> None:
        if self.server.mood == "hangs" and self.server.over.wait(30):
            return
        self.send_response(401 if self.server.mood == "refuses" else 200)
        self.end_headers()
        self.wfile.write(b"<html>a page of somebody else's</html>")

    do_POST = do_GET  # noqa: N815 - the base's name

    def log_message(self, *_: object) -> None: ...


@dataclass
class Stage:
    """A running `up`, the Prefect and the mail server that it works with, and the services that it measures."""

    up: Paramedic
    api: str
    moody: Moody
    prefect: Prefect
    postbox: Postbox
    hangs: Service
    fails: Service
    until_the_end: ExitStack

    def comes(self) -> None:
        """Prefect, where `up` has looked for it."""
        relay = Relay(self.prefect.port, at=httpx.URL(self.api).port or 0)
        self.until_the_end.callback(relay.close)

    @property
    def data(self) -> Path:
        return self.up.folder / "data"

    @cached_property
    def store(self) -> Store:
        return Store(Settings(data=self.data).store())

    def write_runbook(self, service: str, group: str, *, every: str = "2s") -> None:
        text = RUNBOOK.format(service=service, group=group, every=every)
        (self.up.folder / "runbooks" / f"{service}-hangs.md").write_text(text)

    def log(self, name: str) -> str:
        return (self.data / "logs" / f"{name}.log").read_text()

    def incidents_at(self, target: str) -> list[Incident]:
        with self.store.read() as tx:
            return [incident for incident in incidents.listed(tx, limit=100) if incident.target == target]

    def rounds(self) -> list[dict[str, Any]]:
        """The rounds of the health check that run now."""
        state = {"state": {"name": {"any_": ["Running"]}}}
        wanted = {"flows": {"name": {"any_": ["health-check"]}}, "flow_runs": state}
        found: list[dict[str, Any]] = self.prefect.ask("POST", "/flow_runs/filter", json=wanted)
        return found

    def is_sampling(self, run: dict[str, Any], group: str) -> bool:
        """Whether it is this run that takes the group's samples."""
        with self.store.read() as tx:
            return leases.held(tx, f"health-check/{group}", holder=f"run:{run['id']}")

    def samples(self, target: str) -> int:
        with self.store.read() as tx:
            query = select(func.count()).select_from(check_samples).where(check_samples.c.target == target)
            return tx.conn.execute(query).scalar_one()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Paramedic]:
    """It plays its stories while the other tests of this file wait for theirs; the last one judges it.

    Its folder is empty, as in a user's first hour: this Prefect makes its database itself, and registers its block types.
    """
    folder, argv = tmp_path_factory.mktemp("demo"), ["demo", "--json", "told.json", "--data", "kept"]
    with running(folder, *argv, command=OFTEN, PARAMEDIC_WATCHDOG_EVERY="1s") as paramedic:
        yield paramedic


@pytest.fixture(scope="module")
def stage(demo: Paramedic, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder, port = tmp_path_factory.mktemp("up"), free_port()
    (folder / "prefect").mkdir()
    (folder / "runbooks").mkdir(mode=0o755)
    (folder / "runbooks" / "oncall.yaml").write_text(ONCALL)
    prefect = Prefect(folder / "prefect", free_port())
    api = f"http://127.0.0.1:{port}/api"
    with ExitStack() as until_the_end:
        hangs, fails, late = (until_the_end.enter_context(serving()) for _ in range(3))
        fails.status = 500
        named = {"tracking-api": hangs, "menu-api": fails, "late-api": late} | dict.fromkeys(WELL, late)
        services = {
            name: {
                "targets": [
                    {"host": "web-1", "health": process.url, "supervisord": {"program": name, "address": "unix:///s"}}
                ]
            }
            for name, process in named.items()
        }
        (folder / "runbooks" / "services.yaml").write_text(json.dumps({"services": services}))
        postbox = until_the_end.enter_context(Postbox())
        moody = Moody(port)
        threading.Thread(target=moody.serve_forever, args=(0.05,), daemon=True).start()
        env = {
            "PARAMEDIC_PREFECT_API_URL": api,
            "PARAMEDIC_RUNBOOKS": str(folder / "runbooks"),
            "PARAMEDIC_SMTP_URL": postbox.url,
            "PARAMEDIC_MAIL_FROM": "paramedic@example.org",
            "PARAMEDIC_SILENT_AFTER": "3s",
            "PARAMEDIC_WATCHDOG_EVERY": "1s",
            "PARAMEDIC_CHECKS_EVERY": "10s",
            "PARAMEDIC_LEASE": "5s",
            "PARAMEDIC_RENEW": "1s",
        }
        up = until_the_end.enter_context(running(folder, "up", "--data", "data", command=IMPATIENT, **env))
        stage = Stage(up, api, moody, prefect, postbox, hangs, fails, until_the_end)
        stage.write_runbook("tracking-api", "default")
        stage.write_runbook("menu-api", "web", every="1s")
        for service in WELL:
            stage.write_runbook(service, "default")
        prefect.start()
        until_the_end.callback(prefect.stop)
        yield stage
        stage.store.close()


@pytest.mark.costly
def test_a_prefect_that_hangs_refuses_or_is_none_is_waited_for_and_people_are_paged_meanwhile(stage: Stage) -> None:
    up, gateway = stage.up, f"http://127.0.0.1:{stage.up.env['PARAMEDIC_PORT']}"
    line = up.says(f"waiting for the Prefect server at {stage.api}: ReadTimeout")
    assert f"{gateway}/alerts/alertmanager" in line
    stage.moody.mood = "refuses"
    stage.moody.over.set()
    line = up.says("PARAMEDIC_PREFECT_API_AUTH")
    assert f"waiting for the Prefect server at {stage.api}: it refuses our login" in line
    stage.moody.mood = "is somebody else's"
    up.says(f"waiting for the Prefect server at {stage.api}: it answers, and not as Prefect's API")
    alert = {"labels": {"alertname": "Down", "severity": "critical"}, "status": "firing"}
    answer = httpx.post(
        f"{gateway}/alerts/alertmanager",
        json={"alerts": [alert | {"startsAt": "2026-01-31T09:30:00Z"}]},
        headers={"Authorization": f"Bearer {(stage.data / 'gateway-token').read_text()}"},
        trust_env=False,
    )
    assert answer.status_code == 202
    until(lambda: "[Paramedic] the Prefect server does not answer" in stage.postbox.subjects, "a page")
    for name in ("dispatch", "responder"):
        words = ": it answers, and not as Prefect's API"
        until(lambda name=name, words=words: words in stage.log(name), f"words of {name}")
        assert "Traceback" not in stage.log(name)
    stage.moody.shutdown()
    stage.moody.server_close()
    stage.comes()
    up.says("logs  ")
    assert up.process.poll() is None


@pytest.fixture(scope="module")
def late_group(stage: Stage) -> None:
    """It comes while dispatch runs; a test below judges it."""
    stage.write_runbook("late-api", "late")


@dataclass(frozen=True)
class Killed:
    """A round that was killed in mid-sampling: its run, the incident at its target, and how many samples there were."""

    run: str
    incident: Incident
    samples: int


@pytest.fixture(scope="module")
def killed(stage: Stage) -> Killed:
    """The next rounds come while another test waits for its own."""
    (incident,) = until(lambda: stage.incidents_at(FAILS), "the incident")

    def sampling() -> list[dict[str, Any]]:
        return [run for run in stage.rounds() if run["infrastructure_pid"] and stage.is_sampling(run, "web")]

    (run,) = until(sampling, "a round")
    os.kill(int(run["infrastructure_pid"]), signal.SIGKILL)
    return Killed(run["id"], incident, stage.samples(FAILS))


@pytest.mark.usefixtures("late_group", "killed")
@pytest.mark.costly
def test_what_hangs_is_found_by_the_schedule(stage: Stage) -> None:
    until(lambda: stage.hangs.asked, "the first sample")
    assert set(until(stage.rounds, "a round")[0]["tags"]) >= {"paramedic", "checks"}
    assert stage.incidents_at("web-1/tracking-api") == []
    stage.hangs.hang()
    (incident,) = until(lambda: stage.incidents_at("web-1/tracking-api"), "the incident")
    assert incident.title == "tracking-api-hangs error_rate"


@pytest.mark.costly
def test_a_round_that_is_killed_in_mid_sampling_is_followed_by_one_that_goes_on_as_if_it_had_not_been(
    stage: Stage, killed: Killed
) -> None:
    until(lambda: stage.prefect.ask("GET", f"/flow_runs/{killed.run}")["state_name"] == "Crashed", "its end")
    a_round_and_more = 12  # of 10 s, with a sample every second, or 5% sooner
    until(lambda: stage.samples(FAILS) >= killed.samples + a_round_and_more, "the next round, and the one after it")
    with stage.store.read() as tx:
        happened = [entry.what for entry in trail.entries(tx) if entry.target == FAILS]
        (check,) = (found for found in check_states.listed(tx) if found.target == FAILS)
        its = inbox.c.incident == killed.incident.number
        receipts = tx.conn.execute(select(inbox.c.position).where(its)).all()
    assert [what for what in happened if what.startswith("check.")] == ["check.critical"], "it never was unknown"
    assert happened.count("incident.opened") == len(receipts) == 1
    assert check.standing.level is Level.CRITICAL


@pytest.mark.usefixtures("late_group")
@pytest.mark.costly
def test_a_group_that_comes_while_dispatch_runs_is_scheduled_and_expected(stage: Stage) -> None:
    def groups() -> set[str]:
        deployment = stage.prefect.ask("GET", "/deployments/name/health-check/health-check")
        return {schedule["slug"] for schedule in deployment["schedules"]}

    until(lambda: groups() == {"default", "web", "late"}, "its schedule", 90)
    with stage.store.read() as tx:
        assert "late-api-hangs" in {state.runbook for state in check_states.listed(tx)}


@pytest.mark.costly
def test_what_stands_still_is_told_ended_and_started_again_and_leaves_nothing(stage: Stage) -> None:
    names = [f"paramedic.{name}" for name in ("gateway", "dispatch", "watchdog", "responder")]
    stopped = {name: child for name, child in stage.up.children().items() if name in names}
    assert sorted(stopped) == sorted(names)
    below = [process for child in stopped.values() for process in child.children(recursive=True)]
    assert len(below) >= 2, "the responder's own"
    stage.up.process.send_signal(signal.SIGUSR1)  # it is impatient now: tests/whole_paramedic.py
    for child in stopped.values():
        child.send_signal(signal.SIGSTOP)
    until(lambda: stage.up.restarted(stopped), "new ones")
    stage.up.process.send_signal(signal.SIGUSR2)
    all_gone([*stopped.values(), *below])
    for name in stopped:
        words = rf"{name.removeprefix('paramedic.')} stands still: it has given no sign of life for ([3-9]|\d\d) s"
        assert re.search(words, stage.log("up"))
    # Other mail of this minute may make it one of a digest.
    until(
        lambda: any("stands still" in f"{letter['Subject']}{text_of(letter)}" for letter in stage.postbox.letters),
        "a word",
    )


@pytest.mark.costly
def test_when_up_is_killed_no_process_is_left(stage: Stage) -> None:
    until(lambda: len(stage.up.family()) >= 6, "gateway, dispatch, watchdog, responder and two warm processes")
    assert stage.up.ends(signal.SIGKILL) == -signal.SIGKILL


def test_the_demo_does_what_it_says(demo: Paramedic) -> None:
    family: dict[int, psutil.Process] = {}

    def over() -> bool:
        family.update((process.pid, process) for process in demo.family())
        return demo.process.poll() is not None

    until(over, "its end", 300)
    assert demo.process.returncode == 0, demo.output_text
    all_gone(list(family.values()))
    report = json.loads((demo.folder / "told.json").read_text())
    assert report["ok"] is True
    assert report["trail"]["verified"] is True
    assert [(scenario["name"], scenario["outcome"]) for scenario in report["scenarios"]] == [
        ("hang", "remediated"),
        ("leak", "remediated"),
        ("bad-release", "remediated"),
        ("beyond-help", "handed_over"),
    ]
    assert all(len(scenario["flow_runs"]) == 1 for scenario in report["scenarios"])
    assert "Subject: [critical] tracking-api on web-4: TrackingApiMemory, restarted" in demo.output_text
    assert "look around" in demo.output_text
    assert max(map(len, demo.output_text.splitlines())) <= 130, "an address may be long, a sentence is folded"
    for command in (["audit", "verify"], ["incident", "show", "INC-1"]):
        done = subprocess.run(
            [PARAMEDIC, *command, "--data", "kept"], cwd=demo.folder, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
