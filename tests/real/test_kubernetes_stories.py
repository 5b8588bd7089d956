"""Workloads that broke, by a whole Paramedic at a real API server: an alert, evidence, one change, the proof that it helped."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from incident_states import PEOPLE
from kubernetes_server import Server, control_plane
from kubernetes_shop import Shop, health_of
from waiting import until
from whole_paramedic import Paramedic, running

from paramedic.incidents.incident import Incident, State
from paramedic.machine.clock import iso, utc_now
from paramedic.store import Store, evidence, incidents, trail

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(900)]

TOKEN = "a-token-of-the-alertmanager-0123"

SERVICES = """\
hosts:
  prod: {{kubernetes: {{kubeconfig: {kubeconfig}}}}}
services:
  crashed: {{targets: [{{host: prod, deployment: {{name: api, namespace: crashed}}, health: "{health}/crashed"}}]}}
  released: {{targets: [{{host: prod, deployment: {{name: api, namespace: released}}, health: "{health}/released"}}]}}
  stuck: {{targets: [{{host: prod, statefulset: {{name: api, namespace: stuck}}, health: "{health}/stuck"}}]}}
  worse: {{targets: [{{host: prod, deployment: {{name: api, namespace: worse}}, health: "{health}/worse"}}]}}
"""

RUNBOOK = """\
---
runbook: {name}
service: {name}
when: [{{alert: '{name}'}}]
mode: act
playbook: restore-service
with:
  target: {{{kind}: "{{namespace}}/{{{kind}}}", host: prod}}
  evidence: [workload, pods, rollout-history]
  remedies: [{remedy}]
  verify: {{health: ok, stable: 1s, within: 2m}}
---
**Meaning.** It is down.
**Impact.** Nothing is sold.
## Diagnosis
Look.
## Mitigation
Restart it.
"""

#: Of a service that answers late: its check opens the incident once it has looked often enough to tell worse from bad.
LATE = """\
---
runbook: worse
service: worse
when: [{{check: "{health}/worse", latency_p50: {{critical: 100ms, for: 25s}}, every: 5s}}]
mode: act
playbook: restore-service
with:
  target: {{deployment: "{{deployment}}", host: prod}}
  remedies: [rollback]
  verify: {{check: latency_p50, stable: 1s, within: 45s}}
---
**Meaning.** It is late.
**Impact.** Some go away.
## Diagnosis
Look.
## Mitigation
Roll it back.
"""

#: By the service: the kind of its workload, and the remedy of its runbook.
STORIES = {
    "crashed": ("deployment", "restart"),
    "released": ("deployment", "rollback"),
    "stuck": ("statefulset", "delete_pod"),
}
ALL = {*STORIES, "worse"}


@dataclass
class Played:
    store: Store
    shop: Shop
    incident: Incident

    def happened(self, *told: str) -> list[str]:
        with self.store.read() as tx:
            return [entry.what for entry in trail.entries(tx, incident=self.incident.number) if entry.what in told]

    def seen(self) -> dict[str, str]:
        with self.store.read() as tx:
            return {piece["kind"]: piece["body"] for piece in evidence.of(tx, self.incident.number)}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with control_plane(tmp_path_factory.mktemp("control-plane")) as server:
        yield server


@pytest.fixture(scope="module")
def stories(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Played]]:
    """The incidents that an alert about each workload has opened, at their ends."""
    folder = tmp_path_factory.mktemp("up")
    (books := folder / "runbooks").mkdir()
    (books / "oncall.yaml").write_text(PEOPLE)
    for name, (kind, remedy) in STORIES.items():
        (books / f"{name}.md").write_text(RUNBOOK.format(name=name, kind=kind, remedy=remedy))
    env = {
        "PARAMEDIC_DATA": str(folder / "data"),
        "PARAMEDIC_RUNBOOKS": str(books),
        "PARAMEDIC_GATEWAY_TOKENS": json.dumps({"alertmanager": TOKEN}),
        "PARAMEDIC_CHECKS_EVERY": "10s",
    }
    shops: dict[str, Shop] = {}
    with ExitStack() as ending:
        health = ending.enter_context(health_of(shops))
        (books / "services.yaml").write_text(SERVICES.format(kubeconfig=server.folder / "admin", health=health))
        (books / "worse.md").write_text(LATE.format(health=health))
        up = ending.enter_context(running(folder, "up", **env))
        shops |= broken(server)
        up.says("logs  ")
        store = Store(f"sqlite:///{folder}/data/paramedic.db")
        for name, (kind, _) in STORIES.items():
            post(up, alertname=name, namespace=name, **{kind: "api"}, **({"pod": "api-0"} if name == "stuck" else {}))
        found = until("every incident has ended", lambda: all_ended(store), 400)
        yield {name: Played(store, shops[name], found[name]) for name in ALL}


def broken(server: Server) -> dict[str, Shop]:
    """One whose pods all crash, one with a release whose image cannot be pulled, one of whose pods crashes."""
    crashed = Shop(server, "crashed", "deployment")
    released = Shop(server, "released", "deployment", progressDeadlineSeconds=5)
    stuck = Shop(server, "stuck", "statefulset")
    for name in crashed.names():
        crashed.break_pod(name)
    released.deploy("shop/api:bad", **{"paramedic/reversible": "true"})
    stuck.break_pod("api-0")
    until("the crash is seen", lambda: crashed.identity().state.startswith("unavailable"))
    until("the rollout is late", lambda: released.identity().state.endswith("overdue"))
    until("the crash is seen", lambda: stuck.identity().state.startswith("partial"))
    return {"crashed": crashed, "released": released, "stuck": stuck, "worse": late(server)}


def late(server: Server) -> Shop:
    """One whose second release is late, and whose first, which was marked as healthy, is far later by now."""
    shop = Shop(server, "worse", "deployment")
    server.kubectl("annotate", "replicaset", "-n", "worse", "-l", "app=api", "paramedic/healthy=true")
    shop.deploy("shop/api:2", **{"paramedic/reversible": "true"})
    until("the second is up", shop.is_whole)
    shop.slow = {"shop/api:1": 2.0, "shop/api:2": 0.3}
    return shop


def post(up: Paramedic, **labels: str) -> None:
    """One alert of an Alertmanager, to the gateway."""
    alert: dict[str, Any] = {
        "status": "firing",
        "labels": {"severity": "critical", **labels},
        "annotations": {},
        "startsAt": iso(utc_now()),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "",
        "fingerprint": labels["alertname"],
    }
    body = {
        "version": "4",
        "groupKey": labels["alertname"],
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "paramedic",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager",
        "alerts": [alert],
    }
    url = f"http://127.0.0.1:{up.env['PARAMEDIC_PORT']}/alerts/alertmanager"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    httpx.post(url, json=body, headers=headers, timeout=30, trust_env=False).raise_for_status()


def all_ended(store: Store) -> dict[str, Incident]:
    with store.read() as tx:
        found = {one.service: one for one in incidents.listed(tx, limit=10)}
    return found if found.keys() == ALL and all(one.ending for one in found.values()) else {}


@pytest.mark.parametrize(
    ("name", "changed"), [("crashed", "restart"), ("released", "roll_back"), ("stuck", "delete_pod")]
)
def test_it_is_changed_once_after_its_evidence_and_verified(
    stories: dict[str, Played], name: str, changed: str
) -> None:
    story = stories[name]
    assert story.incident.state is State.RESOLVED, story.incident
    told = ("evidence.taken", changed, f"{changed}.done", "verification.well")
    assert story.happened(*told, f"{changed}.failed", f"{changed}.unknown") == list(told)
    assert story.shop.is_whole()


def test_a_roll_back_that_made_it_worse_is_undone_and_a_person_gets_it(
    server: Server, stories: dict[str, Played]
) -> None:
    story = stories["worse"]
    assert story.incident.state is State.HANDED_OVER, story.incident
    told = ("roll_back", "roll_back.done", "verification.failed", "undo.chosen", "undo", "undo.done")
    assert story.happened(*told, "undo.failed", "undo.unknown", "restart") == list(told)
    assert story.shop.image() == "shop/api:2"
    assert story.shop.is_whole()
    history = server.kubectl("rollout", "history", "deployment/api", "-n", "worse").strip().splitlines()
    assert [line.split()[0] for line in history[-2:]] == ["3", "4"], "there, and forward again"


def test_the_evidence_is_of_before_the_change(stories: dict[str, Played]) -> None:
    assert "2 pods, 0 ready" in stories["crashed"].seen()["pods"]
    assert "ProgressDeadlineExceeded" in stories["released"].seen()["workload"]
    assert "ImagePullBackOff" in stories["released"].seen()["pods"]
    assert "CrashLoopBackOff" in stories["stuck"].seen()["pods"]


def test_the_bad_image_is_gone_and_kubectl_s_history_has_it(server: Server, stories: dict[str, Played]) -> None:
    assert stories["released"].shop.image() == "shop/api:1"
    history = server.kubectl("rollout", "history", "deployment/api", "-n", "released").strip().splitlines()
    assert [line.split()[0] for line in history[-2:]] == ["2", "3"], "the first came back as the third"
