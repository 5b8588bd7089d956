"""A git repository, by the git program of the machine that Paramedic runs on: a bare copy of its last commits, and a push.

git documentation: "git-fetch" (--depth, --deepen), "git-push" (--porcelain), "git-commit-tree", "git-ls-remote".
"""

import contextlib
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn, Self

from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TemporaryError
from paramedic.kinds.repository import Author, Commit, NotFastForward, RepositoryAccess
from paramedic.kinds.transport import MOST_KEPT, Ended, OutOfTime
from paramedic.machine.clock import boottime
from paramedic.machine.open_transaction import must_be_closed
from paramedic.text.redaction import redact
from paramedic.text.sanitize import one_line
from paramedic.transports import git_access
from paramedic.transports.local_command import LocalCommand

#: So many commits are got first, and so many at most where the one that is looked for is not among them.
DEPTH, DEEPEST = 50, 2000

#: No file of the copy, and so no pack, may be larger. Bytes.
LARGEST = 512 * 1024 * 1024

_ID = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")

#: What git, ssh and servers say where another try is the same.
_FOR_GOOD = re.compile(
    r"permission denied|authentication failed|could not read (username|password)|host key verification failed"
    r"|remote host identification has changed|access denied|not found|does not appear to be a git repository"
    r"|error: 40[13]|repository .* does not exist|not allowed|certificate|dubious ownership|invalid (username|credentials)",
    re.IGNORECASE,
)

#: The connection was never made: nothing can have been sent.
_NOT_REACHED = re.compile(
    r"could not resolve host|connection refused|failed to connect|network is unreachable|no route to host",
    re.IGNORECASE,
)

#: What the folder of a copy is called. One that is so old belongs to nobody any more: no copy is used for half as long. Seconds.
_PREFIX, _LEFT_BEHIND = "paramedic-git-", 3600.0

#: One commit of a log; a line that no message can have ends it.
_FORMAT = "--format=%H%n%P%n%ct%n%s%n%B%n"


class Git:
    """One repository, through a copy in a folder of its own."""

    def __init__(self, access: RepositoryAccess) -> None:
        self._access = access
        self._depth = DEPTH
        self._end = f"end of {secrets.token_hex(16)}"

    def __enter__(self) -> Self:
        must_be_closed("a repository is asked")
        self._environment = git_access.environment(self._access)
        _remove_what_was_left()
        self._kept = tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True)
        self._copy = Path(self._kept.name) / "copy.git"
        self._work = Path(self._kept.name) / "none"  # where git wants a work tree: nothing is ever in it
        self._work.mkdir()
        self._environment |= {"GIT_DIR": str(self._copy), "HOME": self._kept.name}
        try:
            self._local("init", "--quiet", "--bare", "--template=", str(self._copy), deadline=boottime() + 10)
        except BaseException:
            self._kept.cleanup()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.cleanup()

    def branches(self, pattern: str, deadline: float) -> dict[str, str]:
        """See `Repository`."""
        found = self._remote("ls-remote", "--heads", "--", self._access.url, f"refs/heads/{pattern}", deadline=deadline)
        lines = (line.partition("\t") for line in found.output.splitlines())
        return {
            name.removeprefix("refs/heads/"): one
            for one, _, name in lines
            if _ID.fullmatch(one) and name.startswith("refs/heads/")
        }

    def fetch(self, branch: str, deadline: float) -> str:
        """See `Repository`."""
        self._fetch(f"--depth={self._depth}", branch, deadline)
        return self._id("refs/got/tip", deadline)

    def _fetch(self, how: str, branch: str, deadline: float) -> None:
        refspec = f"+refs/heads/{branch}:refs/got/tip"  # of the copy's own name: nothing there is overwritten
        try:
            self._remote("fetch", "--quiet", "--no-tags", how, "--", self._access.url, refspec, deadline=deadline)
        except TemporaryError as error:
            if "couldn't find remote ref" in str(error):
                raise PermanentError(f"{self._access.url} has no branch {branch}") from error
            raise
        self._branch = branch

    def last_change(self, tip: str, path: str, deadline: float) -> Commit:
        """See `Repository`."""
        while True:
            found = self.changes(tip, path, deadline, limit=1)
            if not found:
                raise PermanentError(f"{self._access.url} has nothing at {path}, and never had")
            if found[0].id not in self._shallow():
                return found[0]
            if self._depth >= DEEPEST:
                raise PermanentError(f"the last change of {path} is more than {self._depth} commits back")
            self._fetch(f"--deepen={self._depth * 3}", self._branch, deadline)
            self._depth *= 4

    def changes(self, tip: str, path: str, deadline: float, *, limit: int = 20) -> list[Commit]:
        """See `Repository`."""
        return self._log(tip, deadline, f"-{limit}", "--first-parent", "-m", at=path)

    def log(self, tip: str, deadline: float, *, limit: int = 50) -> list[Commit]:
        """See `Repository`."""
        return self._log(tip, deadline, f"-{limit}", at=".")

    def at(self, commit: str, path: str, deadline: float) -> str | None:
        """See `Repository`."""
        entry = self._entry(commit, path, deadline)
        return None if entry is None else entry[2]

    def elsewhere(self, change: Commit, path: str, deadline: float) -> int:
        """See `Repository`."""
        return self._changed(change, ".", deadline) - self._changed(change, path, deadline)

    def with_older(  # noqa: PLR0917 - the interface's
        self, tip: str, path: str, good: str, message: str, author: Author, deadline: float
    ) -> str:
        """See `Repository`."""
        index = {"GIT_INDEX_FILE": str(self._copy / "index"), "GIT_WORK_TREE": str(self._work)}
        if path == ".":
            self._local("read-tree", good, deadline=deadline, more=index)
        else:
            self._local("read-tree", tip, deadline=deadline, more=index)
            of_index = ("rm", "--cached", "-r", "-q", "-f", "--ignore-unmatch", "--", path)
            self._local(*of_index, deadline=deadline, more=index)
            mode, kind, content = self._entry(good, path, deadline) or ("", "", "")
            if kind == "tree":
                self._local("read-tree", f"--prefix={path}/", content, deadline=deadline, more=index)
            elif kind:
                one = ("--add", "--cacheinfo", f"{mode},{content},{path}")
                self._local("update-index", *one, deadline=deadline, more=index)
        tree = self._local("write-tree", deadline=deadline, more=index).output.strip()
        who = {
            f"GIT_{role}_{what}": value
            for role in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", author.name), ("EMAIL", author.email))
        }
        made = self._local("commit-tree", tree, "-p", tip, "-m", message, deadline=deadline, more=who)
        return made.output.strip()

    def push(self, commit: str, branch: str, deadline: float) -> None:
        """See `Repository`."""
        try:
            ended = self._push(f"{commit}:refs/heads/{branch}", deadline)
        except OutOfTime as error:
            raise OutcomeUnknown(
                f"the push to {self._access.url} took too long: {self._words(error.output)}"
            ) from error
        if ended.code != 0:
            self._not_pushed(ended, branch)

    def may_push(self, deadline: float) -> None:
        """See `Repository`."""
        tip = self._id("refs/got/tip", deadline)
        try:
            ended = self._push(f"{tip}:refs/heads/paramedic/may-push", deadline, "--dry-run")
        except OutOfTime as error:
            raise TemporaryError(f"{self._access.url} does not say in time whether it may be pushed to") from error
        if ended.code != 0:
            self._failed(ended)

    def has(self, branch: str, commit: str, deadline: float) -> bool:
        """See `Repository`."""
        if self.branches(branch, deadline).get(branch) == commit:
            return True
        try:
            tip = self.fetch(branch, deadline)
        except PermanentError:
            return False
        return self._run("merge-base", "--is-ancestor", commit, tip, deadline=deadline).code == 0

    def _push(self, refspec: str, deadline: float, *more: str) -> Ended:
        """A push of this one reference, never by force (no `+`, no option for it)."""
        options = ("--porcelain", "--no-verify", "--no-follow-tags", "--no-signed", *more)
        return self._run("push", *options, "--", self._access.url, refspec, deadline=deadline)

    def _not_pushed(self, ended: Ended, branch: str) -> NoReturn:
        """Raises what a push that failed comes to."""
        why = next((line for line in ended.output.splitlines() if line.startswith("!\t")), "")
        words = self._words(f"{why} {ended.errors}")
        if "[rejected]" in why:
            raise NotFastForward(words)
        if "[remote rejected]" in why:
            raise Refused(
                f"{self._access.url} refuses the push to {branch}: {words}",
                by_hand="let the login of Paramedic push there, or make the revert by hand",
            )
        if _FOR_GOOD.search(ended.errors):
            raise PermanentError(f"{self._access.url}: {words}")
        if _NOT_REACHED.search(ended.errors):
            raise TemporaryError(f"{self._access.url} is not reached: {words}")
        raise OutcomeUnknown(f"the push to {self._access.url} was broken off: {words}")

    def _changed(self, change: Commit, path: str, deadline: float) -> int:
        if change.parent is None:
            return 0
        words = ("--no-renames", "-r", "--shortstat", change.parent, change.id, "--", path)
        found = re.match(r" (\d+) files? changed", self._local("diff-tree", *words, deadline=deadline).output)
        return int(found[1]) if found else 0

    def _entry(self, commit: str, path: str, deadline: float) -> tuple[str, str, str] | None:
        """Mode, kind and id of what is at the path."""
        if path == ".":
            return "040000", "tree", self._id(f"{commit}^{{tree}}", deadline)
        found = re.match(
            r"(\d{6}) (\w+) ([0-9a-f]+)\t", self._local("ls-tree", commit, "--", path, deadline=deadline).output
        )
        return None if found is None else (found[1], found[2], found[3])

    def _log(self, tip: str, deadline: float, *options: str, at: str) -> list[Commit]:
        where = () if at == "." else ("--", at)
        found = self._local(
            "log", "--no-show-signature", *options, f"{_FORMAT}{self._end}", tip, *where, deadline=deadline
        )
        return [commit for text in found.output.split(self._end) if (commit := _commit(text.lstrip("\n"))) is not None]

    def _shallow(self) -> set[str]:
        """The commits whose parents are not in the copy."""
        try:
            return set((self._copy / "shallow").read_text(encoding="ascii").split())
        except FileNotFoundError:
            return set()

    def _id(self, name: str, deadline: float) -> str:
        return self._local("rev-parse", "--verify", "--end-of-options", name, deadline=deadline).output.strip()

    def _remote(self, *words: str, deadline: float) -> Ended:
        """A look at the server. Raises TemporaryError or PermanentError."""
        try:
            ended = self._run(*words, deadline=deadline)
        except OutOfTime as error:
            raise TemporaryError(
                f"{self._access.url} gives no whole answer in time: {self._words(error.output)}"
            ) from error
        if ended.code != 0:
            self._failed(ended)
        return ended

    def _failed(self, ended: Ended) -> NoReturn:
        words = f"{self._access.url}: {self._words(ended.errors)}"
        raise (PermanentError if _FOR_GOOD.search(ended.errors) else TemporaryError)(words)

    def _local(self, *words: str, deadline: float, more: Mapping[str, str] | None = None) -> Ended:
        """Work on the copy. Raises PermanentError where git says no."""
        try:
            ended = self._run(*words, deadline=deadline, more=more)
        except OutOfTime as error:
            raise TemporaryError(f"git {words[0]} takes too long") from error
        if ended.code != 0:
            raise PermanentError(f"git {words[0]}: {self._words(ended.errors)}")
        return ended

    def _run(self, *words: str, deadline: float, more: Mapping[str, str] | None = None) -> Ended:
        """Raises OutOfTime, and as `LocalCommand` does."""
        bounded = ("prlimit", f"--fsize={LARGEST}", "--", "git", *words)
        with LocalCommand(bounded, environment={**self._environment, **(more or {})}, kept=MOST_KEPT) as program:
            program.start()
            return program.end(deadline)

    def _words(self, said: str) -> str:
        """What git or the server says, for people: its end, without what is secret."""
        said = said.replace(f"{self._kept.name}{os.sep}", "")
        return one_line(redact(said))[-400:] or "it says nothing"


def _commit(text: str) -> Commit | None:
    lines = text.split("\n")
    if len(lines) < 4 or not _ID.fullmatch(lines[0]):
        return None
    parents = lines[1].split()
    when = datetime.fromtimestamp(int(lines[2]), UTC)
    return Commit(lines[0], parents[0] if parents else None, when, one_line(lines[3])[:200], "\n".join(lines[4:]))


def _remove_what_was_left() -> None:
    """Take away the copies of processes that were killed; a push of theirs that is under way needs its own for a while."""
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            seen = left.lstat()
            if (
                stat.S_ISDIR(seen.st_mode)
                and seen.st_uid == os.geteuid()
                and time.time() - seen.st_mtime > _LEFT_BEHIND
            ):
                shutil.rmtree(left, ignore_errors=True)
