"""services.yaml: which targets exist. An alert cannot name one that is not listed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from ipaddress import ip_address
from typing import Annotated, Any, Literal, Self, cast
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from paramedic.alerts.inhibition import Inhibition
from paramedic.alerts.silence import check_matchers
from paramedic.catalog import dependencies, target_kinds
from paramedic.catalog.dependencies import Fault
from paramedic.catalog.hosts import HostName, ListedHost, Spelling, made_of
from paramedic.incidents.tier import Tier
from paramedic.remediation.dependency import Needed
from paramedic.remediation.host import Host
from paramedic.remediation.service import UNLISTED, ServiceFacts
from paramedic.remediation.target import Command, Target
from paramedic.text.address import fit_url
from paramedic.text.arguments import Arguments
from paramedic.text.model_words import LateShape
from paramedic.text.nearest import nearest
from paramedic.text.template import as_it_is
from paramedic.text.units import duration
from paramedic.text.yaml_document import BadDocument, json_schema, read_draft

#: Names stand in keys of the store's tables, which hold so much.
_Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]


_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]{0,99}$"


def _variable(name: str) -> str:
    if not re.fullmatch(_VARIABLE, name):
        raise ValueError(f"{name!r:.80} is not a variable's name: values are not written here")
    if name.upper().startswith("PARAMEDIC"):
        raise ValueError(f"{name} is Paramedic's own, and may be a secret: no command gets it")
    return name


class _Command(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)
    run: Arguments = Field(description="the program and its arguments, each a text of its own: there is no shell")
    timeout: Annotated[timedelta, duration("10ms", "1h")] = Field(description="after which it is ended: 10s")
    cwd: Annotated[str, Field(pattern=r"^/"), AfterValidator(as_it_is)] | None = Field(
        default=None, description="the folder that it runs in: /srv/shop"
    )
    environment: list[
        Annotated[str, AfterValidator(_variable), WithJsonSchema({"type": "string", "pattern": _VARIABLE})]
    ] = Field(default=[], description="the names of those of Paramedic's variables that it gets")


class _ListedWords(BaseModel):
    """The keys of every target; each kind adds its own key."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)
    host: HostName = Field(description="the machine that it runs on, by the name that alerts use: web-1")
    health: Annotated[str, Field(pattern=r"^https?://"), AfterValidator(as_it_is), AfterValidator(fit_url)] | None = (
        Field(default=None, description="the address that answers 2xx when it is well: http://127.0.0.1:8080/health")
    )
    log: Annotated[str, Field(pattern=r"^/"), AfterValidator(as_it_is)] | None = Field(
        default=None, description="the file whose end is evidence: /var/log/shop.log"
    )
    releases: Annotated[str, Field(pattern=r"^/[^\x00]+$"), AfterValidator(as_it_is)] | None = Field(
        default=None, description="the folder with its releases, for roll-backs: /srv/shop"
    )
    configuration: list[Annotated[str, Field(pattern=r"^/[^\x00]+$", max_length=500), AfterValidator(as_it_is)]] = (
        Field(
            default=[],
            max_length=20,
            description="files and folders of its configuration, to be told when they changed: [/srv/shop/conf.d]",
        )
    )
    commands: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")], _Command] = Field(
        default={}, description="what a runbook may run as a remedy, by name"
    )
    also: list[Spelling] = Field(default=[], description="what else alerts call the host: web-1:9100")

    @model_validator(mode="after")
    def _sound(self) -> Self:
        kind, words = target_kinds.named(self)
        is_remote = getattr(target_kinds.of(kind), "is_remote", None)
        if (self.releases or self.commands) and is_remote is not None and is_remote(words):
            raise ValueError(
                f"`releases` and `commands` are those of `host`, and this {kind} is asked on another machine"
            )
        return self

    def target(self, service: str, machine: Host | None = None, tier: Tier = Tier.STANDARD) -> Target:
        """The listed target of a service of this tier, on this machine.

        Raises ValueError where its kind gives it no name that the store can keep.
        """
        kind, words = target_kinds.named(self)
        of = target_kinds.of(kind)
        name, address = of.name_of(words), of.address_of(words)
        if not isinstance(name, str) or not 1 <= len(name) <= 200 or not isinstance(address, str):
            raise ValueError(f"the kind {kind} gives it no name of 1 to 200 characters, or no address that is a text")
        return Target(
            id=target_kinds.target_id(kind, name, self.host),
            service=service,
            host=self.host,
            kind=kind,
            name=name,
            address=address,
            health=self.health,
            log=self.log,
            releases=self.releases,
            configuration=tuple(self.configuration),
            commands={
                name: Command(name, tuple(command.run), command.timeout, command.cwd, tuple(command.environment))
                for name, command in self.commands.items()
            },
            machine=machine,
            words=words,
            tier=tier,
        )


class _Listed(LateShape):
    @classmethod
    def shape(cls) -> type[BaseModel]:
        return target_kinds.with_keys(_ListedWords)

    @classmethod
    def shape_of(cls, written: object) -> type[BaseModel]:
        return target_kinds.with_keys_of(written, _ListedWords)


class _Service(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)
    owner: _Name | None = Field(default=None, description="whose it is: every message about its incidents says so")
    tier: Literal["core", "standard", "low"] = Field(
        default="standard", description="how much customers depend on it: the worst of the core services comes first"
    )
    customers: Annotated[str, Field(min_length=1, max_length=500, pattern=r"\S")] | None = Field(
        default=None, description="what customers notice when it is down, in a sentence: every page says it"
    )
    depends_on: list[_Name] = Field(
        default=[],
        max_length=100,
        description="the services without which it cannot work: while one of them is down, nothing is changed for it",
    )
    targets: list[_Listed] = Field(min_length=1, description="everything that may be acted on, each once")


def _readable(texts: list[str]) -> list[str]:
    check_matchers(tuple(texts))
    return texts


_Matchers = Annotated[
    list[Annotated[str, Field(max_length=5000, pattern=r"\S")]], Field(min_length=1), AfterValidator(_readable)
]


class _Inhibit(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)
    source_matchers: _Matchers = Field(
        description="which alerts inhibit others while they fire: ['alertname=\"HostDown\"']"
    )
    target_matchers: _Matchers = Field(description="which alerts are held meanwhile: ['severity=\"warning\"']")
    equal: list[Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]] = Field(
        default=[], max_length=20, description="labels that must be equal in both; a missing one is empty: [instance]"
    )


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    hosts: dict[HostName, ListedHost] = Field(
        default={}, description="how the machines of targets are reached, by name; without it all are this one"
    )
    services: dict[_Name, _Service] = Field(description="every service, by name")
    inhibit: list[_Inhibit] = Field(
        default=[], max_length=100, description="which alerts are held while which others fire, as Alertmanager has it"
    )


def schema() -> dict[str, Any]:
    """The JSON Schema of services.yaml, for editors; `parse_services` checks more than it."""
    return json_schema(_File, "The services.yaml of Paramedic")


@dataclass(frozen=True)
class Services:
    """Every listed target, by its canonical id."""

    targets: dict[str, Target] = field(default_factory=dict)
    spellings: dict[str, str] = field(default_factory=dict)  # what alerts call a host -> the host
    facts: dict[str, ServiceFacts] = field(default_factory=dict)  # of each listed service
    hosts: dict[str, Host] = field(default_factory=dict)  # those of `hosts`, by name
    inhibit: list[Inhibition] = field(default_factory=list)
    needs: dict[str, tuple[Needed, ...]] = field(default_factory=dict)  # what services with `depends_on` depend on

    def by_id(self, target: str) -> Target | None:
        """The target with this canonical id."""
        return self.targets.get(target)

    def find(self, kind: str, name: str, host: str) -> Target | None:
        """The target of a runbook and an alert, whichever spelling of the host the alert uses."""
        found = self.targets.get(target_kinds.target_id(kind, name, self.spellings.get(host, host)))
        return found if found is not None and found.kind == kind else None

    def names_of(self, host: str) -> tuple[str, ...]:
        """What alerts may call the host, its own name first."""
        return host, *(spelling for spelling, named in self.spellings.items() if named == host)

    def about(self, service: str) -> ServiceFacts:
        """The facts of the service; those of one that is not listed are the defaults."""
        return self.facts.get(service, UNLISTED)

    def __iter__(self) -> Iterator[Target]:
        return iter(self.targets.values())


def _twice(target: Target, other: Target) -> tuple[str, str]:
    """What is wrong with two entries of one id, and what is allowed: they would share claim, budget and cooldown."""
    if target.kind != other.kind:
        what = f"{target.id} is listed as {other.kind} and as {target.kind}"
        return what, "two targets of one host differ in name: rename one of them where it runs"
    return f"{target.id} is listed twice", "a target belongs to one service"


def parse_services(text: str, file: str) -> Services:
    """services.yaml, parsed. Raises BadDocument with every problem."""
    draft = read_draft(text, file, _File)
    found = Services()
    problems = [*draft.problems]
    if draft.value is not None:
        written = draft.keys("hosts")
        faults = [
            *_hosts_added(found, draft.value, written),
            *_services_added(found, draft.value, written),
            *dependencies.faults(found.facts, draft.keys("services")),
        ]
        problems += [draft.problem(at, f"{draft.name(at)}: {what}", allowed) for at, what, allowed in faults]
    if problems or draft.value is None:
        raise BadDocument(sorted(problems, key=lambda problem: (problem.line, problem.column)))
    _overlap(found)
    found.inhibit.extend(
        Inhibition(tuple(rule.source_matchers), tuple(rule.target_matchers), tuple(rule.equal))
        for rule in draft.value.inhibit
    )
    found.needs.update(dependencies.needs(found.facts, found))
    return found


def _hosts_added(found: Services, file: _File, written: list[str]) -> Iterator[Fault]:
    """Add the hosts to what is found; what is wrong with them beside each other. `written`: also those that cannot be read."""
    made, faults = made_of(file.hosts, written)
    found.hosts.update(made)
    for name, key, what, allowed in faults:
        yield ("hosts", name, *key), what, allowed
    for name, listed in file.hosts.items():
        for number, spelling in enumerate(listed.also):
            if spelling != name and (spelling in written or found.spellings.setdefault(spelling, name) != name):
                yield ("hosts", name, "also", number), f"{spelling} means two hosts", "a spelling means one host"


def _services_added(found: Services, file: _File, written: list[str]) -> Iterator[Fault]:
    for service, listing in file.services.items():
        found.facts[service] = ServiceFacts(
            owner=listing.owner,
            tier=Tier(listing.tier),
            customers=listing.customers,
            depends_on=tuple(listing.depends_on),
        )
        for number, listed in enumerate(listing.targets):
            at = ("services", service, "targets", number)
            for key, what, allowed in _added(found, service, listed, written):
                yield (*at, *key), what, allowed


def _overlap(found: Services) -> None:
    """Note of each target which others are its parts, or it is a part of, by the word of their kinds."""
    overlapping: dict[str, set[str]] = {}
    for whole in found:
        for part in target_kinds.parts(whole, found):
            overlapping.setdefault(whole.id, set()).add(part.id)
            overlapping.setdefault(part.id, set()).add(whole.id)
    for target, others in overlapping.items():
        found.targets[target] = replace(found.targets[target], overlapping=tuple(sorted(others)))


def _added(found: Services, service: str, listed: _Listed, written: list[str]) -> Iterator[Fault]:
    """Add a target to those found; what is wrong with it beside them: the key, in words, and what is allowed."""
    words = cast("_ListedWords", listed)
    try:
        target = words.target(service, found.hosts.get(words.host), found.about(service).tier)
    except Exception as error:  # noqa: BLE001 - the edge of a kind's own code: its fault is told like an author's
        yield (), str(error), ""
        return
    if written and target.host not in written:
        yield ("host",), f"`hosts` lists no {target.host!r:.80}", nearest(target.host, written, "it lists:")
    if target.host not in written or target.machine is not None:
        yield from _misplaced(target)
    if target.elsewhere and target.health is not None and _loopback(target.health):
        by = "SSH" if target.machine is not None and target.machine.ssh is not None else "its API"
        what = f"{target.health} is the machine that Paramedic runs on, and {target.host} is reached by {by}"
        yield ("health",), what, f"write an address of {target.host} that can be reached from here"
    if (other := found.targets.get(target.id)) is not None:
        yield (), *_twice(target, other)
        return
    found.targets[target.id] = target
    for number, spelling in enumerate(words.also):
        if found.spellings.setdefault(spelling, target.host) != target.host:
            yield ("also", number), f"{spelling} means two hosts", "a spelling means one host"


def _misplaced(target: Target) -> Iterator[Fault]:
    """Where its kind or a key of it cannot be on its host: a workload needs a cluster, a program a machine."""
    needs = target_kinds.reached_by(target.kind)
    found = "machine" if target.machine is None else target.machine.reached_by
    if needs != found and needs == "machine":
        yield ("host",), f"{target.host} is a cluster, and a {target.kind} target is on a machine", ""
    elif needs != found:
        what = f"a {target.kind} target needs a host that is reached by {needs}, and {target.host} is not"
        yield ("host",), what, f"write in `hosts`: {target.host}: {{{needs}: {{…}}}}"
    elif found != "machine" and target.log is not None:
        yield ("log",), f"{target.host} is a cluster, which has no log files", "leave `log` out, and ask for evidence"
    elif found != "machine" and target.configuration:
        what = f"{target.host} is a cluster, which has no folders of configuration"
        yield ("configuration",), what, "leave it out: `recent-changes` looks at its ConfigMaps and Secrets"


def _loopback(url: str) -> bool:
    """Whether the URL leads to the machine that asks it."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback or ip_address(host).is_unspecified
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
