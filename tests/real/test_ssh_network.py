"""Hosts by SSH in a network of their own: one hangs, one refuses, one has another key, one is behind a jump, one is cut off."""

import re
import secrets
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from host_story import Story, story
from kill.killed_runs import FirstRuns, KilledRun, first_runs
from newcomer import answers
from ssh_network import ADDRESSES, Hosts, ssh_hosts, unit
from ssh_servers import said
from waiting import soon, until

from paramedic.checks.check import CheckSpec, Sample, check_spec
from paramedic.cli.host import looked_at
from paramedic.errors import OutcomeUnknown, PermanentError, TemporaryError
from paramedic.incidents.outcome import Ending
from paramedic.kinds.transport import Mark, MarkState
from paramedic.machine.clock import boottime
from paramedic.processes import unit_change
from paramedic.remediation.host import Host
from paramedic.remediation.target import Target
from paramedic.sampling import one_sample
from paramedic.store import acts, retrying
from paramedic.transports import ssh_command, ssh_mark
from paramedic.transports.ssh import Ssh
from paramedic.transports.ssh_command import SshCommand
from paramedic.transports.ssh_shell import Shell

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("nothing_warm")]
__all__ = ["first_runs", "story"]


@pytest.fixture(scope="module")
def hosts(require: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    with ssh_hosts(require, tmp_path_factory.mktemp("keys")) as made:
        yield made


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that says nothing is given up sooner: whether that is in time is asked elsewhere."""
    monkeypatch.setattr(ssh_command, "_BEGIN_SECONDS", 1.0)
    monkeypatch.setattr(ssh_command, "_GRACE_SECONDS", 0.5)
    monkeypatch.setattr(ssh_mark, "LOOK", timedelta(seconds=2))


# --- what is seen of them --------------------------------------------------------------------------------------------------


def test_all_are_looked_at_at_once_and_each_is_told_as_it_is(hosts: Hosts) -> None:
    key = ["ssh-keygen", "-lf", str(hosts.servers["web-4"].folder / "host_key")]
    its_key = subprocess.run(key, check=True, capture_output=True, text=True).stdout.split()[1]
    with hosts.cut("web-5"):
        began = boottime()
        looked = {one.host.name: one for one in looked_at(hosts.host(name) for name in ADDRESSES)}
        took = boottime() - began
    assert {name for name, one in looked.items() if one.well} == {"web-1", "bastion", "db-1"}
    assert looked["web-1"].words.startswith("reached as ")
    assert re.search(r"web-2, .* cannot be reached: .* said nothing: its sshd hangs", looked["web-2"].words)
    assert re.search(r"web-3, .* cannot be reached: .*Connection refused", looked["web-3"].words)
    assert re.search(rf"another host key than is listed: the ED25519 key {re.escape(its_key)}", looked["web-4"].words)
    assert re.search(r"web-5, .* cannot be reached: .*(No route to host|timed out)", looked["web-5"].words)
    assert took < 15, "the slowest of them, and not one after the other"


def test_what_cannot_be_asked_there_is_unknown_and_never_down(hosts: Hosts) -> None:
    check = check_spec(CheckSpec)(check="ready", timeout="2s", every="60s").build()

    def look(name: str) -> Sample:
        target = Target(f"{name}/app.service", "api", name, "systemd", "app.service", "", machine=hosts.host(name))
        return one_sample.sample(check, target, now=lambda: datetime.now(UTC), last_heard=lambda _: None)

    unit(hosts)
    names = ("web-2", "web-3", "web-4", "web-5")
    assert look("web-5").values == {"is_down": 0.0, "unready": 0.0}
    with hosts.cut("web-5"), ThreadPoolExecutor(len(names)) as threads:
        seen = dict(zip(names, threads.map(look, names), strict=True))
    assert {name: sample.values for name, sample in seen.items()} == dict.fromkeys(names)
    assert all("web-" in sample.why or "2s" in sample.why for sample in seen.values())


def test_the_host_behind_the_jump_host_is_reached_by_it_and_by_nothing_else(hosts: Hosts) -> None:
    behind = hosts.host("db-1")
    assert behind.ssh is not None
    with pytest.raises(TemporaryError, match="db-1, .* cannot be reached: .*Network is unreachable"):
        said(replace(behind, ssh=replace(behind.ssh, jump=None)), "x")
    assert said(behind, "in") == "in"
    assert Ssh(behind).seen_from() == "10.0.1.16"
    with hosts.cut("bastion"), pytest.raises(TemporaryError, match="db-1"):
        Ssh(behind).run(["true"], soon(2))
    assert said(behind, "in again") == "in again"


# --- a change whose link goes down -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """A change that waits for `go`, and leaves a line for each time that it is done."""

    host: Host
    act: str
    folder: Path

    def command(self) -> SshCommand:
        script = f"until [ -e {self.folder}/go ]; do sleep 0.1; done; echo done >> {self.folder}/done"
        return Ssh(self.host, act=self.act).command(["sh", "-c", script])

    def go(self) -> None:
        (self.folder / "go").touch()

    def times(self) -> int:
        done = self.folder / "done"
        return len(done.read_text().splitlines()) if done.exists() else 0

    def mark(self) -> Mark | None:
        return Ssh(self.host).mark(self.act)

    def is_done_once(self) -> None:
        """It has happened, and is not done again."""
        until("it has ended", lambda: self.mark() == Mark(MarkState.HAPPENED, 0), 20)
        with self.command() as again, pytest.raises(PermanentError, match="nothing is done twice"):
            again.start()
        assert self.times() == 1


@pytest.fixture
def change(hosts: Hosts, tmp_path: Path, impatient: None) -> Change:
    return Change(hosts.host("web-5"), f"act-{secrets.token_hex(4)}", tmp_path)


@pytest.mark.parametrize(
    ("name", "cut", "ends_meanwhile"),
    [("web-5", "web-5", True), ("web-5", "web-5", False), ("db-1", "bastion", False)],
    ids=["it ends meanwhile", "it still runs", "of the host before it"],
)
def test_a_change_whose_link_goes_down_is_unknown_and_its_mark_says_what_came_of_it(
    hosts: Hosts, change: Change, name: str, cut: str, ends_meanwhile: bool
) -> None:
    change = replace(change, host=hosts.host(name))
    with change.command() as command:
        command.start()
        with hosts.cut(cut):
            if ends_meanwhile:
                change.go()
                until("it is done", change.times, 20)
            with pytest.raises(OutcomeUnknown, match="its time is over, and it could not be ended"):
                command.end(soon(1))
    if not ends_meanwhile:
        assert change.mark() == Mark(MarkState.RUNNING)
        change.go()
    change.is_done_once()


def test_a_link_that_is_soon_back_costs_a_change_nothing_but_time(hosts: Hosts, change: Change) -> None:
    change.go()
    with change.command() as command:
        command.start()
        with hosts.cut("web-5"):
            until("it is done", change.times, 20)
        assert command.end(soon()).code == 0
    change.is_done_once()


@contextmanager
def sent_into_nothing(hosts: Hosts, change: Change) -> Iterator[Shell]:
    """The link went down just before the change was sent, which waits in the kernel until it is up again; its shell."""
    send = Shell.send
    with change.command() as command, pytest.MonkeyPatch.context() as patch, ExitStack() as down:

        def cuts(sh: Shell, script: str, deadline: float, *, last: bool = False) -> None:
            patch.undo()
            down.enter_context(hosts.cut(change.host.name))
            send(sh, script, deadline, last=last)

        patch.setattr(Shell, "send", cuts)
        with pytest.raises(OutcomeUnknown, match="which was lost then"):
            command.start()
        assert change.times() == 0
        assert command._shell is not None
        yield command._shell


def test_a_change_that_arrives_after_it_was_given_up_is_done_once_and_its_mark_says_so(
    hosts: Hosts, change: Change
) -> None:
    change.go()
    with sent_into_nothing(hosts, change):
        hosts.mend(change.host.name)
        until("it is done", change.times, 20)
    change.is_done_once()


def test_a_change_whose_mark_was_asked_for_before_it_arrives_does_nothing_any_more(
    hosts: Hosts, change: Change
) -> None:
    change.go()
    with sent_into_nothing(hosts, change) as late:
        asked = hosts.asked_within(change.host.name, lambda host: Ssh(host).mark(change.act))
        assert asked == Mark(MarkState.DID_NOT)
        hosts.mend(change.host.name)
        assert b"refused marked" in late.receive(soon())
    assert (change.mark(), change.times()) == (Mark(MarkState.DID_NOT), 0)


SERVICES = """\
hosts:
  web-5:
    ssh: {{address: {host.address}, port: {host.port}, user: {host.user}, key: {host.key}, known_hosts: {host.known_hosts}}}
services:
  shop:
    targets:
      - {{host: web-5, systemd: app.service, health: "{health}"}}
"""

RUNBOOK = """\
when: [{alert: Ill}]
mode: act
with:
  target: {systemd: app.service, host: "{instance}"}
  evidence: [process-tree]
  verify: {health: ok, stable: 200ms, within: 3s}
"""


@pytest.fixture
def broken(hosts: Hosts, story: Story, impatient: None) -> Story:
    """The unit `app` of web-5 runs, and answers 503."""
    health = unit(hosts)
    story.settings = story.settings.model_copy(update={"act_deadline": timedelta(seconds=2)})
    story.written(SERVICES.format(host=hosts.host("web-5").ssh, health=f"{health}/health"), RUNBOOK)
    assert answers(f"{health}/health")
    assert not answers(f"{health}/break")
    return story


def cuts(link_down: Sequence[str], patch: pytest.MonkeyPatch) -> None:
    """The link goes down once the restart is sent."""
    point = unit_change.kill_point

    def then(name: str, target: str) -> None:
        subprocess.run(link_down, check=True)
        point(name, target)

    patch.setattr(unit_change, "kill_point", then)


@pytest.fixture
def link_down(hosts: Hosts) -> Iterator[Sequence[str]]:
    """The command that cuts web-5 off; at the end its link is up again."""
    yield hosts.net.link(hosts.machine("web-5"), "down")
    hosts.mend("web-5")


def test_a_restart_whose_link_stays_down_is_a_persons_and_blocks_what_could_repeat_it(
    hosts: Hosts, broken: Story, link_down: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cuts(link_down, monkeypatch)
    outcome = broken.play(instance="web-5")
    assert (outcome.ending, broken.acts()) == (Ending.HANDED_OVER, [("restart", None)]), broken.words()
    assert "nobody knows whether it happened" in broken.told().replace("\n", " ")
    hosts.mend("web-5")
    with broken.store.record() as tx:
        [act] = acts.of(tx, broken.number)
        with pytest.raises(retrying.NotRetried, match="has no outcome"):
            retrying.retry(tx, broken.number, by="ada", because="the link is up again")
    assert Ssh(hosts.host("web-5")).mark(act.mark(broken.store.uuid)) == Mark(MarkState.HAPPENED, 0)
    assert hosts.starts() == 2


@pytest.mark.long  # a row of the kill table: `make kill-table`
def test_a_restart_whose_link_goes_down_and_whose_run_dies_is_verified_by_the_next_attempt_and_made_once(
    hosts: Hosts, broken: Story, link_down: Sequence[str], first_runs: FirstRuns
) -> None:
    run = KilledRun(broken, first_runs, partial(cuts, link_down))
    run.killed_at("act_sent", instance="web-5")
    hosts.mend("web-5")
    outcome = run.is_followed()
    assert outcome.ending is Ending.REMEDIATED, broken.words()
    assert broken.acts() == [("restart", "cured")]
    assert hosts.starts() == 2
