"""How an API server of Kubernetes is reached: a kubeconfig file, or the service account of a pod.

Kubernetes documentation: "Organizing Cluster Access Using kubeconfig Files", kubeconfig (v1), "Accessing the Kubernetes API
from a Pod". Read by hand: the official client takes 100 MB and a second to import, writes keys to temporary files and runs
credential plug-ins without a time limit (`paramedic.transports.kubernetes_plugin`).
"""

import base64
import binascii
import ipaddress
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from paramedic.errors import PermanentError
from paramedic.remediation.host import KubernetesAccess
from paramedic.text.redaction import remember
from paramedic.text.sanitize import one_line
from paramedic.transports.kubernetes_plugin import Exec, Plugin, cluster_words
from paramedic.transports.private_file import must_be_private

#: Where a pod finds its service account, and the variables that lead it to the API server.
POD = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_POD_HOST, _POD_PORT = "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"

#: The extension of a cluster that is for its plug-ins.
_FOR_PLUGINS = "client.authentication.k8s.io/exec"

#: A kubeconfig, a token or a certificate is not longer. Bytes.
_LIMIT = 1024 * 1024


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", populate_by_name=True)


class _Extension(_Part):
    name: str
    extension: Any = None


class _Cluster(_Part):
    server: str
    tls_server_name: str | None = Field(default=None, alias="tls-server-name")
    authority: str | None = Field(default=None, alias="certificate-authority")
    authority_data: str | None = Field(default=None, alias="certificate-authority-data")
    unverified: bool = Field(default=False, alias="insecure-skip-tls-verify")
    proxy: str | None = Field(default=None, alias="proxy-url")
    extensions: list[_Extension] = []


class _User(_Part):
    token: str | None = Field(default=None, repr=False)
    token_file: str | None = Field(default=None, alias="tokenFile")
    certificate: str | None = Field(default=None, alias="client-certificate")
    certificate_data: str | None = Field(default=None, alias="client-certificate-data")
    key: str | None = Field(default=None, alias="client-key")
    key_data: str | None = Field(default=None, alias="client-key-data", repr=False)
    exec: Exec | None = None
    auth_provider: Any = Field(default=None, alias="auth-provider")
    username: str | None = None
    impersonated: str | None = Field(default=None, alias="as")


class _Context(_Part):
    cluster: str
    user: str


class _NamedCluster(_Part):
    name: str
    cluster: _Cluster


class _NamedUser(_Part):
    name: str
    user: _User


class _NamedContext(_Part):
    name: str
    context: _Context


class _File(_Part):
    clusters: list[_NamedCluster] = []
    users: list[_NamedUser] = []
    contexts: list[_NamedContext] = []
    current: str | None = Field(default=None, alias="current-context")


@dataclass(frozen=True, slots=True)
class Way:
    """How the API server is asked: its address, the certificates, and who asks."""

    server: str
    tls: ssl.SSLContext | None  # None: plain HTTP, to this machine alone
    tls_name: str | None  # the name that its certificate has, where it is another than the address's
    token: Callable[[], str | None]  # read for each request: the token of a service account is replaced every hour
    who: str  # who asks, in words
    plugin: Plugin | None = None  # what is asked for the login, in place of `token`
    tls_with: Callable[[bytes], ssl.SSLContext | None] = lambda _: (
        None
    )  # the same with a client certificate and its key


def way(access: KubernetesAccess) -> Way:
    """How the server is asked. Raises PermanentError, in words, where the files do not say it or may not be used so."""
    if access.kubeconfig is None:
        return _of_the_pod()
    file = Path(access.kubeconfig)
    must_be_private(file)
    try:
        found = _File.model_validate(YAML(typ="safe", pure=True).load(_text(file)))
    except YAMLError:
        raise PermanentError(f"{file} is no YAML") from None
    except ValidationError as error:
        [first, *_] = error.errors(include_url=False, include_input=False)  # never its value: it may be a secret
        where = ".".join(map(str, first["loc"]))
        raise PermanentError(
            f"{file} is no kubeconfig: {where}: {first['msg']}"
        ) from None  # its traceback would show it
    context = _context(found, file, access.context)
    cluster = next((named.cluster for named in found.clusters if named.name == context.cluster), None)
    user = next((named.user for named in found.users if named.name == context.user), None)
    if cluster is None or user is None:
        raise PermanentError(f"{file}: its context names a cluster or a user that the file does not have")
    return _usable(file, cluster, user)


def _context(found: _File, file: Path, name: str | None) -> _Context:
    asked = name or found.current
    for named in found.contexts:
        if named.name == asked:
            return named.context
    there = ", ".join(named.name for named in found.contexts) or "none"
    what = f"no context {asked!r:.80}" if asked else "no `current-context`"
    raise PermanentError(f"{file} has {what}: write `context`; there are: {one_line(there):.300}")


def _usable(file: Path, cluster: _Cluster, user: _User) -> Way:
    if cluster.unverified:
        raise PermanentError(
            f"{file}: `insecure-skip-tls-verify`: whoever answers would be believed; name its authority"
        )
    if cluster.proxy:
        raise PermanentError(f"{file}: `proxy-url` is not supported: name a server that can be reached from here")
    for key, value in (("auth-provider", user.auth_provider), ("as", user.impersonated)):
        if value:
            raise PermanentError(
                f"{file}: `{key}` is not supported: give Paramedic a service account of its own (docs/hosts.md)"
            )
    if user.username:
        raise PermanentError(f"{file}: no API server takes a password any more: give Paramedic a service account")
    tls = _tls(file, cluster, user)
    server = _server(file, cluster.server, tls)
    if user.exec is not None:
        return _by_plugin(file, cluster, user, user.exec, Way(server, tls, cluster.tls_server_name, lambda: None, ""))
    who, token = _token(file, user)
    return Way(server, tls, cluster.tls_server_name, token, who)


def _by_plugin(file: Path, cluster: _Cluster, user: _User, words: Exec, way: Way) -> Way:
    """The way with the login that a plug-in gives. Raises PermanentError where it may not be asked."""
    if user.token or user.token_file or user.certificate or user.certificate_data:
        raise PermanentError(f"{file}: a user has `exec` and another login: leave one of them away")
    found = (each.extension for each in cluster.extensions if each.name == _FOR_PLUGINS)
    authority = _bytes(file, cluster.authority, cluster.authority_data)
    plugin = Plugin(words, file, cluster_words(cluster.server, cluster.tls_server_name, authority, next(found, None)))

    def tls_with(pair: bytes) -> ssl.SSLContext | None:
        tls = _tls(file, cluster, user)
        if tls is not None:
            _load(tls, file, pair)
        return tls

    return replace(way, who=f"by the plug-in {plugin.name} of {file}", plugin=plugin, tls_with=tls_with)


def _server(file: Path | str, server: str, tls: ssl.SSLContext | None) -> str:
    """The server's address. Raises PermanentError for one that cannot be asked, or would be asked in the clear."""
    try:
        parts = urlsplit(server)
        loopback = ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        loopback = False
    if parts.scheme == "https" and tls is not None and parts.hostname:
        return server.rstrip("/")
    if parts.scheme == "http" and loopback:  # `kubectl proxy`, which logs in itself
        return server.rstrip("/")
    raise PermanentError(f"{file}: the server {one_line(server)!r:.200} is not https://…: nothing is sent in the clear")


def _token(file: Path, user: _User) -> tuple[str, Callable[[], str | None]]:
    if user.token_file is not None:  # it wins over `token`, as in kubectl
        path = _beside(file, user.token_file)
        return f"by the token of {path}", lambda: _secret(_text(path).strip())
    if user.token is not None:
        token = _secret(user.token)
        return f"by the token in {file}", lambda: token
    if user.certificate or user.certificate_data:
        return f"by the certificate in {file}", lambda: None
    return "by nothing: nobody is named", lambda: None


def _secret(token: str) -> str:
    remember(token)
    return token


def _tls(file: Path, cluster: _Cluster, user: _User) -> ssl.SSLContext | None:
    if not cluster.server.startswith("https://"):
        return None
    authority = _bytes(file, cluster.authority, cluster.authority_data)
    try:
        context = (
            httpx.create_ssl_context(trust_env=False)
            if authority is None
            else ssl.create_default_context(cadata=authority.decode("ascii"))
        )
    except (ValueError, ssl.SSLError) as error:
        raise PermanentError(f"{file}: its certificate-authority cannot be read: {one_line(str(error))}") from error
    certificate = _bytes(file, user.certificate, user.certificate_data)
    key = _bytes(file, user.key, user.key_data)
    if certificate is not None and key is not None:
        _load(context, file, certificate + b"\n" + key)
    return context


def _load(context: ssl.SSLContext, file: Path, pair: bytes) -> None:
    """The client's certificate and key. OpenSSL takes them from a file alone: this one is memory, and is no other process's."""
    held = os.memfd_create("client", os.MFD_CLOEXEC)
    try:
        os.write(held, pair)
        context.load_cert_chain(f"/proc/self/fd/{held}", password="")
    except (OSError, ssl.SSLError) as error:
        raise PermanentError(f"{file}: its client certificate or key cannot be read: {one_line(str(error))}") from error
    finally:
        os.close(held)


def _of_the_pod() -> Way:
    """Raises PermanentError where this process is in no pod, or in one without a service account."""
    host, port = os.environ.get(_POD_HOST), os.environ.get(_POD_PORT)
    if not host or not port:
        raise PermanentError(f"`in_cluster`, and this process runs in no pod: {_POD_HOST} is not set")
    try:
        tls = ssl.create_default_context(cadata=_text(POD / "ca.crt"))
    except (ValueError, ssl.SSLError) as error:
        raise PermanentError(f"{POD}/ca.crt cannot be read: {one_line(str(error))}") from error
    name = f"[{host}]" if ":" in host else host
    return Way(f"https://{name}:{port}", tls, None, lambda: _secret(_text(POD / "token").strip()), "as its pod")


def _bytes(file: Path, path: str | None, data: str | None) -> bytes | None:
    """What a file or its own text in base64 holds; the text wins, as in kubectl."""
    if data:
        try:
            return base64.b64decode(data, validate=True)
        except (ValueError, binascii.Error) as error:
            raise PermanentError(f"{file}: a `…-data` is no base64") from error
    return None if not path else _text(_beside(file, path)).encode()


def _beside(file: Path, path: str) -> Path:
    """A path in a kubeconfig is relative to its folder."""
    return file.parent / path


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LIMIT + 1)
    except OSError as error:
        raise PermanentError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > _LIMIT:
        raise PermanentError(f"{path} is longer than {_LIMIT} B")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise PermanentError(f"{path} is no text") from error
