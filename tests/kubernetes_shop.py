"""A workload at a real API server: what a test or a benchmark does to it, and asks of it."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from kubernetes_server import Server, status_of
from waiting import until

from paramedic.alerts.alert import Alert
from paramedic.integrations.targets import daemonset, deployment, statefulset
from paramedic.kinds.changes import Changes
from paramedic.machine.clock import boottime, utc_now
from paramedic.remediation.host import Host
from paramedic.remediation.target import Identity, Target
from paramedic.transports.kubernetes import Kubernetes

KINDS: dict[str, Any] = {"deployment": deployment, "statefulset": statefulset, "daemonset": daemonset}
WITHIN = timedelta(seconds=180)  # on a busy machine


class Shop:
    """A namespace with one workload in it, which is up."""

    def __init__(
        self,
        server: Server,
        namespace: str,
        kind: str,
        *,
        host: Host | None = None,
        words: Mapping[str, Any] | None = None,
        **spec: Any,
    ) -> None:
        self.server, self.kind, self.module = server, kind, KINDS[kind]
        self.host = host or server.admin
        self.path = f"/apis/apps/v1/namespaces/{namespace}/{kind}s/api"
        called = self.module.Words(name="api", namespace=namespace, **(words or {}))
        self.target = Target(
            f"prod/{kind}:{namespace}/api",
            "shop",
            "prod",
            kind,
            f"{namespace}/api",
            "",
            machine=self.host,
            words=called,
        )
        self.namespace = namespace
        self.slow: dict[str, float] = {}  # by image: so many seconds an answer of it takes (`health_of`)
        server.ask("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        labels = {"matchLabels": {"app": "api"}}
        template = {
            "metadata": {"labels": {"app": "api"}},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "api", "image": "shop/api:1"}]},
        }
        more = {} if kind == "daemonset" else {"replicas": 2}
        more |= {"serviceName": "api"} if kind == "statefulset" else {}
        body = {"metadata": {"name": "api"}, "spec": {"selector": labels, "template": template, **more, **spec}}
        server.ask("POST", self.path.rpartition("/")[0], body)
        until(f"{kind} {namespace} is up", self.is_whole)

    def identity(self) -> Identity:
        found: Identity = self.module.Reader(self.target, Kubernetes(self.host)).identity()
        return found

    def is_whole(self) -> bool:
        return self.identity().state == "available/complete"

    def do(self, remedy: str, last_look: Callable[[], None] = lambda: None, *alerts: Alert) -> str:
        """A remedy of its kind's own; what came of it."""
        changer = self.module.Changer(self.target, Kubernetes(self.host), WITHIN)
        changer.alerts = alerts
        getattr(changer, remedy)(self.identity(), last_look)
        did: str = changer.did
        return did

    def do_asked(self, remedy: str, **words: Any) -> str:
        """A remedy of its kind's own that a runbook writes with words; what came of it."""
        changer = self.module.Changer(self.target, Kubernetes(self.host), WITHIN)
        getattr(changer, remedy)(self.identity(), lambda: None, self.module.ASKED[remedy](**words))
        did: str = changer.did
        return did

    def break_pod(self, name: str) -> str:
        """Its container crashes from now on; the pod's id."""
        path = f"/api/v1/namespaces/{self.namespace}/pods/{name}"
        pod = self.server.ask("GET", path)
        pod["spec"]["containers"][0]["image"] += ":crash"
        self.server.ask("PATCH", f"{path}/status", {"status": status_of(pod)})
        found: str = pod["metadata"]["uid"]
        return found

    def restart(self, last_look: Callable[[], None] = lambda: None) -> Identity:
        found: Identity = self.module.Changer(self.target, Kubernetes(self.host), WITHIN).restart(
            self.identity(), last_look
        )
        return found

    def releases(self) -> Any:
        return self.module.Releases(self.target, Kubernetes(self.host))

    def roll_back(self, last_look: Callable[[], None] = lambda: None, *, approved: bool = True) -> str:
        expected = self.releases().current().id
        found: str = self.module.Changer(self.target, Kubernetes(self.host), WITHIN).roll_back(
            expected, last_look, approved=approved
        )
        return found

    def undo(self) -> str:
        """The roll-back undone, as `tasks.act.undo` asks for it; the release that it has then."""
        expected = self.identity().revision or self.releases().current().id
        found: str = self.module.Changer(self.target, Kubernetes(self.host), WITHIN).undo(expected, lambda: None)
        return found

    def deploy(self, image: str, **annotations: str) -> None:
        made_at = self.releases().current().deployed_at
        until("another second: revisions are dated by it", lambda: utc_now() >= made_at + timedelta(seconds=1.1))
        template = {"spec": {"containers": [{"name": "api", "image": image}]}}
        body = {"metadata": {"annotations": annotations}, "spec": {"template": template}}
        self.server.ask("PATCH", self.path, body, patch="strategic-merge-patch")
        until("its controller has looked", lambda: self.identity().state.partition("/")[2] != "unobserved")

    def image(self) -> str:
        found: str = self.server.ask("GET", self.path)["spec"]["template"]["spec"]["containers"][0]["image"]
        return found

    def pods(self) -> list[str]:
        found = self.server.ask("GET", f"/api/v1/namespaces/{self.namespace}/pods")["items"]
        return sorted(pod["metadata"]["uid"] for pod in found)

    def names(self) -> list[str]:
        found = self.server.ask("GET", f"/api/v1/namespaces/{self.namespace}/pods")["items"]
        return sorted(pod["metadata"]["name"] for pod in found)

    def node(self) -> str:
        """The node of one of its pods."""
        found: str = self.server.ask("GET", f"/api/v1/namespaces/{self.namespace}/pods")["items"][0]["spec"]["nodeName"]
        return found

    def evidence(self, kind: str) -> str:
        deadline = boottime() + WITHIN.total_seconds()
        found: str = self.module.EVIDENCE[kind](self.target, Kubernetes(self.host), deadline).text
        return found

    def changes(self) -> Changes:
        """What changed of it in the last hour."""
        since, deadline = utc_now() - timedelta(hours=1), boottime() + WITHIN.total_seconds()
        found: Changes = self.module.changes(self.target, Kubernetes(self.host), since, deadline)
        return found


@contextmanager
def health_of(shops: Mapping[str, Shop]) -> Iterator[str]:
    """The address of a server that answers /NAME with 200 where the workload of that name is up, and with 503 elsewhere.

    Of one that is `slow` it answers as late as its image does.

    It has this machine's name: services.yaml takes no loopback address as that of something in a cluster.
    """

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            shop = shops.get(self.path.removeprefix("/"))
            if shop is not None and shop.slow:
                time.sleep(shop.slow.get(shop.image(), 0))
            self.send_response(200 if shop is not None and shop.is_whole() else 503)
            self.send_header("Content-Length", "0")
            self.end_headers()

    name = socket.gethostname()
    server = ThreadingHTTPServer((socket.gethostbyname(name), 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://{name}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
