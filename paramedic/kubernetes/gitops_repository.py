"""`owner: gitops` in services.yaml: the repository that a workload's controller deploys from, and how a revert gets there."""

import re
from datetime import timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from paramedic.kinds.repository import RepositoryAccess, protocol
from paramedic.remediation.target import Target
from paramedic.text.template import as_it_is
from paramedic.text.units import duration


def _address(url: str) -> str:
    protocol(url)
    return url


def _path(path: str) -> str:
    parts = path.split("/")
    if path != "." and (path.startswith("-") or not path.isprintable() or set(parts) & {"", ".", "..", ".git"}):
        raise ValueError(f"{path!r:.80}: write a folder or a file of the repository, apps/shop, or . for all of it")
    return path


def _branch(name: str) -> str:
    if not re.fullmatch(r"(?!.*(\.\.|//|@\{|/\.|\.lock(/|$)))[A-Za-z0-9_][A-Za-z0-9_./+@-]{0,199}(?<![/.])", name):
        raise ValueError(f"{name!r:.80} is not the name of a branch: main, release/2026")
    return name


def _push_to(name: str) -> str:
    _branch(name.removesuffix("/"))
    return name


_File = Annotated[str, Field(pattern=r"^/[^\x00\"]+$"), AfterValidator(as_it_is)]
#: As an editor sees them.
_URL = WithJsonSchema({"type": "string", "pattern": r"^(https?://|ssh://|file:///|/|[A-Za-z0-9_][A-Za-z0-9_.-]*@)\S+$"})
_IN_IT = WithJsonSchema({"type": "string", "pattern": r"^[^/-]"})
_NAME = WithJsonSchema({"type": "string", "pattern": r"^[A-Za-z0-9_][A-Za-z0-9_./+@-]{0,200}$"})

_AUTHOR = r"^[^<>\x00-\x1f\s][^<>\x00-\x1f]{0,99} <[^<>\x00-\x20@]+@[^<>\x00-\x20@]+>$"


class Words(BaseModel):
    """`repository: {url: git@git.shop.example:deploy.git, path: apps/shop, author: Paramedic <bot@shop.example>}`"""

    model_config = ConfigDict(extra="forbid", strict=True)
    url: Annotated[str, Field(max_length=1000), AfterValidator(as_it_is), AfterValidator(_address), _URL] = Field(
        description="its address, without a login: https://…, ssh://…, git@HOST:PATH, or a path on Paramedic's machine"
    )
    path: Annotated[str, Field(max_length=500), AfterValidator(_path), _IN_IT] = Field(
        description="what of it the workload is made from, and nothing else: apps/shop; . is all of it"
    )
    author: Annotated[str, Field(pattern=_AUTHOR)] = Field(
        description="who writes the revert: Paramedic <paramedic@shop.example>"
    )
    branch: Annotated[str, AfterValidator(_branch), _NAME] = Field(
        default="main", description="what the controller deploys"
    )
    push_to: Annotated[str, AfterValidator(_push_to), _NAME] = Field(
        default="paramedic/",
        description="where the revert goes: PREFIX/ is a new branch each time, which people merge; or the very `branch`",
    )
    within: Annotated[timedelta, duration("10s", "45m")] = Field(
        default=timedelta(minutes=5), description="how long the controller, and who merges, may take: 5m"
    )
    key: _File | None = Field(default=None, description="the file of a private key, for SSH; without it the agent")
    known_hosts: _File | None = Field(default=None, description="the file with the server's host key, for SSH")
    token: _File | None = Field(default=None, description="the file of a token, for https")
    user: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}$")] = Field(
        default="git", description="who the token is of; GitHub and GitLab take any"
    )
    ca: _File | None = Field(default=None, description="the file of the server's certificate authority, for https")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        way = protocol(self.url)
        if self.token is not None and way != "https":
            raise ValueError("a `token` is sent by https alone")
        if self.key is not None and way != "ssh":
            raise ValueError("a `key` is for an address by SSH: git@HOST:PATH")
        if not self.push_to.endswith("/") and self.push_to != self.branch:
            raise ValueError(
                f"`push_to` is neither a prefix, which ends with /, nor the very `branch` {self.branch}, which nobody reviews"
            )
        return self

    @property
    def access(self) -> RepositoryAccess:
        """Where it is, and who asks."""
        return RepositoryAccess(self.url, self.key, self.known_hosts, self.token, self.user, self.ca)

    @property
    def direct(self) -> bool:
        """Whether the revert goes where the controller looks, with no person in between."""
        return self.push_to == self.branch


def repository(target: Target) -> Words | None:
    """The repository that services.yaml names for the target."""
    found = getattr(target.words, "repository", None)
    return found if isinstance(found, Words) else None


def merged_by_people(target: Target) -> bool:
    """Whether a roll-back is a branch that people merge: their word is asked for by it, and by nothing before."""
    found = repository(target)
    return found is not None and not found.direct
