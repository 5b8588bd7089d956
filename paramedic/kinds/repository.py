"""The interface of a git repository: what a kind of target may ask of the place that its controller deploys from."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, Self
from urllib.parse import urlsplit

from paramedic.errors import PermanentError
from paramedic.kinds.transport import Transport

#: `user@host:path`, as people write an address by SSH. Neither part may be taken for an option or another protocol.
_SCP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9_][A-Za-z0-9_.-]*:(?!:)[^\s-]\S*")


@dataclass(frozen=True, slots=True)
class RepositoryAccess:
    """Where a repository is, and who asks: files are of the machine that Paramedic runs on."""

    url: str  # https://…, ssh://…, user@host:path, http://… without a token, file:///… or a path; it holds no password
    key: str | None = None  # the file of a private key, for SSH; None: the agent
    known_hosts: str | None = None  # the file with the server's host key, for SSH; None: the user's own
    token: str | None = None  # the file of a token, for https
    user: str = "git"  # who the token is of
    ca: str | None = None  # the file of the authority that the server's certificate is of, for https


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of the repository. `subject` and `body` are text from outside."""

    id: str
    parent: str | None  # the first; None: it is the first commit
    committed_at: datetime
    subject: str
    body: str  # the whole message, its subject included


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes a commit."""

    name: str
    email: str


class NotFastForward(Exception):
    """The branch has commits that the pushed one does not have: the server changed nothing."""


class Repository(Protocol):
    """A repository, through a copy of its own that is gone with it; a context manager.

    Nothing of the repository is checked out or run. Deadlines are moments of `paramedic.machine.clock.boottime()`. Its reads
    raise TemporaryError, or PermanentError where another try does not help.
    """

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def branches(self, pattern: str, deadline: float) -> dict[str, str]:
        """The branches whose name fits the pattern (`*` stands for anything), and the id of each one's last commit."""

    def fetch(self, branch: str, deadline: float) -> str:
        """Get the last commits of the branch, and the id of its last one. PermanentError where there is no such branch."""

    def last_change(self, tip: str, path: str, deadline: float) -> Commit:
        """The last commit up to `tip`, along first parents, that changed something at the path: a merge counts as one.

        PermanentError where none did, or it is too far back.
        """

    def changes(self, tip: str, path: str, deadline: float, *, limit: int = 20) -> list[Commit]:
        """The last such commits that the copy has, the newest first."""

    def log(self, tip: str, deadline: float, *, limit: int = 50) -> list[Commit]:
        """The last commits up to `tip`, the newest first."""

    def at(self, commit: str, path: str, deadline: float) -> str | None:
        """What is at the path, as an id of its content; None where nothing is."""

    def elsewhere(self, change: Commit, path: str, deadline: float) -> int:
        """How many files the commit changed that are not at the path."""

    def with_older(  # noqa: PLR0917 - what is written where, by whom
        self, tip: str, path: str, good: str, message: str, author: Author, deadline: float
    ) -> str:
        """Make a commit upon `tip` that has at the path what `good` has there, and return its id. It is nowhere but here."""

    def push(self, commit: str, branch: str, deadline: float) -> None:
        """Make the commit the last one of the branch, which it may create. Never by force.

        NotFastForward, Refused, TemporaryError, PermanentError: the server has not taken it, and will not. OutcomeUnknown: it was
        sent, and what came of it is not known.
        """

    def may_push(self, deadline: float) -> None:
        """Go the way of a push with nothing sent: the same server and login. Raises as the reads do."""

    def has(self, branch: str, commit: str, deadline: float) -> bool:
        """Whether the branch has the commit now, whatever came upon it since."""


def protocol(url: str) -> str:
    """The one protocol by which the repository is asked: https, http, ssh, file. Raises ValueError, saying what is allowed."""
    if url.startswith("/") and "\0" not in url:
        return "file"
    if _SCP.fullmatch(url) and "://" not in url:
        return "ssh"
    try:
        parts = urlsplit(url)
        host, password, _ = parts.hostname, parts.password, parts.port
    except ValueError:
        host, password, parts = None, None, urlsplit("")
    if password is not None or (parts.scheme in {"http", "https"} and "@" in parts.netloc):
        raise ValueError("an address holds no login: write `token: /FILE`, or `key: /FILE` for ssh")
    if re.search(r"\s", url):
        raise ValueError("an address has no spaces")
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
        return "file"
    if parts.scheme in {"https", "http", "ssh"} and host and not host.startswith("-") and len(parts.path) > 1:
        if (parts.username or "").startswith("-"):
            raise ValueError("a user's name begins with a letter")
        return parts.scheme
    raise ValueError(
        "write https://HOST/PATH, ssh://USER@HOST/PATH, USER@HOST:PATH, or /PATH of a repository on this machine"
    )


def repository_of(transport: Transport, access: RepositoryAccess) -> Repository:
    """The repository, as the transport leads to it. Raises PermanentError where it leads to none."""
    opened = getattr(transport, "repository", None)
    if opened is None:
        raise PermanentError("its host is a machine: a repository belongs to a workload of a cluster")
    found: Repository = opened(access)
    return found
