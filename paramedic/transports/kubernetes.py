"""A cluster that is asked by its Kubernetes API, as a transport: it has an API server, and no machine to run anything on."""

import json
import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any, NoReturn

import httpx

from paramedic.errors import OutcomeUnknown, PermanentError, TemporaryError, Unreachable
from paramedic.kinds.cluster import Reply
from paramedic.kinds.log_parts import LIMIT, LogParts, LogPosition
from paramedic.kinds.repository import RepositoryAccess
from paramedic.kinds.transport import KEPT, Command, Connection, Ended, Folder, Processes, TcpPort, UnixSocket
from paramedic.machine.clock import boottime
from paramedic.machine.open_transaction import must_be_closed
from paramedic.remediation.host import Host, KubernetesAccess
from paramedic.text.sanitize import one_line
from paramedic.transports import http_deadline, kubernetes_config, postgresql
from paramedic.transports.git import Git
from paramedic.transports.kubernetes_config import Way
from paramedic.transports.kubernetes_plugin import Credential

#: A retry that the server asks for later than this is not waited for. Seconds.
_LONGEST_WAIT = 3600


class Kubernetes:
    """The cluster, by the one HTTP client for it that this process has."""

    def __init__(self, host: Host) -> None:
        if host.kubernetes is None:
            raise PermanentError(f"{host.name} is no cluster")
        self._host = host
        self._access: KubernetesAccess = host.kubernetes

    @property
    def machine(self) -> str:
        """The cluster's name in services.yaml."""
        return self._host.name

    @property
    def by_sudo(self) -> bool:
        """Never: who asks has the rights that RBAC gives."""
        return False

    def leads_to(self, host: str) -> bool:
        """Whether `host` is the one that services.yaml lists."""
        return host == self._host.name

    def ask(
        self,
        method: str,
        path: str,
        deadline: float,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        media_type: str = "application/json",
        accept: str = "application/json",
    ) -> Reply:
        """One request to the API server; see `paramedic.kinds.cluster.Cluster`."""
        must_be_closed("a cluster is asked")
        content = None if body is None else json.dumps(body).encode()
        headers = {"Accept": accept, "User-Agent": "paramedic"}
        if content is not None:
            headers["Content-Type"] = media_type
        changes = method != "GET"
        way = _way(self._access)
        login = None if way.plugin is None else way.plugin.credential(deadline, early=not changes)
        while True:
            client, token = _client(self._access, login), way.token() if login is None else login.token
            asking = headers if token is None else {**headers, "Authorization": f"Bearer {token}"}
            left = deadline - boottime()
            if left <= 0:
                raise TemporaryError(f"there is no time left to ask {self._host.name}")
            request = client.build_request(
                method, f"{way.server}{path}", params=dict(query or {}), headers=asking, content=content, timeout=left
            )
            if way.tls_name is not None:
                request.extensions["sni_hostname"] = way.tls_name
            reply = self._sent(client, request, changes=changes)
            if reply.status != 401 or way.plugin is None or login is None or not way.plugin.refused(login) or changes:
                return reply  # a change is sent once: between it and its last look no plug-in is waited for
            login = way.plugin.credential(deadline, early=True)

    def _sent(self, client: httpx.Client, request: httpx.Request, *, changes: bool) -> Reply:
        name = self._host.name
        try:
            answer = client.send(request)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            if (fault := http_deadline.certificate_fault(error)) is not None:
                raise PermanentError(
                    f"the API server of {name} shows a certificate that is not valid: {fault}"
                ) from error
            raise Unreachable(f"the API server of {name} is not reached: {_words(error)}") from error
        except httpx.HTTPError as error:
            if changes:
                raise OutcomeUnknown(f"a change was sent to {name}, and its answer is lost: {_words(error)}") from error
            raise TemporaryError(f"the API server of {name} gave no whole answer: {_words(error)}") from error
        return Reply(answer.status_code, answer.text, _after(answer), answer.headers.get("Date"))

    def mark(self, act: str) -> None:  # noqa: ARG002 - the interface's
        """Nothing: a workload's own template says what became of a change."""
        return

    @property
    def processes(self) -> Processes:
        """None. Raises PermanentError."""
        return self._no("processes to look at")

    def seen_from(self) -> str | None:
        """Raises PermanentError: a cluster's API does not tell."""
        return self._no("address to be seen from")

    def command(
        self,
        arguments: Sequence[str],  # noqa: ARG002 - the interface's, here and below
        *,
        cwd: str | None = None,  # noqa: ARG002
        environment: Mapping[str, str] | None = None,  # noqa: ARG002
        killed_after: timedelta | None = None,  # noqa: ARG002
        limit: timedelta | None = None,  # noqa: ARG002
        sudoers: str | None = None,  # noqa: ARG002
    ) -> Command:
        """Raises PermanentError: nothing is run in a cluster."""
        return self._no("programs to run")

    def run(self, arguments: Sequence[str], deadline: float, *, kept: int = KEPT) -> Ended:  # noqa: ARG002
        """Raises PermanentError: nothing is run in a cluster."""
        return self._no("programs to run")

    def connect(self, to: UnixSocket | TcpPort, deadline: float, *, outlives_us: bool = False) -> Connection:  # noqa: ARG002
        """Raises PermanentError."""
        return self._no("connections from it")

    def database(self, address: str, deadline: float) -> postgresql.Session:
        """Open a session with a PostgreSQL server from here. One on this machine is none of the cluster's."""
        return postgresql.connect_elsewhere(address, deadline, self._host.name)

    def repository(self, access: RepositoryAccess) -> Git:
        """The git repository that the cluster's controllers deploy from, asked from here."""
        return Git(access)

    def folder(self, path: str) -> AbstractContextManager[Folder]:  # noqa: ARG002
        """Raises PermanentError."""
        return self._no("folders")

    def tail(self, path: str, max_bytes: int = 16_384, max_lines: int = 100) -> str:  # noqa: ARG002
        """Raises PermanentError."""
        return self._no("log files")

    def log(self, path: str, deadline: float, *, after: LogPosition | None = None, limit: int = LIMIT) -> LogParts:  # noqa: ARG002
        """Raises PermanentError."""
        return self._no("log files")

    def read(self, path: str, limit: int = 65_536) -> bytes:  # noqa: ARG002
        """Raises PermanentError."""
        return self._no("files")

    def replace(self, path: str, content: bytes) -> None:  # noqa: ARG002
        """Raises PermanentError."""
        self._no("files")

    def _no(self, what: str) -> NoReturn:
        raise PermanentError(f"{self._host.name} is a cluster, which has no {what}")


def who(access: KubernetesAccess) -> str:
    """Who asks the API server, in words. Raises PermanentError where the files do not say."""
    return _way(access).who


class _Known:
    """A way and its client, of one state of its file in one process."""

    def __init__(self, written: tuple[object, ...], way: Way) -> None:
        self.of, self.way = (os.getpid(), written), way
        self.client: httpx.Client | None = None
        self.pair: bytes | None = None  # the certificate of the plug-in's that the client shows


_lock = threading.Lock()
_known: dict[KubernetesAccess, _Known] = {}


def _way(access: KubernetesAccess) -> Way:
    return _current(access).way


def _current(access: KubernetesAccess) -> _Known:
    """What is known of it, made anew where the file has changed: a renewed certificate is used from then on."""
    written = _written(access)
    with _lock:
        known = _known.get(access)
        if known is None or known.of != (os.getpid(), written):
            _known[access] = known = _Known(written, kubernetes_config.way(access))
        return known


def _client(access: KubernetesAccess, login: Credential | None) -> httpx.Client:
    """The client of this process; another where the plug-in gave another certificate."""
    known, pair = _current(access), None if login is None else login.pair
    with _lock:
        if known.client is None or known.pair != pair:
            tls = known.way.tls if pair is None else known.way.tls_with(pair)
            known.client = http_deadline.client(seconds=30, verify=tls if tls is not None else False)
            known.pair = pair
        return known.client


def _written(access: KubernetesAccess) -> tuple[object, ...]:
    path = access.kubeconfig or str(kubernetes_config.POD / "ca.crt")
    try:
        found = os.stat(path)  # noqa: PTH116 - whatever it leads to
    except OSError:
        return ()
    return found.st_ino, found.st_mtime_ns, found.st_size


def _after(answer: httpx.Response) -> timedelta | None:
    """Retry-After in seconds, as the API server writes it."""
    text = answer.headers.get("Retry-After", "")
    return timedelta(seconds=min(int(text), _LONGEST_WAIT)) if text.isdecimal() else None


def _words(error: httpx.HTTPError) -> str:
    return one_line(str(error))[:200] or type(error).__name__
