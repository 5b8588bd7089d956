"""Workloads of Kubernetes at an API server that answers as it should, too late, by half, or with a no."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import jumping_clock
import kubernetes_api
import pytest
from kubernetes_api import ApiServer, Fault, api
from kubernetes_objects import TEMPLATE, path_of, pod, replica_set

from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TargetChanged, TemporaryError
from paramedic.integrations.targets import deployment
from paramedic.kubernetes import target as workload_target
from paramedic.kubernetes.workload import RESTARTED_AT
from paramedic.remediation.target import Identity, Target
from paramedic.transports.kubernetes import Kubernetes
from paramedic.transports.local import Local

__all__ = ["api"]

PATH = path_of()
TOTAL = timedelta(seconds=40)  # of a clock that jumps


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    jumping_clock.soon(monkeypatch)


@pytest.fixture
def target(api: ApiServer, tmp_path: Path) -> Target:
    return kubernetes_api.target(
        kubernetes_api.cluster(kubernetes_api.kubeconfig(tmp_path, f"http://127.0.0.1:{api.port}"))
    )


def reached(target: Target) -> Kubernetes:
    assert target.machine is not None
    return Kubernetes(target.machine)


def identity(target: Target) -> Identity:
    return deployment.Reader(target, reached(target)).identity()


def restart(
    target: Target, last_look: Callable[[], None] = lambda: None, *, expected: Identity | None = None
) -> Identity:
    before = expected or identity(target)
    return deployment.Changer(target, reached(target), TOTAL).restart(before, last_look)


def mark(api: ApiServer) -> str | None:
    metadata = api.objects[PATH]["spec"]["template"].get("metadata", {})
    found: str | None = metadata.get("annotations", {}).get(RESTARTED_AT)
    return found


# --- what it is ---


@pytest.mark.parametrize(
    ("status", "spec", "state"),
    [
        ({}, {}, "available/complete"),
        ({"availableReplicas": 1, "readyReplicas": 1}, {}, "partial/progressing"),
        ({"availableReplicas": 0, "readyReplicas": 0}, {}, "unavailable/progressing"),
        ({"updatedReplicas": 1, "replicas": 4}, {}, "unknown/progressing"),
        ({"observedGeneration": 0}, {}, "unknown/unobserved"),
        (
            {"conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]},
            {},
            "available/overdue",
        ),
        ({}, {"paused": True}, "available/paused"),
        ({}, {"replicas": 0}, "scaled-to-zero/complete"),
    ],
)
def test_its_state_is_how_many_pods_there_are_and_how_far_the_rollout_is(
    api: ApiServer, target: Target, status: dict[str, Any], spec: dict[str, Any], state: str
) -> None:
    api.objects[PATH]["status"] |= status
    api.objects[PATH]["spec"] |= spec
    found = identity(target)
    assert found.state == state
    assert deployment.running(found) == (state in ("available/complete", "available/paused"))
    assert found.unclear == state.startswith("unknown"), "neither well nor broken"


def test_the_revision_is_not_told_before_its_controller_has_seen_the_template(api: ApiServer, target: Target) -> None:
    api.objects[PATH]["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "7"}
    assert identity(target).revision == "7"
    api.objects[PATH]["metadata"]["generation"] = 2
    assert identity(target).revision is None


def test_a_status_that_moves_makes_no_other_instance(api: ApiServer, target: Target) -> None:
    before = identity(target)
    api.objects[PATH]["status"]["availableReplicas"] = 0
    api.touch(PATH)
    assert not deployment.restarted(before, identity(target))
    api.objects[PATH]["spec"]["replicas"] = 5
    assert not deployment.restarted(before, identity(target)), "scaled"
    api.objects[PATH]["spec"]["template"]["spec"]["containers"][0]["image"] = "shop/api:2"
    assert deployment.restarted(before, identity(target))


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (Fault("GET", 404), PermanentError, "the cluster has no Deployment shop/api"),
        (Fault("GET", 401), PermanentError, "does not know who asks"),
        (Fault("GET", 403, 'User "p" cannot get resource "deployments"'), PermanentError, "cannot get resource"),
        (Fault("GET", 429), TemporaryError, "says: no"),
        (Fault("GET", 410), TemporaryError, "says: no"),
        (Fault("GET", 500), TemporaryError, "500"),
        (Fault("GET", 503), TemporaryError, "503"),
        (Fault("GET", 302), PermanentError, "302"),
        (Fault("GET", cut="before"), TemporaryError, "no whole answer"),
        (Fault("GET", cut="half"), TemporaryError, "no whole answer"),
        (Fault("GET", text="<html>"), TemporaryError, "no API server"),
        (Fault("GET", text="[]"), TemporaryError, "no API server"),
        (Fault("GET", text="{}"), TemporaryError, "does not describe"),
        (Fault("GET", 403, "x" * 100_000), PermanentError, "x{100,500}$"),
        (Fault("GET", 403, "\x1b[2J"), PermanentError, r"\\x1b"),
    ],
)
def test_a_look_that_is_not_answered_says_whether_another_may_be(
    api: ApiServer, target: Target, fault: Fault, error: type[Exception], words: str
) -> None:
    api.faults.append(fault)
    with pytest.raises(error, match=words):
        identity(target)


def test_a_slow_answer_is_waited_for_no_longer_than_a_look(
    api: ApiServer, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workload_target, "LOOK", timedelta(seconds=0.2))
    api.faults.append(Fault("GET", seconds=1))
    with pytest.raises(TemporaryError, match="no whole answer"):
        identity(target)


def test_a_workload_on_a_machine_is_refused(target: Target) -> None:
    with pytest.raises(PermanentError, match=r"prod-cluster, and `hosts` leads to none"):
        deployment.Reader(target, Local())


# --- restart ---


def test_a_restart_is_one_patch_with_its_preconditions(api: ApiServer, target: Target) -> None:
    before = identity(target)
    version = api.objects[PATH]["metadata"]["resourceVersion"]
    looks: list[int] = []
    after = restart(target, lambda: looks.append(len(api.asked("PATCH"))), expected=before)
    [patch] = api.asked("PATCH")
    assert patch.body == {
        "metadata": {"uid": "uid-api", "resourceVersion": version},
        "spec": {"template": {"metadata": {"annotations": {RESTARTED_AT: mark(api)}}}},
    }
    assert looks == [0], "the last look is before the first byte"
    assert after.state == "available/complete"
    assert deployment.restarted(before, after)


@pytest.mark.parametrize(
    ("change_of", "words", "by_hand"),
    [
        ({"paused": True}, "are paused", "kubectl --namespace shop rollout resume deployment/api"),
        ({"replicas": 0}, "scaled to no pods", "kubectl --namespace shop get deployment/api"),
    ],
)
def test_what_a_restart_would_not_restart_is_refused(
    api: ApiServer, target: Target, change_of: dict[str, Any], words: str, by_hand: str
) -> None:
    api.objects[PATH]["spec"] |= change_of
    with pytest.raises(Refused, match=words) as no:
        restart(target)
    assert no.value.by_hand == by_hand
    assert api.asked("PATCH") == []


@pytest.mark.parametrize("status", [{"updatedReplicas": 1, "replicas": 4}, {"observedGeneration": 0}])
def test_a_rollout_that_is_under_way_is_not_broken_into(api: ApiServer, target: Target, status: dict[str, int]) -> None:
    api.objects[PATH]["status"] |= status
    with pytest.raises(Refused, match="is under way"):
        restart(target)
    api.objects[PATH]["status"]["observedGeneration"] = 1
    api.objects[PATH]["status"]["conditions"] = [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]
    restart(target)  # its controller has given it up


def test_a_workload_that_is_being_deleted_is_left(api: ApiServer, target: Target) -> None:
    api.objects[PATH]["metadata"]["deletionTimestamp"] = "2026-01-31T09:30:00Z"
    with pytest.raises(Refused, match="is being deleted"):
        restart(target)


def test_another_template_or_another_workload_of_its_name_is_not_restarted(api: ApiServer, target: Target) -> None:
    before = identity(target)
    api.objects[PATH]["spec"]["template"]["spec"]["containers"][0]["image"] = "shop/api:2"
    with pytest.raises(TargetChanged, match="no longer the one that was judged"):
        restart(target, expected=before)
    before = identity(target)
    api.objects[PATH]["metadata"]["uid"] = "made anew"
    with pytest.raises(TargetChanged):
        restart(target, expected=before)
    assert api.asked("PATCH") == []


def test_a_status_that_moves_in_between_is_read_again_and_the_last_look_too(api: ApiServer, target: Target) -> None:
    api.moves = 2
    looks: list[bool] = []
    restart(target, lambda: looks.append(True))
    assert len(api.asked("PATCH")) == len(looks) == 3


def test_a_template_that_moves_in_between_is_not_restarted(api: ApiServer, target: Target) -> None:
    def deploy() -> None:
        api.objects[PATH]["spec"]["template"]["spec"]["containers"][0]["image"] = "shop/api:2"
        api.touch(PATH)

    with pytest.raises(TargetChanged):
        restart(target, deploy)
    assert mark(api) is None


def test_one_that_never_stands_still_is_given_up_with_nothing_changed(api: ApiServer, target: Target) -> None:
    api.moves = 100
    with pytest.raises(TemporaryError, match="changed by others 8 times"):
        restart(target)
    assert mark(api) is None


def test_a_refusal_of_the_last_look_sends_nothing(api: ApiServer, target: Target) -> None:
    def lost() -> None:
        raise Refused("the claim is lost")

    with pytest.raises(Refused, match="the claim is lost"):
        restart(target, lost)
    assert api.asked("PATCH") == []


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (Fault("PATCH", 403, 'cannot patch resource "deployments"'), PermanentError, "cannot patch resource"),
        (Fault("PATCH", 404), PermanentError, "says: no"),
        (Fault("PATCH", 422, "admission webhook denied it"), PermanentError, "denied it"),
        (Fault("PATCH", 429), TemporaryError, "says: no"),
    ],
)
def test_a_change_that_is_not_accepted_changed_nothing(
    api: ApiServer, target: Target, fault: Fault, error: type[Exception], words: str
) -> None:
    api.faults.append(fault)
    with pytest.raises(error, match=words):
        restart(target)
    assert (len(api.asked("PATCH")), mark(api)) == (1, None)


@pytest.mark.parametrize(
    "fault", [Fault("PATCH", cut="after"), Fault("PATCH", cut="half"), Fault("PATCH", text="<html>")]
)
def test_a_change_whose_answer_is_lost_is_found_by_its_mark_and_not_repeated(
    api: ApiServer, target: Target, fault: Fault
) -> None:
    api.faults.append(fault)
    assert restart(target).state == "available/complete"
    assert len(api.asked("PATCH")) == 1


@pytest.mark.parametrize("fault", [Fault("PATCH", cut="before"), Fault("PATCH", 500), Fault("PATCH", 504)])
def test_a_change_whose_answer_is_lost_is_open_while_it_could_still_happen(
    api: ApiServer, target: Target, fault: Fault
) -> None:
    api.faults.append(fault)
    with pytest.raises(OutcomeUnknown, match="whether it was done is not seen"):
        restart(target)
    assert len(api.asked("PATCH")) == 1


def test_a_change_whose_answer_is_lost_cannot_happen_once_the_version_is_another(
    api: ApiServer, target: Target
) -> None:
    api.faults.append(Fault("PATCH", cut="before"))
    answer = api.answer

    def moving(method: str, *rest: Any) -> tuple[int, Any]:
        if method == "GET" and api.asked("PATCH"):
            api.touch(PATH)
        return answer(method, *rest)

    api.answer = moving  # type: ignore[method-assign]
    with pytest.raises(TemporaryError, match="cannot be any more"):
        restart(target)
    assert mark(api) is None


def test_a_template_that_somebody_else_changed_after_a_lost_answer_leaves_it_open(
    api: ApiServer, target: Target
) -> None:
    api.faults.append(Fault("PATCH", cut="before"))
    answer = api.answer

    def deploying(method: str, *rest: Any) -> tuple[int, Any]:
        if method == "GET" and api.asked("PATCH"):
            api.objects[PATH]["metadata"]["generation"] = 9
        return answer(method, *rest)

    api.answer = deploying  # type: ignore[method-assign]
    with pytest.raises(OutcomeUnknown):
        restart(target)


# --- its rollout ---


def test_a_rollout_that_only_goes_on_is_left_to_the_verification(api: ApiServer, target: Target) -> None:
    api.rolls = False
    after = restart(target)
    assert after.state == "unknown/unobserved"
    assert mark(api) is not None


def test_a_stuck_rollout_says_why(api: ApiServer, target: Target) -> None:
    api.rolls = False
    api.put("/apis/apps/v1/namespaces/shop/replicasets/api-1", replica_set("api-1", 1, TEMPLATE))
    waiting = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "shop/api:1"'}
    for number in range(2):
        statuses = [{"name": "api", "ready": False, "state": {"waiting": waiting}}]
        api.put(
            f"/api/v1/namespaces/shop/pods/api-{number}",
            pod(f"api-{number}", "uid-api-1", ready=False, containerStatuses=statuses),
        )
    with pytest.raises(
        PermanentError, match=r"stuck: 2 of 2 pods \(api-0\): container api: ImagePullBackOff: Back-off"
    ):
        restart(target)


def test_a_quota_that_admits_no_pod_is_told(api: ApiServer, target: Target) -> None:
    api.rolls = False
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota: pods"}
    api.objects[PATH]["status"]["conditions"] = [failure]
    with pytest.raises(PermanentError, match="FailedCreate: exceeded quota"):
        restart(target)


def test_what_its_controller_gives_up_is_not_waited_for(api: ApiServer, target: Target) -> None:
    given_up = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}
    roll_out = api.roll_out

    def late(path: str) -> None:
        roll_out(path)
        api.objects[path]["status"] |= {"conditions": [given_up], "updatedReplicas": 1}

    api.roll_out = late  # type: ignore[method-assign]
    with pytest.raises(PermanentError, match="stuck: ProgressDeadlineExceeded: timed out"):
        restart(target)


def test_a_restart_that_somebody_takes_back_is_no_success(api: ApiServer, target: Target) -> None:
    def taken_back(path: str) -> None:
        found = api.objects[path]
        found["spec"]["template"] = {**TEMPLATE}
        found["metadata"]["ownerReferences"] = [{"kind": "Ledger", "name": "main", "controller": True}]
        found["status"]["observedGeneration"] = found["metadata"]["generation"]

    api.roll_out = taken_back  # type: ignore[method-assign]
    with pytest.raises(PermanentError, match="took it back or made another: it is owned by Ledger main"):
        restart(target)


def test_an_api_server_that_dies_in_mid_rollout_is_asked_again(api: ApiServer, target: Target) -> None:
    before = identity(target)

    def dies() -> None:
        api.faults += [Fault("GET", cut="before", times=2), Fault("GET", 503, times=2)]

    assert restart(target, dies, expected=before).state == "available/complete"


def test_an_api_server_that_stays_away_leaves_a_change_that_was_accepted(api: ApiServer, target: Target) -> None:
    before = identity(target)
    after = restart(target, lambda: api.faults.append(Fault("GET", cut="before", times=1000)), expected=before)
    assert deployment.restarted(before, after)
