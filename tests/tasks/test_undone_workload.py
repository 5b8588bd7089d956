"""The step that undoes a roll-back, of a workload of Kubernetes and of a kind without a way forward."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jumping_clock
import kubernetes_api
import pytest
from gitops_shop import template
from kubernetes_api import ApiServer
from kubernetes_objects import path_of, replica_set, workload

from paramedic.doors import reading
from paramedic.errors import Refused
from paramedic.integrations.targets import deployment
from paramedic.remediation.remedy import Remedy, Verb, undo_of
from paramedic.remediation.target import Target
from tasks import act

PATH, SETS = path_of(), "/apis/apps/v1/namespaces/shop/replicasets"
ROLL_BACK = Remedy(1, Verb.ROLL_BACK)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """A Deployment with its second release."""
    jumping_clock.soon(monkeypatch)
    with kubernetes_api.serving() as api:
        found = workload(annotations={"deployment.kubernetes.io/revision": "2"})
        found["spec"]["template"] = template("shop/api:2")
        api.put(PATH, found)
        for number in (1, 2):
            of = template(f"shop/api:{number}")
            api.put(f"{SETS}/api-{number}", replica_set(f"api-{number}", number, of))
        yield api


@pytest.fixture
def target(api: ApiServer, tmp_path: Path) -> Target:
    kubeconfig = kubernetes_api.kubeconfig(tmp_path, f"http://127.0.0.1:{api.port}")
    return kubernetes_api.target(kubernetes_api.cluster(kubeconfig))


def carried_out(step: Any, target: Target, remedy: Remedy) -> tuple[Any, str]:
    """What the step returns and tells, without what is around every change."""
    account = SimpleNamespace(did="", output=None)
    intent = SimpleNamespace(
        target=target,
        remedy=remedy,
        identity=reading.identity(target),
        last_look=lambda: None,
        within=timedelta(seconds=40),
        approved=True,
        act="an-act",
        incident="store/INC-1",
        account=account,
    )
    return step.__wrapped__(intent), account.did


def test_the_release_that_the_roll_back_left_is_current_again_and_nothing_is_restarted(
    api: ApiServer, target: Target
) -> None:
    back, _ = carried_out(act.roll_back, target, ROLL_BACK)
    undoing = undo_of(ROLL_BACK, reading.undoable(target))
    assert undoing is not None
    forward, did = carried_out(act.undo, target, undoing)
    assert did == "release 2 is current again"
    assert reading.restarted(target, back, forward)
    assert api.objects[PATH]["spec"]["template"] == template("shop/api:2")
    assert len(api.asked("PATCH")) == 2, "the controller replaces the pods"


def test_what_its_kind_cannot_bring_forward_is_refused(
    api: ApiServer, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    carried_out(act.roll_back, target, ROLL_BACK)
    monkeypatch.delattr(deployment.Changer.__mro__[1], "undo")
    with pytest.raises(Refused, match="not brought forward again by its kind"):
        carried_out(act.undo, target, Remedy(1001, Verb.UNDO, undoes=ROLL_BACK))
