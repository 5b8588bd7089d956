"""Workloads at a real API server with its real controllers: kubectl sees what we say, and we see what it did."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from kubernetes_server import Server, control_plane
from ruamel.yaml import YAML
from waiting import until

from paramedic.errors import PermanentError, Refused, TargetChanged
from paramedic.integrations.targets import daemonset, deployment, statefulset
from paramedic.machine.clock import utc_now
from paramedic.remediation.host import Host
from paramedic.remediation.target import Identity, Target
from paramedic.transports.kubernetes import Kubernetes

pytestmark = [pytest.mark.real, pytest.mark.long]

KINDS: dict[str, Any] = {"deployment": deployment, "statefulset": statefulset, "daemonset": daemonset}
ROLE = Path(__file__).parents[2] / "deployments" / "kubernetes" / "role.yaml"
WITHIN = timedelta(seconds=60)  # on a busy machine


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with control_plane(tmp_path_factory.mktemp("control-plane")) as server:
        yield server


class Shop:
    """A namespace with one workload in it, which is up."""

    def __init__(self, server: Server, namespace: str, kind: str, *, host: Host | None = None, **spec: Any) -> None:
        self.server, self.kind, self.module = server, kind, KINDS[kind]
        self.host = host or server.admin
        self.path = f"/apis/apps/v1/namespaces/{namespace}/{kind}s/api"
        self.target = Target(
            f"prod/{kind}:{namespace}/api", "shop", "prod", kind, f"{namespace}/api", "", machine=self.host
        )
        self.namespace = namespace
        server.ask("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        labels = {"matchLabels": {"app": "api"}}
        template = {
            "metadata": {"labels": {"app": "api"}},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "api", "image": "shop/api:1"}]},
        }
        more = {} if kind == "daemonset" else {"replicas": 2}
        more |= {"serviceName": "api"} if kind == "statefulset" else {}
        body = {"metadata": {"name": "api"}, "spec": {"selector": labels, "template": template, **more, **spec}}
        server.ask("POST", self.path.rpartition("/")[0], body)
        until(f"{kind} {namespace} is up", self.is_whole)

    def identity(self) -> Identity:
        found: Identity = self.module.Reader(self.target, Kubernetes(self.host)).identity()
        return found

    def is_whole(self) -> bool:
        return self.identity().state == "available/complete"

    def restart(self, last_look: Callable[[], None] = lambda: None) -> Identity:
        found: Identity = self.module.Changer(self.target, Kubernetes(self.host), WITHIN).restart(
            self.identity(), last_look
        )
        return found

    def releases(self) -> Any:
        return self.module.Releases(self.target, Kubernetes(self.host))

    def roll_back(self, *, approved: bool = True) -> str:
        expected = self.releases().current().id
        found: str = self.module.Changer(self.target, Kubernetes(self.host), WITHIN).roll_back(
            expected, lambda: None, approved=approved
        )
        return found

    def deploy(self, image: str, **annotations: str) -> None:
        made_at = self.releases().current().deployed_at
        until("another second: revisions are dated by it", lambda: utc_now() >= made_at + timedelta(seconds=1.1))
        template = {"spec": {"containers": [{"name": "api", "image": image}]}}
        body = {"metadata": {"annotations": annotations}, "spec": {"template": template}}
        self.server.ask("PATCH", self.path, body, patch="strategic-merge-patch")
        until("its controller has looked", lambda: self.identity().state.partition("/")[2] != "unobserved")

    def image(self) -> str:
        found: str = self.server.ask("GET", self.path)["spec"]["template"]["spec"]["containers"][0]["image"]
        return found

    def pods(self) -> list[str]:
        found = self.server.ask("GET", f"/api/v1/namespaces/{self.namespace}/pods")["items"]
        return sorted(pod["metadata"]["uid"] for pod in found)

    def evidence(self, kind: str) -> str:
        found: str = self.module.EVIDENCE[kind](self.target, Kubernetes(self.host))
        return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_restart_replaces_every_pod_and_is_kubectl_s(server: Server, kind: str) -> None:
    shop = Shop(server, f"restart-{kind}", kind)
    before, pods = shop.identity(), shop.pods()
    after = shop.restart()
    assert after.state == "available/complete"
    assert shop.module.restarted(before, after)
    assert set(pods) & set(shop.pods()) == set()
    said = server.kubectl("rollout", "status", f"{kind}/api", "-n", shop.namespace, "--timeout=5s")
    assert "successfully" in said or "complete" in said, said
    managers = {each["manager"] for each in server.ask("GET", shop.path)["metadata"]["managedFields"]}
    assert "paramedic" in managers
    assert "image shop/api:1" in shop.evidence("workload")


def test_a_version_that_moves_in_between_is_a_conflict_and_read_again(server: Server) -> None:
    shop = Shop(server, "conflict", "deployment")
    looks: list[int] = []

    def annotated() -> None:
        looks.append(1)
        if len(looks) == 1:
            server.ask("PATCH", shop.path, {"metadata": {"annotations": {"seen": "yes"}}})

    shop.restart(annotated)
    assert len(looks) == 2
    before = shop.identity()
    with pytest.raises(TargetChanged):
        shop.restart(lambda: shop.deploy("shop/api:2"))
    assert before.instance["template"] != shop.identity().instance["template"]


def test_a_bad_image_is_rolled_back_once(server: Server) -> None:
    shop = Shop(server, "bad-image", "deployment")
    server.ask("PATCH", shop.path, {"metadata": {"annotations": {"kubernetes.io/change-cause": "the first"}}})
    shop.restart()  # another revision, and no other release
    shop.deploy("shop/api:bad", **{"kubernetes.io/change-cause": "the second", "paramedic/reversible": "true"})
    until("a pod of it is stuck", lambda: "ImagePullBackOff" in shop.evidence("pods"))
    assert shop.releases().before().healthy
    good = shop.roll_back(approved=False)
    assert shop.image() == "shop/api:1"
    assert shop.is_whole()
    history = server.kubectl("rollout", "history", "deployment/api", "-n", shop.namespace)
    assert history.strip().splitlines()[-1].split(maxsplit=1)[1] == "the first"
    assert good in {"2", "3"}
    assert shop.releases().current().rolled_back_to
    with pytest.raises(Refused, match="a roll-back is never rolled back"):
        shop.roll_back()
    assert "the second" in shop.evidence("rollout-history")


@pytest.mark.parametrize("kind", ["statefulset", "daemonset"])
def test_controller_revisions_are_gone_back_to(server: Server, kind: str) -> None:
    shop = Shop(server, f"revisions-{kind}", kind)
    first = shop.releases().current().id
    shop.deploy("shop/api:2")
    until("the second is up", shop.is_whole)
    with pytest.raises(Refused, match="known to have been healthy"):
        shop.roll_back(approved=False)
    shop.roll_back()
    assert shop.image() == "shop/api:1"
    assert shop.releases().current().id != first
    assert shop.is_whole()
    assert shop.releases().current().rolled_back_to


def test_a_stateful_set_that_waits_for_a_stuck_pod_says_which_pod_to_delete(server: Server) -> None:
    shop = Shop(server, "stuck-set", "statefulset")
    shop.deploy("shop/api:bad")
    until("its last pod is stuck", lambda: "ImagePullBackOff" in shop.evidence("pods"))
    changer = statefulset.Changer(shop.target, Kubernetes(shop.host), timedelta(seconds=6))
    with pytest.raises(PermanentError, match=r"stuck: 1 of 2 pods \(api-1\).*delete the pod that is stuck"):
        changer.roll_back(shop.releases().current().id, lambda: None, approved=True)
    assert shop.image() == "shop/api:1"
    server.ask("DELETE", f"/api/v1/namespaces/{shop.namespace}/pods/api-1", {"gracePeriodSeconds": 0})
    until("it is up again", shop.is_whole)


def test_a_paused_rollout_is_refused_as_by_kubectl(server: Server) -> None:
    shop = Shop(server, "paused", "deployment")
    shop.deploy("shop/api:2")
    until("the second is up", shop.is_whole)
    server.kubectl("rollout", "pause", "deployment/api", "-n", shop.namespace)
    for change in (shop.restart, shop.roll_back):
        with pytest.raises(Refused, match="are paused") as no:
            change()
        assert no.value.by_hand == f"kubectl --namespace {shop.namespace} rollout resume deployment/api"
    server.kubectl(*no.value.by_hand.split()[1:])
    shop.roll_back()


def test_what_argo_owns_is_not_rolled_back(server: Server) -> None:
    shop = Shop(server, "argo", "deployment")
    shop.deploy("shop/api:2", **{"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:argo/api"})
    until("the second is up", shop.is_whole)
    with pytest.raises(Refused, match=r"owned by Argo CD \(application shop\)") as no:
        shop.roll_back()
    assert "argocd app rollback shop ID" in no.value.by_hand
    shop.restart()


def test_an_api_server_that_dies_in_mid_rollout_is_waited_for(server: Server) -> None:
    shop = Shop(server, "dies", "deployment")
    before = shop.identity()
    changer = deployment.Changer(shop.target, Kubernetes(shop.host), WITHIN)
    killed: list[bool] = []
    wait = changer._settled

    def dies(changed: Any, deadline: float) -> Identity:
        server.kill_api()
        server.start_api()
        killed.append(True)
        return wait(changed, deadline)

    changer._settled = dies  # type: ignore[method-assign]
    assert deployment.restarted(before, changer.restart(before, lambda: None))
    assert killed
    until("it is up again", shop.is_whole)


def test_the_shipped_role_allows_what_is_needed_and_nothing_else(server: Server) -> None:
    shop = Shop(server, "limited", "deployment", host=server.admin)
    shop.host = server.limited
    shop.target = Target(shop.target.id, "shop", "prod", "deployment", "limited/api", "", machine=server.limited)
    with pytest.raises(PermanentError, match='User "paramedic" cannot get resource "deployments"'):
        shop.identity()
    why = deployment.forbidden(shop.target, Kubernetes(server.limited), "restart")
    assert why is not None
    assert "get deployments.apps, patch deployments.apps" in why
    role, binding = YAML(typ="safe").load_all(ROLE.read_text())
    role["metadata"]["namespace"] = binding["metadata"]["namespace"] = "limited"
    role["rules"][0]["resourceNames"] = ["api"]
    binding["subjects"] = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "paramedic"}]
    for each in (role, binding):
        plural = f"{each['kind'].lower()}s"
        server.ask("POST", f"/apis/rbac.authorization.k8s.io/v1/namespaces/limited/{plural}", each)
    until("the role is known", lambda: deployment.forbidden(shop.target, Kubernetes(server.limited), "restart") is None)
    shop.restart()
    assert shop.releases().obstacles() == []
    for kind in ("workload", "pods", "events", "rollout-history"):
        assert "could not be seen" not in shop.evidence(kind), kind
    assert "cannot get resource" in shop.evidence("nodes")
    allowed = server.kubectl("auth", "can-i", "--list", "--as=paramedic", "-n", "limited")
    assert "secrets" not in allowed
    assert "delete" not in allowed
