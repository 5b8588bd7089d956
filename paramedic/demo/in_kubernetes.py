"""A story on a workload of Kubernetes: a bad image is rolled out, and rolled back.

It is played on a control plane of the demo's own, or in the cluster of the context that the command line names, in a namespace
of its own there. Which context a kubeconfig calls its current one counts for nothing: in a cluster that nobody named nothing is
done.
"""

import os
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from paramedic.demo.control_plane import PROGRAMS, ControlPlane, asked, program, soon
from paramedic.demo.folder import runbook_of_workload
from paramedic.demo.story import Scenario, Stage, healed
from paramedic.errors import OutcomeUnknown, PermanentError, TemporaryError
from paramedic.machine.clock import utc_now
from paramedic.remediation.host import Host, KubernetesAccess
from paramedic.text.sanitize import one_line

CLUSTER, NAME = "cluster", "orders"

#: What it runs, which every cluster has or can pull, and an image that nobody can pull.
GOOD, BAD = "registry.k8s.io/pause:3.9", "registry.k8s.io/pause:bad"

_PODS = 2

#: After so long without progress its controller gives a rollout up. Seconds; the usual ten minutes are long for a demo.
_GIVEN_UP = 10

_LOOK = timedelta(seconds=15)


def missing(context: str | None = None) -> str | None:
    """What this machine lacks for it, or why the cluster of the context cannot be asked."""
    if context is not None:
        return _unreachable(context)
    lacking = [name for name in (*PROGRAMS, "openssl") if program(name) is None]
    if not lacking:
        return None
    return (
        f"this machine has no {', '.join(lacking)} (`.ci/kubernetes` builds and installs them on Debian; KUBERNETES_BUILD and "
        "KUBEBUILDER_ASSETS name folders with them); or name a cluster for it: --context kind-kind"
    )


def _unreachable(context: str) -> str | None:
    from paramedic.transports import kubernetes_look  # httpx: only who names a cluster pays

    try:
        kubernetes_look.look(_host(context), _LOOK)
    except (TemporaryError, PermanentError) as error:
        return f"the cluster of the context {one_line(context)!r:.80} cannot be asked: {error}"
    return None


def _host(context: str) -> Host:
    """The context as kubectl finds it: in the first of the kubeconfig files that has it. Raises PermanentError."""
    from paramedic.transports import kubernetes_config

    listed = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    files = [Path(file).absolute() for file in listed.split(os.pathsep) if file]
    faults: list[PermanentError] = []
    for file in files:
        access = KubernetesAccess(str(file), context)
        try:
            kubernetes_config.way(access)
        except PermanentError as error:
            faults.append(error)
        else:
            return Host(CLUSTER, kubernetes=access)
    raise PermanentError("; ".join(map(str, faults)) or "KUBECONFIG names no file")


class InKubernetes:
    """A namespace of its own with one Deployment, which is up."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.namespace = f"paramedic-demo-{secrets.token_hex(4)}"
        self._path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments"
        access = host.kubernetes or KubernetesAccess()
        context = "" if access.context is None else f", context: {_quoted(access.context)}"
        self.hosts = f"  {CLUSTER}: {{kubernetes: {{kubeconfig: {_quoted(str(access.kubeconfig))}{context}}}}}\n"
        target = f"host: {CLUSTER}, deployment: {{name: {NAME}, namespace: {self.namespace}}}"
        self.services = f"  {NAME}:\n    owner: delivery\n    targets:\n      - {{{target}}}\n"
        self.runbooks: Mapping[str, str] = {
            f"{NAME}-rollout.md": runbook_of_workload(NAME, f"deployment: {self.namespace}/{NAME}, host: {CLUSTER}")
        }

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, **how: str) -> Any:
        return asked(self._host, method, path, body, **how)

    def begin(self) -> None:
        """Make the namespace and the Deployment, and see it up. Raises TimeoutError, PermanentError or TemporaryError."""
        labels = {"app.kubernetes.io/managed-by": "paramedic-demo"}
        self._ask("POST", "/api/v1/namespaces", {"metadata": {"name": self.namespace, "labels": labels}})
        container = {"name": NAME, "image": GOOD}
        template = {
            "metadata": {"labels": {"app": NAME}},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]},
        }
        spec = {
            "replicas": _PODS,
            "progressDeadlineSeconds": _GIVEN_UP,
            "selector": {"matchLabels": {"app": NAME}},
            "template": template,
        }
        self._ask("POST", self._path, {"metadata": {"name": NAME}, "spec": spec})
        soon(f"{self.namespace}/{NAME} is up", lambda: self._found()["status"].get("availableReplicas") == _PODS)

    def end(self) -> None:
        """Take the namespace away. Raises PermanentError, TemporaryError or OutcomeUnknown."""
        self._ask("DELETE", f"/api/v1/namespaces/{self.namespace}")

    def _found(self) -> Any:
        return self._ask("GET", f"{self._path}/{NAME}")

    def play(self, stage: Stage) -> Scenario:
        """An image that cannot be pulled is rolled out; the roll-out is undone."""
        scenario, began = Scenario("kubernetes", change="roll_back"), utc_now()
        stage.say(
            f"a release of {self.namespace}/{NAME} is rolled out whose image nobody can pull: its controller gives up after "
            f"{_GIVEN_UP} s, and our own check asks it"
        )
        release = {
            "metadata": {
                "annotations": {"paramedic/reversible": "true", "kubernetes.io/change-cause": "the bad release"}
            },
            "spec": {"template": {"spec": {"containers": [{"name": NAME, "image": BAD}]}}},
        }
        self._ask("PATCH", f"{self._path}/{NAME}", release, patch="strategic-merge-patch")
        healed(stage, scenario, f"{CLUSTER}/deployment:{self.namespace}/{NAME}", began)
        self._judge(scenario)
        return scenario

    def _judge(self, scenario: Scenario) -> None:
        found = self._found()
        [container] = found["spec"]["template"]["spec"]["containers"]
        revision = found["metadata"]["annotations"].get("deployment.kubernetes.io/revision")
        available = found["status"].get("availableReplicas")
        scenario.expect(container["image"] == GOOD, f"its image is {container['image']}, not {GOOD}")
        scenario.expect(available == _PODS, f"{available} of its pods are available, not {_PODS}")
        scenario.expect(
            revision == "3", f"it is at revision {revision}, not 3: the first, the bad one, and the first again"
        )


def _quoted(text: str) -> str:
    """As a text in YAML's flow style."""
    return "'" + text.replace("'", "''") + "'"


@contextmanager
def started(folder: Path, context: str | None = None) -> Iterator[InKubernetes]:
    """The Deployment, in the cluster of the context or on a control plane of its own.

    Raises TimeoutError, OSError or CalledProcessError where that cannot be started.
    """
    folder.mkdir(parents=True)
    with ExitStack() as ending:
        if context is None:
            host = ending.enter_context(ControlPlane(folder).running()).admin
        else:
            host = _as_os_error(partial(_host, context))
        here = InKubernetes(host)
        if context is not None:  # one of the demo's own ends as a whole
            ending.callback(_taken_away, here, context)
        _as_os_error(here.begin)
        yield here


_Found = TypeVar("_Found")


def _as_os_error(does: Callable[[], _Found]) -> _Found:
    try:
        return does()
    except (TemporaryError, PermanentError, OutcomeUnknown) as error:
        raise OSError(str(error)) from error


def _taken_away(here: InKubernetes, context: str) -> None:
    try:
        here.end()
    except (TemporaryError, PermanentError, OutcomeUnknown) as error:
        if " 404: " not in str(error):
            by_hand = f"kubectl --context {context} delete namespace {here.namespace}"
            sys.stderr.write(f"the namespace {here.namespace} was not deleted: {one_line(str(error))}; {by_hand}\n")
