"""services.yaml: which targets exist. An alert cannot name one that is not listed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any, Self, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from paramedic.catalog import target_kinds
from paramedic.remediation.target import Command, Target
from paramedic.text.address import fit_url
from paramedic.text.model_words import At, LateShape
from paramedic.text.template import as_it_is
from paramedic.text.units import duration
from paramedic.text.yaml_document import BadDocument, json_schema, read_draft

#: Names stand in keys of the store's tables, which hold so much.
_Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]


_ARGUMENTS = Annotated[list[str], Field(min_length=1)]
_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]{0,99}$"


def _arguments(words: Any) -> list[str]:
    if (
        not isinstance(words, list)
        or not words
        or not all(isinstance(word, str) and "\0" not in word for word in words)
    ):
        raise ValueError(
            "write a list of words, [program, argument, …]: there is no shell, and every word is quoted text"
        )
    if not re.fullmatch(r"/.+|[^/]+", words[0], re.DOTALL):
        raise ValueError(f"the program {words[0]!r:.80} is neither an absolute path nor a plain name on PATH")
    return words


def _variable(name: str) -> str:
    if not re.fullmatch(_VARIABLE, name):
        raise ValueError(f"{name!r:.80} is not a variable's name: values are not written here")
    if name.upper().startswith("PARAMEDIC"):
        raise ValueError(f"{name} is Paramedic's own, and may be a secret: no command gets it")
    return name


class _Command(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    run: Annotated[list[str], BeforeValidator(_arguments, json_schema_input_type=_ARGUMENTS)] = Field(
        description="the program and its arguments, each a text of its own: there is no shell"
    )
    timeout: Annotated[timedelta, duration("10ms", "1h")] = Field(description="after which it is ended: 10s")
    cwd: Annotated[str, Field(pattern=r"^/"), AfterValidator(as_it_is)] | None = Field(
        default=None, description="the folder that it runs in: /srv/shop"
    )
    environment: list[
        Annotated[str, AfterValidator(_variable), WithJsonSchema({"type": "string", "pattern": _VARIABLE})]
    ] = Field(default=[], description="the names of those of Paramedic's variables that it gets")


class _ListedWords(BaseModel):
    """The keys of every target; each kind adds its own key."""

    model_config = ConfigDict(extra="forbid", strict=True)
    host: Annotated[str, Field(pattern=r"^[^/\s]+$", max_length=200), AfterValidator(as_it_is)] = Field(
        description="the machine that it runs on, by the name that alerts use: web-1"
    )
    health: Annotated[str, Field(pattern=r"^https?://"), AfterValidator(as_it_is), AfterValidator(fit_url)] | None = (
        Field(default=None, description="the address that answers 2xx when it is well: http://127.0.0.1:8080/health")
    )
    log: Annotated[str, Field(pattern=r"^/"), AfterValidator(as_it_is)] | None = Field(
        default=None, description="the file whose end is evidence: /var/log/shop.log"
    )
    releases: Annotated[str, Field(pattern=r"^/[^\x00]+$"), AfterValidator(as_it_is)] | None = Field(
        default=None, description="the folder with its releases, for roll-backs: /srv/shop"
    )
    commands: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")], _Command] = Field(
        default={}, description="what a runbook may run as a remedy, by name"
    )
    also: list[Annotated[_Name, AfterValidator(as_it_is)]] = Field(
        default=[], description="what else alerts call the host: web-1:9100"
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        kind, words = target_kinds.named(self)
        is_remote = getattr(target_kinds.of(kind), "is_remote", None)
        if (self.releases or self.commands) and is_remote is not None and is_remote(words):
            raise ValueError(
                "`releases` and `commands` are those of the machine that Paramedic runs on, "
                f"and this {kind} is on another"
            )
        return self

    def target(self, service: str) -> Target:
        """The listed target. Raises ValueError where its kind gives it no name that the store can keep."""
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
            commands={
                name: Command(name, tuple(command.run), command.timeout, command.cwd, tuple(command.environment))
                for name, command in self.commands.items()
            },
        )


class _Listed(LateShape):
    @classmethod
    def shape(cls) -> type[BaseModel]:
        return target_kinds.with_keys(_ListedWords)


class _Service(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    owner: _Name | None = Field(default=None, description="whose it is")
    targets: list[_Listed] = Field(min_length=1, description="everything that may be acted on, each once")


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    services: dict[_Name, _Service] = Field(description="every service, by name")


def schema() -> dict[str, Any]:
    """The JSON Schema of services.yaml, for editors; `parse_services` checks more than it."""
    return json_schema(_File, "The services.yaml of Paramedic")


@dataclass(frozen=True)
class Services:
    """Every listed target, by its canonical id."""

    targets: dict[str, Target] = field(default_factory=dict)
    spellings: dict[str, str] = field(default_factory=dict)  # what alerts call a host -> the host
    owners: dict[str, str] = field(default_factory=dict)

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

    def owner(self, service: str) -> str | None:
        """The owner of the service."""
        return self.owners.get(service)

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
    for service, listing in draft.value.services.items() if draft.value is not None else ():
        if listing.owner is not None:
            found.owners[service] = listing.owner
        for number, listed in enumerate(listing.targets):
            at = ("services", service, "targets", number)
            for key, what, allowed in _added(found, service, listed):
                problems.append(draft.problem((*at, *key), f"{draft.name((*at, *key))}: {what}", allowed))
    if problems or draft.value is None:
        raise BadDocument(sorted(problems, key=lambda problem: (problem.line, problem.column)))
    return found


def _added(found: Services, service: str, listed: _Listed) -> Iterator[tuple[At, str, str]]:
    """Add a target to those found; what is wrong with it beside them: the key, in words, and what is allowed."""
    words = cast("_ListedWords", listed)
    try:
        target = words.target(service)
    except Exception as error:  # noqa: BLE001 - the edge of a kind's own code: its fault is told like an author's
        yield (), str(error), ""
        return
    if (other := found.targets.get(target.id)) is not None:
        yield (), *_twice(target, other)
        return
    found.targets[target.id] = target
    for number, spelling in enumerate(words.also):
        if found.spellings.setdefault(spelling, target.host) != target.host:
            yield ("also", number), f"{spelling} means two hosts", "a spelling means one host"
