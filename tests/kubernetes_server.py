"""A real Kubernetes control plane: kube-apiserver and kube-controller-manager 1.20 on etcd. Only the kubelet is a double.

`.ci/kubernetes` builds the first two. The double binds each pod to its one node and sets its status by its image: one that ends
in `:bad` cannot be pulled, one in `:crash` crashes, of every other the pod is up.
"""

import contextlib
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
from required import missing
from waiting import until

from paramedic.demo.world import free_port
from paramedic.errors import OutcomeUnknown, PermanentError, TemporaryError
from paramedic.machine.clock import boottime
from paramedic.remediation.host import Host, KubernetesAccess
from paramedic.transports.kubernetes import Kubernetes

BUILD = Path(
    os.environ.get("KUBERNETES_BUILD")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "paramedic" / "kubernetes-1.20"
)
CONTROLLERS = "deployment,replicaset,statefulset,daemonset,namespace,serviceaccount,endpoint,disruption"
NODE = "node-1"

#: On a machine that is busy with a whole suite, a start takes minutes.
READY_SECONDS = 240

ADMIN, LIMITED = "token-of-the-admin-0123", "token-of-paramedic-4567"

#: The admission of service accounts needs keys of theirs, and new nodes are tainted by what only a kubelet takes away.
NOT_ADMITTED = "ServiceAccount,TaintNodesByCondition,DefaultTolerationSeconds"


def programs() -> Path:
    """The folder with the built programs; without them the test is skipped, or fails where they are required."""
    for program in ("kube-apiserver", "kube-controller-manager"):
        if not (BUILD / program).exists():
            missing(f"there is no {program} in {BUILD}: `.ci/kubernetes` builds it")
    if shutil.which("etcd") is None:
        missing("there is no etcd")
    return BUILD


class Server:
    """The running control plane. Each test works in a namespace of its own."""

    def __init__(self, folder: Path, *flags: str) -> None:
        """`flags`: more of the API server's."""
        self.folder, self._flags = folder, flags
        self.port, self._etcd_port, self._peer_port = free_port(), free_port(), free_port()
        self._api: subprocess.Popen[bytes] | None = None

    @property
    def admin(self) -> Host:
        return Host("prod", kubernetes=KubernetesAccess(str(self.folder / "admin")))

    @property
    def limited(self) -> Host:
        """As the user `paramedic`, whom RBAC allows what the test grants."""
        return Host("prod", kubernetes=KubernetesAccess(str(self.folder / "limited")))

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, patch: str = "merge-patch") -> Any:
        """One request as the admin; its answer. Raises AssertionError for any other than a good one."""
        media = f"application/{patch}+json" if method == "PATCH" else "application/json"
        reply = Kubernetes(self.admin).ask(method, path, boottime() + 60, body=body, media_type=media)
        found = json.loads(reply.text)
        assert reply.status < 300, f"{method} {path}: {reply.status}: {found.get('message')}"
        return found

    def kubectl(self, *words: str) -> str:
        """What kubectl answers the admin."""
        program = shutil.which("kubectl")
        if program is None:
            missing("there is no kubectl")
        done = subprocess.run(
            [program, f"--kubeconfig={self.folder / 'admin'}", *words],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def kill_api(self) -> None:
        """As a crash of the API server."""
        assert self._api is not None
        self._api.kill()
        self._api.wait(10)

    def start_api(self) -> None:
        """Start the API server, and wait until it takes requests."""
        self._api = self._api_server()
        self._write_kubeconfigs()
        until("the API server is ready", self._answers, READY_SECONDS)

    def _api_server(self) -> "subprocess.Popen[bytes]":
        keys = self.folder / "keys"
        return self._started(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--cert-dir={self.folder / 'certs'}",
            "--service-account-issuer=https://tests",
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
        for name, token in (("admin", ADMIN), ("limited", LIMITED)):
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

    def _started(self, program: str, *flags: str) -> subprocess.Popen[bytes]:
        path = shutil.which(program) if program == "etcd" else str(BUILD / program)
        assert path is not None
        with (self.folder / f"{program}.log").open("ab") as log:
            return subprocess.Popen([path, *flags], stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder)

    @contextmanager
    def running(self) -> Iterator["Server"]:
        keys = self.folder / "keys"
        keys.mkdir()
        subprocess.run(["openssl", "genrsa", "-out", str(keys / "key.pem"), "2048"], check=True, capture_output=True)
        tokens = f'{ADMIN},admin,1,"system:masters"\n{LIMITED},paramedic,2\n'
        (self.folder / "tokens").write_text(tokens)
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
            until(
                "etcd is ready", lambda: _etcd_answers(client), READY_SECONDS
            )  # the API server waits 20 s for it, and ends
            ending.callback(lambda: _ended(self._api))
            self.start_api()
            flags = (f"--kubeconfig={self.folder / 'admin'}", f"--controllers={CONTROLLERS}", "--leader-elect=false")
            manager = self._started("kube-controller-manager", *flags, "--port=0", "--secure-port=0")
            ending.callback(_ended, manager)
            with Node(self).working():
                yield self


class Node(threading.Thread):
    """The double of a kubelet, with a scheduler that knows one node."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._over = threading.Event()

    @contextmanager
    def working(self) -> Iterator[None]:
        until("the node is made", self._created, READY_SECONDS)
        self.start()
        try:
            yield
        finally:
            self._over.set()
            self.join(10)

    def _created(self) -> bool:
        """Whether the node is there, and ready. Asked again where an answer did not come: it may be there by then."""
        try:
            if all(node["metadata"]["name"] != NODE for node in self._server.ask("GET", "/api/v1/nodes")["items"]):
                self._server.ask("POST", "/api/v1/nodes", {"kind": "Node", "metadata": {"name": NODE}})
            self._make_ready()
        except (TemporaryError, OutcomeUnknown, AssertionError):
            return False
        return True

    def _make_ready(self) -> None:
        room = {"cpu": "64", "memory": "64Gi", "pods": "500"}
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
        self._server.ask(
            "PATCH",
            f"/api/v1/nodes/{NODE}/status",
            {"status": {"capacity": room, "allocatable": room, "conditions": [ready]}},
        )

    def run(self) -> None:
        while not self._over.wait(0.1):
            with contextlib.suppress(
                TemporaryError, PermanentError, OutcomeUnknown, AssertionError
            ):  # the server is away
                for pod in self._server.ask("GET", "/api/v1/pods")["items"]:
                    self._work_on(pod)

    def _work_on(self, pod: dict[str, Any]) -> None:
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        if "deletionTimestamp" in metadata:
            self._server.ask("DELETE", path, {"gracePeriodSeconds": 0})
        elif "nodeName" not in pod["spec"]:
            target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
            self._server.ask("POST", f"{path}/binding", {"metadata": {"name": metadata["name"]}, "target": target})
        elif "containerStatuses" not in pod["status"]:
            self._server.ask("PATCH", f"{path}/status", {"status": status_of(pod)})


def status_of(pod: Mapping[str, Any]) -> dict[str, Any]:
    """What a kubelet would say of the pod, by its image."""
    image = pod["spec"]["containers"][0]["image"]
    is_up = not image.endswith((":bad", ":crash"))
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    container: dict[str, Any] = {"name": "api", "image": image, "imageID": "", "ready": is_up, "restartCount": 0}
    container["state"] = {"running": {"startedAt": now}}
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


def _etcd_answers(client: str) -> bool:
    try:
        return httpx.get(f"{client}/health", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def _ended(process: "subprocess.Popen[bytes] | None") -> None:
    if process is not None:
        process.kill()
        process.wait(10)


@contextmanager
def control_plane(folder: Path, *flags: str) -> Iterator[Server]:
    """One that runs, in this folder; its API server with these flags more."""
    programs()
    with Server(folder, *flags).running() as server:
        yield server
