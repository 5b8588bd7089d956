"""The releases of a workload, and the way back: which one, when not, and what is sent for it."""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any

import jumping_clock
import kubernetes_api
import pytest
from kubernetes_api import ApiServer
from kubernetes_objects import TEMPLATE, controller_revision, path_of, replica_set, workload

from paramedic.doors import changing, reading
from paramedic.errors import PermanentError, Refused, TargetChanged
from paramedic.integrations.targets import daemonset, deployment, statefulset
from paramedic.kubernetes import ownership
from paramedic.kubernetes.workload import DEPLOYMENT, RESTARTED_AT, ROLLED_BACK, Place, Workload, digest
from paramedic.remediation.target import Target

PATH, SETS = path_of(), "/apis/apps/v1/namespaces/shop/replicasets"
REVISION = "deployment.kubernetes.io/revision"


def template(image: str, restarted: str | None = None) -> dict[str, Any]:
    found = deepcopy(TEMPLATE)
    found["spec"]["containers"][0]["image"] = image
    if restarted is not None:
        found["metadata"]["annotations"] = {RESTARTED_AT: restarted}
    return found


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    jumping_clock.soon(monkeypatch)


@pytest.fixture
def api() -> Iterator[ApiServer]:
    """A Deployment at its fourth revision: 1 was good, 2 a restart of it, 3 the bad one, 4 a restart of that."""
    with kubernetes_api.serving() as api:
        found = workload(annotations={REVISION: "4", "kubernetes.io/change-cause": "bad", "note": "of bad"})
        found["spec"]["template"] = template("shop/api:bad", "later")
        api.put(PATH, found)
        api.put(f"{SETS}/api-1", replica_set("api-1", 1, template("shop/api:1")))
        api.put(f"{SETS}/api-2", replica_set("api-2", 2, template("shop/api:1", "once"), availableReplicas=1))
        api.put(f"{SETS}/api-3", replica_set("api-3", 3, template("shop/api:bad")))
        api.put(f"{SETS}/api-4", replica_set("api-4", 4, template("shop/api:bad", "later")))
        mark(api, "api-4", "paramedic/reversible", "true")
        mark(api, "api-2", "kubernetes.io/change-cause", "good")
        yield api


@pytest.fixture
def target(api: ApiServer, tmp_path: Path) -> Target:
    return kubernetes_api.target(
        kubernetes_api.cluster(kubernetes_api.kubeconfig(tmp_path, f"http://127.0.0.1:{api.port}"))
    )


def mark(api: ApiServer, name: str, key: str, value: str) -> None:
    api.objects[f"{SETS}/{name}"]["metadata"]["annotations"][key] = value


def roll_back(
    target: Target, *, expected: str = "4", approved: bool = False, last_look: Callable[[], None] = lambda: None
) -> str:
    return changing.releases(target, timedelta(seconds=40)).roll_back(expected, last_look, approved=approved)


def test_a_restart_is_no_release(target: Target) -> None:
    now = reading.releases(target).current()
    assert (now.id, now.reversible, now.rolled_back_to) == ("4", True, False)
    assert now.deployed_at is not None
    assert now.deployed_at.day == 3, "when the first of its revisions was made"
    assert [release.id for release in reading.releases(target).all()] == ["4", "2"]
    assert reading.releases(target).before().id == "2"


def test_the_way_back_is_the_whole_template_and_its_annotations_in_one_patch(api: ApiServer, target: Target) -> None:
    mark(api, "api-2", "paramedic/healthy", "true")
    before = reading.identity(target)
    assert roll_back(target) == "2"
    [patch] = api.asked("PATCH")
    left = json.loads(patch.body["metadata"]["annotations"].pop(ROLLED_BACK))
    assert left["left"] == digest(template("shop/api:bad"))
    assert patch.body["spec"] == {"template": {"$patch": "replace", **template("shop/api:1", "once")}}
    assert patch.body["metadata"]["annotations"] == {
        "kubernetes.io/change-cause": "good",
        "note": None,
    }, "those of the revision, and neither the Deployment's own nor that it was healthy"
    assert patch.body["metadata"]["resourceVersion"]
    assert reading.restarted(target, before, reading.identity(target))


def test_with_no_pod_up_and_no_mark_only_a_person_s_word_counts(api: ApiServer, target: Target) -> None:
    api.objects[f"{SETS}/api-2"]["status"] = {}
    with pytest.raises(Refused, match="is known to have been healthy") as no:
        roll_back(target)
    assert no.value.by_hand.startswith(
        "kubectl --namespace shop rollout undo deployment/api --to-revision=2, or mark it: kubectl"
    )
    mark(api, "api-2", "paramedic/healthy", "false")
    with pytest.raises(Refused, match="is known to have been healthy"):
        roll_back(target, approved=True)
    mark(api, "api-2", "paramedic/healthy", "true")
    assert reading.releases(target).before().healthy
    assert roll_back(target) == "2"


def test_an_approval_reaches_what_nobody_has_marked(api: ApiServer, target: Target) -> None:
    api.objects[f"{SETS}/api-2"]["status"] = {}
    assert roll_back(target, approved=True) == "2"


@pytest.mark.parametrize(
    ("mark_of", "approved", "words"),
    [("false", True, "crosses 4, marked irreversible"), ("perhaps", False, "nobody said whether that is reversible")],
)
def test_what_may_not_be_crossed_is_not(
    api: ApiServer,
    target: Target,
    mark_of: str,
    approved: bool,
    words: str,
) -> None:
    mark(api, "api-4", "paramedic/reversible", mark_of)
    with pytest.raises(Refused, match=words):
        roll_back(target, approved=approved)
    assert api.asked("PATCH") == []


def test_a_roll_back_is_never_rolled_back(api: ApiServer, target: Target) -> None:
    api.objects[f"{SETS}/api-1"]["metadata"]["creationTimestamp"] = "2026-01-09T08:00:00Z"
    api.objects[f"{SETS}/api-2"]["metadata"]["creationTimestamp"] = "2026-01-09T08:00:00Z"
    assert reading.releases(target).current().rolled_back_to
    with pytest.raises(Refused, match="a roll-back is never rolled back"):
        roll_back(target, approved=True)


def test_another_revision_than_the_judged_one_is_left(api: ApiServer, target: Target) -> None:
    with pytest.raises(Refused, match="has revision 4 now, and 3 was judged"):
        roll_back(target, expected="3")

    def deploy() -> None:
        api.objects[PATH]["spec"]["template"] = template("shop/api:5")
        api.touch(PATH)

    with pytest.raises(TargetChanged):
        roll_back(target, last_look=deploy)


def test_the_only_release_is_not_gone_back_from(api: ApiServer, target: Target) -> None:
    del api.objects[f"{SETS}/api-1"], api.objects[f"{SETS}/api-2"]
    with pytest.raises(Refused, match="keeps no older release"):
        roll_back(target, approved=True)


def test_a_template_that_its_controller_has_not_seen_has_no_revision(api: ApiServer, target: Target) -> None:
    api.objects[PATH]["spec"]["template"] = template("shop/api:new")
    with pytest.raises(PermanentError, match="its controller has not looked"):
        reading.releases(target).current()


@pytest.mark.parametrize(
    ("spec", "words", "by_hand"),
    [
        ({"paused": True}, "are paused", "rollout resume"),
        ({"strategy": {"type": "OnDelete"}}, "OnDelete", "rollout undo"),
    ],
)
def test_what_would_replace_no_pod_is_refused(
    api: ApiServer, target: Target, spec: dict[str, Any], words: str, by_hand: str
) -> None:
    api.objects[PATH]["spec"] |= spec
    with pytest.raises(Refused, match=words) as no:
        roll_back(target, approved=True)
    assert by_hand in no.value.by_hand
    [obstacle] = reading.releases(target).obstacles()
    assert words in obstacle


# --- who owns it ---

OWNERS: list[tuple[dict[str, Any], str, str]] = [
    (
        {"annotations": {"argocd.argoproj.io/tracking-id": "team_shop:apps/Deployment:shop/api"}},
        "Argo CD (application team/shop)",
        "argocd app rollback team/shop ID",
    ),
    (
        {"labels": {"app.kubernetes.io/instance": "shop"}, "managedFields": [{"manager": "argocd-controller"}]},
        "Argo CD (application shop)",
        "argocd app set shop --sync-policy none && argocd app history shop",
    ),
    (
        {"labels": {"kustomize.toolkit.fluxcd.io/name": "shop", "kustomize.toolkit.fluxcd.io/namespace": "gitops"}},
        "Flux (kustomization gitops/shop)",
        "flux suspend kustomization shop --namespace gitops",
    ),
    (
        {
            "labels": {"helm.toolkit.fluxcd.io/name": "shop", "helm.toolkit.fluxcd.io/namespace": "apps"},
            "annotations": {"meta.helm.sh/release-name": "shop"},
        },
        "Flux (helmrelease apps/shop)",
        "flux reconcile helmrelease shop --namespace apps --with-source",
    ),
    (
        {"annotations": {"meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": "apps"}},
        "Helm (release apps/shop)",
        "helm history shop --namespace apps, then helm rollback shop --namespace apps",
    ),
    (
        {"labels": {"app.kubernetes.io/managed-by": "Helm", "release": "old"}},
        "Helm (release shop/old)",
        "helm rollback old --namespace shop",
    ),
    (
        {"ownerReferences": [{"kind": "Ledger", "name": "main", "controller": True}]},
        "Ledger main",
        "change the Ledger main in shop",
    ),
]


@pytest.mark.parametrize(("metadata", "words", "by_hand"), OWNERS, ids=[owner[1] for owner in OWNERS])
def test_what_another_tool_owns_is_handed_over_with_its_commands(
    api: ApiServer, target: Target, metadata: dict[str, Any], words: str, by_hand: str
) -> None:
    for key, value in metadata.items():
        found = api.objects[PATH]["metadata"]
        found[key] = {**found.get(key, {}), **value} if isinstance(value, dict) else value
    with pytest.raises(Refused) as no:
        roll_back(target, approved=True)
    assert f"is owned by {words}: a roll-back past it would be undone" in str(no.value)
    assert by_hand in no.value.by_hand
    assert api.asked("PATCH") == []
    restarting = changing.changer(target, timedelta(seconds=40))
    restarting.restart(reading.identity(target), lambda: None)  # nothing of theirs is changed by it


@pytest.mark.parametrize(
    "labels", [{}, {"app.kubernetes.io/instance": "shop"}, {"app.kubernetes.io/managed-by": "kustomize"}]
)
def test_labels_that_everybody_has_name_no_owner(labels: dict[str, str]) -> None:
    assert ownership.of(Workload(Place(DEPLOYMENT, "shop", "api"), workload(uid="u", labels=labels))) is None


def test_an_owner_s_name_is_quoted_in_its_commands() -> None:
    found = workload(uid="u", annotations={"meta.helm.sh/release-name": "a; rm -rf /\x1b"})
    owner = ownership.of(Workload(Place(DEPLOYMENT, "shop", "api"), found))
    assert owner is not None
    assert "'a; rm -rf /" in owner.roll_back
    assert "\x1b" not in owner.roll_back + owner.words


# --- the other two kinds ---


@pytest.mark.parametrize("module", [statefulset, daemonset])
def test_controller_revisions_are_patches_of_their_workload(api: ApiServer, target: Target, module: Any) -> None:
    kind = module.LABEL
    path = path_of(kind)
    found = api.put(path, workload(annotations={"paramedic/reversible": "true"}))
    found["spec"]["template"] = template("shop/api:2")
    found["metadata"]["uid"] = "uid-set"
    for number in (1, 2):
        revision = controller_revision(
            f"api-{number}", number, template(f"shop/api:{number}"), "uid-set", healthy="true", reversible="true"
        )
        api.put(f"/apis/apps/v1/namespaces/shop/controllerrevisions/api-{number}", revision)
    assert target.machine is not None
    listed = kubernetes_api.target(target.machine, kind)
    assert reading.releases(listed).current().id == "2"
    assert roll_back(listed, expected="api-1", approved=False) == "1", "by the name that its status has"
    [sent] = api.asked("PATCH")
    assert sent.body["spec"] == {"template": {"$patch": "replace", **template("shop/api:1")}}
    assert set(sent.body["metadata"]["annotations"]) == {ROLLED_BACK}
    assert deployment.Reader is not module.Reader
