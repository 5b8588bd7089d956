"""A revert whose push has no answer, and what is told and refused before one."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import jumping_clock
import kubernetes_api
import pytest
from gitops_shop import ACT, Controller, Repo, at_work, reverted
from kubernetes_api import ApiServer
from kubernetes_objects import path_of

from paramedic.doors import changing, reading
from paramedic.errors import OutcomeUnknown, Refused, WaitsForPeople
from paramedic.kinds.transport import MarkState
from paramedic.kubernetes import gitops
from paramedic.kubernetes.target import ScalableWords
from paramedic.remediation.target import Target
from paramedic.transports import git

PATH = path_of()
Listed = Callable[..., Target]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    jumping_clock.soon(monkeypatch)
    monkeypatch.setattr(gitops, "_LOOK_SECONDS", 0.02)


# --- a push whose answer is lost ---


def test_a_push_whose_answer_is_lost_is_looked_for_and_not_repeated(
    owned: ApiServer, repo: Repo, listed: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = git.Git.push

    def cut(self: git.Git, commit: str, branch: str, deadline: float) -> None:
        lost(self, commit, branch, deadline)
        raise OutcomeUnknown("cut")

    monkeypatch.setattr(git.Git, "push", cut)
    with at_work(Controller(owned, repo, merges=True)):
        assert reverted(listed())[0] == "4"


@pytest.mark.parametrize("squashes", [False, True])
def test_a_push_that_was_merged_and_whose_branch_was_deleted_before_anybody_looked_is_found(
    owned: ApiServer, repo: Repo, listed: Listed, monkeypatch: pytest.MonkeyPatch, *, squashes: bool
) -> None:
    push, controller = git.Git.push, Controller(owned, repo, merges=True, squashes=squashes)

    def cut(self: git.Git, commit: str, branch: str, deadline: float) -> None:
        push(self, commit, branch, deadline)
        controller.look()
        assert repo.others() == []
        raise OutcomeUnknown("cut")

    monkeypatch.setattr(git.Git, "push", cut)
    target = listed()
    assert reverted(target)[0] == "4"
    found = reading.mark(target, ACT, "roll_back")
    assert found is not None
    assert found.words.startswith(f"the branch main of {repo.bare} has its revert")


def test_a_push_that_is_not_seen_is_open_and_the_remote_says_later_what_became_of_it(
    repo: Repo, listed: Listed, monkeypatch: pytest.MonkeyPatch, short: None
) -> None:
    target = listed()
    monkeypatch.setattr(gitops, "_LOST_SECONDS", 0.1)
    with monkeypatch.context() as cutting:

        def cut(*_: object) -> None:
            raise OutcomeUnknown("cut")

        cutting.setattr(git.Git, "push", cut)
        with pytest.raises(OutcomeUnknown, match=r"the branch paramedic/INC-42-\w+ of .* is not seen to have commit"):
            reverted(target)
    assert reading.mark(target, ACT, "roll_back") is None, "it may still come"
    with pytest.raises(WaitsForPeople):
        reverted(target)
    found = reading.mark(target, ACT, "roll_back")
    assert found is not None
    assert (found.state, found.code) == (MarkState.HAPPENED, None), "it proves nothing of the workload"
    assert (
        found.words
        == f"the branch {repo.others()[0]} of {repo.bare} has its revert, commit {repo.branches()[repo.others()[0]][:12]}"
    )
    assert reading.mark(target, "act-of-another", "roll_back") is None


def test_what_became_of_a_push_to_the_branch_itself_is_known_by_its_message(
    repo: Repo, listed: Listed, short: None
) -> None:
    target = listed(push_to="main")
    assert reading.mark(target, ACT, "roll_back") is None
    with pytest.raises(WaitsForPeople):
        reverted(target, approved=True)
    repo.git("pull", "-q", "origin", "main")
    repo.commit({"README": "later"}, "Later")
    found = reading.mark(target, ACT, "roll_back")
    assert found is not None
    assert found.words.startswith(f"the branch main of {repo.bare} has its revert")


# --- what is refused, and what is told before ---


def test_nothing_else_is_changed_past_the_repository(owned: ApiServer, listed: Listed, tmp_path: Path) -> None:
    del owned.objects[PATH]["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"]
    target = listed()
    written = target.words.model_dump() | {"repository": None, "scale": {"min": 1, "max": 8, "by": 2}}
    words = ScalableWords.model_validate(written)
    alone = kubernetes_api.target(target.machine, words=words)  # type: ignore[arg-type]
    with pytest.raises(Refused, match="owned by a GitOps controller") as no:
        changing.releases(alone).roll_back("3", lambda: None, approved=True)
    assert no.value.by_hand == "revert the last commit to its repository"
    for name in ("scale", "undo_scale"):
        with pytest.raises(Refused):
            getattr(changing.changer(alone), name)(reading.identity(alone), lambda: None)
    assert owned.asked("PATCH") == []


def test_what_keeps_a_revert_from_being_pushed_is_told_before(repo: Repo, listed: Listed) -> None:
    assert reading.releases(listed()).obstacles() == []
    assert repo.others() == []
    [why] = reading.releases(listed(branch="trunk", push_to="paramedic/")).obstacles()
    assert why == f"a revert cannot be pushed: {repo.bare} has no branch trunk"
    [why] = reading.releases(listed(path="apps/gone")).obstacles()
    assert "has nothing at apps/gone" in why
    [why] = reading.releases(listed(url="/nowhere/deploy.git")).obstacles()
    assert "does not appear to be a git repository" in why


def test_a_roll_back_may_take_as_long_as_the_controller_may(listed: Listed) -> None:
    target = listed(within="20m")
    assert reading.time_for(target, "rollback", at_least=timedelta(seconds=30)) == timedelta(minutes=22)
    assert reading.time_for(target, "scale", at_least=timedelta(seconds=30)) == timedelta(seconds=30)


def test_people_who_merge_are_not_asked_for_an_approval_before(listed: Listed) -> None:
    assert reading.merged_by_people(listed())
    assert not reading.merged_by_people(listed(push_to="main"))
