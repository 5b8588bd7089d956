"""A kubeconfig whose user is a credential plug-in, and the plug-in: a small script that notes each of its runs."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from kubernetes_api import TOKEN, ApiServer
from kubernetes_objects import path_of

from paramedic.machine.clock import boottime
from paramedic.remediation.host import Host, KubernetesAccess
from paramedic.transports import kubernetes, kubernetes_config, kubernetes_plugin
from paramedic.transports.kubernetes import Kubernetes

V1, BETA = kubernetes_plugin.VERSIONS
PATH = path_of()
SOON = 20.0  # seconds, on a busy machine


def answer(version: str = V1, **status: Any) -> str:
    return json.dumps({"kind": "ExecCredential", "apiVersion": version, "status": status or {"token": TOKEN}})


class Login:
    """A kubeconfig whose user is a plug-in, and the plug-in: a script that notes each of its runs."""

    def __init__(self, folder: Path, server: str) -> None:
        self.folder, self.server = folder, server
        self.file = folder / "kubeconfig"
        self.runs_file, self.program = folder / "runs", folder / "aws"
        self.says(answer())
        self.write()

    def write(self, *, cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None, **words: Any) -> None:
        login = {"command": str(self.program), "apiVersion": V1, "interactiveMode": "Never"} | words
        found = {
            "clusters": [{"name": "c", "cluster": {"server": self.server} | (cluster or {})}],
            "users": [
                {"name": "u", "user": {"exec": {k: v for k, v in login.items() if v is not None}} | (user or {})}
            ],
            "contexts": [{"name": "prod", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "prod",
        }
        self.file.write_text(json.dumps(found))
        self.file.chmod(0o600)

    def says(self, *texts: str, before: str = "", code: int = 0) -> None:
        """It prints these, run by run, and the last one from then on."""
        for number, text in enumerate(texts, 1):
            (self.folder / f"says-{number}").write_text(text)
        (self.folder / "script").write_text(
            f"#!/bin/sh\necho run >> {self.runs_file}\n{before}\n"
            f"n=$(wc -l < {self.runs_file}); [ $n -le {len(texts)} ] || n={len(texts)}\n"
            f"cat {self.folder}/says-$n\nexit {code}\n"
        )
        (self.folder / "script").chmod(0o755)
        (self.folder / "script").replace(self.program)

    @property
    def runs(self) -> int:
        return len(self.runs_file.read_text().splitlines()) if self.runs_file.exists() else 0

    @property
    def way(self) -> kubernetes_config.Way:
        return kubernetes_config.way(KubernetesAccess(str(self.file)))

    def ask(self, method: str = "GET", path: str = PATH, seconds: float = SOON, body: Any = None) -> int:
        host = Host("prod", kubernetes=KubernetesAccess(str(self.file)))
        media = "application/strategic-merge-patch+json" if method == "PATCH" else "application/json"
        query = {"fieldManager": "paramedic"} if method == "PATCH" else {}
        reply = Kubernetes(host).ask(method, path, boottime() + seconds, body=body, media_type=media, query=query)
        return reply.status

    def patch(self, api: ApiServer) -> int:
        metadata = api.objects[PATH]["metadata"]
        known = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
        mark = {"template": {"metadata": {"annotations": {"a": "b"}}}}
        return self.ask("PATCH", body={"metadata": known, "spec": mark})


def in_(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def in_the_past() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)


def plugin_of(login: Login) -> kubernetes_plugin.Plugin:
    plugin = kubernetes._known[KubernetesAccess(str(login.file))].way.plugin
    assert plugin is not None
    return plugin


@contextmanager
def by_tls(context: ssl.SSLContext) -> Iterator[tuple[int, list[str]]]:
    """An API server that lets in who shows a certificate of its authority; and whose were shown."""
    shown: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            subject = dict(part[0] for part in self.connection.getpeercert()["subject"])  # type: ignore[attr-defined]
            shown.append(subject["commonName"])
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1], shown
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
