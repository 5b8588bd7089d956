"""The demo's environment: real supervisords with real services, a real mail server and a webhook receiver."""

import base64
import email
import email.policy
import hashlib
import hmac
import json
import re
import secrets
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage, Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from xmlrpc.client import ServerProxy

from paramedic.machine.clock import iso, utc_now
from paramedic.machine.parent_death import command, module

_SUPERVISORD = """\
[supervisord]
nodaemon=true
logfile={folder}/supervisord.log
pidfile={folder}/supervisord.pid
childlogdir={folder}
[unix_http_server]
file={folder}/s.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""

_PROGRAM = """\
[program:{name}]
command={python} -P -m paramedic.demo.service {port} {folder} --release {folder}/current {faults}
autostart={autostart}
autorestart=true
startsecs=1
stopwaitsecs=5
redirect_stderr=true
stdout_logfile={folder}/{name}.log
"""


def free_port() -> int:
    """A loopback port that nobody listens on now.

    On Linux it stays reserved until this process ends: our own processes that listen there may be restarted, and nobody
    else is given it meanwhile. A socket that is bound and does not listen lets one with SO_REUSEADDR in (man 7 socket).
    """
    holder = socket.socket()
    if sys.platform == "linux":
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # as `paramedic up` keeps its own
    holder.bind(("127.0.0.1", 0))
    port: int = holder.getsockname()[1]
    if sys.platform == "linux":
        _held.append(holder)
    else:
        holder.close()
    return port


_held: list[socket.socket] = []


@dataclass
class Service:
    """One program of the supervisord: its host's name in services.yaml, and what is wrong with it."""

    name: str
    host: str
    faults: str
    folder: Path
    port: int = field(default_factory=free_port)
    deployed_before: timedelta = timedelta()

    @property
    def starts(self) -> int:
        """How often its process really started."""
        starts = self.folder / "starts"
        return len(starts.read_text().splitlines()) if starts.exists() else 0

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def release(self) -> str:
        """The release that `current` points at."""
        return (self.folder / "current").readlink().name

    def deploy(self, release: str, *, reversible: bool | None = True, **faults: float) -> None:
        """As a deploy script does it (docs/targets.md): the folder, the log's line, the symlink. Runs at the next start."""
        folder = self.folder / "releases" / release
        folder.mkdir(parents=True)
        (folder / "release.json").write_text(json.dumps(faults))
        mark: dict[str, object] = {} if reversible is None else {"reversible": reversible}
        self._log({"what": "deployed", "release": release, "at": iso(utc_now() - self.deployed_before), **mark})
        beside = self.folder / ".current.deploy"
        beside.symlink_to(f"releases/{release}")
        beside.rename(self.folder / "current")

    def seen_healthy(self, release: str) -> None:
        """Log the release as healthy: one to go back to."""
        self._log({"what": "healthy", "release": release})

    def _log(self, line: dict[str, object]) -> None:
        with (self.folder / "releases.log").open("a") as log:
            log.write(json.dumps(line) + "\n")


class World:
    """A real supervisord for each host, running its services; ended with everything in it. A context manager."""

    def __init__(
        self,
        folder: Path,
        services: list[tuple[str, str, str]],
        *,
        autostart: bool = True,
        deployed_before: timedelta = timedelta(),
    ) -> None:
        """`services` are (name, host, faults). The folder's path is kept short: a socket's address is.

        Without `autostart` a service runs from its first `start` on. `deployed_before`: of every release, by its log.
        """
        self.folder = folder
        self._autostart = autostart
        self.services = [
            Service(name, host, faults, folder / host / name, deployed_before=deployed_before)
            for name, host, faults in services
        ]
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def address(self, host: str) -> str:
        """Where the host's supervisord listens."""
        return f"unix://{self.folder}/{host}/s.sock"

    def __enter__(self) -> Self:
        for host in dict.fromkeys(service.host for service in self.services):
            config = [_SUPERVISORD.format(folder=self.folder / host)]
            for service in self.services:
                if service.host == host:
                    service.folder.mkdir(parents=True, exist_ok=True)
                    service.deploy("v1")
                    service.seen_healthy("v1")
                    config.append(
                        _PROGRAM.format(
                            name=service.name,
                            python=sys.executable,
                            port=service.port,
                            folder=service.folder,
                            faults=service.faults,
                            autostart=str(self._autostart).lower(),
                        )
                    )
            path = self.folder / host / "supervisord.conf"
            path.write_text("".join(config))
            self._processes[host] = subprocess.Popen(
                command(module("supervisor.supervisord", "-c", str(path))),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(8)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def start(self, service: Service) -> None:
        """Start one that does not run yet; returns without waiting for it."""
        self._supervisord(service).startProcess(service.name, False)

    def is_running(self, service: Service) -> bool:
        """Whether it has been up for as long as supervisord wants to see it (`startsecs`)."""
        return bool(self._supervisord(service).getProcessInfo(service.name)["statename"] == "RUNNING")

    def _supervisord(self, service: Service) -> Any:
        from supervisor.xmlrpc import SupervisorTransport  # the demo's extra

        there = SupervisorTransport(serverurl=self.address(service.host))
        return ServerProxy("http://127.0.0.1", there).supervisor

    def restart(self, service: Service) -> None:
        """Restart by hand, as a deploy script does."""
        ctl = module("supervisor.supervisorctl", "-s", self.address(service.host))
        subprocess.run([*ctl, "restart", service.name], check=False, stdout=subprocess.DEVNULL, timeout=60)

    def pid(self, host: str) -> int:
        """The host's supervisord's own."""
        return self._processes[host].pid

    def services_yaml(self, service: str) -> str:
        """services.yaml of this world: every program is a target of one service."""
        lines = ["services:", f"  {service}:", "    owner: delivery", "    targets:"]
        for program in self.services:
            lines += [
                f"      - host: {program.host}",
                f'        supervisord: {{program: {program.name}, address: "{self.address(program.host)}"}}',
                f"        health: {program.url}/health",
                f"        log: {program.folder}/{program.name}.log",
                f"        releases: {program.folder}",
            ]
        return "\n".join(lines) + "\n"


class Mailbox:
    """A real SMTP server that keeps what it is sent. A context manager."""

    def __init__(self) -> None:
        from aiosmtpd.controller import Controller  # the demo's extra

        self._kept: list[EmailMessage] = []
        self._lock = threading.Lock()
        self.port = free_port()
        self._controller: Any = Controller(self, hostname="127.0.0.1", port=self.port)

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep it."""
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        with self._lock:
            self._kept.append(message)
        return "250 kept"

    @property
    def url(self) -> str:
        """Its SMTP URL."""
        return f"smtp://127.0.0.1:{self.port}"

    def about(self, word: str) -> list[EmailMessage]:
        """The messages whose subject holds the word, oldest first; INC-1 is not in INC-12."""
        whole = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
        with self._lock:
            return [message for message in self._kept if whole.search(str(message["Subject"]))]

    @property
    def messages(self) -> list[EmailMessage]:
        """All, oldest first."""
        with self._lock:
            return list(self._kept)

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._controller.stop()


class PagerSink:
    """A real HTTP server that takes what a webhook posts, if it is signed as Standard Webhooks has it. A context manager."""

    def __init__(self) -> None:
        self._kept: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._key = secrets.token_bytes(32)
        sink = self

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                self.send_response(204 if sink.receive(self.headers, body) else 401)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)

    @property
    def url(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self._server.server_port}/page"

    @property
    def secret(self) -> str:
        """The secret that signs its posts."""
        return f"whsec_{base64.b64encode(self._key).decode()}"

    def receive(self, headers: Message, body: bytes) -> bool:
        """Keep it, if its signature is right."""
        signed = f"{headers.get('webhook-id')}.{headers.get('webhook-timestamp')}.".encode() + body
        right = base64.b64encode(hmac.new(self._key, signed, hashlib.sha256).digest()).decode()
        if headers.get("webhook-signature") != f"v1,{right}":
            return False
        with self._lock:
            self._kept.append(json.loads(body))
        return True

    def about(self, incident: str) -> list[dict[str, Any]]:
        """What was posted about the incident, oldest first."""
        with self._lock:
            return [message for message in self._kept if message["data"].get("incident") == incident]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()


def text_of(message: EmailMessage) -> str:
    """The message's plain text."""
    body = message.get_body(("plain",))
    return str(body.get_content()).replace("\r\n", "\n") if body is not None else ""
