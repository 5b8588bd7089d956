"""A real Kubernetes control plane for the demo: kube-apiserver and kube-controller-manager on etcd. Only the kubelet is a double.

The double binds each pod to its one node and sets its status by its image: one that ends in `:bad` cannot be pulled, one in
`:crash` crashes, of every other the pod is up. Nothing is run by it.
"""

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

from paramedic.demo.world import free_port
from paramedic.errors import OutcomeUnknown, PermanentError, TemporaryError
from paramedic.machine.clock import boottime
from paramedic.machine.parent_death import command
from paramedic.remediation.host import Host, KubernetesAccess
from paramedic.transports import http_deadline
from paramedic.transports.kubernetes import Kubernetes

PROGRAMS = ("kube-apiserver", "kube-controller-manager", "etcd")

#: The folders that may have them, beside the PATH: of `.ci/kubernetes`, and of the tools that test operators of Kubernetes.
_FOLDERS = ("KUBERNETES_BUILD", "KUBEBUILDER_ASSETS")

CONTROLLERS = "deployment,replicaset,statefulset,daemonset,namespace,serviceaccount,endpoint,disruption"
NODE = "node-1"

#: On a machine that is busy with a whole suite, a start takes minutes.
READY_SECONDS = 240

#: The admission of service accounts needs keys of theirs, and new nodes are tainted by what only a kubelet takes away.
NOT_ADMITTED = "ServiceAccount,TaintNodesByCondition,DefaultTolerationSeconds"


def built() -> Path:
    """Where `.ci/kubernetes` keeps what it has built."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get(_FOLDERS[0]) or cache / "paramedic" / "kubernetes-1.20")


def program(name: str) -> str | None:
    """The path of one of PROGRAMS; None where this machine has none."""
    folders = [str(built()), *(os.environ.get(variable, "") for variable in _FOLDERS)]
    found = (shutil.which(name, path=folder) for folder in folders if folder)
    return next((path for path in found if path is not None), None) or shutil.which(name)


class ControlPlane:
    """The running control plane."""

    def __init__(self, folder: Path, *flags: str, users: Mapping[str, str] | None = None) -> None:
        """`flags`: more of the API server's. `users`: more than the admin, by the name of the kubeconfig file of each."""
        self.folder, self._flags = folder, flags
        self.port, self._etcd_port, self._peer_port = free_port(), free_port(), free_port()
        self._tokens = {name: secrets.token_hex(16) for name in ("admin", *(users or {}))}
        self._users = {"admin": 'admin,1,"system:masters"'} | {
            name: f"{user},{number}" for number, (name, user) in enumerate((users or {}).items(), 2)
        }
        self._api: subprocess.Popen[bytes] | None = None

    @property
    def admin(self) -> Host:
        """The cluster, as its admin."""
        return Host("prod", kubernetes=KubernetesAccess(str(self.folder / "admin")))

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, patch: str = "merge-patch") -> Any:
        """One request as the admin; its answer. Raises as `asked` does."""
        return asked(self.admin, method, path, body, patch=patch)

    def kill_api(self) -> None:
        """As a crash of the API server."""
        if self._api is not None:
            self._api.kill()
            self._api.wait(10)

    def start_api(self) -> None:
        """Start the API server, and wait until it takes requests. Raises TimeoutError."""
        self._api = self._api_server()
        self._write_kubeconfigs()
        soon("the API server is ready", self._answers)

    def _api_server(self) -> "subprocess.Popen[bytes]":
        keys = self.folder / "keys"
        return self._started(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--cert-dir={self.folder / 'certs'}",
            "--service-account-issuer=https://paramedic",
            f"--service-account-key-file={keys / 'key.pem'}",
            f"--service-account-signing-key-file={keys / 'key.pem'}",
            f"--token-auth-file={self.folder / 'tokens'}",
            "--authorization-mode=RBAC",
            f"--disable-admission-plugins={NOT_ADMITTED}",
            "--service-cluster-ip-range=10.0.0.0/24",
            *self._flags,
        )

    def _answers(self) -> bool:
        """Whether it takes requests. One that has ended is started again: it gives up where its own start takes too long."""
        if self._api is None or self._api.poll() is not None:
            self._api = self._api_server()
        if not (self.folder / "certs" / "apiserver.crt").exists():
            return False
        self._write_kubeconfigs()
        try:
            return Kubernetes(self.admin).ask("GET", "/readyz", boottime() + 5).status == 200
        except (TemporaryError, PermanentError):
            return False

    def _write_kubeconfigs(self) -> None:
        authority = self.folder / "certs" / "apiserver.crt"
        for name, token in self._tokens.items():
            (file := self.folder / name).touch(mode=0o600)
            cluster = {"server": f"https://127.0.0.1:{self.port}", "certificate-authority": str(authority)}
            written = {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": cluster}],
                "users": [{"name": "u", "user": {"token": token}}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "c",
            }
            if file.read_text() != json.dumps(written):
                file.write_text(json.dumps(written))

    def _started(self, name: str, *flags: str) -> "subprocess.Popen[bytes]":
        path = program(name)
        if path is None:
            raise FileNotFoundError(f"there is no {name}")
        with (self.folder / f"{name}.log").open("ab") as log:
            words = command([path, *flags])
            return subprocess.Popen(words, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder)

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Start all of it, and end it. Raises TimeoutError, OSError or CalledProcessError where it cannot be started."""
        keys = self.folder / "keys"
        keys.mkdir(mode=0o700)
        subprocess.run(["openssl", "genrsa", "-out", str(keys / "key.pem"), "2048"], check=True, capture_output=True)
        (tokens := self.folder / "tokens").touch(mode=0o600)
        tokens.write_text("".join(f"{self._tokens[name]},{who}\n" for name, who in self._users.items()))
        with ExitStack() as ending:
            client, peer = (f"http://127.0.0.1:{port}" for port in (self._etcd_port, self._peer_port))
            etcd = self._started(
                "etcd",
                f"--data-dir={self.folder / 'etcd'}",
                f"--listen-client-urls={client}",
                f"--advertise-client-urls={client}",
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=default={peer}",
            )
            ending.callback(_ended, etcd)
            soon("etcd is ready", lambda: _etcd_answers(client))  # the API server waits 20 s for it, and ends
            ending.callback(self.kill_api)
            self.start_api()
            flags = (f"--kubeconfig={self.folder / 'admin'}", f"--controllers={CONTROLLERS}", "--leader-elect=false")
            manager = self._started("kube-controller-manager", *flags, *_no_ports())
            ending.callback(_ended, manager)
            with _Node(self).working():
                yield self


class _Node(threading.Thread):
    """The double of a kubelet, with a scheduler that knows one node."""

    def __init__(self, plane: ControlPlane) -> None:
        super().__init__(daemon=True)
        self._plane = plane
        self._over = threading.Event()

    @contextmanager
    def working(self) -> Iterator[None]:
        soon("the node is made", self._created)
        self.start()
        try:
            yield
        finally:
            self._over.set()
            self.join(10)

    def _created(self) -> bool:
        """Whether the node is there, and ready. Asked again where an answer did not come: it may be there by then."""
        try:
            if all(node["metadata"]["name"] != NODE for node in self._plane.ask("GET", "/api/v1/nodes")["items"]):
                self._plane.ask("POST", "/api/v1/nodes", {"kind": "Node", "metadata": {"name": NODE}})
            self._make_ready()
        except (TemporaryError, PermanentError, OutcomeUnknown):
            return False
        return True

    def _make_ready(self) -> None:
        room = {"cpu": "64", "memory": "64Gi", "pods": "500"}
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
        self._plane.ask(
            "PATCH",
            f"/api/v1/nodes/{NODE}/status",
            {"status": {"capacity": room, "allocatable": room, "conditions": [ready]}},
        )

    def run(self) -> None:
        while not self._over.wait(0.1):
            with contextlib.suppress(TemporaryError, PermanentError, OutcomeUnknown):  # the server is away
                for pod in self._plane.ask("GET", "/api/v1/pods")["items"]:
                    self._work_on(pod)

    def _work_on(self, pod: dict[str, Any]) -> None:
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        if "deletionTimestamp" in metadata:
            self._plane.ask("DELETE", path, {"gracePeriodSeconds": 0})
        elif "nodeName" not in pod["spec"]:
            target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
            self._plane.ask("POST", f"{path}/binding", {"metadata": {"name": metadata["name"]}, "target": target})
        elif "containerStatuses" not in pod["status"]:
            self._plane.ask("PATCH", f"{path}/status", {"status": status_of(pod)})


def asked(
    host: Host, method: str, path: str, body: Mapping[str, Any] | None = None, *, patch: str = "merge-patch"
) -> Any:
    """One request to a cluster; its answer. Raises PermanentError for any other than a good one, TemporaryError without one."""
    media = f"application/{patch}+json" if method == "PATCH" else "application/json"
    reply = Kubernetes(host).ask(method, path, boottime() + 60, body=body, media_type=media)
    try:
        found = json.loads(reply.text)
    except ValueError as error:
        raise TemporaryError(f"{method} {path}: {reply.status}, and no JSON") from error
    if reply.status >= 300:
        raise PermanentError(f"{method} {path}: {reply.status}: {found.get('message')}")
    return found


def status_of(pod: Mapping[str, Any]) -> dict[str, Any]:
    """What a kubelet would say of the pod, by its image."""
    [first, *_] = pod["spec"]["containers"]
    image = first["image"]
    is_up = not image.endswith((":bad", ":crash"))
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    container: dict[str, Any] = {"name": first["name"], "image": image, "imageID": ""}
    container |= {"ready": is_up, "restartCount": 0, "state": {"running": {"startedAt": now}}}
    if image.endswith(":bad"):
        container["state"] = {"waiting": {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{image}"'}}
    if image.endswith(":crash"):
        container["state"] = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting"}}
        ended = {"exitCode": 1, "reason": "Error", "startedAt": now, "finishedAt": now}
        container |= {"restartCount": 3, "lastState": {"terminated": ended}}
    said = "True" if is_up else "False"
    conditions = [
        {"type": kind, "status": said if kind != "PodScheduled" else "True", "lastTransitionTime": now}
        for kind in ("Ready", "ContainersReady", "PodScheduled")
    ]
    phase = "Pending" if image.endswith(":bad") else "Running"  # of what is pending, a PodDisruptionBudget says nothing
    return {"phase": phase, "conditions": conditions, "containerStatuses": [container]}


def soon(what: str, holds: Callable[[], bool], seconds: float = READY_SECONDS) -> None:
    """Wait until it holds. Raises TimeoutError naming what did not happen."""
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.05)


def _no_ports() -> tuple[str, ...]:
    """The flags by which the controller manager listens nowhere; before Kubernetes 1.24 it has a second port."""
    words = [program("kube-controller-manager") or "", "--help"]
    shown = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout
    return ("--secure-port=0", "--port=0") if "--port int " in shown else ("--secure-port=0",)


def _etcd_answers(client: str) -> bool:
    import httpx  # only who has an etcd pays

    try:
        with http_deadline.client(seconds=5) as etcd:
            return etcd.get(f"{client}/health").status_code == 200
    except httpx.HTTPError:
        return False


def _ended(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait(10)
