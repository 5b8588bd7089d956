"""Workloads at a real API server with its real controllers: kubectl sees what we say, and we see what it did."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from incident_states import alert
from kubernetes_login import BETA, Login, answer
from kubernetes_relay import cut_answers
from kubernetes_server import Server, control_plane
from kubernetes_shop import KINDS, WITHIN, Shop
from ruamel.yaml import YAML
from waiting import until

from paramedic.errors import PermanentError, Refused, TargetChanged
from paramedic.integrations.targets import deployment, statefulset
from paramedic.kubernetes import rollout
from paramedic.kubernetes import target as workload_target
from paramedic.kubernetes.scale import Bounds
from paramedic.machine.clock import utc_now
from paramedic.remediation.target import Identity
from paramedic.transports.kubernetes import Kubernetes

pytestmark = [pytest.mark.real, pytest.mark.costly]

#: What `.ci/run` leaves to `make kubernetes`: it plays each promise once.
long = pytest.mark.long

ROLE = Path(__file__).parents[2] / "deployments" / "kubernetes" / "role.yaml"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with control_plane(tmp_path_factory.mktemp("control-plane")) as server:
        yield server


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at a cluster has the time of a busy machine."""
    monkeypatch.setattr(workload_target, "LOOK", timedelta(seconds=60))


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


@pytest.mark.parametrize(
    "kind", ["deployment", pytest.param("statefulset", marks=long), pytest.param("daemonset", marks=long)]
)
def test_a_roll_back_is_undone_as_kubectl_sees_it(server: Server, kind: str) -> None:
    shop = Shop(server, f"undone-{kind}", kind)
    shop.deploy("shop/api:2", **{"kubernetes.io/change-cause": "the second"})
    until("the second is up", shop.is_whole)
    shop.roll_back()
    before = shop.identity()
    assert shop.image() == "shop/api:1"
    shop.undo()
    assert shop.image() == "shop/api:2"
    assert shop.is_whole()
    assert shop.module.restarted(before, shop.identity())
    history = server.kubectl("rollout", "history", f"{kind}/api", "-n", shop.namespace).strip().splitlines()
    if kind == "deployment":  # of the others kubectl of this age shows no cause
        assert [line.split(maxsplit=1) for line in history[-2:]] == [["3", "<none>"], ["4", "the second"]]
    for again, words in ((shop.undo, "undone already"), (shop.roll_back, "never rolled back")):
        with pytest.raises(Refused, match=words):
            again()
    shop.deploy("shop/api:3")
    until("the third is up", shop.is_whole)
    with pytest.raises(Refused, match="has another since"):
        shop.undo()
    shop.roll_back()


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


@long
def test_a_stateful_set_that_waits_for_a_stuck_pod_says_which_pod_to_delete(server: Server) -> None:
    shop = Shop(server, "stuck-set", "statefulset")
    shop.deploy("shop/api:bad")
    until("its last pod is stuck", lambda: "ImagePullBackOff" in shop.evidence("pods"))
    changer = statefulset.Changer(shop.target, Kubernetes(shop.host), timedelta(seconds=15))
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


@long
@pytest.mark.parametrize("kind", ["deployment", "statefulset"])
def test_pods_are_added_within_the_bounds_and_taken_back(server: Server, kind: str) -> None:
    shop = Shop(server, f"scale-{kind}", kind, words={"scale": Bounds(min=1, max=3, by=2)})
    assert shop.do("scale") == "it is to have 3 pods; 3 are available"
    assert len(shop.pods()) == 3
    assert server.kubectl("get", f"{kind}/api", "-n", shop.namespace, "-o", "jsonpath={.spec.replicas}") == "3"
    with pytest.raises(Refused, match="has 3 pods already"):
        shop.do("scale")
    shop.do("undo_scale")
    until("the third is gone", lambda: len(shop.pods()) == 2)
    with pytest.raises(Refused, match="does not say how many"):
        shop.do("undo_scale")


@long
def test_what_an_autoscaler_scales_is_left_to_it(server: Server) -> None:
    shop = Shop(server, "autoscaled", "deployment", words={"scale": Bounds(min=1, max=5, to=4)})
    server.kubectl("autoscale", "deployment/api", "-n", shop.namespace, "--max=5")
    with pytest.raises(Refused, match="HorizontalPodAutoscaler api says how many"):
        shop.do("scale")
    server.kubectl("delete", "horizontalpodautoscaler/api", "-n", shop.namespace)
    shop.do("scale")
    assert len(shop.pods()) == 4


@long
@pytest.mark.parametrize("kind", KINDS)
def test_the_pod_that_crashes_is_replaced(server: Server, kind: str) -> None:
    shop = Shop(server, f"delete-{kind}", kind)
    with pytest.raises(Refused, match="no pod of .* is unhealthy"):
        shop.do("delete_pod")
    names = shop.names()
    before, ill = set(shop.pods()), shop.break_pod(names[0])
    did = shop.do("delete_pod")
    assert f"the pod {names[0]} ({ill}) is gone" in did
    assert before - set(shop.pods()) == {ill}
    until("it is whole", shop.is_whole)
    assert (shop.names() == names) == (kind == "statefulset"), "its new pod has the old one's name"


@long
def test_a_new_pod_of_the_old_name_is_not_the_one_that_the_alert_is_about(server: Server) -> None:
    shop = Shop(server, "same-name", "statefulset")
    began = utc_now() + timedelta(seconds=1.1)
    until("another second: the old pods are dated by it", lambda: utc_now() >= began)
    about = replace(alert(pod="api-1"), starts_at=utc_now())
    assert "the pod api-1" in shop.do("delete_pod", lambda: None, about)
    until("its new one is ready", shop.is_whole)
    with pytest.raises(Refused, match="was made after the alert began"):
        shop.do("delete_pod", lambda: None, about)


@long
def test_a_pod_that_moves_in_between_is_judged_again(server: Server) -> None:
    shop = Shop(server, "moves", "statefulset")
    ill = shop.break_pod("api-0")
    looks: list[int] = []

    def annotated() -> None:
        looks.append(1)
        if len(looks) == 1:
            server.kubectl("annotate", "pod/api-0", "-n", shop.namespace, "seen=yes")

    shop.do("delete_pod", annotated)
    assert len(looks) == 2
    assert ill not in shop.pods()


@long
def test_a_disruption_budget_is_honoured(server: Server) -> None:
    shop = Shop(server, "budget", "statefulset")
    path = f"/apis/policy/v1beta1/namespaces/{shop.namespace}/poddisruptionbudgets/api"
    spec = {"minAvailable": 2, "selector": {"matchLabels": {"app": "api"}}}
    server.ask("POST", path.rpartition("/")[0], {"metadata": {"name": "api"}, "spec": spec})
    shop.break_pod("api-0")
    until("its controller has counted", lambda: server.ask("GET", path).get("status", {}).get("currentHealthy") == 1)
    before = shop.pods()
    with pytest.raises(Refused, match="disruption budget") as no:
        shop.do("delete_pod")
    assert "api-0 of" in no.value.reason
    assert shop.pods() == before
    server.ask("DELETE", path)
    shop.do("delete_pod")
    assert shop.pods() != before


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


@pytest.mark.parametrize("cut", ["change", "wait"])
@pytest.mark.parametrize("remedy", ["restart", "roll_back"])
def test_an_answer_that_is_cut_in_the_middle_is_asked_for_again_and_nothing_is_done_twice(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remedy: str, cut: str
) -> None:
    shop = Shop(server, f"cut-{remedy.replace('_', '-')}-{cut}", "deployment")
    if remedy == "roll_back":
        shop.deploy("shop/api:bad")
        until("a pod of it is stuck", lambda: "ImagePullBackOff" in shop.evidence("pods"))
    generation = server.ask("GET", shop.path)["metadata"]["generation"]
    with cut_answers(server, tmp_path) as (relay, host):
        shop.host, shop.target = host, replace(shop.target, machine=host)
        wait = rollout.wait

        def waits(*asked: Any) -> rollout.Rollout:
            relay.cut_answers(3 if cut == "wait" else 0)
            return wait(*asked)

        monkeypatch.setattr(rollout, "wait", waits)
        last_look = partial(relay.cut_answers, 1 if cut == "change" else 0)
        getattr(shop, remedy)(last_look)
    assert relay.cuts == (3 if cut == "wait" else 1)
    shop.host = server.admin
    assert shop.is_whole()
    assert server.ask("GET", shop.path)["metadata"]["generation"] == generation + 1


def test_the_shipped_role_allows_what_is_needed_and_nothing_else(server: Server) -> None:
    shop = Shop(server, "limited", "deployment", host=server.admin, words={"scale": Bounds(min=1, max=3, to=3)})
    shop.host = server.limited
    shop.target = replace(shop.target, machine=server.limited)
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
    for remedy in ("scale", "delete_pod"):
        assert deployment.forbidden(shop.target, Kubernetes(server.limited), remedy) is None, remedy
    shop.do("scale")
    shop.break_pod(shop.names()[0])
    shop.do("delete_pod")
    for kind in ("workload", "pods", "events", "rollout-history"):
        assert "could not be seen" not in shop.evidence(kind), kind
    assert "cannot get resource" in shop.evidence("nodes")
    allowed = server.kubectl("auth", "can-i", "--list", "--as=paramedic", "-n", "limited")
    assert "secrets" not in allowed
    assert "delete" not in allowed


@long
def test_what_changed_is_told_and_no_content_of_a_secret_is_sent(server: Server) -> None:
    uses = {
        "containers": [{"name": "api", "image": "shop/api:1", "envFrom": [{"secretRef": {"name": "login"}}]}],
        "volumes": [{"name": "settings", "configMap": {"name": "settings"}}],
    }
    shop = Shop(server, "changed", "deployment")
    literal = ("--from-literal=password=hunter2-of-the-test", "-n", shop.namespace)
    server.kubectl("create", "configmap", "settings", *literal)
    server.kubectl("create", "secret", "generic", "login", *literal)
    shop.deploy("shop/api:2", **{"kubernetes.io/change-cause": "the second"})
    server.ask("PATCH", shop.path, {"spec": {"template": {"spec": uses}}}, patch="strategic-merge-patch")
    server.kubectl("patch", "deployment/api", "-n", shop.namespace, "-p", '{"spec": {"replicas": 3}}')
    found = shop.changes()
    told = [change.what for change in found.found]
    assert "Secret login was made" in told
    assert any(what.startswith("ConfigMap settings: set by kubectl") for what in told), told
    assert any(what.startswith("rollout of revision 2, shop/api:2") and what.endswith(": the second") for what in told)
    assert "Deployment changed/api: set by kubectl-patch (replicas)" in told, told
    assert "hunter2" not in str(found)
    assert list(found.unseen) == []


def test_a_credential_plug_in_logs_in_as_it_does_for_kubectl(server: Server, tmp_path: Path) -> None:
    found = json.loads((server.folder / "admin").read_text())
    login = Login(tmp_path, found["clusters"][0]["cluster"]["server"])
    login.write(cluster=found["clusters"][0]["cluster"], apiVersion=BETA, interactiveMode=None)
    login.says(answer(BETA, token=found["users"][0]["user"]["token"]))
    assert login.ask(path="/api/v1/namespaces", seconds=60) == 200
    said = server.kubectl(f"--kubeconfig={login.file}", "get", "namespaces")
    assert "default" in said
    login.write(cluster=found["clusters"][0]["cluster"], apiVersion=BETA, args=["another"])
    login.says(answer(BETA, token="nobody-s-token-123"))
    assert login.ask(path="/api/v1/namespaces", seconds=60) == 401
