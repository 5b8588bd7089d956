"""Another number of pods: within which bounds, when not, what is sent for it, and the way back."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import jumping_clock
import kubernetes_api
import pytest
from kubernetes_api import ApiServer, Fault
from kubernetes_objects import path_of, whole, workload
from pydantic import ValidationError

from paramedic.doors import changing, reading
from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TargetChanged
from paramedic.integrations.targets import daemonset, deployment
from paramedic.kubernetes.scale import Bounds
from paramedic.kubernetes.target import ScalableWords
from paramedic.kubernetes.workload import SCALED
from paramedic.remediation.target import Identity, Target

PATH = path_of()
AUTOSCALERS = "/apis/autoscaling/v1/namespaces/shop/horizontalpodautoscalers"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    jumping_clock.soon(monkeypatch)


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with kubernetes_api.serving() as api:
        api.put(PATH, workload(count=3))
        yield api


@pytest.fixture
def listed(api: ApiServer, tmp_path: Path) -> Callable[..., Target]:
    def listed(**scale: int) -> Target:
        bounds = Bounds(**{"min": 2, "max": 8, **(scale or {"by": 2})})
        cluster = kubernetes_api.cluster(kubernetes_api.kubeconfig(tmp_path, f"http://127.0.0.1:{api.port}"))
        return kubernetes_api.target(cluster, words=ScalableWords(name="api", namespace="shop", scale=bounds))

    return listed


def do(target: Target, remedy: str = "scale", last_look: Callable[[], None] = lambda: None) -> tuple[Identity, str]:
    changer: Any = changing.changer(target, timedelta(seconds=40))
    after = getattr(changer, remedy)(reading.identity(target), last_look)
    return after, changer.did


def pods(api: ApiServer) -> int:
    found: int = api.objects[PATH]["spec"]["replicas"]
    return found


def autoscaler(api: ApiServer, kind: str = "Deployment", name: str = "api", version: str = "apps/v1") -> None:
    meant = {"kind": kind, "name": name, "apiVersion": version}
    api.put(f"{AUTOSCALERS}/by-load", {"spec": {"scaleTargetRef": meant}})


def test_a_step_is_one_patch_with_its_preconditions_and_keeps_what_was(
    api: ApiServer, listed: Callable[..., Target]
) -> None:
    version = api.objects[PATH]["metadata"]["resourceVersion"]
    looks: list[int] = []
    after, did = do(listed(by=2), last_look=lambda: looks.append(len(api.asked("PATCH"))))
    [patch] = api.asked("PATCH")
    kept = json.loads(patch.body["metadata"]["annotations"].pop(SCALED))
    assert patch.body == {
        "metadata": {"uid": "uid-api", "resourceVersion": version, "annotations": {}},
        "spec": {"replicas": 5},
    }
    assert (kept["from"], kept["to"]) == (3, 5)
    assert looks == [0], "the last look is before the first byte"
    assert (after.state, did) == ("available/complete", "it is to have 5 pods; 5 are available")


@pytest.mark.parametrize(
    ("scale", "now", "then"),
    [
        ({"by": 2}, 3, 5),
        ({"by": 2}, 7, 8),
        ({"by": 2}, 8, 8),
        ({"by": -1}, 3, 2),
        ({"by": -3}, 3, 2),
        ({"to": 6}, 3, 6),
        ({"to": 6}, 8, 6),
    ],
)
def test_a_step_ends_at_the_bounds(scale: dict[str, int], now: int, then: int) -> None:
    assert Bounds(min=2, max=8, **scale).wanted(now) == then


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({"min": 4, "max": 3, "by": 1}, "min is 4, and max is 3"),
        ({"min": 1, "max": 3}, "exactly one of"),
        ({"min": 1, "max": 3, "by": 1, "to": 2}, "exactly one of"),
        ({"min": 1, "max": 3, "by": 0}, "which is not 0"),
        ({"min": 1, "max": 3, "to": 4}, "not between min and max"),
        ({"min": 0, "max": 3, "by": 1}, "greater than or equal to 1"),
        ({"max": 3, "by": 1}, "required"),
    ],
)
def test_bounds_that_mean_nothing_are_refused(written: dict[str, int], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Bounds(**written)


@pytest.mark.parametrize(
    ("changed", "words", "by_hand"),
    [
        ({"spec": {"replicas": 8}}, "has 8 pods already", "scale deployment/api --replicas=9"),
        ({"spec": {"replicas": 12}}, "outside of the 2 to 8", "get deployment/api"),
        ({"spec": {"replicas": 0}}, "scaled to no pods", "get deployment/api"),
        ({"spec": {"paused": True}}, "are paused", "rollout resume"),
        ({"status": {"updatedReplicas": 1, "replicas": 4}}, "is under way", "rollout status"),
        ({"metadata": {"deletionTimestamp": "2026-01-31T09:30:00Z"}}, "is being deleted", "get deployment/api"),
        (
            {"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/api"}}},
            "owned by Argo CD",
            "argocd app sync shop",
        ),
        (
            {"metadata": {"ownerReferences": [{"kind": "Superset", "name": "bi", "controller": True}]}},
            "owned by Superset bi",
            "change the Superset bi",
        ),
    ],
)
def test_what_somebody_else_decides_is_refused(
    api: ApiServer, listed: Callable[..., Target], changed: dict[str, dict[str, Any]], words: str, by_hand: str
) -> None:
    for part, fields in changed.items():
        api.objects[PATH][part] |= fields
    with pytest.raises(Refused, match=words) as no:
        do(listed())
    assert by_hand in no.value.by_hand
    assert api.asked("PATCH") == []


def test_what_an_autoscaler_scales_is_left_to_it(api: ApiServer, listed: Callable[..., Target]) -> None:
    autoscaler(api)
    with pytest.raises(Refused, match="HorizontalPodAutoscaler by-load says how many") as no:
        do(listed())
    assert no.value.by_hand == "kubectl --namespace shop edit horizontalpodautoscaler by-load"
    for other in ({"kind": "StatefulSet"}, {"name": "other"}, {"version": "argoproj.io/v1alpha1"}):
        autoscaler(api, **other)
        api.put(PATH, workload(count=3))
        do(listed())


def test_an_autoscaler_that_cannot_be_seen_is_no_permission(api: ApiServer, listed: Callable[..., Target]) -> None:
    api.forbidden.add(("list", "horizontalpodautoscalers"))
    with pytest.raises(Refused, match="whether an autoscaler says how many pods .* cannot be seen"):
        do(listed())
    assert pods(api) == 3


def test_without_bounds_nothing_is_scaled(api: ApiServer, listed: Callable[..., Target]) -> None:
    target = listed()
    target.words.scale = None
    with pytest.raises(PermanentError, match="names no `scale`"):
        do(target)
    assert deployment.needs(target.words, "scale") == "scale: {min: 2, max: 8, by: 2}"
    assert deployment.needs(target.words, "restart") is None
    assert "scale" not in daemonset.REMEDIES
    assert api.asked("PATCH") == []


def test_another_template_than_the_judged_one_is_not_scaled(api: ApiServer, listed: Callable[..., Target]) -> None:
    def deploy() -> None:
        api.objects[PATH]["spec"]["template"]["spec"]["containers"][0]["image"] = "shop/api:2"
        api.touch(PATH)

    with pytest.raises(TargetChanged):
        do(listed(), last_look=deploy)
    assert pods(api) == 3


def test_a_number_that_somebody_asks_for_in_between_is_judged_again(
    api: ApiServer, listed: Callable[..., Target]
) -> None:
    def scale() -> None:
        if len(api.asked("PATCH")) == 0:
            api.objects[PATH]["spec"]["replicas"] = 7
            api.objects[PATH]["status"] = whole(7)
            api.touch(PATH)

    do(listed(), last_look=scale)
    assert pods(api) == 8


def test_a_scaling_whose_answer_is_lost_is_found_and_not_repeated(
    api: ApiServer, listed: Callable[..., Target]
) -> None:
    api.faults.append(Fault("PATCH", cut="after"))
    do(listed())
    assert (pods(api), len(api.asked("PATCH"))) == (5, 1)
    api.faults.append(Fault("PATCH", cut="before"))
    with pytest.raises(OutcomeUnknown):
        do(listed())
    assert len(api.asked("PATCH")) == 2


def test_a_number_that_an_operator_takes_back_is_a_failure(api: ApiServer, listed: Callable[..., Target]) -> None:
    api.rolls = False
    answer = api.answer

    def taking_back(method: str, *rest: Any) -> tuple[int, Any]:
        if method == "GET" and api.asked("PATCH"):
            api.objects[PATH]["spec"]["replicas"] = 3
        return answer(method, *rest)

    api.answer = taking_back  # type: ignore[method-assign]
    with pytest.raises(PermanentError, match="somebody took it back"):
        do(listed())


# --- the way back ---


def test_the_way_back_is_to_what_was_and_is_gone_once(api: ApiServer, listed: Callable[..., Target]) -> None:
    target = listed()
    do(target)
    _, did = do(target, "undo_scale")
    assert (pods(api), did) == (3, "it is to have 3 pods; 3 are available")
    assert SCALED not in api.objects[PATH]["metadata"]["annotations"]
    with pytest.raises(Refused, match="does not say how many pods it had"):
        do(target, "undo_scale")
    assert "scale" in reading.undoable(target)


def test_the_way_back_leaves_what_somebody_asked_for_since(api: ApiServer, listed: Callable[..., Target]) -> None:
    target = listed()
    do(target)
    api.objects[PATH]["spec"]["replicas"] = 6
    with pytest.raises(Refused, match="somebody has asked for 6 since") as no:
        do(target, "undo_scale")
    assert no.value.by_hand == "kubectl --namespace shop scale deployment/api --replicas=3"
    assert pods(api) == 6


def test_the_way_back_is_open_while_its_pods_do_not_come_up(api: ApiServer, listed: Callable[..., Target]) -> None:
    target = listed()
    api.rolls = False
    do(target)
    assert pods(api) == 5
    api.rolls = True
    do(target, "undo_scale")
    assert pods(api) == 3


@pytest.mark.parametrize(
    "written", ["no JSON", "[]", '{"from": "3", "to": 3}', '{"from": 0, "to": 3}', '{"to": 3}', "[" * 100_000]
)
def test_what_others_write_in_its_place_is_no_way_back(
    api: ApiServer, listed: Callable[..., Target], written: str
) -> None:
    api.objects[PATH]["metadata"]["annotations"] = {SCALED: written}
    with pytest.raises(Refused, match="does not say how many"):
        do(listed(), "undo_scale")


def test_the_right_that_it_lacks_is_named(api: ApiServer, listed: Callable[..., Target]) -> None:
    target = listed()
    assert reading.forbidden(target, "scale") is None
    api.forbidden.add(("list", "horizontalpodautoscalers"))
    assert "list horizontalpodautoscalers.autoscaling" in str(reading.forbidden(target, "scale"))
    assert reading.forbidden(target, "restart") is None


def test_who_is_asked_is_told_how_many_pods_there_would_be_and_nothing_is_sent(
    api: ApiServer, listed: Callable[..., Target]
) -> None:
    assert reading.foreseen(listed(by=2), "scale", []) == "3 pods now, 5 after it"
    assert reading.foreseen(listed(by=2), "restart", []) == ""
    assert api.asked("PATCH") == []
    api.objects[PATH]["spec"]["replicas"] = 8
    with pytest.raises(Refused, match="8 pods already"):
        reading.foreseen(listed(by=2), "scale", [])
