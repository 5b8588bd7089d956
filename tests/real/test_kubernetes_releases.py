"""Releases of workloads at a real API server: which was healthy, which is gone to by name, and whose they are."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from kubernetes_server import Server, control_plane
from kubernetes_shop import Shop
from waiting import until

from paramedic.errors import PermanentError, Refused
from paramedic.kubernetes import target as workload_target
from paramedic.remediation.host import Host, KubernetesAccess
from paramedic.transports import kubernetes_config

pytestmark = [pytest.mark.real, pytest.mark.costly, pytest.mark.long]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with control_plane(tmp_path_factory.mktemp("control-plane")) as server:
        yield server


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at a cluster has the time of a busy machine."""
    monkeypatch.setattr(workload_target, "LOOK", timedelta(seconds=60))


def test_a_stuck_rollout_leaves_pods_of_the_release_before_which_is_known_to_be_healthy(server: Server) -> None:
    shop = Shop(
        server, "healthy", "statefulset"
    )  # a DaemonSet has one pod on the one node here, and none of it is left
    shop.deploy("shop/api:bad")
    until("its rollout is stuck", lambda: "ImagePullBackOff" in shop.evidence("pods"))
    assert shop.releases().before().healthy


@pytest.mark.parametrize(
    ("owner", "what", "marks", "by_hand"),
    [
        (
            "Flux (kustomization gitops/shop)",
            "label",
            ("kustomize.toolkit.fluxcd.io/name=shop", "kustomize.toolkit.fluxcd.io/namespace=gitops"),
            "flux suspend kustomization shop --namespace gitops",
        ),
        (
            "Helm (release apps/shop)",
            "annotate",
            ("meta.helm.sh/release-name=shop", "meta.helm.sh/release-namespace=apps"),
            "helm history shop --namespace apps",
        ),
    ],
    ids=["flux", "helm"],
)
def test_what_flux_or_helm_owns_is_not_rolled_back_either(
    server: Server, owner: str, what: str, marks: tuple[str, ...], by_hand: str
) -> None:
    shop = Shop(server, f"owned-by-{what}", "deployment")
    shop.deploy("shop/api:2")
    until("the second is up", shop.is_whole)
    server.kubectl(what, "deployment/api", "-n", shop.namespace, *marks)
    with pytest.raises(Refused, match=f"is owned by {re.escape(owner)}") as no:
        shop.roll_back()
    assert by_hand in no.value.by_hand
    with pytest.raises(Refused, match="is owned by"):
        shop.do_asked("roll_back_to", revision=1)
    assert shop.image() == "shop/api:2"
    shop.restart()


@pytest.mark.parametrize("kind", ["deployment", "statefulset", "daemonset"])
def test_the_named_revision_is_gone_to_as_kubectl_counts_it_and_that_is_undone(server: Server, kind: str) -> None:
    shop = Shop(server, f"named-{kind}", kind)
    for image in ("shop/api:2", "shop/api:3"):
        shop.deploy(image)
        until(f"{image} is up", shop.is_whole)
    with pytest.raises(Refused, match="keeps no revision 9 of"):
        shop.do_asked("roll_back_to", revision=9)
    shop.do_asked("roll_back_to", revision=1)
    assert shop.image() == "shop/api:1"
    shop.do("undo_roll_back_to")
    assert shop.image() == "shop/api:3"
    assert shop.is_whole()


def test_what_a_node_suffers_from_and_what_happened_is_seen(server: Server) -> None:
    shop = Shop(server, "node-pressure", "deployment")
    shop.deploy("shop/api:bad")
    until("a pod of it is stuck", lambda: "ImagePullBackOff" in shop.evidence("pods"))
    until("its events are there", lambda: "Scaled" in shop.evidence("events"))
    pressure = {"type": "MemoryPressure", "status": "True", "reason": "KubeletHasInsufficientMemory"}
    server.ask("PATCH", f"/api/v1/nodes/{shop.node()}/status", {"status": {"conditions": [pressure]}})
    until("it is told of", lambda: "MemoryPressure" in shop.evidence("nodes"))


def test_in_a_pod_the_token_of_its_service_account_is_who_asks(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(server, "in-cluster", "deployment")
    accounts = "/api/v1/namespaces/in-cluster/serviceaccounts"
    server.ask("POST", accounts, {"metadata": {"name": "responder"}})
    asked = {"spec": {"expirationSeconds": 3600}}
    token = server.ask("POST", f"{accounts}/responder/token", asked)["status"]["token"]
    server.kubectl("create", "clusterrole", "of-the-pod", "--verb=get,patch", "--resource=deployments.apps")
    server.kubectl(
        "create",
        "rolebinding",
        "pod",
        "-n",
        "in-cluster",
        "--clusterrole=of-the-pod",
        "--serviceaccount=in-cluster:responder",
    )
    (tmp_path / "token").write_text(token)
    (tmp_path / "ca.crt").write_bytes((server.folder / "certs" / "apiserver.crt").read_bytes())
    monkeypatch.setattr(kubernetes_config, "POD", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.port))
    shop.host = Host("prod", kubernetes=KubernetesAccess())
    shop.target = replace(shop.target, machine=shop.host)
    before = shop.identity()
    shop.restart()
    assert shop.module.restarted(before, shop.identity())
    with pytest.raises(PermanentError, match="system:serviceaccount:in-cluster:responder.* cannot list"):
        shop.evidence("pods")
