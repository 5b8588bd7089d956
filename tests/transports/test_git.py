"""A git repository through its copy: what is read of it, what is made, and what a server says to a push."""

import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import gitops_shop
import pytest
from gitops_shop import Repo

from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TemporaryError
from paramedic.kinds.repository import Author, NotFastForward, RepositoryAccess, protocol
from paramedic.machine.clock import boottime
from paramedic.transports import git, git_access
from paramedic.transports.git import Git

BOT = Author("Paramedic", "paramedic@shop.example")
BRANCH = "paramedic/INC-1-x"


def soon(seconds: float = 30) -> float:
    return boottime() + seconds


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return gitops_shop.shop(tmp_path)


@pytest.fixture
def copy(repo: Repo) -> Iterator[Git]:
    with Git(RepositoryAccess(str(repo.bare))) as opened:
        yield opened


def older(copy: Git, path: str = "apps/shop", message: str = "Revert") -> str:
    """A commit with what was at the path before its last change."""
    tip = copy.fetch("main", soon())
    change = copy.last_change(tip, path, soon())
    return copy.with_older(tip, path, change.parent or "", message, BOT, soon())


def test_the_last_change_is_that_of_the_path(copy: Git, repo: Repo) -> None:
    repo.commit({"README": "newer"}, "Words")
    tip = copy.fetch("main", soon())
    change = copy.last_change(tip, "apps/shop", soon())
    assert (change.subject, change.committed_at) == ("Deploy bad [skip ci]", datetime(2026, 1, 3, 8, tzinfo=UTC))
    assert copy.last_change(tip, ".", soon()).id == tip
    assert copy.elsewhere(change, "apps/shop", soon()) == 0
    assert [one.subject for one in copy.changes(tip, "apps/shop", soon())] == ["Deploy bad [skip ci]", "Begin"]
    with pytest.raises(PermanentError, match="has nothing at apps/gone"):
        copy.last_change(tip, "apps/gone", soon())
    with pytest.raises(PermanentError, match="has no branch trunk"):
        copy.fetch("trunk", soon())


def test_a_merge_is_one_change_of_the_branch(copy: Git, repo: Repo) -> None:
    repo.git("checkout", "-q", "-b", "feature")
    repo.commit({"apps/shop/image": "shop/api:5"}, "Half")
    repo.commit({"apps/shop/image": "shop/api:6", "apps/shop/more": "x", "apps/other/image": "other:3"}, "Whole")
    repo.git("checkout", "-q", "main")
    repo.git("merge", "--no-ff", "-m", "Merge feature", "feature")
    merge = repo.commit({"README": "later"}, "Words")
    change = copy.last_change(copy.fetch("main", soon()), "apps/shop", soon())
    assert change.subject == "Merge feature"
    assert copy.elsewhere(change, "apps/shop", soon()) == 1
    copy.push(older(copy), BRANCH, soon())
    assert repo.at("apps/shop/image", BRANCH) == "shop/api:bad"
    assert repo.git("diff", "--name-only", merge, BRANCH, at=repo.bare).split() == ["apps/shop/image", "apps/shop/more"]


@pytest.mark.parametrize("path", ["apps/shop", "apps/shop/image"])
def test_only_the_path_goes_back_and_history_stays_whole(copy: Git, repo: Repo, path: str) -> None:
    """A push from a copy that is not whole squashes nothing."""
    tip = repo.commit({"apps/other/image": "other:4"}, "Other 4")
    made = older(copy, path)
    copy.push(made, BRANCH, soon())
    assert repo.branches()[BRANCH] == made
    assert repo.at("apps/shop/image", BRANCH) == "shop/api:1"
    assert repo.at("apps/other/image", BRANCH) == "other:4"
    assert repo.git("rev-list", "--count", BRANCH, at=repo.bare) == "5"
    assert repo.git("rev-parse", f"{BRANCH}^", at=repo.bare) == tip
    assert repo.git("log", "-1", "--format=%an %ae %cn %ce", BRANCH, at=repo.bare) == (
        "Paramedic paramedic@shop.example Paramedic paramedic@shop.example"
    )
    assert repo.git("fsck", "--strict", at=repo.bare) == ""


def test_all_of_a_repository_goes_back(copy: Git, repo: Repo) -> None:
    copy.push(older(copy, "."), BRANCH, soon())
    assert repo.git("diff", "--name-only", "main^", BRANCH, at=repo.bare) == ""


def test_a_file_that_a_change_added_is_gone_and_one_that_it_removed_is_back(copy: Git, repo: Repo) -> None:
    repo.commit({"apps/shop/image": None, "apps/shop/kustomization": "new"}, "Restructure")
    copy.push(older(copy), BRANCH, soon())
    assert repo.git("ls-tree", "-r", "--name-only", BRANCH, "apps/shop", at=repo.bare) == "apps/shop/image"


def test_a_change_further_back_than_the_copy_is_got(repo: Repo, copy: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(12):
        repo.git("commit", "--allow-empty", "-m", f"Nothing {number}")
    repo.git("push", "origin", "HEAD")
    monkeypatch.setattr(copy, "_depth", 2)
    copy._access = RepositoryAccess(f"file://{repo.bare}")
    change = copy.last_change(copy.fetch("main", soon()), "apps/shop", soon())
    assert change.subject == "Deploy bad [skip ci]"
    assert change.parent is not None
    assert copy.at(change.parent, "apps/shop", soon()) is not None
    monkeypatch.setattr(git, "DEEPEST", 2)
    monkeypatch.setattr(copy, "_depth", 2)
    tip = copy.fetch("main", soon())
    with pytest.raises(PermanentError, match="more than 2 commits back"):
        copy.last_change(tip, "apps/shop", soon())


# --- pushes ---


def test_a_branch_that_moved_on_is_never_forced(copy: Git, repo: Repo) -> None:
    """Bots that force it have cost people their commits."""
    made = older(copy)
    newer = repo.commit({"README": "of somebody"}, "Somebody's")
    with pytest.raises(NotFastForward):
        copy.push(made, "main", soon())
    assert repo.branches() == {"main": newer}
    copy.push(older(copy), "main", soon())
    assert repo.git("rev-parse", "main^", at=repo.bare) == newer


def test_a_server_s_hook_that_declines_is_a_refusal_in_its_words(copy: Git, repo: Repo) -> None:
    repo.hook("pre-receive", "echo 'GH006: Protected branch update failed' >&2; exit 1")
    with pytest.raises(Refused, match="GH006: Protected branch") as no:
        copy.push(older(copy), BRANCH, soon())
    assert "let the login of Paramedic push there" in no.value.by_hand
    assert repo.others() == []


def test_a_push_whose_end_is_not_seen_is_unknown_and_found_afterwards(copy: Git, repo: Repo) -> None:
    repo.hook("post-receive", "sleep 30")
    made = older(copy)
    for seconds in (1.5, 6, 24):  # enough to arrive, on a busy machine too, and not for the hook after that
        with pytest.raises(OutcomeUnknown, match="took too long"):
            copy.push(made, BRANCH, soon(seconds))
        if copy.has(BRANCH, made, soon()):
            break
    else:
        pytest.fail("no push arrived")
    assert not copy.has("main", made, soon())
    assert not copy.has("gone", made, soon())


def test_a_push_that_was_cut_before_it_arrived_is_unknown_and_not_there(copy: Git, repo: Repo) -> None:
    repo.hook("pre-receive", "kill -9 $PPID; sleep 1")
    made = older(copy)
    with pytest.raises(OutcomeUnknown, match="was broken off"):
        copy.push(made, BRANCH, soon())
    assert not copy.has(BRANCH, made, soon())


def test_a_branch_has_what_is_below_its_end(copy: Git, repo: Repo) -> None:
    made = older(copy)
    copy.push(made, "main", soon())
    repo.git("pull", "-q", "origin", "main")
    repo.commit({"README": "upon it"}, "Later")
    assert copy.has("main", made, soon())


def test_whether_it_may_be_pushed_is_asked_with_nothing_sent(copy: Git, repo: Repo) -> None:
    """A login that may not write is found before it is needed."""
    copy.fetch("main", soon())
    copy.may_push(soon())
    assert repo.others() == []
    repo.bare.rename(repo.bare.with_name("moved"))
    with pytest.raises(PermanentError, match="does not appear to be a git repository"):
        copy.may_push(soon())


# --- what is never run, and never waited for ---


def test_nothing_of_the_user_or_the_repository_is_run(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, ran = tmp_path / "home", tmp_path / "ran"
    hooks = home / "hooks"
    hooks.mkdir(parents=True)
    for name in (
        "pre-push",
        "commit-msg",
        "post-commit",
        "reference-transaction",
        "post-checkout",
        "post-index-change",
    ):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {ran}\n")
        (hooks / name).chmod(0o755)
    (home / ".gitconfig").write_text(
        f"[core]\n\thooksPath = {hooks}\n\tfsmonitor = touch {ran}\n[commit]\n\tgpgSign = true\n"
        f'[gpg]\n\tprogram = {hooks}/pre-push\n[url "/nowhere"]\n\tinsteadOf = {repo.bare}\n'
        f"[push]\n\tgpgSign = true\n\tdefault = nothing\n"
    )
    for variable, value in {
        "HOME": str(home),
        "GIT_DIR": "/nowhere",
        "GIT_SSH_COMMAND": f"touch {ran}",
        "GIT_TEMPLATE_DIR": str(home),
        "GIT_EXTERNAL_DIFF": f"touch {ran}",
    }.items():
        monkeypatch.setenv(variable, value)
    repo.commit({".gitattributes": "* filter=evil", ".gitmodules": "[submodule]", "apps/shop/image": "x"}, "Traps")
    with Git(RepositoryAccess(str(repo.bare))) as copy:
        copy.push(older(copy), BRANCH, soon())
    assert not ran.exists()
    assert repo.others() == [BRANCH]


def test_the_copy_is_gone_with_it(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git.tempfile, "tempdir", str(tmp_path))
    with Git(RepositoryAccess(str(repo.bare))) as copy:
        copy.fetch("main", soon())
        [kept] = tmp_path.glob("paramedic-git-*")
        assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    assert list(tmp_path.glob("paramedic-git-*")) == []


def test_what_killed_processes_have_left_is_taken_away_after_a_while(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git.tempfile, "tempdir", str(tmp_path))
    left, young, elsewhere = (tmp_path / name for name in ("paramedic-git-left", "paramedic-git-young", "elsewhere"))
    for folder in (left, young, elsewhere):
        (folder / "copy.git").mkdir(parents=True)
    (tmp_path / "paramedic-git-link").symlink_to(elsewhere)
    for folder in (left, elsewhere):
        os.utime(folder, (1, 1))
    with Git(RepositoryAccess(str(repo.bare))):
        assert (left.exists(), young.exists()) == (False, True), "a push of it may be under way"
    assert (elsewhere / "copy.git").exists()


def test_a_repository_that_is_too_large_is_given_up(repo: Repo, copy: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    (repo.work / "large").write_bytes(os.urandom(600_000))
    repo.commit({"README": "large"}, "Large")
    monkeypatch.setattr(git, "LARGEST", 100_000)
    with pytest.raises((TemporaryError, PermanentError)):
        copy.fetch("main", soon())


def test_a_server_that_never_answers_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setattr(git_access, "_ssh", lambda _: str(slow))
    began = boottime()
    with (
        Git(RepositoryAccess("git@silent:deploy.git")) as copy,
        pytest.raises(TemporaryError, match="no whole answer in time"),
    ):
        copy.fetch("main", soon(1))
    assert boottime() - began < 20


def test_a_commit_s_own_text_is_no_commit_of_the_log(copy: Git, repo: Repo) -> None:
    forged = f"{'a' * 40}\n{'b' * 40}\n1700000000\nForged\nThis reverts commit {'c' * 40}"
    repo.commit({"apps/shop/image": "y"}, f"Real\n\nend of 00\n{forged}\n\\x1e\n{forged}")
    found = copy.log(copy.fetch("main", soon()), soon())
    assert [one.subject for one in found] == ["Real", "Deploy bad [skip ci]", "Other 2", "Begin"]


# --- addresses and logins ---


@pytest.mark.parametrize(
    ("url", "way"),
    [
        ("https://git.shop.example/deploy.git", "https"),
        ("ssh://git@git.shop.example:2222/deploy.git", "ssh"),
        ("git@github.com:shop/deploy.git", "ssh"),
        ("/srv/deploy.git", "file"),
        ("file:///srv/deploy.git", "file"),
        ("http://10.0.0.1:3000/shop/deploy.git", "http"),
    ],
)
def test_an_address_has_one_protocol(url: str, way: str) -> None:
    assert protocol(url) == way
    assert git_access.environment(RepositoryAccess(url))["GIT_ALLOW_PROTOCOL"] == way


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c touch% /tmp/x",
        "--upload-pack=touch /tmp/x",
        "-oProxyCommand=x@host:path",
        "git@-oProxyCommand=x:path",
        "git@host:-x",
        "ssh://-oProxyCommand=x/path",
        "ssh://git@-x/path",
        "ssh://-x@host/path",
        "git://host/path",
        "fd::17",
        "https://ann:secret@host/path",
        "https://token@host/path",
        "ssh://git:secret@host/path",
        "file://host/path",
        "deploy.git",
        "https://host",
        "https://ho st/x",
        "ftp://host/x",
        "git@host::x",
        "http://[half/x",
        "",
    ],
)
def test_what_git_could_take_for_something_else_is_no_address(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        protocol(url)
    with pytest.raises(PermanentError, match="the repository's address"):
        git_access.environment(RepositoryAccess(url))


def test_a_key_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("k")
    key.chmod(0o644)
    with pytest.raises(PermanentError, match="other users can read"):
        git_access.environment(RepositoryAccess("git@host:x", key=str(key)))
    key.chmod(0o600)
    found = git_access.environment(RepositoryAccess("git@host:x", key=str(key), known_hosts="/etc/own hosts"))
    command = found["GIT_SSH_COMMAND"]
    assert "StrictHostKeyChecking=yes" in command
    assert "BatchMode=yes" in command
    assert "IdentityAgent=none" in command
    assert """'UserKnownHostsFile="/etc/own hosts"'""" in command


@pytest.mark.parametrize("text", ["", "two\nlines-of-it", "with space", "\xff"])
def test_what_is_no_token_is_not_sent(tmp_path: Path, text: str) -> None:
    file = tmp_path / "token"
    file.write_bytes(text.encode("latin-1"))
    file.chmod(0o600)
    with pytest.raises(PermanentError, match="token") as no:
        git_access.environment(RepositoryAccess("https://host/x", token=str(file)))
    assert "lines-of-it" not in str(no.value)
