"""A container that goes back to the image it ran before, on a real podman: made again, kept, put back, and refused."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from podman_engine import WELL, Podman, losing_answers, serving
from ssh_servers import Sshd

from paramedic.docker import replace as replacing
from paramedic.doors import changing, reading
from paramedic.errors import OutcomeUnknown, PermanentError, Refused
from paramedic.integrations.targets.container import EVIDENCE, Changer, Reader, Releases, restarted
from paramedic.remediation.release import Release
from paramedic.remediation.target import Target
from paramedic.transports.local import Local

pytestmark = [pytest.mark.real, pytest.mark.costly]

WITHIN = timedelta(minutes=2)


class Shop:
    """A podman with three images of one service: one that worked, one that is bad, one that does not start."""

    def __init__(self, podman: Podman) -> None:
        self.podman = podman
        self.good = podman.image("shop:1", WELL.replace("begun", "begun-1"))
        self.bad = podman.image("shop:2", WELL.replace("begun", "begun-2"), "ENV ONLY_IN_2=yes")
        self.broken = podman.image("shop:3", "exit 7")

    def start(self, name: str, *more: str, before: str | None = None, network: str = "none") -> Target:
        """A container of the bad image, which ran the good one before, as Paramedic has seen."""
        target = self.podman.start_from("shop:2", name, *more, network=network)
        return noted(target, before or self.good)

    def roll_back(self, target: Target, last_look: Callable[[], None] = lambda: None) -> str:
        return Changer(target, Local(), WITHIN).roll_back(self.bad, last_look, approved=True)

    def inspected(self, target: Target) -> dict[str, object]:
        return dict(Reader(target, Local()).inspected())

    def beside(self, name: str) -> dict[str, str]:
        """What a roll-back has left beside the container of this name."""
        return {other: state for other, state in self.podman.all().items() if other.startswith(f"{name}-paramedic-")}


def noted(target: Target, *images: str) -> Target:
    return replace(target, noted=tuple(Release(image, None, None, healthy=True) for image in images))


@pytest.fixture(scope="module")
def shop(require: Callable[[str], str]) -> Iterator[Shop]:
    with serving(require) as podman:
        yield Shop(podman)


def test_it_runs_the_image_before_and_the_old_one_is_kept_stopped(shop: Shop) -> None:
    target = shop.start("plain")
    before = shop.podman.identity("plain")
    assert (before.revision, Releases(target, Local()).current().id) == (shop.bad, shop.bad)
    assert Releases(target, Local()).before().id == shop.good
    assert shop.roll_back(target) == shop.good
    after = shop.podman.identity("plain")
    assert restarted(before, after)
    assert after.revision == shop.good
    old = str(before.instance["container"])[:12]
    assert {name: state.split()[0] for name, state in shop.beside("plain").items()} == {
        f"plain-paramedic-before-{old}": "Exited"
    }
    assert "begun-1" in shop.podman.run("logs", "plain")


def test_on_a_host_by_ssh_it_runs_the_image_before_and_that_is_undone(shop: Shop, sshd: Sshd) -> None:
    there = replace(shop.start("there"), host="web-7", machine=sshd.host())
    before = shop.podman.identity("there")
    changer = changing.releases(there, WITHIN, act="act-1")
    assert changer.roll_back(shop.bad, lambda: None, approved=True) == shop.good
    after = shop.podman.identity("there")
    assert (restarted(before, after), after.revision) == (True, shop.good)
    assert reading.releases(there).current().rolled_back_to
    changing.releases(there, WITHIN, act="act-2").undo(shop.good, lambda: None)
    assert shop.podman.identity("there").revision == shop.bad


def test_a_roll_back_is_never_rolled_back_and_is_undone_to_the_very_container_that_ran(shop: Shop) -> None:
    target = shop.start("undone")
    before = shop.podman.identity("undone")
    shop.roll_back(target)
    rolled = noted(target, shop.good, shop.bad)
    with pytest.raises(Refused, match="rolled back already: a roll-back is never rolled back"):
        Changer(rolled, Local(), WITHIN).roll_back(shop.good, lambda: None, approved=True)
    with pytest.raises(Refused, match="is not the container that the roll-back to"):
        Changer(target, Local(), WITHIN).undo(shop.broken, lambda: None)
    assert Changer(target, Local(), WITHIN).undo(shop.good, lambda: None) == shop.bad
    after = shop.podman.identity("undone")
    assert (after.instance["container"], after.revision) == (before.instance["container"], shop.bad)
    assert [name.rpartition("-")[0] for name in shop.beside("undone")] == ["undone-paramedic-undone"]


def test_all_that_its_author_asked_for_is_asked_for_again_and_the_images_own_is_that_of_the_image(shop: Shop) -> None:
    shop.podman.run("volume", "create", "kept")
    asked = "--env=TOKEN=x --memory=50m --cpus=0.5 --volume=kept:/kept --volume=/unnamed --tmpfs=/scratch --label=a=b"
    more = "--cap-add=NET_ADMIN --hostname=till --read-only --user=0:0 --add-host=db:10.0.0.1 --restart=on-failure:3"
    target = shop.start(
        "rich", *asked.split(), *more.split(), "--stop-timeout=3", "--pids-limit=77", f"--volume={shop.podman.folder}:/data:ro",
        network="host",
    )  # fmt: skip
    was = shop.inspected(target)
    shop.roll_back(target)
    now = shop.inspected(target)
    assert now["HostConfig"] == {**was["HostConfig"], "Binds": now["HostConfig"]["Binds"]}  # type: ignore[dict-item, index]
    mounts = [sorted((one["Destination"], one.get("Name"), one["RW"]) for one in seen["Mounts"]) for seen in (was, now)]  # type: ignore[attr-defined]
    assert mounts[0] == mounts[1]
    config = {key: now["Config"][key] for key in ("Hostname", "User", "StopTimeout")}  # type: ignore[index]
    assert config == {"Hostname": "till", "User": "0:0", "StopTimeout": 3}
    env, labels = now["Config"]["Env"], now["Config"]["Labels"]  # type: ignore[index]
    assert {"TOKEN=x", "MADE_AS=shop:1"} <= set(env)
    assert not any(word.startswith("ONLY_IN_2") for word in env)
    assert (labels["a"], labels["made-as"]) == ("b", "shop:1")


def test_one_that_does_not_stay_up_is_taken_away_and_the_old_one_runs_again(shop: Shop) -> None:
    target = shop.start("put-back", before=shop.broken)
    before = shop.podman.identity("put-back")
    with pytest.raises(
        PermanentError, match=r"did not start from .*exit code 7; the container that ran before was put back"
    ):
        shop.roll_back(target)
    after = shop.podman.identity("put-back")
    assert after.instance["container"] == before.instance["container"]
    assert (after.state, after.revision, shop.beside("put-back")) == ("running", shop.bad, {})


def test_what_another_container_would_lack_is_a_refusal_and_nothing_is_touched(shop: Shop) -> None:
    target = shop.start("wrote")
    shop.podman.run(
        "exec", "wrote", "sh", "-c", "mkdir -p /conf /tmp && echo x > /conf/shop.ini && echo x > /tmp/passing"
    )
    before = shop.podman.identity("wrote")
    with pytest.raises(
        Refused, match="files outside its mounts that another container would lack: /conf/shop.ini"
    ) as no:
        shop.roll_back(target)
    assert "`writes: disposable`" in no.value.by_hand
    for name, more, why in (
        ("passing-by", ("--rm",), "made with --rm"),
        ("always", ("--restart=always",), "the one that is kept would be started too"),
        ("watched", ("--label=com.centurylinklabs.watchtower.enable=true",), "Watchtower would update it again"),
    ):
        with pytest.raises(Refused, match=why):
            shop.roll_back(shop.start(name, *more))
        assert shop.beside(name) == {}
    assert (shop.podman.identity("wrote"), shop.beside("wrote")) == (before, {})


def test_what_compose_or_systemd_owns_is_left_to_them_with_their_own_command(shop: Shop) -> None:
    labels = ("project=shop", "service=web", "project.config_files=/srv/shop/compose.yaml")
    target = shop.start("composed", *(f"--label=com.docker.compose.{label}" for label in labels))
    with pytest.raises(Refused, match="Compose has made it, as web of the project shop") as no:
        shop.roll_back(target)
    assert "docker compose -f /srv/shop/compose.yaml -p shop up -d --no-deps web" in no.value.by_hand
    with pytest.raises(Refused, match="systemd runs it") as no:
        shop.roll_back(shop.start("unit-run", "--label=PODMAN_SYSTEMD_UNIT=shop.service"))
    assert "systemctl restart shop.service" in no.value.by_hand
    assert shop.beside("composed") == {}


def test_an_image_that_is_gone_or_was_never_seen_is_not_guessed(shop: Shop) -> None:
    target = shop.start("unseen")
    before = shop.podman.identity("unseen")
    with pytest.raises(Refused, match="has seen .* run no other image"):
        shop.roll_back(noted(target, shop.bad))
    unwell = replace(target, noted=(Release(shop.good, None, None, healthy=None),))
    with pytest.raises(Refused, match="was never seen well with it"):
        Releases(unwell, Local()).before()
    with pytest.raises(PermanentError, match="has no image sha256:0000.* any more, and nothing is pulled"):
        shop.roll_back(noted(target, "sha256:" + "0" * 64))
    with pytest.raises(Refused, match="nobody said whether one may go back"):
        Changer(target, Local(), WITHIN).roll_back(shop.bad, lambda: None, approved=False)
    assert (shop.podman.identity("unseen"), shop.beside("unseen")) == (before, {})


def test_a_no_at_the_last_look_leaves_no_container_behind(shop: Shop) -> None:
    target = shop.start("refused")
    before = shop.podman.identity("refused")

    def no() -> None:
        raise Refused("the claim is gone")

    with pytest.raises(Refused, match="the claim is gone"):
        shop.roll_back(target, no)
    assert (shop.podman.identity("refused"), shop.beside("refused")) == (before, {})


def test_a_stop_whose_answer_is_lost_is_open_and_says_how_to_go_on(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    target = shop.start("lost")
    made = replacing.Replacement._ready
    with losing_answers(shop.podman.socket) as losing:

        def made_here(self: replacing.Replacement, image: str, seen: dict[str, object]) -> str:
            new = made(self, image, seen)
            self._engine._target = replace(target, address=losing)  # from here on answers are lost
            return new

        monkeypatch.setattr(replacing.Replacement, "_ready", made_here)
        with pytest.raises(
            OutcomeUnknown, match="its outcome is open: .*; by hand, if it does not run: `docker start lost`"
        ):
            shop.roll_back(target)


@pytest.mark.parametrize("step", ["_made", "_keep_down", "_rename", "_start"])
def test_who_dies_in_the_middle_leaves_what_the_next_look_finds_and_tells(shop: Shop, step: str) -> None:
    """Dies after each step once; what is kept is the container that ran, and the commands that are told bring it back."""
    name = f"killed{step.replace('_', '-')}"
    target = shop.start(name)
    before = shop.podman.identity(name)
    dying = textwrap.dedent(f"""
        import os, signal
        from datetime import timedelta
        from paramedic.docker.replace import Replacement
        from paramedic.integrations.targets.container import Changer
        from paramedic.remediation.release import Release
        from paramedic.remediation.target import Target
        from paramedic.transports.local import Local
        whole = Replacement.{step}
        def dying(self, *given):
            whole(self, *given)
            os.kill(os.getpid(), signal.SIGKILL)
        Replacement.{step} = dying
        target = Target("{target.id}", "shop", "localhost", "container", "{name}", "{target.address}",
                        noted=(Release("{shop.good}", None, None, healthy=True),))
        Changer(target, Local(), timedelta(minutes=2)).roll_back("{shop.bad}", lambda: None, approved=True)
    """)
    client = subprocess.run([sys.executable, "-c", dying], check=False, env={**os.environ})
    assert client.returncode == -signal.SIGKILL
    old = str(before.instance["container"])
    if step == "_made":  # beside the one that runs on
        assert shop.podman.identity(name) == before
        assert f"{name}-paramedic-new" in EVIDENCE["state"](target, Local()).text
        assert shop.roll_back(target) == shop.good  # what was left is no obstacle
        return
    if step == "_keep_down":
        assert shop.podman.identity(name).state == "exited"
        assert f"{name}-paramedic-new" in EVIDENCE["state"](target, Local()).text
    elif step == "_rename":
        with pytest.raises(PermanentError, match=f"`docker rename {name}-paramedic-before-{old[:12]} {name}`"):
            shop.podman.identity(name)
    else:
        assert shop.podman.identity(name).revision == shop.good
        assert f"{name}-paramedic-before-{old[:12]}" in EVIDENCE["state"](target, Local()).text
        assert Changer(target, Local(), WITHIN).undo(shop.good, lambda: None) == shop.bad
        assert shop.podman.identity(name).instance["container"] == old
