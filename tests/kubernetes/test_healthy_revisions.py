"""Which revision of a workload was healthy: pods of it are up, it was seen rolled out, or somebody wrote so; and a named one."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import jumping_clock
import kubernetes_api
import pytest
from gitops_shop import template
from kubernetes_api import ApiServer
from kubernetes_objects import controller_revision, path_of, pod, replica_set, workload
from pydantic import ValidationError

from paramedic.change import noted
from paramedic.doors import changing, reading
from paramedic.errors import Refused
from paramedic.integrations.targets import daemonset, deployment, statefulset
from paramedic.kubernetes.target import RollBackTo, noted_as
from paramedic.kubernetes.workload import RESTARTED_AT, digest
from paramedic.remediation.release import Release
from paramedic.remediation.target import Identity, Target

APPS, PODS = "/apis/apps/v1/namespaces/shop", "/api/v1/namespaces/shop/pods"
SETS = f"{APPS}/replicasets"
REVISION = "deployment.kubernetes.io/revision"
LABEL = "controller-revision-hash"
AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    jumping_clock.soon(monkeypatch)


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with kubernetes_api.serving() as api:
        yield api


@pytest.fixture
def target(api: ApiServer, tmp_path: Path) -> Callable[..., Target]:
    kubeconfig = kubernetes_api.kubeconfig(tmp_path, f"http://127.0.0.1:{api.port}")
    host = kubernetes_api.cluster(kubeconfig)
    return lambda kind="deployment": kubernetes_api.target(host, kind)


def _with_revisions(api: ApiServer, kind: str) -> None:
    """A StatefulSet or a DaemonSet at its second revision."""
    found = workload(kind.capitalize().replace("set", "Set"))
    found["spec"]["template"] = template("shop/api:2")
    api.put(path_of(kind), found)
    for number in (1, 2):
        kept = controller_revision(f"api-{number}", number, template(f"shop/api:{number}"))
        kept["metadata"]["labels"][LABEL] = f"hash-{number}"
        api.put(f"{APPS}/controllerrevisions/api-{number}", kept)


def _deployment(api: ApiServer, current: int = 3) -> None:
    """A Deployment at its third revision, whose second was a restart of the first; all of the third is up."""
    found = workload(annotations={REVISION: str(current)})
    templates = {1: template("shop/api:1"), 2: template("shop/api:1"), 3: template("shop/api:2")}
    templates[2]["metadata"]["annotations"] = {RESTARTED_AT: "once"}
    found["spec"]["template"] = templates[current]
    api.put(path_of(), found)
    for number, known in templates.items():
        up = {"availableReplicas": 3} if number == current else {}
        api.put(f"{SETS}/api-{number}", replica_set(f"api-{number}", number, known, **up))


@pytest.mark.parametrize(("kind", "label"), [("statefulset", "api-1"), ("daemonset", "hash-1")])
@pytest.mark.parametrize(
    ("ready", "leaving", "healthy"), [(True, False, True), (False, False, None), (True, True, None)]
)
def test_a_revision_of_which_a_pod_is_up_is_healthy(
    api: ApiServer,
    target: Callable[..., Target],
    kind: str,
    label: str,
    ready: bool,
    leaving: bool,
    healthy: bool | None,
) -> None:
    _with_revisions(api, kind)
    found = pod("api-0", "uid-api", ready=ready, labels={LABEL: label})
    if leaving:
        found["metadata"]["deletionTimestamp"] = "2026-01-31T09:00:00Z"
    api.put(f"{PODS}/api-0", found)
    api.put(f"{PODS}/other", pod("other", "uid-of-another", labels={LABEL: label}))
    [_, before] = reading.releases(target(kind)).all()
    assert (before.id, before.healthy) == ("1", healthy)


def test_where_pods_may_not_be_listed_a_mark_still_counts(api: ApiServer, target: Callable[..., Target]) -> None:
    _with_revisions(api, "statefulset")
    api.forbidden.add(("list", "pods"))
    assert [release.healthy for release in reading.releases(target("statefulset")).all()] == [None, None]
    api.objects[f"{APPS}/controllerrevisions/api-1"]["metadata"]["annotations"]["paramedic/healthy"] = "true"
    assert reading.releases(target("statefulset")).before().id == "1"


def _noted(target: Target, known: dict[str, Any], healthy: bool | None) -> Target:
    return replace(target, noted=(Release(digest(known), AT, None, healthy),))


def test_what_was_seen_rolled_out_is_healthy_when_all_of_it_is_replaced(
    api: ApiServer, target: Callable[..., Target]
) -> None:
    _deployment(api)
    with pytest.raises(Refused, match="none was seen well"):
        reading.releases(target()).before()
    restarted = api.objects[f"{SETS}/api-2"]["spec"]["template"]
    del restarted["metadata"]["labels"]["pod-template-hash"]
    assert reading.releases(_noted(target(), restarted, healthy=True)).before().id == "2"
    with pytest.raises(Refused, match="none was seen well"):
        reading.releases(_noted(target(), restarted, healthy=None)).before()
    with pytest.raises(Refused, match="none was seen well"):
        reading.releases(_noted(target(), template("shop/api:9"), healthy=True)).before()


def test_somebody_s_word_that_it_was_bad_counts_more(api: ApiServer, target: Callable[..., Target]) -> None:
    _deployment(api)
    api.objects[f"{SETS}/api-2"]["metadata"]["annotations"]["paramedic/healthy"] = "false"
    with pytest.raises(Refused, match="is known to have been healthy"):
        reading.releases(_noted(target(), template("shop/api:1"), healthy=True)).before()


@pytest.mark.parametrize(
    ("state", "well"), [("available/complete", True), ("available/overdue", False), ("partial/complete", False)]
)
def test_a_template_is_noted_as_well_once_all_pods_have_it(state: str, well: bool) -> None:
    assert noted_as(Identity(state, {"uid": "u", "template": "t"}, "7")) == ("t", well)


def test_a_round_notes_the_template_that_a_workload_runs(api: ApiServer, target: Callable[..., Target]) -> None:
    _deployment(api)
    assert noted.seen(target()) == (digest(template("shop/api:2")), True)
    api.objects[path_of()]["status"]["updatedReplicas"] = 1
    assert noted.seen(target()) is None, "while pods are replaced nothing is known to be well"


def _changer(target: Target) -> Any:
    return changing.changer(target, timedelta(seconds=40))


def _image(api: ApiServer) -> str:
    found: str = api.objects[path_of()]["spec"]["template"]["spec"]["containers"][0]["image"]
    return found


@pytest.mark.parametrize("revision", [1, 2])
def test_the_named_revision_is_gone_to_and_that_is_undone_once(
    api: ApiServer, target: Callable[..., Target], revision: int
) -> None:
    _deployment(api)
    there = target()
    before = reading.identity(there)
    after = _changer(there).roll_back_to(before, lambda: None, RollBackTo(revision=revision))
    assert (_image(api), reading.restarted(there, before, after)) == ("shop/api:1", True)
    _changer(there).undo_roll_back_to(after, lambda: None)
    assert _image(api) == "shop/api:2"
    with pytest.raises(Refused, match="was undone already"):
        _changer(there).undo_roll_back_to(reading.identity(there), lambda: None)


@pytest.mark.parametrize(
    ("revision", "why"),
    [(3, "has the release of revision 3 already"), (9, "keeps no revision 9 of .*; there are 3, 2, 1")],
)
def test_a_revision_that_is_not_there_or_is_there_already_is_refused(
    api: ApiServer, target: Callable[..., Target], revision: int, why: str
) -> None:
    _deployment(api)
    with pytest.raises(Refused, match=why) as refused:
        _changer(target()).roll_back_to(reading.identity(target()), lambda: None, RollBackTo(revision=revision))
    assert "rollout history" in refused.value.by_hand
    assert api.asked("PATCH") == []


def test_what_is_marked_irreversible_is_not_crossed(api: ApiServer, target: Callable[..., Target]) -> None:
    _deployment(api)
    api.objects[f"{SETS}/api-3"]["metadata"]["annotations"]["paramedic/reversible"] = "false"
    with pytest.raises(Refused, match="crosses 3, marked irreversible"):
        _changer(target()).roll_back_to(reading.identity(target()), lambda: None, RollBackTo(revision=1))


@pytest.mark.parametrize("module", [deployment, statefulset, daemonset])
def test_every_workload_offers_it_and_its_word_is_a_number(module: ModuleType) -> None:
    assert "roll_back_to" in module.REMEDIES
    assert "roll_back_to" in module.RENEWS
    for wrong in ({}, {"revision": 0}, {"revision": "last"}, {"revision": 1, "x": 2}):
        with pytest.raises(ValidationError):
            module.ASKED["roll_back_to"].model_validate(wrong)
