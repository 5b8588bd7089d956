"""The demo with its story on Kubernetes: on a control plane of its own, and in a cluster whose context is named."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes_server import Server, control_plane, programs
from waiting import until
from whole_paramedic import PARAMEDIC

from paramedic.demo import in_kubernetes

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with control_plane(tmp_path_factory.mktemp("control-plane")) as server:
        yield server


#: An API server makes these itself, one after the other, and answers before the last is there.
ITS_OWN = {"default", "kube-node-lease", "kube-public", "kube-system"}


def test_a_bad_image_is_rolled_back_on_a_control_plane_of_the_demo_s_own(tmp_path: Path) -> None:
    programs()
    argv = [PARAMEDIC, "demo", "--with", "kubernetes", "--json", "told.json"]
    played = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=880)
    assert played.returncode == 0, played.stdout + played.stderr[-2000:]
    told = json.loads((tmp_path / "told.json").read_text())
    outcomes = {scenario["name"]: scenario["outcome"] for scenario in told["scenarios"]}
    assert outcomes["kubernetes"] == "remediated"
    assert list(outcomes)[-2:] == ["kubernetes", "beyond-help"]
    assert told["trail"]["verified"]
    assert "roll_back" in played.stdout or "rolled back" in played.stdout, played.stdout


def test_in_a_cluster_that_is_named_it_has_a_namespace_that_is_gone_after_it(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(server.folder / "admin"))
    until("the namespaces that a cluster makes for itself", lambda: set(namespaces(server)) >= ITS_OWN)
    before = set(namespaces(server))
    assert in_kubernetes.missing("c") is None
    with in_kubernetes.started(tmp_path / "story", "c") as story:
        assert set(namespaces(server)) - before == {story.namespace}
        said = server.kubectl("get", "deployment", "-n", story.namespace)
        assert "orders   2/2" in said, said
    until("the namespace is gone", lambda: set(namespaces(server)) == before)


def namespaces(server: Server) -> list[str]:
    return [each["metadata"]["name"] for each in server.ask("GET", "/api/v1/namespaces")["items"]]
