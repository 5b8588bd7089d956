"""`hosts` in services.yaml: the machines that targets run on, what alerts call them, and how each is reached."""

import re
from collections.abc import Collection, Iterator, Mapping
from ipaddress import ip_address
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema, model_validator

from paramedic.remediation.host import Host, KubernetesAccess, SshAccess
from paramedic.text.template import as_it_is

#: The name of a host, as targets and alerts write it.
HostName = Annotated[str, Field(pattern=r"^[^/\s]+$", max_length=200), AfterValidator(as_it_is)]

#: What else alerts call it; it stands in keys of the store's tables, which hold so much.
Spelling = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S"), AfterValidator(as_it_is)]

_File = Annotated[str, Field(pattern=r"^/[^\x00]+$"), AfterValidator(as_it_is)]
_USER = r"^[A-Za-z_][A-Za-z0-9_.-]{0,63}\$?$"
_FINGERPRINT = r"SHA256:[A-Za-z0-9+/]{43}"


def _address(text: str) -> str:
    """A name of DNS or an IP address: nothing that a program could take for an option, a user or a port."""
    try:
        return str(ip_address(text))
    except ValueError:
        pass
    if not re.fullmatch(r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_-]+)*\.?", text):
        raise ValueError(
            f"{text!r:.80} is neither a name nor an IP address; its user and its port are keys of their own"
        )
    return text


def _agent(value: object) -> object:
    if value is True or (isinstance(value, str) and re.fullmatch(_FINGERPRINT, value)):
        return value
    raise ValueError("write `agent: true`, or the fingerprint of one of its keys, SHA256:…, as `ssh-add -l` shows it")


#: As an editor sees them.
_ADDRESS_SCHEMA = {"type": "string", "pattern": r"^[A-Za-z0-9_:]([A-Za-z0-9_.:%-]*[A-Za-z0-9_.:])?$"}
_AGENT_SCHEMA = {"anyOf": [{"const": True}, {"type": "string", "pattern": f"^{_FINGERPRINT}$"}]}


class _Ssh(BaseModel):
    """`ssh: {address: 10.0.0.7, user: paramedic, key: /etc/paramedic/id_ed25519}`"""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)
    address: Annotated[str, AfterValidator(_address), WithJsonSchema(_ADDRESS_SCHEMA)] = Field(
        description="its name or IP address: 10.0.0.7"
    )
    user: Annotated[str, Field(pattern=_USER)] = Field(description="who logs in there: paramedic")
    port: int = Field(default=22, ge=1, le=65_535, description="the port of its SSH server")
    key: _File | None = Field(default=None, description="the file of the private key, which has no passphrase")
    agent: Annotated[bool | str, PlainValidator(_agent), WithJsonSchema(_AGENT_SCHEMA)] | None = Field(
        default=None, description="true: the keys of the SSH agent; or the fingerprint of one of them: SHA256:…"
    )
    certificate: _File | None = Field(default=None, description="the file of an OpenSSH certificate for the key")
    jump: HostName | None = Field(default=None, description="the host of `hosts` that leads to it")
    known_hosts: _File | None = Field(
        default=None,
        description="the file with its host key; without it ~/.ssh/known_hosts and /etc/ssh/ssh_known_hosts",
    )
    sudo: bool = Field(default=False, description="true: programs that change something there are run by `sudo -n`")

    @model_validator(mode="after")
    def _one_login(self) -> Self:
        if (self.key is None) == (self.agent is None):
            raise ValueError("write exactly one of `key: /FILE` and `agent: true`: both say who logs in")
        if self.certificate is not None and self.key is None:
            raise ValueError("a `certificate` belongs to a `key`; an agent has the certificates of its own keys")
        return self


class _Kubernetes(BaseModel):
    """`kubernetes: {kubeconfig: /etc/paramedic/kubeconfig, context: prod}`"""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)
    kubeconfig: _File | None = Field(default=None, description="the kubeconfig file: /etc/paramedic/kubeconfig")
    context: Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S"), AfterValidator(as_it_is)] | None = (
        Field(default=None, description="which of its contexts; without it the file's own `current-context`")
    )
    in_cluster: Literal[True] | None = Field(
        default=None, description="true: Paramedic runs in this cluster, and has the service account of its pod"
    )

    @model_validator(mode="after")
    def _one_login(self) -> Self:
        if (self.kubeconfig is None) == (self.in_cluster is None):
            raise ValueError("write exactly one of `kubeconfig: /FILE` and `in_cluster: true`: both say who asks")
        if self.context is not None and self.kubeconfig is None:
            raise ValueError("a `context` belongs to a `kubeconfig`")
        return self


#: The ways to a host, each a key of its own.
_WAYS = ("local", "ssh", "kubernetes")


class ListedHost(BaseModel):
    """One host: exactly one way to it."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)
    local: Literal[True] | None = Field(default=None, description="true: it is the machine that Paramedic runs on")
    ssh: _Ssh | None = Field(default=None, description="it is reached by SSH")
    kubernetes: _Kubernetes | None = Field(default=None, description="it is a cluster, asked by its Kubernetes API")
    also: list[Spelling] = Field(default=[], description="what else alerts call it: web-7:9100")
    seen_from: list[HostName] = Field(
        default=[], description="hosts of `hosts` that are asked whether they reach it when we do not: [web-2, web-3]"
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(getattr(self, way) is not None for way in _WAYS) != 1:
            raise ValueError("write exactly one of `local: true`, `ssh: {…}` and `kubernetes: {…}`: how it is reached")
        return self


#: What is wrong with a host: its name, the key below it, in words, and what is allowed.
Fault = tuple[str, tuple[str, ...], str, str]


def made_of(listed: Mapping[str, ListedHost], written: Collection[str]) -> tuple[dict[str, Host], list[Fault]]:
    """The hosts by name, and what is wrong with them beside each other; of those that it concerns none is made.

    `written`: the names of all, also of those that cannot be read.
    """
    faults = [fault for name in listed for fault in _jump_faults(name, listed, written)]
    views = [fault for name in listed for fault in _view_faults(name, listed, written)]
    wrong = {name for name, *_ in faults}
    hosts: dict[str, Host] = {}
    for name in listed:
        if all(each in listed and each not in wrong for each in _way(name, listed)):
            _make(name, listed, hosts)
    return hosts, faults + views


def _make(name: str, listed: Mapping[str, ListedHost], hosts: dict[str, Host]) -> Host:
    if name not in hosts:
        ssh, kubernetes = listed[name].ssh, listed[name].kubernetes
        hosts[name] = Host(
            name,
            ssh=None if ssh is None else _access(ssh, listed, hosts),
            kubernetes=None if kubernetes is None else KubernetesAccess(kubernetes.kubeconfig, kubernetes.context),
            seen_from=tuple(listed[name].seen_from),
        )
    return hosts[name]


def _access(ssh: _Ssh, listed: Mapping[str, ListedHost], hosts: dict[str, Host]) -> SshAccess:
    return SshAccess(
        address=ssh.address,
        user=ssh.user,
        port=ssh.port,
        key=ssh.key,
        agent=ssh.agent if ssh.agent is None or isinstance(ssh.agent, str) else "",
        certificate=ssh.certificate,
        known_hosts=ssh.known_hosts,
        sudo=ssh.sudo,
        jump=None if ssh.jump is None else _make(ssh.jump, listed, hosts),
    )


def _jump_faults(name: str, listed: Mapping[str, ListedHost], written: Collection[str]) -> Iterator[Fault]:
    at = ("ssh", "jump")
    jump = _jump(name, listed)
    if jump is None:
        return
    if jump not in written:
        yield name, at, f"`hosts` lists no {jump!r:.80}", f"it lists: {', '.join(written)}"
    elif jump not in listed:
        return  # what is wrong with it is told at its own place
    elif listed[jump].ssh is None:
        yield name, at, f"{jump} is not reached by SSH", "leave `jump` out: this machine needs no host to jump from"
    elif name in (way := _way(name, listed))[1:]:
        yield name, at, f"the way to {name} leads back to it: {' → '.join(way)}", "a way to a host has an end"


def _view_faults(name: str, listed: Mapping[str, ListedHost], written: Collection[str]) -> Iterator[Fault]:
    """What is wrong with those that are to be asked for the host's sake: only another machine with a way of its own sees more."""
    viewers = listed[name].seen_from
    at = ("seen_from",)
    if viewers and listed[name].ssh is None:
        yield name, at, f"{name} is not reached by SSH", "leave `seen_from` out: it is for hosts that we may not reach"
        return
    for viewer in viewers:
        if viewer not in written:
            yield name, at, f"`hosts` lists no {viewer!r:.80}", f"it lists: {', '.join(written)}"
        elif viewers.count(viewer) > 1:
            yield name, at, f"{viewer} is named twice", "each has one voice"
            return
        elif viewer in listed and listed[viewer].ssh is None:
            yield name, at, f"{viewer} is not reached by SSH", "name hosts that are: what is seen from here we know"
        elif viewer in listed and name in _way(viewer, listed):
            yield name, at, f"the way to {viewer} leads through {name}", "name hosts that are reached without it"


def _jump(name: str, listed: Mapping[str, ListedHost]) -> str | None:
    ssh = listed[name].ssh if name in listed else None
    return None if ssh is None else ssh.jump


def _way(name: str, listed: Mapping[str, ListedHost]) -> list[str]:
    """The host and those that lead to it, up to one that is met again."""
    way = [name]
    while (jump := _jump(way[-1], listed)) is not None:
        way.append(jump)
        if jump in way[:-1]:
            break
    return way
