"""The demo's story on Kubernetes: in whose cluster it is played, and what becomes of its namespace."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import kubernetes_api
import pytest
from kubernetes_api import ApiServer

from paramedic.demo import in_kubernetes
from paramedic.demo.in_kubernetes import InKubernetes
from paramedic.demo.more import wanted
from paramedic.errors import PermanentError
from paramedic.remediation.host import KubernetesAccess

NAMESPACES = "/api/v1/namespaces"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str, Any]]]:
    """What a cluster is asked for; each Deployment is up at once."""
    made: list[tuple[str, str, Any]] = []

    def answer(host: Any, method: str, path: str, body: Any = None, **_: str) -> Any:
        made.append((method, path, body))
        assert host.kubernetes.context == "kind-try"
        return {"status": {"availableReplicas": 2}}

    monkeypatch.setattr(in_kubernetes, "asked", answer)
    return made


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with kubernetes_api.serving() as api:
        yield api


def kubeconfig(folder: Path, api: ApiServer, *contexts: str, current: str) -> Path:
    folder.mkdir()
    file = kubernetes_api.kubeconfig(folder, f"http://127.0.0.1:{api.port}")
    found = json.loads(file.read_text())
    found["contexts"] = [{"name": name, "context": {"cluster": "c", "user": "u"}} for name in contexts]
    found["current-context"] = current
    file.write_text(json.dumps(found))
    return file


def test_a_cluster_that_nobody_named_is_never_asked(
    monkeypatch: pytest.MonkeyPatch, api: ApiServer, tmp_path: Path
) -> None:
    file = kubeconfig(tmp_path / "k", api, "prod", current="prod")
    monkeypatch.setenv("KUBECONFIG", str(file))
    hosts: list[str] = []

    class Own:
        @contextmanager
        def running(self) -> Iterator[Any]:
            raise OSError("this one is not started in this test")
            yield

    monkeypatch.setattr(in_kubernetes, "ControlPlane", lambda folder: hosts.append(str(folder)) or Own())
    [(missing, started)] = wanted("kubernetes").values()
    missing()
    with pytest.raises(OSError, match="not started in this test"), started(tmp_path / "own"):
        pass
    assert hosts == [str(tmp_path / "own")]
    assert api.requests == []


def test_the_context_is_looked_for_in_every_file_and_the_current_one_counts_for_nothing(
    monkeypatch: pytest.MonkeyPatch, api: ApiServer, tmp_path: Path
) -> None:
    first = kubeconfig(tmp_path / "1", api, "prod", current="prod")
    second = kubeconfig(tmp_path / "2", api, "kind-try", current="kind-try")
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join([str(first), str(second)]))
    assert in_kubernetes._host("kind-try").kubernetes == KubernetesAccess(str(second), "kind-try")
    assert in_kubernetes.missing("kind-try") is None
    why = str(in_kubernetes.missing("kind-other"))
    assert "the cluster of the context 'kind-other' cannot be asked" in why
    assert "there are: prod" in why
    assert "there are: kind-try" in why


def test_a_cluster_that_does_not_answer_is_said(
    monkeypatch: pytest.MonkeyPatch, api: ApiServer, tmp_path: Path
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "k", api, "kind-try", current="kind-try")))
    api.faults.append(kubernetes_api.Fault("GET", 503))
    assert "answered 503" in str(in_kubernetes.missing("kind-try"))


def test_it_works_in_a_namespace_of_its_own_that_is_deleted_also_where_it_fails(
    monkeypatch: pytest.MonkeyPatch, api: ApiServer, tmp_path: Path, asked: list[tuple[str, str, Any]]
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "k", api, "kind-try", current="prod")))
    names = set()
    for number in range(2):
        story = interrupted(tmp_path / str(number))
        assert f"namespace: {story.namespace}" in story.services
        assert "context: 'kind-try'" in story.hosts
        names.add(story.namespace)
        made = [(method, path) for method, path, _ in asked]
        assert made[0] == ("POST", NAMESPACES)
        assert asked[0][2]["metadata"]["name"] == story.namespace
        assert made[-1] == ("DELETE", f"{NAMESPACES}/{story.namespace}")
        assert all(path == NAMESPACES or f"/{story.namespace}" in path for _, path in made)
        asked.clear()
    assert len(names) == 2
    assert all(name.startswith("paramedic-demo-") for name in names)


def interrupted(folder: Path) -> InKubernetes:
    """A story during which the demo is stopped."""
    with suppress(KeyboardInterrupt), in_kubernetes.started(folder, "kind-try") as story:
        raise KeyboardInterrupt
    return story


def test_one_that_cannot_be_deleted_is_said_with_the_command(
    monkeypatch: pytest.MonkeyPatch, api: ApiServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "k", api, "kind-try", current="prod")))
    answers = {"POST": "409: there is one", "DELETE": "404: not found"}

    def refuse(_host: Any, method: str, path: str, *_: Any, **__: Any) -> Any:
        if method in answers:
            raise PermanentError(f"{method} {path}: {answers[method]}")
        return {"status": {"availableReplicas": 2}}

    monkeypatch.setattr(in_kubernetes, "asked", refuse)
    with pytest.raises(OSError, match="409"), in_kubernetes.started(tmp_path / "d", "kind-try"):
        pass
    assert capsys.readouterr().err == "", "there was nothing to delete"
    answers.clear()
    answers["DELETE"] = "403: forbidden"
    with in_kubernetes.started(tmp_path / "e", "kind-try") as story:
        pass
    assert f"kubectl --context kind-try delete namespace {story.namespace}" in capsys.readouterr().err
