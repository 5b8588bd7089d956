"""services.yaml: which targets exist. An alert cannot name one that is not listed."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field

from paramedic.document import BadDocument, Problem, read
from paramedic.target import Target


class _Program(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    program: str = Field(min_length=1)
    address: str = Field(pattern=r"^(unix:///|http://)")


class _Listed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    host: str = Field(pattern=r"^[^/\s]+$")
    supervisord: _Program
    health: str | None = Field(default=None, pattern=r"^https?://")
    log: str | None = Field(default=None, pattern=r"^/")
    also: list[str] = []


class _Service(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    owner: str | None = None
    targets: list[_Listed] = Field(min_length=1)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    services: dict[str, _Service]


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
                id=f"{one.host}/{one.supervisord.program}",
                service=service,
                host=one.host,
                kind="supervisord",
                name=one.supervisord.program,
                address=one.supervisord.address,
                health=one.health,
                log=one.log,
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
