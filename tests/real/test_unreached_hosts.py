"""A host that is not reached: a second way to ask decides what may be said of it, and nothing is done there."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_service import Service, service
from host_story import Story, story
from ssh_servers import Sshd, running

from paramedic.catalog import services
from paramedic.change import reach
from paramedic.demo.world import free_port
from paramedic.incidents.outcome import Ending
from paramedic.transports import ssh_connection
from tasks import detect

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("nothing_warm", "quickly")]
__all__ = ["service", "story"]

#: Its web-7 is where a test says; web-2 and web-3 are real servers.
HOSTS = """\
hosts:
  web-7:
    ssh: {{address: {address}, port: {port}, user: u, key: {two.folder}/key, known_hosts: {two.known_hosts}}}
    seen_from: [{seen_from}]
  web-2: {two_is_at}
  web-3: {three_is_at}
services:
  shop:
    targets: [{{host: web-7, systemd: app.service, health: "{health}"}}]
"""
RESTART = """\
when: [{alert: Ill}]
mode: act
with:
  target: {systemd: "{unit}", host: "{instance}"}
  remedies: [restart]
  evidence: [process-tree, http-timing]
  verify: {health: ok, stable: 200ms, within: 3s}
"""
MORE_HOSTS = "127.0.0.1 localhost web-7.test\n"

#: On one machine alone the name means something.
THEIR_NAMES = """
mount -t tmpfs tmpfs /run
mkdir /run/sshd
mount --bind "$0/hosts" /etc/hosts
exec "$@"
"""


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """The patience of a test; and its servers' loopback is another machine to it."""
    monkeypatch.setattr(detect, "_PATIENCE", timedelta(seconds=0.5))
    monkeypatch.setattr(detect, "_LOOK_AGAIN_SECONDS", 0.2)
    monkeypatch.setattr(reach, "PATIENCE", timedelta(seconds=5))
    monkeypatch.setattr(ssh_connection, "_CONNECT_SECONDS", 0.5)
    monkeypatch.setattr(services, "_loopback", lambda _: False)


@pytest.fixture(scope="module")
def servers(require: Callable[[str], str]) -> Iterator[tuple[Sshd, Sshd]]:
    """web-2 and web-3; what they call web-7.test is this machine, and nobody else does."""
    with ExitStack() as opened:
        yield opened.enter_context(running(require)), opened.enter_context(running(require))


def is_at(server: Sshd) -> str:
    """How it is listed."""
    return (
        f"{{ssh: {{address: {server.address}, port: {server.port}, user: {server.user}, key: {server.folder}/key, "
        f"known_hosts: {server.known_hosts}}}}}"
    )


@contextmanager
def silent() -> Iterator[int]:
    """A port that takes no connection and refuses none: as of a host that is off."""
    with ExitStack() as opened:
        full = opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):
            waiting = opened.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        yield full.getsockname()[1]


@pytest.fixture
def shop(story: Story, servers: tuple[Sshd, Sshd]) -> Callable[..., Any]:
    """Plays an alert about the unit on web-7, which is at this port, with this health address."""

    def played(
        port: int, health: str, *, address: str = "127.0.0.1", seen_from: str = "web-2, web-3", three: Any = None
    ) -> Any:
        two = servers[0]
        written = HOSTS.format(
            address=address,
            port=port,
            seen_from=seen_from,
            two=two,
            two_is_at=is_at(two),
            three_is_at=is_at(three or servers[1]),
            health=health,
        )
        story.written(written, RESTART)
        return story.play(instance="web-7", unit="app.service")

    return played


def test_a_host_that_nobody_reaches_is_down_in_those_words_and_what_is_known_of_it_is_kept(
    story: Story, shop: Callable[..., Any]
) -> None:
    with silent() as ssh, silent() as web:
        outcome = shop(ssh, f"http://127.0.0.1:{web}/")
    words = "he host web-7 is down: neither we nor web-2 and web-3 can reach it"
    assert outcome.ending is Ending.HANDED_OVER
    assert f"T{words}" in outcome.because
    assert story.acts() == []
    assert story.trail("host.unreached", "evidence.taken") == ["host.unreached", "evidence.taken"]
    assert words in story.words()
    assert words in " ".join(story.told().split())
    page = story.evidence()
    assert page["reach"].startswith(
        f"t{words}\n\nthe target: its systemd does not say how it is: web-7, by SSH as u at"
    )
    assert (
        f"from web-3: 127.0.0.1:{ssh} does not connect: Connection timed out; 127.0.0.1:{web} does not" in page["reach"]
    )
    assert "process-tree: web-7, by SSH as u at 127.0.0.1" in page["not-seen"]
    assert "http-timing" in page, "what needs no host is there"


def test_a_host_that_only_we_do_not_reach_is_told_so(
    require: Callable[[str], str], story: Story, shop: Callable[..., Any], tmp_path: Path
) -> None:
    """Our resolver does not know its name, theirs do."""
    (tmp_path / "hosts").write_text(MORE_HOSTS)
    bind = ("unshare", "--mount", "sh", "-c", THEIR_NAMES, str(tmp_path))
    with running(require, inside=bind) as three:
        port = three.port
        outcome = shop(port, "http://web-7.test:1/", address="web-7.test", three=three)
    assert outcome.ending is Ending.HANDED_OVER
    assert "Only we cannot reach web-7: web-3 can; web-2 could not tell" in outcome.because, story.evidence()["reach"]
    assert f"from web-3: web-7.test:{port} connects" in story.evidence()["reach"]
    assert "from web-2: web-7.test" in story.evidence()["reach"]
    assert story.acts() == []


def test_a_target_that_answers_by_itself_all_the_time_has_recovered_and_how_it_was_seen_is_told(
    story: Story, service: Service, shop: Callable[..., Any]
) -> None:
    outcome = shop(free_port(), service.url)
    assert outcome.ending is Ending.RECOVERED, outcome.because
    assert "by a second way: for 500ms" in outcome.because
    assert "by a second way: its health address: answered 200" in outcome.because
    assert "the host web-7 is not down: it answers, and only the login by SSH does not work" in outcome.because
    assert story.acts() == []


def test_a_good_answer_from_another_address_than_the_hosts_own_says_nothing(
    story: Story, service: Service, shop: Callable[..., Any]
) -> None:
    outcome = shop(free_port(), service.url, address="127.0.0.9")
    assert outcome.ending is Ending.HANDED_OVER
    assert "that is not the address of web-7: another machine may answer there" in outcome.because


def test_a_target_that_answers_badly_is_failing_and_nothing_can_be_done_there(
    story: Story, service: Service, shop: Callable[..., Any]
) -> None:
    service.status = 500
    outcome = shop(free_port(), service.url)
    assert outcome.ending is Ending.HANDED_OVER
    assert (
        "web-7/app.service is seen failing, and for 500ms its host was not reached: nothing was done there"
        in outcome.because
    )
    assert "answered 500" in outcome.because
    assert story.acts() == []
    assert "reach" in story.evidence()


def test_who_cannot_be_asked_has_no_voice(
    require: Callable[[str], str], story: Story, shop: Callable[..., Any]
) -> None:
    with running(require, more="AllowTcpForwarding no\n") as three, silent() as ssh, silent() as web:
        outcome = shop(ssh, f"http://127.0.0.1:{web}/", three=three)
        assert "neither we nor web-2 can reach it; web-3 could not tell" in outcome.because
        assert "from web-3: could not be asked: web-3 opens no channel" in story.evidence()["reach"]


def test_without_other_hosts_it_stays_open(story: Story, shop: Callable[..., Any]) -> None:
    with silent() as ssh, silent() as web:
        outcome = shop(ssh, f"http://127.0.0.1:{web}/", seen_from="")
    assert outcome.ending is Ending.HANDED_OVER
    assert (
        "hether the host web-7 is down is open: `seen_from` in services.yaml names no other host to ask"
        in outcome.because
    )
