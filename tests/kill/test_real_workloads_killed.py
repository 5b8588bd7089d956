"""As `test_workloads_killed`, at a real API server with its real controllers: who counts the changes is the cluster itself."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from host_story import Story, story
from kill.killed_runs import RIGHT, FirstRuns, KilledRun, first_runs, rows
from kubernetes_server import Server, control_plane
from kubernetes_shop import Shop, health_of
from waiting import until

from paramedic.incidents.outcome import Ending

pytestmark = [pytest.mark.real, pytest.mark.kill, pytest.mark.long, pytest.mark.timeout(600)]
__all__ = ["first_runs", "story"]

SERVICES = """\
hosts:
  prod: {{kubernetes: {{kubeconfig: {kubeconfig}}}}}
services:
  shop: {{targets: [{{host: prod, deployment: {{name: api, namespace: {namespace}}}, health: "{health}/{namespace}"}}]}}
"""

RUNBOOK = """\
when: [{{alert: Ill}}]
mode: act
with:
  target: {{deployment: "{{namespace}}/{{deployment}}", host: prod}}
  evidence: [workload]
  remedies: [{remedy}]
  verify: {{health: ok, stable: 200ms, within: {within}}}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with control_plane(tmp_path_factory.mktemp("control-plane")) as server:
        yield server


@pytest.fixture
def killed(
    server: Server, first_runs: FirstRuns, story: Story, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., tuple[KilledRun, Shop]]]:
    """Begins this remedy at a workload that is down, and kills its run at the point."""
    shops: dict[str, Shop] = {}
    with ExitStack() as ending:
        health = ending.enter_context(health_of(shops))

        def begun(remedy: str, point: str, *, within: str) -> tuple[KilledRun, Shop]:
            namespace = f"{remedy}-{point.replace('_', '-')}"
            shop = shops[namespace] = BROKEN[remedy](server, namespace)
            story.written(
                SERVICES.format(kubeconfig=server.folder / "admin", namespace=namespace, health=health),
                RUNBOOK.format(remedy=remedy, within=within),
            )
            run = KilledRun(story, first_runs)
            run.killed_at(point, namespace=namespace, deployment="api")
            return run, shop

        yield begun


def crashed(server: Server, namespace: str) -> Shop:
    """One whose pods all crash."""
    shop = Shop(server, namespace, "deployment")
    for name in shop.names():
        shop.break_pod(name)
    until("the crash is seen", lambda: shop.identity().state.startswith("unavailable"))
    return shop


def released(server: Server, namespace: str) -> Shop:
    """One with a release whose image cannot be pulled, which its controller has given up."""
    shop = Shop(server, namespace, "deployment", progressDeadlineSeconds=2)
    shop.deploy("shop/api:bad", **{"paramedic/reversible": "true"})
    until("the rollout is late", lambda: shop.identity().state.endswith("overdue"))
    return shop


BROKEN = {"restart": crashed, "rollback": released}


def changes(shop: Shop, before: int) -> int:
    """How often somebody has asked the workload for something else, as the API server counts it."""
    now: int = shop.server.ask("GET", shop.path)["metadata"]["generation"]
    return now - before


@pytest.mark.parametrize("remedy", BROKEN)
@pytest.mark.parametrize(("point", "ending", "times"), rows(RIGHT))
def test_it_is_made_once_at_most_and_nobody_forgets_it(
    killed: Callable[..., tuple[KilledRun, Shop]], story: Story, remedy: str, point: str, ending: Ending, times: int
) -> None:
    run, shop = killed(remedy, point, within="120s" if times else "1s")
    outcome = run.is_followed()
    at_first = 1 if remedy == "restart" else 2  # it was made, and then deployed
    assert (outcome.ending, changes(shop, at_first)) == (ending, times), story.words()
    revisions = shop.server.kubectl("rollout", "history", "deployment/api", "-n", shop.namespace).split("\n")[2:]
    assert len([line for line in revisions if line]) == (2 if remedy == "rollback" or times else 1)
    assert shop.is_whole() is bool(times)
