"""One pod deleted: which one, when none, what is sent for it, and when it has helped."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jumping_clock
import kubernetes_api
import pytest
from kubernetes_api import ApiServer, Fault
from kubernetes_objects import path_of, pod, workload

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.doors import changing, reading
from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TargetChanged, TemporaryError
from paramedic.kubernetes.target import ScalableWords
from paramedic.machine.clock import iso, utc_now
from paramedic.remediation.target import Identity, Target

PATH, PODS = path_of("statefulset"), "/api/v1/namespaces/shop/pods"
BEGAN = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)  # after its pods were made
CRASHES = [{"name": "api", "ready": False, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    jumping_clock.soon(monkeypatch)


@pytest.fixture
def api() -> Iterator[ApiServer]:
    """A StatefulSet of three pods: the first crashes, the others are ready."""
    with kubernetes_api.serving() as api:
        api.put(PATH, workload("StatefulSet", count=3))
        put(api, "api-0", ready=False, containerStatuses=CRASHES)
        put(api, "api-1")
        put(api, "api-2")
        yield api


def put(api: ApiServer, name: str, *, owner: str = "uid-api", **fields: Any) -> dict[str, Any]:
    return api.put(f"{PODS}/{name}", pod(name, owner, **fields))


@pytest.fixture
def listed(api: ApiServer, tmp_path: Path) -> Callable[..., Target]:
    def listed(**words: Any) -> Target:
        cluster = kubernetes_api.cluster(kubernetes_api.kubeconfig(tmp_path, f"http://127.0.0.1:{api.port}"))
        return kubernetes_api.target(cluster, "statefulset", words=ScalableWords(name="api", namespace="shop", **words))

    return listed


def alert(pod: str | None, *, began: datetime = BEGAN, label: str = "pod") -> Alert:
    labels = {} if pod is None else {label: pod}
    return Alert("alertmanager", "PodIll", Severity.CRITICAL, Status.FIRING, began, "f", labels)


def delete(
    target: Target, *alerts: Alert, last_look: Callable[[], None] = lambda: None, expected: Identity | None = None
) -> str:
    changer: Any = changing.changer(target, timedelta(seconds=40))
    changer.alerts = alerts
    changer.delete_pod(expected or reading.identity(target), last_look)
    did: str = changer.did
    return did


def deleted(api: ApiServer) -> list[str]:
    return [request.body["metadata"]["name"] for request in api.asked("POST") if request.path.endswith("/eviction")]


def test_the_pod_that_is_unhealthy_is_evicted_with_its_preconditions(
    api: ApiServer, listed: Callable[..., Target]
) -> None:
    version = api.objects[f"{PODS}/api-0"]["metadata"]["resourceVersion"]
    looks: list[int] = []
    did = delete(listed(), last_look=lambda: looks.append(len(deleted(api))))
    [sent] = [request for request in api.asked("POST") if request.path.endswith("/eviction")]
    assert sent.body == {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": "api-0", "namespace": "shop"},
        "deleteOptions": {"preconditions": {"uid": "uid-api-0", "resourceVersion": version}},
    }
    assert looks == [0], "the last look is before the first byte"
    assert did == "the pod api-0 (uid-api-0) is gone, and api-0 (uid-api-0-new) is ready"


def test_an_older_cluster_is_asked_by_its_own_version(api: ApiServer, listed: Callable[..., Target]) -> None:
    api.eviction = "v1beta1"
    delete(listed())
    assert api.asked("POST")[-1].body["apiVersion"] == "policy/v1beta1"
    api.eviction = None
    with pytest.raises(PermanentError, match="no evictions"):
        delete(listed())


def test_the_pod_that_an_alert_names_comes_before_those_that_are_unhealthy(
    api: ApiServer, listed: Callable[..., Target]
) -> None:
    delete(listed(), alert(None), alert("api-2"))
    assert deleted(api) == ["api-2"]


def test_the_label_is_the_one_that_services_yaml_names(api: ApiServer, listed: Callable[..., Target]) -> None:
    of_the_exporter = alert("api-1", label="exported_pod")
    delete(listed(pod_label="exported_pod"), of_the_exporter)
    assert deleted(api) == ["api-1"]
    delete(listed(), alert("kube-state-metrics-0", label="other"))
    assert deleted(api) == ["api-1", "api-0"]


@pytest.mark.parametrize("named", ["api-9", "other-0", "kube-state-metrics-0", "../api-0", "api-0?x=1", "api-0\n", ""])
def test_a_pod_that_is_none_of_its_own_is_never_deleted_and_no_other_for_it(
    api: ApiServer, listed: Callable[..., Target], named: str
) -> None:
    put(api, "other-0", owner="uid-other")  # one that its selector selects, and another workload controls
    put(api, "kube-state-metrics-0", labels={"app": "other"})
    with pytest.raises(Refused, match="is none of its pods"):
        delete(listed(), alert(named))
    assert deleted(api) == []


def test_a_new_pod_of_the_old_one_s_name_is_left_alone(api: ApiServer, listed: Callable[..., Target]) -> None:
    api.replace(f"{PODS}/api-0")
    with pytest.raises(Refused, match="was made after the alert began"):
        delete(listed(), alert("api-0"))
    api.objects[f"{PODS}/api-1"]["metadata"]["deletionTimestamp"] = "2026-01-31T09:30:00Z"
    with pytest.raises(Refused, match="api-1 ends already"):
        delete(listed(), alert("api-1"))
    assert deleted(api) == []


def test_a_new_pod_of_the_second_in_which_the_alert_began_is_a_new_one(
    api: ApiServer, listed: Callable[..., Target]
) -> None:
    api.replace(f"{PODS}/api-0")
    made = datetime(2026, 1, 31, 10, 0, tzinfo=UTC)  # or up to a second later: the API server dates by the second
    with pytest.raises(Refused, match="was made after the alert began"):
        delete(listed(), alert("api-0", began=made + timedelta(seconds=0.9)))
    delete(listed(), alert("api-0", began=made + timedelta(seconds=1)))
    assert deleted(api) == ["api-0"]


def test_of_several_the_one_that_is_ill_for_longest_is_deleted(api: ApiServer, listed: Callable[..., Target]) -> None:
    ill = put(api, "api-2", ready=False, containerStatuses=CRASHES)
    ill["status"]["conditions"][0]["lastTransitionTime"] = "2026-01-31T08:30:00Z"
    delete(listed())
    assert deleted(api) == ["api-2"]


@pytest.mark.parametrize(
    ("fields", "since"),
    [
        ({"containerStatuses": [{"name": "api", "state": {"waiting": {"reason": "ContainerCreating"}}}]}, None),
        ({}, None),
        ({"phase": "Failed"}, "2026-01-31T09:00:00Z"),
        ({"phase": "Succeeded"}, "2026-01-31T09:00:00Z"),
    ],
)
def test_one_that_only_begins_or_is_over_is_not_unhealthy(
    api: ApiServer, listed: Callable[..., Target], fields: dict[str, Any], since: str | None
) -> None:
    begins = put(api, "api-0", ready=False, **fields)
    begins["status"]["conditions"][0]["lastTransitionTime"] = since or iso(utc_now())
    with pytest.raises(Refused, match="no pod of .* is unhealthy"):
        delete(listed())


def test_one_that_is_not_ready_for_long_is_unhealthy_without_a_reason(
    api: ApiServer, listed: Callable[..., Target]
) -> None:
    put(api, "api-0", ready=False)
    delete(listed())
    assert deleted(api) == ["api-0"]


def test_one_that_no_node_takes_is_left_alone(api: ApiServer, listed: Callable[..., Target]) -> None:
    conditions = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]
    put(api, "api-0", ready=False, conditions=conditions)["spec"].pop("nodeName")
    with pytest.raises(Refused, match="is unhealthy"):
        delete(listed())


@pytest.mark.parametrize(
    ("keep", "named", "refused"),
    [
        ("66%", None, None),
        ("67%", None, "2 of the 3 pods .* are ready beside api-0, and 3 must be .keep_healthy: 67%."),
        ("2 of 3", None, None),
        ("2 of 3", "api-1", "1 of the 3 pods .* are ready beside api-1, and 2 must be"),
        ("1 of 3", "api-1", None),
        (None, "api-1", None),
    ],
)
def test_keep_healthy_holds_whichever_pod_is_meant(
    api: ApiServer, listed: Callable[..., Target], keep: str | None, named: str | None, refused: str | None
) -> None:
    target = listed(keep_healthy=keep) if keep else listed()
    alerts = [alert(named)] if named else []
    if refused is None:
        delete(target, *alerts)
        return
    with pytest.raises(Refused, match=refused) as no:
        delete(target, *alerts)
    assert no.value.by_hand == f"kubectl --namespace shop delete pod -- {named or 'api-0'}"
    assert deleted(api) == []


def test_the_only_pod_that_is_ready_is_left_alone(api: ApiServer, listed: Callable[..., Target]) -> None:
    put(api, "api-2", ready=False)
    with pytest.raises(Refused, match="api-1 is the only pod .* that is ready"):
        delete(listed(), alert("api-1"))


def test_a_disruption_budget_is_honoured_and_named(api: ApiServer, listed: Callable[..., Target]) -> None:
    api.budget = "The disruption budget api needs 3 healthy pods and has 2 currently"
    with pytest.raises(Refused, match="needs 3 healthy pods and has 2 currently") as no:
        delete(listed())
    assert no.value.by_hand == "kubectl --namespace shop get poddisruptionbudgets"
    assert deleted(api) == ["api-0"], "asked once"
    api.budget = None
    api.faults.append(Fault("POST", 500, "This pod has more than one PodDisruptionBudget, which is not supported."))
    with pytest.raises(Refused, match="more than one PodDisruptionBudget"):
        delete(listed())


def test_a_server_that_is_busy_is_no_budget(api: ApiServer, listed: Callable[..., Target]) -> None:
    api.faults.append(Fault("POST", 429, "too many requests"))
    with pytest.raises(TemporaryError, match="too many requests"):
        delete(listed())


def test_one_that_is_ready_by_then_is_left_alone(api: ApiServer, listed: Callable[..., Target]) -> None:
    def heals() -> None:
        put(api, "api-0")

    with pytest.raises(Refused, match="is unhealthy"):
        delete(listed(), last_look=heals)
    assert len(api.objects) == 4


def test_one_that_never_stands_still_is_given_up(api: ApiServer, listed: Callable[..., Target]) -> None:
    api.moves = 100
    with pytest.raises(TemporaryError, match="changed 8 times"):
        delete(listed())


def test_a_pod_of_another_template_or_of_a_paused_workload_is_left_alone(
    api: ApiServer, listed: Callable[..., Target]
) -> None:
    before = reading.identity(listed())
    api.objects[PATH]["spec"]["template"]["spec"]["containers"][0]["image"] = "shop/api:2"
    with pytest.raises(TargetChanged):
        delete(listed(), expected=before)
    api.objects[PATH]["spec"]["paused"] = True
    with pytest.raises(Refused, match="are paused"):
        delete(listed())
    assert deleted(api) == []


# --- what becomes of it ---


@pytest.mark.parametrize("fault", [Fault("POST", cut="after", path="eviction"), Fault("POST", text="<", path="evict")])
def test_a_deletion_whose_answer_is_lost_is_found_and_not_repeated(
    api: ApiServer, listed: Callable[..., Target], fault: Fault
) -> None:
    api.faults.append(fault)
    assert delete(listed()).endswith("is ready")
    assert deleted(api) == ["api-0"]


@pytest.mark.parametrize("fault", [Fault("POST", cut="before", path="eviction"), Fault("POST", 504, path="eviction")])
def test_a_deletion_whose_answer_is_lost_is_open_while_it_could_still_happen(
    api: ApiServer, listed: Callable[..., Target], fault: Fault
) -> None:
    api.faults.append(fault)
    with pytest.raises(OutcomeUnknown, match="whether the pod was deleted is not seen"):
        delete(listed())


def test_a_deletion_whose_answer_is_lost_cannot_happen_once_the_version_is_another(
    api: ApiServer, listed: Callable[..., Target]
) -> None:
    api.faults.append(Fault("POST", cut="before", path="eviction"))
    answer = api.answer

    def moving(method: str, path: str, *rest: Any) -> tuple[int, Any]:
        if path.endswith("/pods/api-0"):
            api.touch(path)
        return answer(method, path, *rest)

    api.answer = moving  # type: ignore[method-assign]
    with pytest.raises(TemporaryError, match="cannot be by it any more"):
        delete(listed())


def test_one_whose_node_is_silent_is_a_failure_with_the_command_that_ends_it(
    api: ApiServer, listed: Callable[..., Target]
) -> None:
    api.ends = False
    assert delete(listed()) == "the pod api-0 (uid-api-0) is ending, and is still there"
    api.objects.pop(f"{PODS}/api-0")
    put(api, "api-0", ready=False, containerStatuses=CRASHES)
    answer = api.answer

    def long_ago(method: str, *rest: Any) -> tuple[int, Any]:
        if deleted(api):
            api.objects[f"{PODS}/api-0"]["metadata"]["deletionTimestamp"] = "2026-01-31T09:00:30Z"
        return answer(method, *rest)

    api.answer = long_ago  # type: ignore[method-assign]
    api.requests.clear()
    with pytest.raises(PermanentError, match=r"node-1 may not answer.*delete pod --force --grace-period=0 -- api-0"):
        delete(listed())


def test_a_new_one_that_does_not_come_up_is_a_failure_with_its_reason(
    api: ApiServer, listed: Callable[..., Target]
) -> None:
    api.ends = False
    answer = api.answer

    def crashing(method: str, path: str, *rest: Any) -> tuple[int, Any]:
        if method == "GET" and deleted(api) and api.objects[f"{PODS}/api-0"]["metadata"]["uid"] == "uid-api-0":
            api.replace(f"{PODS}/api-0", ready=False, containerStatuses=CRASHES)
        return answer(method, path, *rest)

    api.answer = crashing  # type: ignore[method-assign]
    with pytest.raises(PermanentError, match="api-0 .* is gone, and the new one is stuck: .*CrashLoopBackOff"):
        delete(listed())


def test_pods_that_cannot_be_seen_after_it_leave_it_open(api: ApiServer, listed: Callable[..., Target]) -> None:
    api.ends = False
    answer = api.answer

    def withdrawn(method: str, path: str, *rest: Any) -> tuple[int, Any]:
        if deleted(api):
            api.forbidden.add(("list", "pods"))
        return answer(method, path, *rest)

    api.answer = withdrawn  # type: ignore[method-assign]
    with pytest.raises(OutcomeUnknown, match="pods cannot be seen any more"):
        delete(listed())


def test_the_rights_that_it_lacks_are_named(api: ApiServer, listed: Callable[..., Target]) -> None:
    target = listed()
    assert reading.forbidden(target, "delete_pod") is None
    api.forbidden |= {("create", "pods/eviction"), ("list", "pods")}
    assert "list pods, create pods/eviction, in the namespace shop" in str(reading.forbidden(target, "delete_pod"))


def test_who_is_asked_is_told_which_pod_would_go_and_nothing_is_sent(
    api: ApiServer, listed: Callable[..., Target]
) -> None:
    assert reading.foreseen(listed(), "delete_pod", []) == "the pod api-0"
    assert reading.foreseen(listed(), "delete_pod", [alert("api-2")]) == "the pod api-2"
    with pytest.raises(Refused, match="names no pod"):
        reading.foreseen(listed(), "delete_pod", [alert("db-0; rm -rf /")])
    assert api.asked("POST") == []
