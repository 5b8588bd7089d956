"""`paramedic host` and `doctor` about a cluster: who asks it, is each workload there, and may it be changed?"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_api
import pytest
from kubernetes_api import CLUSTER, ApiServer, Fault
from kubernetes_objects import path_of, workload

from paramedic.cli import doctor_hosts, doctor_targets, main
from paramedic.cli.output import settings_of
from paramedic.settings import ROOT

RUNBOOK = """\
---
runbook: api-down
service: shop
when: [{alert: KubeDeploymentReplicasMismatch}]
mode: act
playbook: restart-service
with:
  target: {deployment: "{namespace}/{deployment}", host: "{cluster}"}
  evidence: [workload, pods, events, rollout-history, previous-log, nodes]
  verify: {health: ok, stable: 1m, within: 10m}
---
**Meaning.** Pods are missing.
**Impact.** The shop is slow.
## Diagnosis
Look.
## Mitigation
Restart it.
"""


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with kubernetes_api.serving() as api:
        api.put(path_of(), workload())
        yield api


@pytest.fixture
def data(api: ApiServer, tmp_path: Path) -> Path:
    books = tmp_path / "data" / "runbooks"
    books.mkdir(parents=True)
    (books / "oncall.yaml").write_text((ROOT / "runbooks" / "oncall.yaml").read_text())
    (books / "api-down.md").write_text(RUNBOOK)
    file = kubernetes_api.kubeconfig(tmp_path, f"http://127.0.0.1:{api.port}")
    hosts = {CLUSTER: {"kubernetes": {"kubeconfig": str(file)}, "also": ["prod-eu-1"]}}
    listed = {"host": CLUSTER, "deployment": {"name": "api", "namespace": "shop"}, "health": "http://shop.invalid/"}
    services = {"hosts": hosts, "services": {"shop": {"targets": [listed]}}}
    (books / "services.yaml").write_text(json.dumps(services))
    return tmp_path / "data"


def says(capsys: pytest.CaptureFixture[str], data: Path, *words: str) -> tuple[int, Any]:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--json", "--data", str(data)])
    return int(ended.value.code or 0), json.loads(capsys.readouterr().out)


def test_a_cluster_is_listed_and_tried_like_a_host(
    api: ApiServer, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, [row] = says(capsys, data, "host", "list")
    assert (code, row["targets"], row["also"]) == (0, ["prod-cluster/deployment:shop/api"], ["prod-eu-1"])
    assert row["reached"].startswith("a cluster, by /")
    code, [row] = says(capsys, data, "host", "test")
    assert (code, row["well"], row["version"]) == (0, True, "v1.33.1")
    assert "by the token in" in row["words"]
    assert "; its clock is " in row["words"]
    at = "prod-cluster/deployment:shop/api"
    assert row["words"].endswith(f"; may there: restart {at}, scale {at}, delete_pod {at}, roll_back_to {at}")
    api.forbidden.add(("create", "pods/eviction"))
    _, [row] = says(capsys, data, "host", "test")
    assert row["may"] == [f"restart {at}", f"scale {at}", f"roll_back_to {at}"]
    why = "RBAC does not allow: create pods/eviction, in the namespace shop"
    assert row["may_not"][f"delete_pod {at}"].startswith(why)
    assert f"may not delete_pod {at}: {why}" in row["words"]
    assert row["well"], "what no runbook does is no fault"
    assert kubernetes_api.TOKEN not in json.dumps(row)
    api.faults.append(Fault("GET", 401))
    code, [row] = says(capsys, data, "host", "test")
    assert (code, row["well"]) == (1, False)
    assert "does not know who asks (401): by the token in" in row["words"]


def test_a_cluster_whose_clock_is_not_ours_is_named(
    api: ApiServer, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    near = doctor_hosts.hosts(settings_of(data))
    assert near.well
    assert near.words.endswith(" from ours"), "also a clock that is right is told"
    monkeypatch.setattr("kubernetes_api._Handler.date_time_string", lambda *_: "Sat, 31 Jan 2026 09:30:00 GMT")
    found = doctor_hosts.hosts(settings_of(data))
    assert not found.well
    assert "from ours: mend NTP" in found.words


def test_an_answer_that_is_lost_to_the_question_who_we_are_is_no_fault(
    api: ApiServer, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api.faults.append(Fault("POST", cut="before"))
    code, [row] = says(capsys, data, "host", "test")
    assert (code, row["user"]) == (0, None)


def test_a_runbook_for_it_is_well_to_lint(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["runbook", "lint", "--data", str(data)])
    assert ended.value.code == 0, capsys.readouterr()


def test_doctor_names_a_workload_that_is_not_there_and_a_right_that_is_missing(api: ApiServer, data: Path) -> None:
    settings = settings_of(data)
    assert doctor_targets.rights(settings).well
    api.forbidden.add(("patch", "deployments"))
    found = doctor_targets.rights(settings)
    assert not found.well
    assert "prod-cluster/deployment:shop/api: RBAC does not allow: patch deployments.apps" in found.words
    del api.objects[path_of()]
    assert "the cluster has no Deployment shop/api" in doctor_targets.targets(settings).words
