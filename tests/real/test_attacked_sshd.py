"""A real sshd under real failed log-ins is protected: who tries passwords is blocked by a real nftables, and nobody else."""

from collections.abc import Callable, Iterator

import pytest
from attacked_sshd import ATTACKER, ATTACKER6, FRIEND, WEB6, AttackedSshd, attacked
from firewall_stage import NFT, SETS
from host_story import Story, story
from waiting import until

from paramedic.alerts.alert import Alert, Status
from paramedic.catalog.library import open_library
from paramedic.checks.check import CheckAtTarget, Sample
from paramedic.doors import changing, reading
from paramedic.incidents.outcome import Ending
from paramedic.kinds import log_source
from paramedic.machine.clock import utc_now
from paramedic.sampling import one_sample
from paramedic.store import checks, incidents
from paramedic.transports.local import Local

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("as_root")]
__all__ = ["story"]

SERVICES = """\
services:
  shop:
    targets:
      - host: localhost
        blocklist: {table: inet filter, name: abusers, ipv4: blocked4, ipv6: blocked6, never: [FRIEND]}
"""
FRONT = """\
when:
  - {check: failed_logins, file: LOG, every: 1s, timeout: 1s}
mode: act
with:
  target: {blocklist: "{blocklist}", host: "{instance}"}
  remedies: [block_address: {address: "{address}", for: 1h, widest_ipv6: 64}]
  verify: {check: failures, stable: 1s, within: 30s}
"""


@pytest.fixture
def sshd(require: Callable[[str], str]) -> Iterator[AttackedSshd]:
    require("nft")
    with attacked(require) as made:
        sets = SETS.replace(
            "blocked6 { type ipv6_addr; flags timeout; }", "blocked6 { type ipv6_addr; flags interval, timeout; }"
        )
        done = made.web.run(str(NFT), sets)
        assert done.returncode == 0, done.stderr
        log_source.forget()
        yield made
        log_source.forget()


@pytest.fixture
def placed(sshd: AttackedSshd, story: Story, monkeypatch: pytest.MonkeyPatch) -> CheckAtTarget:
    for door in (reading, changing, one_sample):
        monkeypatch.setattr(door, "transport", lambda *_, **__: Local(sshd.web.via))
    story.written(SERVICES.replace("FRIEND", FRIEND), FRONT.replace("LOG", str(sshd.log)))
    library = open_library(story.settings)
    assert library.problems == (), library.problems
    [(_, found)] = library.placed()
    return found


def sampled(story: Story, placed: CheckAtTarget) -> tuple[Sample, list[Alert]]:
    """One sample of the check, and the alerts that followed."""

    def last_ended(target: str) -> object:
        with story.store.read() as tx:
            return incidents.last_ended_at(tx, target)

    seen = one_sample.sample(
        placed.check,
        placed.target,
        now=utc_now,
        last_heard=lambda _: None,
        last_ended=last_ended,  # type: ignore[arg-type]
    )
    with story.store.record() as tx:
        return seen, list(checks.record(tx, placed, seen, blind=False, mass_limit=99).alerts)


def failures(seen: Sample) -> dict[str, float]:
    assert seen.values is not None, seen.why
    return {whose: values["failures"] for whose, values in seen.each.items()}


def counted(story: Story, placed: CheckAtTarget, expected: dict[str, float]) -> list[Alert]:
    """The alerts of the samples until the check has counted this: the log is written a moment later."""
    alerts = list[Alert]()

    def so() -> bool:
        seen, raised = sampled(story, placed)
        alerts.extend(raised)
        return failures(seen) == expected

    until(f"the failures are {expected}", so, 20)
    return alerts


def test_who_fails_more_than_five_times_is_blocked_and_nobody_else(
    sshd: AttackedSshd, story: Story, placed: CheckAtTarget
) -> None:
    sshd.tries(sshd.friend, 8)
    sshd.tries(sshd.attacker, 5, user=f"x from {FRIEND} port 22 ssh2")
    assert counted(story, placed, {ATTACKER: 5}) == []
    sshd.tries(sshd.attacker, 1)
    [alert] = counted(story, placed, {ATTACKER: 6})
    assert (alert.labels["address"], alert.labels["blocklist"]) == (ATTACKER, "abusers")
    outcome = story.received(alert)
    assert outcome.ending is Ending.REMEDIATED, outcome.because
    assert ATTACKER in sshd.web.run(str(NFT), "list", "set", "inet", "filter", "blocked4").stdout
    assert not sshd.answers(sshd.attacker)
    assert sshd.answers(sshd.friend), "one that is never blocked"
    assert story.acts() == [("block_address", "cured")]
    assert ATTACKER not in story.words(), "people's addresses stand where they can be erased"
    [over] = counted(story, placed, {})
    assert (over.status, over.fingerprint) == (Status.RESOLVED, alert.fingerprint)


def test_an_attacker_by_ipv6_is_blocked_with_its_network(
    sshd: AttackedSshd, story: Story, placed: CheckAtTarget
) -> None:
    sshd.tries(sshd.attacker, 6, user="nobody-here", to=WEB6)
    [alert] = counted(story, placed, {"2001:db8:1:2::/64": 6})
    with pytest.MonkeyPatch.context():
        outcome = story.received(alert)
    assert outcome.ending is Ending.REFUSED, "the machine itself is in that network"
    assert "an address that an alert names is never blocked" in outcome.because
    assert ATTACKER6 not in sshd.web.run(str(NFT), "list", "ruleset").stdout


def test_a_second_attacker_while_the_first_is_verified_does_not_make_the_block_of_the_first_a_failure(
    sshd: AttackedSshd, story: Story, placed: CheckAtTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    sshd.tries(sshd.attacker, 6)
    [alert] = counted(story, placed, {ATTACKER: 6})
    look, looks = Local.log, list[int]()

    def another_comes(self: Local, *args: object, **more: object) -> object:
        blocked = ATTACKER in sshd.web.run(str(NFT), "list", "set", "inet", "filter", "blocked4").stdout
        if blocked:
            looks.append(1)
            with sshd.log.open("a") as log:
                lines = [f"web sshd[{9000 + len(looks)}]: Failed password for root from 198.51.100.9 port 1 ssh2"] * 6
                stamp = utc_now().strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")
                log.write("".join(f"{stamp} {line}\n" for line in lines))
        return look(self, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Local, "log", another_comes)
    outcome = story.received(alert)
    assert looks
    assert outcome.ending is Ending.REMEDIATED, outcome.because
