"""services.yaml: which targets exist. An alert cannot name one that is not listed."""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from paramedic.remediation.target import Command, Target
from paramedic.text.units import between
from paramedic.text.yaml_document import BadDocument, Problem, read


def _address(said: str) -> str:
    """Raises ValueError for a URL without a host, or with a port that is none."""
    parts = urlsplit(said)
    try:
        fit = parts.scheme == "unix" or (bool(parts.hostname) and parts.port != 0)
    except ValueError:
        fit = False
    if not fit:
        raise ValueError(f"{said!r:.120} is no address: it names a host, and a port, if any, from 1 to 65535")
    return said


#: Names stand in keys of the store's tables, which hold so much.
_Name = Annotated[str, Field(min_length=1, max_length=200)]


class _Program(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    program: _Name
    address: Annotated[str, Field(pattern=r"^(unix:///|http://)"), AfterValidator(_address)]


def _unit(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9:_.\\@-]{0,240}\.service", name):
        raise ValueError("write a unit's whole name, NAME.service: no other kind of unit has a process")
    return name


def _arguments(said: Any) -> list[str]:
    if not isinstance(said, list) or not said or not all(isinstance(one, str) and "\0" not in one for one in said):
        raise ValueError(
            "write a list of words, [program, argument, …]: there is no shell, and every word is quoted text"
        )
    if not re.fullmatch(r"/.+|[^/]+", said[0], re.DOTALL):
        raise ValueError(f"the program {said[0]!r:.80} is neither an absolute path nor a plain name on PATH")
    return said


def _variable(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,99}", name):
        raise ValueError(f"{name!r:.80} is no variable's name: values are not written here")
    if name.upper().startswith("PARAMEDIC"):
        raise ValueError(f"{name} is Paramedic's own, and may be a secret: no command gets it")
    return name


class _Command(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    run: Annotated[list[str], BeforeValidator(_arguments)]
    timeout: Annotated[timedelta, BeforeValidator(between("10ms", "1h"))]
    cwd: str | None = Field(default=None, pattern=r"^/")
    environment: list[Annotated[str, AfterValidator(_variable)]] = []


class _Listed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    host: str = Field(pattern=r"^[^/\s]+$", max_length=200)
    supervisord: _Program | None = None
    systemd: Annotated[str, AfterValidator(_unit)] | None = None
    health: Annotated[str, Field(pattern=r"^https?://"), AfterValidator(_address)] | None = None
    log: str | None = Field(default=None, pattern=r"^/")
    releases: str | None = Field(default=None, pattern=r"^/[^\x00]+$")
    commands: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")], _Command] = {}
    also: list[_Name] = []

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if (self.supervisord is None) == (self.systemd is None):
            raise ValueError("name exactly one of `supervisord: {program: …, address: …}` and `systemd: UNIT`")
        if (self.releases or self.commands) and self.supervisord and not _of_this_machine(self.supervisord.address):
            raise ValueError(
                "`releases` and `commands` are those of the machine that Paramedic runs on, and this supervisord is on another"
            )
        return self

    @property
    def kind(self) -> str:
        return "supervisord" if self.supervisord else "systemd"

    @property
    def name(self) -> str:
        return self.supervisord.program if self.supervisord else self.systemd or ""


def _of_this_machine(address: str) -> bool:
    parts = urlsplit(address)
    if parts.scheme == "unix" or parts.hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


class _Service(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    owner: _Name | None = None
    targets: list[_Listed] = Field(min_length=1)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    services: dict[_Name, _Service]


@dataclass(frozen=True)
class Services:
    """Every target there is, by its canonical id."""

    targets: dict[str, Target] = field(default_factory=dict)
    spellings: dict[str, str] = field(default_factory=dict)  # what alerts call a host -> the host
    owners: dict[str, str] = field(default_factory=dict)

    def by_id(self, target: str) -> Target | None:
        """The target of this canonical id."""
        return self.targets.get(target)

    def find(self, kind: str, name: str, host: str) -> Target | None:
        """The target that a runbook and an alert mean, whichever spelling of the host the alert uses."""
        found = self.targets.get(f"{self.spellings.get(host, host)}/{name}")
        return found if found is not None and found.kind == kind else None

    def owner(self, service: str) -> str | None:
        """Who owns the service."""
        return self.owners.get(service)

    def __iter__(self) -> Iterator[Target]:
        return iter(self.targets.values())


def parse_services(text: str, file: str) -> Services:
    """What services.yaml says. Raises BadDocument."""
    said = read(text, file, _File)
    found = Services()
    for service, listing in said.services.items():
        if listing.owner is not None:
            found.owners[service] = listing.owner
        for one in listing.targets:
            target = Target(
                id=f"{one.host}/{one.name}",
                service=service,
                host=one.host,
                kind=one.kind,
                name=one.name,
                address=one.supervisord.address if one.supervisord else "",
                health=one.health,
                log=one.log,
                releases=one.releases,
                commands={
                    name: Command(name, tuple(said.run), said.timeout, said.cwd, tuple(said.environment))
                    for name, said in one.commands.items()
                },
            )
            if target.id in found.targets:
                raise BadDocument(
                    [Problem(file, 1, 1, f"{target.id} is listed twice", "a target belongs to one service")]
                )
            found.targets[target.id] = target
            for spelling in one.also:
                if found.spellings.setdefault(spelling, one.host) != one.host:
                    raise BadDocument([Problem(file, 1, 1, f"{spelling} means two hosts", "a spelling means one host")])
    return found
