"""A workload that a GitOps controller owns: a roll-back is a revert in its repository, and the cluster is left to it."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import gitops_shop
import jumping_clock
import pytest
from gitops_shop import ACT, AUTHOR, INCIDENT, Controller, Repo, at_work, reverted
from kubernetes_api import ApiServer
from kubernetes_objects import path_of, replica_set

from paramedic.errors import PermanentError, Refused, TemporaryError, WaitsForPeople
from paramedic.kubernetes import gitops
from paramedic.remediation.target import Target

PATH, SETS = path_of(), "/apis/apps/v1/namespaces/shop/replicasets"
Listed = Callable[..., Target]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    jumping_clock.soon(monkeypatch)
    monkeypatch.setattr(gitops, "_LOOK_SECONDS", 0.02)


# --- the way back ---


def test_the_revert_is_a_branch_that_people_merge_and_the_controller_deploys(
    owned: ApiServer, repo: Repo, listed: Listed
) -> None:
    """nothing past the repository, and automatic sync stays as it is."""
    tip = repo.branches()["main"]
    with at_work(Controller(owned, repo, merges=True)):
        revision, did = reverted(listed())
    assert revision == "4"
    assert repo.at("apps/shop/image") == "shop/api:1"
    assert owned.objects[PATH]["spec"]["template"]["spec"]["containers"][0]["image"] == "shop/api:1"
    assert [request.method for request in owned.requests if request.method != "GET"] == [], (
        "the cluster was only looked at"
    )
    made = repo.git("rev-parse", "main^2", at=repo.bare)
    assert f"commit {made[:12]} on the branch paramedic/INC-42-" in did
    assert did.endswith("prod-cluster/deployment:shop/api has another template since, revision 4")
    assert repo.git("rev-parse", f"{made}^", at=repo.bare) == tip


def test_the_commit_names_its_incident_and_none_of_the_reverted_words(repo: Repo, listed: Listed, short: None) -> None:
    """A `[skip ci]` in what is reverted would keep the revert from being checked, and `Closes #1` would count once more."""
    bad = repo.branches()["main"]
    with pytest.raises(WaitsForPeople):
        reverted(listed())
    [branch] = repo.others()
    message = repo.git("log", "-1", "--format=%B", branch, at=repo.bare)
    assert message.splitlines() == [
        f"Revert {bad[:12]} of apps/shop for INC-42",
        "",
        f"This reverts commit {bad}",
        "at apps/shop, and nowhere else: prod-cluster/deployment:shop/api is failing.",
        "",
        f"Paramedic-Incident: {INCIDENT}",
        "Paramedic-Target: prod-cluster/deployment:shop/api",
        f"Paramedic-Act: {ACT}",
    ]
    assert repo.git("log", "-1", "--format=%an <%ae>", branch, at=repo.bare) == AUTHOR
    assert repo.branches()["main"] == bad, "the branch that the controller deploys is left to people"


def test_what_nobody_merges_is_handed_over_with_the_branch(
    owned: ApiServer, repo: Repo, listed: Listed, short: None
) -> None:
    with at_work(Controller(owned, repo)), pytest.raises(WaitsForPeople) as told:
        reverted(listed())
    [branch] = repo.others()
    words = str(told.value)
    assert f"commit {repo.branches()[branch][:12]} on the branch {branch} of {repo.bare} takes apps/shop back" in words
    assert "Argo CD (application shop) has not brought prod-cluster/deployment:shop/api to it within 10s" in words
    assert words.endswith(f"By hand: merge the branch {branch} into main, then argocd app sync shop")
    assert owned.asked("PATCH") == []


def test_a_controller_that_is_silent_is_told_of_what_services_yaml_says(
    owned: ApiServer, repo: Repo, listed: Listed, short: None
) -> None:
    del owned.objects[PATH]["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"]
    with pytest.raises(WaitsForPeople, match=r"a GitOps controller \(services.yaml\) has not brought") as told:
        reverted(listed(push_to="main"), approved=True)
    assert "By hand: look why a GitOps controller (services.yaml) does not deploy main" in str(told.value)


def test_what_the_change_did_to_other_services_stays_and_is_told(
    owned: ApiServer, repo: Repo, listed: Listed, short: None
) -> None:
    repo.commit({"apps/shop/image": "shop/api:bad2", "apps/other/image": "other:9"}, "Both at once")
    owned.objects[f"{SETS}/api-3"]["metadata"]["creationTimestamp"] = "2026-01-04T08:01:00Z"
    with pytest.raises(WaitsForPeople, match="the 1 files that it changed elsewhere stay"):
        reverted(listed())
    [branch] = repo.others()
    assert (repo.at("apps/shop/image", branch), repo.at("apps/other/image", branch)) == ("shop/api:bad", "other:9")


def test_an_updater_that_takes_the_bad_image_again_is_told(owned: ApiServer, repo: Repo, listed: Listed) -> None:
    """two images by turns."""
    controller, turns = Controller(owned, repo, merges=True), itertools.cycle(["shop/api:1", "shop/api:bad"])

    def deploy(image: str) -> None:
        if image == "shop/api:1":
            Controller.deploy(controller, next(turns))
            owned.objects[PATH]["status"]["observedGeneration"] = 0  # the rollout is never complete

    controller.deploy = deploy  # type: ignore[method-assign]
    with (
        at_work(controller),
        pytest.raises(WaitsForPeople, match=r"had another template then: .* somebody took it back"),
    ):
        reverted(listed())


def test_a_rollout_that_is_stuck_after_the_revert_says_so_with_the_branch(
    owned: ApiServer, repo: Repo, listed: Listed
) -> None:
    controller = Controller(owned, repo, merges=True)

    def deploy(image: str) -> None:
        Controller.deploy(controller, image)
        overdue = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "late"}
        owned.objects[PATH]["status"]["conditions"] = [overdue]

    controller.deploy = deploy  # type: ignore[method-assign]
    with (
        at_work(controller),
        pytest.raises(PermanentError, match="the rollout is stuck: ProgressDeadlineExceeded") as told,
    ):
        reverted(listed())
    assert "on the branch paramedic/INC-42-" in str(told.value)
    assert not isinstance(told.value, WaitsForPeople)


def test_a_workload_that_is_replaced_is_waited_for(owned: ApiServer, repo: Repo, listed: Listed) -> None:
    """Argo CD with `Replace=true` deletes it and makes it anew: for a moment there is none."""
    controller = Controller(owned, repo, merges=True)
    rounds: list[dict[str, Any]] = []

    def deploy(image: str) -> None:
        if image != "shop/api:1" or len(rounds) > 3:
            return
        rounds.append(owned.objects.pop(PATH, {}) or rounds[0])
        if len(rounds) == 4:
            found = rounds[0]
            found["metadata"]["uid"] = "uid-new"
            owned.put(PATH, found)
            Controller.deploy(controller, image)

    controller.deploy = deploy  # type: ignore[method-assign]
    with at_work(controller):
        assert reverted(listed())[0] == "4"


# --- once, and only what was judged ---


def test_the_same_revert_is_not_made_twice(owned: ApiServer, repo: Repo, listed: Listed, short: None) -> None:
    """the same commit over and over."""
    for attempt in ("first", "second"):
        with pytest.raises(WaitsForPeople) as told:
            reverted(listed(), act=f"act-{attempt}")
    [(branch, commit)] = [(name, at) for name, at in repo.branches().items() if name != "main"]
    assert f"is on the branch {branch} of {repo.bare} already, as commit {commit[:12]}, and was not made again" in str(
        told.value
    )
    repo.git("fetch", "-q", "origin")
    repo.git("checkout", "-q", "-b", "review", f"origin/{branch}")
    (repo.work / "apps/shop/note").write_text("a reviewer's")
    repo.git("add", "--all")
    repo.git("commit", "-q", "-m", "A reviewer's")
    repo.git("push", "-q", "origin", f"HEAD:{branch}")
    with pytest.raises(WaitsForPeople, match="was not made again"):
        reverted(listed(), act="act-third")
    assert repo.others() == [branch]
    with pytest.raises(WaitsForPeople, match="takes apps/shop back"):
        reverted(listed(), incident=INCIDENT.replace("6b2a", "0000"), act="act-of-another-store")
    assert len(repo.others()) == 2


def test_in_the_branch_itself_it_is_not_made_twice_either(repo: Repo, listed: Listed, short: None) -> None:
    target = listed(push_to="main")
    for act in ("one", "two"):
        with pytest.raises(WaitsForPeople) as told:
            reverted(target, approved=True, act=act)
    assert "was not made again" in str(told.value)
    assert repo.git("rev-list", "--count", "main", at=repo.bare) == "4"
    assert repo.others() == []


@pytest.mark.parametrize("way", ["revert", "merge", "by hand", "ours"])
def test_a_roll_back_is_never_rolled_back(owned: ApiServer, repo: Repo, listed: Listed, short: None, way: str) -> None:
    if way == "revert":
        repo.git("revert", "--no-edit", "HEAD")
        repo.git("push", "-q", "origin", "HEAD")
    elif way == "by hand":
        repo.commit({"apps/shop/image": "shop/api:1"}, "Back to 1")
    elif way == "merge":
        Controller(owned, repo, merges=True, deploys=False).look()
        with pytest.raises(WaitsForPeople):
            reverted(listed())
        Controller(owned, repo, merges=True, deploys=False).look()
    else:
        with pytest.raises(WaitsForPeople):
            reverted(listed(push_to="main"), approved=True)
    owned.objects[f"{SETS}/api-3"]["metadata"]["creationTimestamp"] = "2099-01-01T00:00:00Z"
    before = repo.branches()
    with pytest.raises(Refused, match="went back itself: a roll-back is never rolled back"):
        reverted(listed(push_to="main"), approved=True, incident=INCIDENT.replace("42", "43"))
    assert repo.branches() == before


def test_a_change_that_came_after_what_runs_is_not_reverted(owned: ApiServer, repo: Repo, listed: Listed) -> None:
    """The controller has not deployed it, or it changed no template: it is not what broke."""
    repo.commit({"apps/shop/image": "shop/api:fix"}, "Fix", datetime(2026, 1, 3, 8, 3, tzinfo=UTC))
    with pytest.raises(Refused, match="it is not what runs, or its controller has not deployed it"):
        reverted(listed())
    assert repo.others() == []


@pytest.mark.parametrize(
    ("mark", "push_to", "approved", "words"),
    [
        ("false", "paramedic/", True, "marked irreversible"),
        ("perhaps", "main", False, "nobody reviews a push to main"),
    ],
)
def test_what_may_not_be_crossed_is_not(
    owned: ApiServer, repo: Repo, listed: Listed, mark: str, push_to: str, approved: bool, words: str
) -> None:
    owned.objects[f"{SETS}/api-3"]["metadata"]["annotations"]["paramedic/reversible"] = mark
    with pytest.raises(Refused, match=words):
        reverted(listed(push_to=push_to), approved=approved)
    assert repo.others() == []
    assert repo.at("apps/shop/image") == "shop/api:bad"


def test_the_branch_itself_is_pushed_to_where_the_author_named_it(owned: ApiServer, repo: Repo, listed: Listed) -> None:
    with at_work(Controller(owned, repo)):
        revision, did = reverted(listed(push_to="main"), approved=True)
    assert revision == "4"
    assert f"commit {repo.branches()['main'][:12]} on the branch main of {repo.bare}" in did
    assert repo.others() == []


def test_a_branch_that_moves_on_is_judged_again(owned: ApiServer, repo: Repo, listed: Listed) -> None:
    moves = iter(["README", "apps/other/image"])

    def somebody() -> None:
        if (name := next(moves, None)) is not None:
            repo.commit({name: "of somebody"}, f"Change {name}")

    with at_work(Controller(owned, repo)):
        reverted(listed(push_to="main"), approved=True, last_look=somebody)
    assert repo.git("log", "--format=%an", "main", at=repo.bare).split("\n") == ["Paramedic", *["Ann"] * 5]

    def fix() -> None:
        repo.git("pull", "-q", "origin", "main")
        repo.commit({"apps/shop/image": "shop/api:fixed"}, "Fix", datetime(2099, 1, 1, tzinfo=UTC))

    repo.git("pull", "-q", "origin", "main")
    repo.commit({"apps/shop/image": "shop/api:worse"}, "Worse", datetime(2026, 1, 3, 8, tzinfo=UTC))
    owned.objects[PATH]["spec"]["template"] = gitops_shop.template("shop/api:worse")
    owned.put(f"{SETS}/api-5", replica_set("api-5", 5, gitops_shop.template("shop/api:worse")))
    with pytest.raises(Refused, match="it is not what runs"):
        reverted(listed(push_to="main"), expected="5", approved=True, last_look=fix)
    assert repo.at("apps/shop/image") == "shop/api:fixed"


def test_one_that_never_stands_still_is_given_up(repo: Repo, listed: Listed) -> None:
    with pytest.raises(TemporaryError, match="was moved on 3 times"):
        reverted(
            listed(push_to="main"), approved=True, last_look=lambda: str(repo.commit({"README": str(repo.day)}, "More"))
        )


def test_nothing_older_is_no_way_back(owned: ApiServer, repo: Repo, listed: Listed) -> None:
    repo.commit({"apps/new/image": "new:1"}, "New")
    owned.objects[f"{SETS}/api-3"]["metadata"]["creationTimestamp"] = "2026-01-09T08:01:00Z"
    with pytest.raises(Refused, match="there is nothing older to go back to"):
        reverted(listed(path="apps/new"))
    with pytest.raises(Refused, match="has revision 3 now, and 2 was judged"):
        reverted(listed(), expected="2")
    assert repo.others() == []


def test_a_last_look_that_says_no_leaves_nothing(repo: Repo, listed: Listed) -> None:
    def no() -> None:
        raise Refused("the claim is gone")

    with pytest.raises(Refused, match="the claim is gone"):
        reverted(listed(), last_look=no)
    assert repo.others() == []
