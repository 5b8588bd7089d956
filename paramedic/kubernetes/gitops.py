"""A workload that a GitOps controller brings to what a repository says: a roll-back is a revert commit there, on a branch.

A change past the repository would be taken back (Argo CD, "Automatic Self-Healing"; Flux, "Kustomization", drift), and Argo CD
refuses its own roll-back while it syncs by itself.
"""

import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TemporaryError, WaitsForPeople
from paramedic.kinds.repository import Author, Commit, NotFastForward, Repository, repository_of
from paramedic.kinds.transport import Mark, MarkState, Transport
from paramedic.kubernetes import ownership, rollout
from paramedic.kubernetes.api import Api
from paramedic.kubernetes.gitops_repository import Words, repository
from paramedic.kubernetes.workload import Workload, read
from paramedic.machine.clock import boottime, iso, spoken
from paramedic.machine.kill_points import kill_point
from paramedic.remediation.release import Release
from paramedic.remediation.target import Target
from paramedic.text.sanitize import one_line

#: So long a look at the repository and the push may take; so long one whose answer is lost is looked for; so often a branch may
#: have moved on just before it is pushed to.
GIT = timedelta(seconds=60)
_LOST_SECONDS, TRIES = 20.0, 3

#: So much longer than `within` the whole of it may take: the repository, and the rollout at the end.
_BESIDE = 2 * GIT

#: So much may the clocks of the cluster and of who committed differ.
_SKEW = timedelta(minutes=1)

#: So often the workload and the branch are looked at. Seconds.
_LOOK_SECONDS = 1.0

#: The lines at the end of a message by which a revert is known again.
_INCIDENT, _ACT, _TARGET = "Paramedic-Incident", "Paramedic-Act", "Paramedic-Target"
_REVERTS = re.compile(r"^This reverts commit ([0-9a-f]{7,64})\b", re.MULTILINE)

#: So many branches of one incident are looked through.
_MOST_BRANCHES = 10


@dataclass(frozen=True, slots=True)
class Because:
    """What a revert is made for."""

    incident: str  # UUID/INC-42
    act: str  # the id of the change

    @property
    def number(self) -> str:
        """INC-42."""
        return self.incident.rpartition("/")[2] or "incident"


@dataclass(frozen=True, slots=True)
class Pushed:
    """A revert that is in the repository."""

    branch: str
    commit: str
    words: str


def _patience(words: Words) -> float:
    """So many seconds the controller, and who merges, is waited for."""
    return words.within.total_seconds()


def time_for(target: Target, remedy: str) -> timedelta:
    """How long a roll-back by the repository may take; nothing for other changes."""
    found = repository(target)
    return timedelta(0) if found is None or remedy != "rollback" else found.within + _BESIDE


class Revert:
    """One revert of the last change of a target's part of its repository."""

    def __init__(self, target: Target, words: Words, because: Because, deadline: float) -> None:
        self._target = target
        self._words = words
        self._because = because
        self._deadline = deadline

    def push(self, transport: Transport, current: Release, last_look: Callable[[], None], *, approved: bool) -> Pushed:
        """Make the revert and push it, once; one that is there for this incident already is not made again.

        Refused, TemporaryError, PermanentError: the repository has nothing of it. OutcomeUnknown: it was sent, and whether it is
        there is not seen.
        """
        deadline = min(boottime() + GIT.total_seconds(), self._deadline)
        with repository_of(transport, self._words.access) as repository:
            for _ in range(TRIES):
                tip = repository.fetch(self._words.branch, deadline)
                change = repository.last_change(tip, self._words.path, deadline)
                if (there := self._there(repository, change, deadline)) is not None:
                    return there
                good = self._judged(repository, change, current, deadline, approved=approved)
                commit = repository.with_older(
                    tip, self._words.path, good, self._message(change), self._author(), deadline
                )
                branch = self._words.branch if self._words.direct else self._new_branch()
                words = self._told(repository, change, commit, branch, deadline)
                last_look()
                try:
                    self._sent(repository, commit, branch, deadline)
                except NotFastForward as error:
                    if not self._words.direct:
                        raise Refused(
                            f"somebody has the branch {branch} of {self._words.url} already: {error}"
                        ) from error
                    continue
                return Pushed(branch, commit, words)
        raise TemporaryError(
            f"{self._words.branch} of {self._words.url} was moved on {TRIES} times just before the push"
        )

    def brought(self, api: Api, before: Workload, pushed: Pushed) -> Workload:
        """Wait until the controller has given the workload another template, for `within` at most, and then for the rollout.

        Raises WaitsForPeople where it has not, or somebody took it back; PermanentError where the rollout is stuck.
        """
        target, words, deadline = self._target, self._words, self._deadline
        until = min(boottime() + _patience(words), deadline)
        now, unseen = before, ""
        while now.uid == before.uid and now.template == before.template:
            if boottime() >= until:
                raise WaitsForPeople(self._left(before, pushed, unseen))
            time.sleep(min(_LOOK_SECONDS, max(until - boottime(), 0)))
            try:
                now, unseen = read(api, before.place, deadline=min(deadline, boottime() + 5)), ""
            except (
                TemporaryError,
                PermanentError,
            ) as error:  # a controller may replace the object: it is gone for a moment
                unseen = f"; it cannot be seen: {error}"
        try:
            done = rollout.wait(api, now, deadline)
        except PermanentError as error:
            raise WaitsForPeople(f"{pushed.words}; {target.id} had another template then: {error}") from error
        if done.stuck is not None:
            raise PermanentError(
                f"{pushed.words}; {target.id} has its new template, and the rollout is stuck: {done.stuck}"
            )
        return done.workload

    def _left(self, before: Workload, pushed: Pushed, unseen: str) -> str:
        """What people have to do for a revert that nobody has deployed."""
        target, words = self._target, self._words
        owner = ownership.of_target(target, before)
        who = "its controller" if owner is None else owner.words
        merge = "" if words.direct else f"merge the branch {pushed.branch} into {words.branch}"
        sync = "" if owner is None or not owner.sync else f"{', then ' if merge else ''}{owner.sync}"
        todo = f"{merge}{sync}" or f"look why {who} does not deploy {words.branch}"
        return f"{pushed.words}; {who} has not brought {target.id} to it within {spoken(words.within)}{unseen}. By hand: {todo}"

    def _there(self, repository: Repository, change: Commit, deadline: float) -> Pushed | None:
        """The revert that was made for this incident before: another attempt finds it, and makes no second one."""
        if self._is_ours(change):
            return self._again(self._words.branch, change)
        if self._words.direct:
            return None
        named = repository.branches(f"{self._words.push_to}{self._because.number}-*", deadline)
        for branch in sorted(named)[:_MOST_BRANCHES]:
            for commit in repository.log(repository.fetch(branch, deadline), deadline, limit=20):
                if self._is_ours(commit) and _REVERTS.findall(commit.body) == [change.id]:
                    return self._again(branch, commit)
        repository.fetch(self._words.branch, deadline)
        return None

    def _is_ours(self, commit: Commit) -> bool:
        lines = commit.body.splitlines()
        return f"{_INCIDENT}: {self._because.incident}" in lines and f"{_TARGET}: {self._target.id}" in lines

    def _again(self, branch: str, commit: Commit) -> Pushed:
        return Pushed(
            branch,
            commit.id,
            f"the revert of {self._because.number} is on the branch {branch} of {self._words.url} already, as commit "
            f"{commit.id[:12]}, and was not made again",
        )

    def _judged(
        self, repository: Repository, change: Commit, current: Release, deadline: float, *, approved: bool
    ) -> str:
        """The commit that has what the path goes back to. Raises Refused."""
        words, at = self._words, f"{change.id[:12]}, the last change of {self._words.path} on {self._words.branch}"
        by_hand = f"look at `git log --first-parent -- {words.path}` of {words.url}, and revert what is wrong there"
        if self._is_a_way_back(repository, change, deadline):
            raise Refused(f"{at}, went back itself: a roll-back is never rolled back", by_hand=by_hand)
        if current.deployed_at is not None and change.committed_at > current.deployed_at + _SKEW:
            raise Refused(
                f"{at}, is of {iso(change.committed_at)}, and {self._target.id} has had its release {current.id} since "
                f"{iso(current.deployed_at)}: it is not what runs, or its controller has not deployed it",
                by_hand=by_hand,
            )
        if change.parent is None or repository.at(change.parent, words.path, deadline) is None:
            raise Refused(f"{at}, is its first: there is nothing older to go back to", by_hand=by_hand)
        if current.reversible is False:
            raise Refused(f"{self._target.id} has release {current.id}, marked irreversible", by_hand=by_hand)
        if words.direct and current.reversible is None and not approved:
            raise Refused(
                f"nobody said whether release {current.id} of {self._target.id} is reversible, and nobody reviews a push to "
                f"{words.branch}",
                by_hand="approve this roll-back, mark what can be undone: the annotation paramedic/reversible=true, or let "
                "`push_to` be a prefix",
            )
        return change.parent

    def _is_a_way_back(self, repository: Repository, change: Commit, deadline: float) -> bool:
        """Whether the change is a revert, as it says, or by what it left: one that was merged or squashed does not say it."""
        if _REVERTS.search(change.body):
            return True
        path = self._words.path
        contents = [repository.at(one.id, path, deadline) for one in repository.changes(change.id, path, deadline)]
        return contents[0] in contents[1:]

    def _message(self, change: Commit) -> str:
        """No text of the commit's own is in it: a `[skip ci]` or a `Closes #1` there would count once more."""
        words = self._words
        return (
            f"Revert {change.id[:12]} of {words.path} for {self._because.number}\n\n"
            f"This reverts commit {change.id}\nat {words.path}, and nowhere else: {self._target.id} is failing.\n\n"
            f"{_INCIDENT}: {self._because.incident}\n{_TARGET}: {self._target.id}\n{_ACT}: {self._because.act}\n"
        )

    def _author(self) -> Author:
        name, _, email = self._words.author.partition(" <")
        return Author(name, email.removesuffix(">"))

    def _new_branch(self) -> str:
        return f"{self._words.push_to}{self._because.number}-{_digest(self._because.act)}"

    def _told(self, repository: Repository, change: Commit, commit: str, branch: str, deadline: float) -> str:
        more = repository.elsewhere(change, self._words.path, deadline)
        beside = f"; the {more} files that it changed elsewhere stay" if more else ""
        return (
            f"commit {commit[:12]} on the branch {branch} of {self._words.url} takes {self._words.path} back to before "
            f"{change.id[:12]} ({change.subject!r:.120}){beside}"
        )

    def _sent(self, repository: Repository, commit: str, branch: str, deadline: float) -> None:
        kill_point("revert_made", self._target.id)
        try:
            repository.push(commit, branch, deadline)
        except OutcomeUnknown as lost:
            kill_point("act_sent", self._target.id)
            self._found_out(repository, commit, branch, lost)
        else:
            kill_point("act_sent", self._target.id)

    def _found_out(self, repository: Repository, commit: str, branch: str, lost: OutcomeUnknown) -> None:
        """Whether a push whose answer is lost has arrived. Raises OutcomeUnknown where that is not seen."""
        until = min(boottime() + _LOST_SECONDS, self._deadline)
        while True:
            try:
                if repository.has(branch, commit, until) or _merged(repository, self._words, self._because.act, until):
                    return
            except (TemporaryError, PermanentError):
                pass
            if boottime() >= until:
                raise OutcomeUnknown(
                    f"{lost}; the branch {branch} of {self._words.url} is not seen to have commit {commit[:12]}"
                ) from lost
            time.sleep(_LOOK_SECONDS)


def mark(target: Target, transport: Transport, act: str) -> Mark | None:
    """What the repository knows of a roll-back that has no outcome; None where it knows nothing: the push may still come.

    A revert that is there proves nothing of the workload: who merges or the controller may not have come. Raises TemporaryError
    or PermanentError.
    """
    words = repository(target)
    if words is None:
        return None
    deadline = boottime() + GIT.total_seconds()
    with repository_of(transport, words.access) as opened:
        if not words.direct and (found := opened.branches(f"{words.push_to}*-{_digest(act)}", deadline)):
            return _seen(*min(found.items()), words)
        made = _merged(opened, words, act, deadline)
        return _seen(words.branch, made, words) if made else None


def _merged(opened: Repository, words: Words, act: str, deadline: float) -> str | None:
    """The act's revert in the branch that is deployed, known by its message: its own branch may be merged and deleted by now."""
    tip = opened.fetch(words.branch, deadline)
    made = (commit.id for commit in opened.log(tip, deadline) if f"{_ACT}: {act}" in commit.body.splitlines())
    return next(made, None)


def _seen(branch: str, commit: str, words: Words) -> Mark:
    where = one_line(f"the branch {branch} of {words.url} has its revert, commit {commit[:12]}")
    return Mark(MarkState.HAPPENED, where=where)


def obstacle(target: Target, transport: Transport) -> str | None:
    """What keeps a revert from being pushed, asked with nothing sent; None where nothing does."""
    words = repository(target)
    if words is None:
        return None
    deadline = boottime() + GIT.total_seconds()
    try:
        with repository_of(transport, words.access) as opened:
            opened.last_change(opened.fetch(words.branch, deadline), words.path, deadline)
            opened.may_push(deadline)
    except (TemporaryError, PermanentError) as error:
        return str(error)
    return None


def _digest(act: str) -> str:
    return hashlib.sha256(act.encode()).hexdigest()[:12]
