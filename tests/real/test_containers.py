"""Containers against a real podman, by its Docker Engine API."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from certificates import Authority
from podman_engine import WELL, Podman, serving
from ssh_servers import Sshd, relay
from tls_engine import port_before, strict
from waiting import until

from paramedic.doors import changing, reading
from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TargetChanged, TemporaryError
from paramedic.integrations.targets.container import EVIDENCE, Changer, Reader, forbidden, restarted, running
from paramedic.kinds import docker_engine
from paramedic.kinds.transport import Tls
from paramedic.machine.clock import boottime
from paramedic.remediation.target import Target
from paramedic.transports import local_connection, ssh_connection
from paramedic.transports.local import Local

pytestmark = [pytest.mark.real, pytest.mark.costly]

WITHIN = timedelta(minutes=2)

#: Takes half a second to end, in which whoever asked for it may die.
SLOW_TO_STOP = "trap 'sleep 0.5; exit 0' TERM; echo begun; while :; do sleep 0.1; done"


@pytest.fixture(scope="module")
def podman(require: Callable[[str], str]) -> Iterator[Podman]:
    with serving(require) as engine:
        yield engine


@pytest.fixture(autouse=True)
def _nothing_warm() -> Iterator[None]:
    yield
    ssh_connection.close_all()


def agree() -> None:
    """A last look that sees nothing wrong."""


def changer(target: Target) -> Changer:
    """One that has time enough on a busy machine."""
    return Changer(target, Local(), timedelta(minutes=2))


def later(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> None:
    """For this module ten minutes pass at once."""
    now = boottime()
    monkeypatch.setattr(module, "boottime", lambda: now + 600)


@pytest.mark.parametrize("remedy", ["restart", "stop_and_start"])
def test_a_remedy_begins_one_new_instance_and_says_which(podman: Podman, remedy: str) -> None:
    name = f"web-{remedy}"
    target = podman.start(name)
    before = podman.identity(name)
    after = getattr(changer(target), remedy)(before, agree)
    assert after == podman.identity(name)
    assert restarted(before, after)
    assert not restarted(after, after)
    assert after.instance["container"] == before.instance["container"]
    assert podman.starts(name, least=2) == 2


def test_another_instance_than_the_judged_one_is_not_touched(podman: Podman) -> None:
    target = podman.start("judged")
    before = podman.identity("judged")
    podman.run("restart", "--time=1", "judged")
    now = podman.identity("judged")
    for remedy in (changer(target).restart, changer(target).stop_and_start):
        with pytest.raises(TargetChanged, match="no longer the one that was judged"):
            remedy(before, agree)
    assert podman.identity("judged") == now


def test_a_container_that_was_made_again_under_its_name_is_another_one(podman: Podman) -> None:
    target = podman.start("made-again")
    before = podman.identity("made-again")

    def make_again() -> None:  # after the look: the request must not meet the new one
        podman.run("rm", "--force", "--time=0", "made-again")
        podman.start("made-again")

    with pytest.raises(PermanentError, match=r"did not restart .*404.*no such container; it is running now"):
        changer(target).restart(before, make_again)
    assert podman.starts("made-again") == 1
    assert restarted(before, podman.identity("made-again"))


def test_the_beginning_of_an_id_is_no_name(podman: Podman) -> None:
    podman.start("by-its-name")
    whole = str(podman.identity("by-its-name").instance["container"])
    assert podman.identity(whole).instance["container"] == whole
    with pytest.raises(PermanentError, match=f"there is no container {whole[:8]}"):
        podman.identity(whole[:8])


@pytest.mark.parametrize("name", ["none", "../../images", "a/b", "a%2Fb", "x?all=1", "x#y"])
def test_a_name_that_no_container_has_is_useless(podman: Podman, name: str) -> None:
    with pytest.raises(PermanentError, match=r"says 404 .*no such container"):
        podman.identity(name)


def test_a_stopped_container_is_started(podman: Podman) -> None:
    target = podman.start(
        "ended", "echo begun; test -e /once && exec sleep 100; echo > /once; exit 3", "--stop-timeout=0"
    )
    before = podman.comes_to("ended", lambda seen: seen.state == "exited")
    assert not running(before)
    assert "exit code: 3" in EVIDENCE["state"](target, Local()).text
    assert restarted(before, changer(target).restart(before, agree))
    assert podman.starts("ended", least=2) == 2


def test_one_that_ignores_its_stop_is_killed_after_its_own_time(podman: Podman) -> None:
    target = podman.start("deaf", "trap '' TERM; echo begun; while :; do sleep 0.1; done", "--stop-timeout=1")
    before, begun = podman.identity("deaf"), time.monotonic()
    assert restarted(before, changer(target).restart(before, agree))
    assert time.monotonic() - begun >= 1, "it was killed before its time"


def test_one_whose_stop_may_outlast_the_change_is_not_killed_early(podman: Podman) -> None:
    target = podman.start("slow", "echo begun; sleep 100", "--stop-timeout=600")
    before = podman.identity("slow")
    with pytest.raises(Refused, match="has 600 s to stop") as refusal:
        changer(target).restart(before, agree)
    assert "PARAMEDIC_ACT_DEADLINE" in refusal.value.by_hand
    assert podman.identity("slow") == before


def test_a_paused_container_is_left_to_who_paused_it(podman: Podman) -> None:
    target = podman.start("paused")
    podman.run("pause", "paused")
    before = podman.identity("paused")
    assert not running(before)
    with pytest.raises(Refused, match="is paused: somebody else"):
        changer(target).restart(before, agree)
    podman.run("unpause", "paused")


def test_one_that_podman_removes_when_it_stops_is_neither_stopped_nor_restarted(podman: Podman) -> None:
    target = podman.start("passing", WELL, "--rm")
    before = podman.identity("passing")
    with pytest.raises(Refused, match="removed when it stops"):
        changer(target).stop_and_start(before, agree)
    with pytest.raises(
        Refused, match="podman may remove it as it stops"
    ):  # its cleanup wins the race on a busy machine
        changer(target).restart(before, agree)
    assert "made with --rm" in str(forbidden(target, Local(), "restart"))
    assert podman.identity("passing") == before
    assert podman.starts("passing") == 1


def test_a_no_at_the_last_look_sends_nothing(podman: Podman, monkeypatch: pytest.MonkeyPatch) -> None:
    target = podman.start("refused")
    before = podman.identity("refused")

    def too_late() -> None:
        raise Refused("the claim is gone")

    for remedy in (changer(target).restart, changer(target).stop_and_start):
        with pytest.raises(Refused, match="the claim is gone"):
            remedy(before, too_late)
    with pytest.raises(Refused, match="over before it was sent"):
        changer(target).restart(before, lambda: later(monkeypatch, docker_engine))
    monkeypatch.undo()
    assert podman.identity("refused") == before


def test_evidence_says_what_it_is_and_what_it_printed_and_none_of_its_secrets(podman: Podman) -> None:
    target = podman.start("seen", "echo begun; echo bad >&2; sleep 100", "--env=TOKEN=hunter2")
    state = EVIDENCE["state"](target, Local()).text
    for fact in ("status: running", "plain:1", "killed for memory (OOMKilled): False", "restarts by its policy: 0"):
        assert fact in state
    assert "hunter2" not in state
    log = until(
        "both lines",
        lambda: found if "bad" in (found := EVIDENCE["last-log"](target, Local()).text) and "begun" in found else "",
    )
    assert sorted(log.splitlines()) == ["begun", "stderr: bad"]
    assert re.fullmatch(
        r"[\d,]+ B of memory, .* of at most [\d,]+ B; processes: \d+", EVIDENCE["memory"](target, Local()).text
    )


def test_the_log_of_a_terminal_is_as_it_was_printed(podman: Podman) -> None:
    target = podman.start("terminal", "echo begun; sleep 100", "--tty")
    assert until("it has printed", lambda: EVIDENCE["last-log"](target, Local()).text) == "begun\n"


def test_no_answer_after_the_send_is_unknown_and_the_restart_is_carried_out(
    podman: Podman, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = podman.start("frozen", WELL, "--stop-timeout=1")
    before = podman.identity("frozen")

    def freeze(*_: str) -> None:
        podman.freeze()
        later(monkeypatch, local_connection)

    monkeypatch.setattr(docker_engine, "kill_point", freeze)
    try:
        with pytest.raises(OutcomeUnknown, match="its outcome is open: .* did not answer in time"):
            changer(target).restart(before, agree)
        monkeypatch.undo()
        with pytest.raises(TemporaryError, match="did not answer in time"):
            Reader(target, Local(), timedelta(seconds=0.3)).identity()
    finally:
        podman.thaw()
    podman.comes_to("frozen", lambda seen: restarted(before, seen))
    assert podman.starts("frozen", least=2) == 2


def test_who_may_is_asked_of_the_engine_and_nothing_happens(podman: Podman) -> None:
    target = podman.start("asked")
    before = podman.identity("asked")
    for remedy in ("restart", "stop_and_start"):
        assert forbidden(target, Local(), remedy) is None
    assert podman.identity("asked") == before
    assert podman.starts("asked") == 1


@pytest.mark.usefixtures("as_root")
def test_a_user_that_may_not_talk_to_the_socket_hears_what_to_grant(podman: Podman) -> None:
    target = podman.start("closed")
    os.seteuid(65534)
    try:
        with pytest.raises(PermanentError, match=r"may not talk to .*: let its group have it"):
            forbidden(target, Local(), "restart")
    finally:
        os.seteuid(0)


def test_one_that_systemd_runs_is_left_to_systemd(podman: Podman) -> None:
    target = podman.start("unit", WELL, "--label=PODMAN_SYSTEMD_UNIT=unit.service")
    before = podman.identity("unit")
    with pytest.raises(Refused, match=r"systemd runs it, as the unit unit\.service") as refusal:
        changer(target).restart(before, agree)
    assert "list `systemd: unit.service` in services.yaml" in refusal.value.by_hand
    assert podman.identity("unit") == before


def test_one_whose_network_others_share_is_not_restarted_without_them(podman: Podman) -> None:
    target = podman.start("vpn")
    podman.start("vpn-user", network="container:vpn")
    before = podman.identity("vpn")
    with pytest.raises(Refused, match="shares its network with vpn-user: a restart would cut"):
        changer(target).restart(before, agree)
    assert podman.identity("vpn") == before
    podman.run("stop", "--time=0", "vpn-user")
    assert restarted(before, changer(target).restart(before, agree))


def test_one_of_compose_with_a_restart_policy_is_restarted_once(podman: Podman) -> None:
    labels = ("project=shop", "service=web")
    target = podman.start(
        "composed", WELL, "--restart=always", *(f"--label=com.docker.compose.{one}" for one in labels)
    )
    before = podman.identity("composed")
    after = changer(target).restart(before, agree)
    assert restarted(before, after)
    assert "made by Compose, as: shop/web" in EVIDENCE["state"](target, Local()).text
    assert (podman.identity("composed"), podman.starts("composed", least=2)) == (after, 2)


def test_on_a_host_by_ssh_it_is_looked_at_and_restarted_there(podman: Podman, sshd: Sshd) -> None:
    there = replace(podman.start("there"), host="web-7", machine=sshd.host())
    before = reading.identity(there)
    assert reading.forbidden(there, "restart") is None
    after = changing.changer(there, WITHIN, act="act-1").restart(before, agree)
    assert reading.restarted(there, before, after)
    assert (podman.identity("there"), podman.starts("there", least=2)) == (after, 2)
    assert until("it has printed", lambda: "begun" in reading.evidence(there, "last-log").text)


def test_on_a_host_by_ssh_it_is_stopped_and_started_there(podman: Podman, sshd: Sshd) -> None:
    there = replace(podman.start("stopped-there"), host="web-7", machine=sshd.host())
    before = reading.identity(there)
    after = changing.changer(there, WITHIN, act="act-2").stop_and_start(before, agree)
    assert reading.restarted(there, before, after)
    assert (podman.identity("stopped-there"), podman.starts("stopped-there", least=2)) == (after, 2)


def test_by_tls_with_certificates_on_both_sides_it_is_looked_at_and_restarted(podman: Podman, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issued("paramedic")
    ours = Tls(str(authority.file), str(certificate), str(key))
    with port_before(podman.socket, strict(authority, tmp_path)) as port:
        there = podman.start("by-tls")
        there = replace(there, address=f"tcp://127.0.0.1:{port}", words=SimpleNamespace(tls=ours))
        before = reading.identity(there)
        after = changing.changer(there, WITHIN).restart(before, agree)
        assert reading.restarted(there, before, after)
        assert "begun" in reading.evidence(there, "last-log").text
    assert podman.identity("by-tls") == after


def test_a_restart_whose_connection_is_cut_is_carried_out_there(
    podman: Podman, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    with relay(sshd) as way:
        there = replace(podman.start("cut"), host="web-7", machine=sshd.through(way))
        before = reading.identity(there)
        monkeypatch.setattr(docker_engine, "kill_point", lambda *_: way.cut())
        with pytest.raises(OutcomeUnknown, match="its outcome is open"):
            changing.changer(there, WITHIN).restart(before, agree)
    podman.comes_to("cut", lambda seen: restarted(before, seen))
    assert podman.starts("cut", least=2) == 2


@pytest.mark.parametrize("group", [False, True])
def test_a_client_that_dies_right_after_sending_leaves_one_whole_restart(podman: Podman, group: bool) -> None:
    name = f"client-{group}".lower()
    target = podman.start(name, SLOW_TO_STOP)
    before = podman.identity(name)
    dying = textwrap.dedent(f"""
        import os, signal
        from paramedic.integrations.targets.container import Changer, Reader
        from paramedic.kinds import docker_engine
        from paramedic.remediation.target import Target
        from paramedic.transports.local import Local
        docker_engine.kill_point = lambda *_: os.kill(0 if {group} else os.getpid(), signal.SIGKILL)  # 0: the whole group
        target = Target("{target.id}", "shop", "localhost", "container", "{name}", "{target.address}")
        Changer(target, Local()).restart(Reader(target, Local()).identity(), lambda: None)
    """)
    client = subprocess.run([sys.executable, "-c", dying], start_new_session=True, check=False)
    assert client.returncode == -signal.SIGKILL
    podman.comes_to(name, lambda seen: restarted(before, seen))
    assert podman.starts(name, least=2) == 2


def test_an_engine_that_is_gone_may_come_back(require: Callable[[str], str]) -> None:
    with serving(require) as mortal:
        target = mortal.start("orphan")
        before = mortal.identity("orphan")
        mortal.end()
        for call in (lambda: mortal.identity("orphan"), lambda: changer(target).restart(before, agree)):
            with pytest.raises(TemporaryError, match="no Docker Engine listens"):
                call()
