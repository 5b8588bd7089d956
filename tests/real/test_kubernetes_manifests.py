"""A real API server takes `deployments/kubernetes`: a server-side dry run of all of it, and no field that it does not know."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes_server import Server, control_plane
from required import missing

from paramedic.settings import ROOT

pytestmark = [pytest.mark.real, pytest.mark.costly]

FOLDER = ROOT / "deployments" / "kubernetes"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with control_plane(tmp_path_factory.mktemp("control-plane")) as server:
        for namespace in ("paramedic", "shop"):
            server.ask("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        yield server


@pytest.fixture(scope="module")
def built() -> str:
    """The base. This server is 1.20, which knows the budgets by the name that they had before: with the same fields."""
    kubectl = shutil.which("kubectl") or missing("there is no kubectl")
    done = subprocess.run([kubectl, "kustomize", str(FOLDER / "base")], check=True, capture_output=True, text=True)
    assert "apiVersion: policy/v1\n" in done.stdout
    return done.stdout.replace("apiVersion: policy/v1\n", "apiVersion: policy/v1beta1\n")


def applied(server: Server, file: Path) -> str:
    return server.kubectl("apply", "--dry-run=server", "--validate=true", "-f", str(file))


def test_the_base_is_taken_whole(server: Server, built: str, tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(built)
    said = applied(server, tmp_path / "base.yaml").splitlines()
    assert len(said) == built.count("\nkind: ") + built.startswith("kind: ")
    assert all("(server dry run)" in line for line in said), said


def test_the_role_is_taken(server: Server) -> None:
    assert applied(server, FOLDER / "role.yaml").count("(server dry run)") == 2


def test_the_component_of_nodes_lets_the_responder_look_at_one_and_no_more(server: Server) -> None:
    server.kubectl("apply", "-f", str(FOLDER / "components" / "nodes" / "nodes.yaml"))

    def may(account: str, verb: str) -> bool:
        asked = {"user": f"system:serviceaccount:paramedic:{account}"}
        asked |= {"resourceAttributes": {"verb": verb, "resource": "nodes", "name": "one"}}
        review = server.ask("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": asked})
        return bool(review["status"]["allowed"])

    assert [may("paramedic", verb) for verb in ("get", "list", "watch", "patch", "delete")] == [True, *[False] * 4]
    assert not may("nobody", "get")


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("readinessProbe:", "redinessProbe:"), ("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: 7")],
)
def test_a_field_that_it_does_not_know_would_be_refused(
    server: Server, built: str, tmp_path: Path, right: str, wrong: str
) -> None:
    assert right in built
    (tmp_path / "base.yaml").write_text(built.replace(right, wrong, 1))
    with pytest.raises(AssertionError):
        applied(server, tmp_path / "base.yaml")
