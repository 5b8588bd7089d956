"""A roll-back of a workload undone: forward again to the very release that it left, once, or nothing is changed."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import jumping_clock
import kubernetes_api
import pytest
from gitops_shop import template
from kubernetes_api import ApiServer, Fault
from kubernetes_objects import controller_revision, path_of, pod, replica_set, workload

from paramedic.doors import changing, reading
from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TargetChanged
from paramedic.kubernetes.workload import RESTARTED_AT, ROLLED_BACK
from paramedic.remediation.target import Target

PATH, APPS = path_of(), "/apis/apps/v1/namespaces/shop"
REVISION = "deployment.kubernetes.io/revision"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    jumping_clock.soon(monkeypatch)


@pytest.fixture
def api() -> Iterator[ApiServer]:
    """A Deployment that was given its second release, of which one may go back."""
    with kubernetes_api.serving() as api:
        found = workload(annotations={REVISION: "2", "kubernetes.io/change-cause": "the second"})
        found["spec"]["template"] = template("shop/api:2")
        api.put(PATH, found)
        api.put(f"{APPS}/replicasets/api-1", replica_set("api-1", 1, template("shop/api:1"), availableReplicas=1))
        api.put(f"{APPS}/replicasets/api-2", replica_set("api-2", 2, template("shop/api:2")))
        second = api.objects[f"{APPS}/replicasets/api-2"]["metadata"]["annotations"]
        second |= {"paramedic/reversible": "true", "kubernetes.io/change-cause": "the second"}
        yield api


@pytest.fixture
def target(api: ApiServer, tmp_path: Path) -> Target:
    kubeconfig = kubernetes_api.kubeconfig(tmp_path, f"http://127.0.0.1:{api.port}")
    return kubernetes_api.target(kubernetes_api.cluster(kubeconfig))


def expected(target: Target) -> str:
    """As `tasks.act.undo` asks for it."""
    return reading.identity(target).revision or reading.releases(target).current().id


def roll_back(target: Target) -> str:
    found = changing.releases(target, timedelta(seconds=40))
    return found.roll_back(expected(target), lambda: None, approved=True)


def undo(target: Target, last_look: Callable[[], None] = lambda: None, *, judged: str | None = None) -> str:
    return changing.releases(target, timedelta(seconds=40)).undo(judged or expected(target), last_look)


def image(api: ApiServer, path: str = PATH) -> str:
    found: str = api.objects[path]["spec"]["template"]["spec"]["containers"][0]["image"]
    return found


def test_it_goes_forward_again_to_what_the_roll_back_left_in_one_patch(api: ApiServer, target: Target) -> None:
    assert roll_back(target) == "1"
    assert image(api) == "shop/api:1"
    before, version = reading.identity(target), api.objects[PATH]["metadata"]["resourceVersion"]
    looks: list[int] = []
    assert undo(target, lambda: looks.append(len(api.asked("PATCH")))) == "2"
    [_, sent] = api.asked("PATCH")
    assert sent.body["spec"] == {"template": {"$patch": "replace", **template("shop/api:2")}}
    assert (sent.body["metadata"]["uid"], sent.body["metadata"]["resourceVersion"]) == ("uid-api", version)
    assert sent.body["metadata"]["annotations"]["kubernetes.io/change-cause"] == "the second"
    assert looks == [1], "the last look is before the first byte"
    assert reading.restarted(target, before, reading.identity(target))


def test_it_is_undone_once_and_no_release_is_rolled_back_again(api: ApiServer, target: Target) -> None:
    roll_back(target)
    undo(target)
    assert reading.releases(target).current().rolled_back_to, "for who asks whether a roll-back on cause is worth it"
    with pytest.raises(Refused, match="was undone already"):
        undo(target)
    with pytest.raises(
        Refused, match="was rolled back, and that was undone, which led to 2: a roll-back is never rolled"
    ):
        roll_back(target)
    assert image(api) == "shop/api:2"
    deploy(api, "shop/api:3", 3)
    assert roll_back(target) in {"1", "2"}, "another release is another story"


def deploy(api: ApiServer, to: str, number: int) -> None:
    """As somebody else does it."""
    name = f"{APPS}/replicasets/api-{number}"
    api.put(name, replica_set(f"api-{number}", number, template(to)))
    api.objects[PATH]["spec"]["template"] = template(to)
    api.objects[PATH]["metadata"]["annotations"][REVISION] = str(number)
    api.touch(PATH)


def test_what_somebody_has_changed_since_is_left(api: ApiServer, target: Target) -> None:
    with pytest.raises(Refused, match="no roll-back led"):
        undo(target)
    roll_back(target)
    with pytest.raises(Refused, match="and 77 was judged"):
        undo(target, judged="77")
    with pytest.raises(TargetChanged):
        undo(target, lambda: deploy(api, "shop/api:3", 3))
    with pytest.raises(Refused, match="it has another since") as no:
        undo(target)
    assert no.value.by_hand == "kubectl --namespace shop rollout history deployment/api"
    assert image(api) == "shop/api:3", "what was sent had the version of before"


def test_a_restart_in_between_is_no_other_release(api: ApiServer, target: Target) -> None:
    roll_back(target)
    annotations = api.objects[PATH]["spec"]["template"]["metadata"].setdefault("annotations", {})
    annotations[RESTARTED_AT] = "2026-01-31T09:00:00Z"
    api.touch(PATH)
    api.put(f"{APPS}/replicasets/api-3", replica_set("api-3", 3, api.objects[PATH]["spec"]["template"]))
    assert undo(target) == "2"
    assert api.objects[PATH]["spec"]["template"] == template("shop/api:2")


def test_a_newer_release_that_was_taken_back_is_not_the_one_that_was_left(api: ApiServer, target: Target) -> None:
    roll_back(target)
    api.put(f"{APPS}/replicasets/api-9", replica_set("api-9", 9, template("shop/api:9")))
    assert undo(target) == "2"
    assert image(api) == "shop/api:2"


def test_revisions_are_numbers_and_ten_comes_after_nine(api: ApiServer, target: Target) -> None:
    for number in (9, 10, 11):
        deploy(api, f"shop/api:{number}", number)
    for number in (9, 10):
        api.objects[f"{APPS}/replicasets/api-{number}"]["status"]["availableReplicas"] = 1
    assert roll_back(target) == "10"
    assert undo(target) == "11"


def test_a_status_that_moves_is_read_again_and_a_409_changes_nothing(api: ApiServer, target: Target) -> None:
    roll_back(target)
    api.moves = 2
    looks: list[int] = []
    assert undo(target, lambda: looks.append(1)) == "2"
    assert len(looks) == 3


@pytest.mark.parametrize(
    ("change", "words", "by_hand"),
    [
        ({"spec": {"paused": True}}, "are paused", "rollout resume"),
        ({"spec": {"strategy": {"type": "OnDelete"}}}, "going forward again would replace no pod", "rollout undo"),
        (
            {"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/api"}},
            "owned by Argo CD (application shop): going forward again past it would be undone",
            "argocd app rollback shop ID",
        ),
        (
            {"labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}},
            "owned by Flux (kustomization None/shop): going forward again",
            "flux reconcile",
        ),
        ({"annotations": {"meta.helm.sh/release-name": "shop"}}, "owned by Helm (release shop/shop)", "helm rollback"),
    ],
    ids=["paused", "on-delete", "argo", "flux", "helm"],
)
def test_what_is_somebody_s_since_is_refused(
    api: ApiServer, target: Target, change: dict[str, Any], words: str, by_hand: str
) -> None:
    roll_back(target)

    def becomes() -> None:
        found = api.objects[PATH]
        found["spec"] |= change.get("spec", {})
        for key in ("annotations", "labels"):
            found["metadata"][key] = {**found["metadata"].get(key, {}), **change.get(key, {})}
        api.touch(PATH)

    for last_look in (becomes, lambda: pytest.fail("the last look")):  # between the look and the patch, and before
        with pytest.raises(Refused) as no:
            undo(target, last_look)
        assert words in str(no.value)
        assert by_hand in no.value.by_hand
    assert image(api) == "shop/api:1"


def test_a_release_that_is_kept_no_more_is_not_guessed(api: ApiServer, target: Target) -> None:
    roll_back(target)
    del api.objects[f"{APPS}/replicasets/api-2"]
    with pytest.raises(Refused, match="does not keep the release any more"):
        undo(target)


@pytest.mark.parametrize(
    "written", ["", "no JSON", "[]", "7", '{"left": 1}', '{"left": "x", "to": null, "at": ""}', "[" * 100_000]
)
def test_a_mark_that_cannot_be_read_is_none(api: ApiServer, target: Target, written: str) -> None:
    roll_back(target)
    api.objects[PATH]["metadata"]["annotations"][ROLLED_BACK] = written
    with pytest.raises(Refused, match="no roll-back led"):
        undo(target)
    assert len(api.asked("PATCH")) == 1


def test_an_answer_that_is_lost_is_looked_for(api: ApiServer, target: Target) -> None:
    roll_back(target)
    api.faults.append(Fault("PATCH", cut="after"))
    assert undo(target) == "2"
    assert len(api.asked("PATCH")) == 2


def test_one_that_was_not_done_is_unknown_or_failed_and_not_repeated(api: ApiServer, target: Target) -> None:
    roll_back(target)
    api.faults.append(Fault("PATCH", cut="before"))
    with pytest.raises((OutcomeUnknown, PermanentError)):
        undo(target)
    assert image(api) == "shop/api:1"
    assert len(api.asked("PATCH")) == 2


@pytest.mark.parametrize("kind", ["statefulset", "daemonset"])
def test_the_other_kinds_go_by_their_controller_revisions(api: ApiServer, target: Target, kind: str) -> None:
    path = path_of(kind)
    found = workload(uid="uid-set", annotations={"paramedic/reversible": "true"})
    found["spec"]["template"] = template("shop/api:2")
    api.put(path, found)
    for number in (1, 2):
        revision = controller_revision(
            f"api-{number}", number, template(f"shop/api:{number}"), "uid-set", healthy="true", reversible="true"
        )
        api.put(f"{APPS}/controllerrevisions/api-{number}", revision)
    assert target.machine is not None
    listed = kubernetes_api.target(target.machine, kind)
    assert roll_back(listed) == "1"
    if kind == "statefulset":
        api.rolls = False
        waits = [{"name": "api", "ready": False, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]
        api.put("/api/v1/namespaces/shop/pods/api-0", pod("api-0", "uid-set", ready=False, containerStatuses=waits))
        with pytest.raises(PermanentError, match="delete the pod that is stuck"):
            undo(listed)
        assert image(api, path) == "shop/api:2"
        return
    assert undo(listed) == "2"
    assert image(api, path) == "shop/api:2"
    [_, sent] = api.asked("PATCH")
    kept = json.loads(sent.body["metadata"]["annotations"].pop(ROLLED_BACK))
    assert sent.body["metadata"]["annotations"] == {}
    assert kept["undone"] is True
