"""Addresses are blocked by a real nftables, here and by SSH: for a time, and never one that must not be."""

import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sudo_user
from firewall_stage import HERE, NFT, Stage, agree, asked, judged, target
from firewall_stage import stage as staged_firewall
from ssh_servers import Sshd, relay, running
from waiting import until

from paramedic.errors import PermanentError, Refused, TargetChanged
from paramedic.integrations.targets import blocklist as kind
from paramedic.kinds.blocked_addresses import address, creation
from paramedic.kinds.transport import Transport
from paramedic.transports import ssh_connection
from paramedic.transports.local import Local
from paramedic.transports.ssh import Ssh

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("as_root")]

WITHIN = timedelta(seconds=60)


@pytest.fixture(scope="module")
def firewall(require: Callable[[str], str]) -> Iterator[Stage]:
    with staged_firewall(require) as made:
        yield made


@pytest.fixture(scope="module")
def server(require: Callable[[str], str], firewall: Stage) -> Iterator[Sshd]:
    script = f'set -e; mount -t tmpfs tmpfs /run; {firewall.stage} exec "$@"'
    with running(require, inside=("unshare", "--mount", "sh", "-c", script, "sh")) as made:
        yield made
    ssh_connection.close_all()


@pytest.fixture(autouse=True)
def _as_at_first(firewall: Stage) -> None:
    firewall.reset()


@pytest.fixture(params=["local", "ssh"])
def there(request: pytest.FixtureRequest, firewall: Stage) -> Transport:
    if request.param == "local":
        return Local(firewall.via)
    server: Sshd = request.getfixturevalue("server")
    return Ssh(server.host(HERE))


def changer(there: Transport, **more: object) -> kind.Changer:
    return kind.Changer(target(**more), there, WITHIN)  # type: ignore[arg-type]


def test_the_addresses_of_the_alerts_are_blocked_for_the_time_and_leave_by_themselves(
    firewall: Stage, there: Transport
) -> None:
    made = changer(there)
    before = judged(target(), there)
    after = made.block_address(before, agree, asked("203.0.113.7", "2001:db8::7", "203.0.113.7", "::ffff:203.0.113.8"))
    assert (before.state, after.instance) == ("up", before.instance)
    assert sorted(firewall.blocked()) == ["203.0.113.7", "203.0.113.8"]
    assert all(3500 < left <= 3600 for left in firewall.blocked().values())
    assert sorted(firewall.blocked("blocked6")) == ["2001:db8::7"]
    assert made.did == "blocked 3 addresses for 1h"
    assert "203.0.113.7: blocked for 1h" in made.output
    assert "203.0.113.7  for " in kind.EVIDENCE["blocked"](target(), there).text


def test_a_blocked_address_gets_no_packet_through_until_its_time_is_over(firewall: Stage) -> None:
    there = Local(firewall.via)
    assert firewall.run("ip", "address", "add", "198.51.100.9/32", "dev", "lo").returncode == 0
    assert firewall.pings("198.51.100.9")
    blocked = ["create", "element", "inet", "filter", "blocked4", "{", "198.51.100.9", "timeout"]
    assert firewall.run(str(NFT), *blocked, "1h", "}").returncode == 0
    assert not firewall.pings("198.51.100.9")
    firewall.reset()
    assert firewall.run(str(NFT), *blocked, "1s", "}").returncode == 0
    until("it leaves by itself", lambda: not firewall.blocked(), 10)
    assert firewall.pings("198.51.100.9")
    with pytest.raises(Refused, match="never blocked: it is an address of the machine itself"):
        changer(there).block_address(judged(target(), there), agree, asked("198.51.100.9"))
    firewall.run("ip", "address", "del", "198.51.100.9/32", "dev", "lo")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("127.0.0.1", "never blocked"),
        ("127.9.9.9", "never blocked"),
        ("::1", "never blocked"),
        ("::ffff:127.0.0.1", "never blocked"),
        ("0.0.0.0", "never blocked"),
        ("fe80::1", "never blocked"),
        ("10.1.2.3", "one that services.yaml never blocks, 10.0.0.0/8"),
        ("2001:db8:5::1", "one that services.yaml never blocks"),
        ("198.18.0.5", "Paramedic's own, or that of its Prefect or database"),
        ("203.0.113.0/24", "a network of /24 is wider than the runbook allows: /32"),
        ("0.0.0.0/0", "wider than the runbook allows"),
        ("2001:db8::/64", "a network of /64 is wider than the runbook allows: /128"),
        ("203.0.113.7/16", "is not blocked by"),
        ("203.0.113.7/255.255.255.255", "is no address"),
        ("-f /etc/passwd", "is no address"),
        ("203.0.113.7 timeout 0s", "is no address"),
        ("203.0.113.7 }; flush ruleset; #", "is no address"),
        ("$(reboot)", "is no address"),
        ("203.0.113.7\n", "is no address"),
        ("fe80::1%eth0", "is no address"),
        ("host.example", "is no address"),
        ("", "is no address"),
        ("1", "is no address"),
        ("::ffff:0:0/96", "wider than"),
        ("::ffff:0:0/64", "is no address|host bits"),
    ],
)
def test_what_must_not_be_blocked_is_not_and_what_is_no_address_is_nothing(
    firewall: Stage, said: str, why: str
) -> None:
    there, looked = Local(firewall.via), list[int]()
    made = changer(there, never=["10.0.0.0/8", "2001:db8:5::/48"])
    with pytest.raises(Refused, match=why):
        made.block_address(
            judged(target(), there),
            lambda: looked.append(1),
            asked("203.0.113.1", said, ours=frozenset({"198.18.0.5", "::1"})),
        )
    assert (firewall.blocked(), firewall.blocked("blocked6"), looked) == ({}, {}, [])


def test_where_we_come_from_is_never_blocked(firewall: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    there = Local(firewall.via)
    monkeypatch.setattr(there, "seen_from", lambda: "198.51.100.77")
    with pytest.raises(Refused, match="never blocked: it is where Paramedic comes from"):
        changer(there).block_address(judged(target(), there), agree, asked("198.51.100.77"))


def test_the_machine_says_from_where_it_sees_us(server: Sshd, firewall: Stage) -> None:
    assert Ssh(server.host(HERE)).seen_from() == server.address
    assert Local(firewall.via).seen_from() is None


def test_a_network_is_blocked_where_the_runbook_allows_it_and_its_set_can_hold_it(
    firewall: Stage, there: Transport
) -> None:
    changer(there).block_address(judged(target(), there), agree, asked("203.0.113.0/24", widest_ipv4=24))
    assert list(firewall.blocked()) == ["203.0.113.0/24"]
    with pytest.raises(Refused, match="blocked6 of .* has no `flags interval`: it holds no network"):
        changer(there).block_address(judged(target(), there), agree, asked("2001:db8::/64", widest_ipv6=64))
    with pytest.raises(Refused, match="every address that the alerts name is blocked"):
        changer(there).block_address(judged(target(), there), agree, asked("203.0.113.9"))


def test_one_that_is_blocked_already_keeps_its_time(firewall: Stage, there: Transport) -> None:
    """Newer kernels would shorten it, older ones would not prolong it."""
    element = ["add", "element", "inet", "filter", "blocked4", "{", "203.0.113.7", "timeout", "5h", "}"]
    assert firewall.run(str(NFT), *element).returncode == 0
    made = changer(there)
    made.block_address(judged(target(), there), agree, asked("203.0.113.7", "203.0.113.8"))
    assert firewall.blocked()["203.0.113.7"] > 4 * 3600
    assert made.did == "blocked 1 address for 1h; 1 more were blocked already"


def test_one_that_somebody_blocks_in_between_leaves_all_as_it_is(firewall: Stage, there: Transport) -> None:
    element = ["add", "element", "inet", "filter", "blocked4", "{", "203.0.113.7", "timeout", "5h", "}"]
    with pytest.raises(PermanentError, match="nftables blocked none of the addresses .*File exists"):
        changer(there).block_address(
            judged(target(), there),
            lambda: firewall.run(str(NFT), *element) and None,
            asked("203.0.113.7", "203.0.113.8"),
        )
    assert list(firewall.blocked()) == ["203.0.113.7"]
    assert firewall.blocked()["203.0.113.7"] > 4 * 3600


def test_a_no_at_the_last_look_and_other_sets_than_the_judged_block_nothing(firewall: Stage, there: Transport) -> None:
    before = judged(target(), there)

    def too_late() -> None:
        raise Refused("the claim is gone")

    with pytest.raises(Refused, match="the claim is gone"):
        changer(there).block_address(before, too_late, asked("203.0.113.7"))
    assert firewall.run(str(NFT), "flush chain inet filter input; delete set inet filter blocked4").returncode == 0
    again = "add set inet filter blocked4 { type ipv4_addr; flags interval, timeout; }"
    assert firewall.run(str(NFT), again).returncode == 0
    with pytest.raises(TargetChanged, match="are others than those that were judged"):
        changer(there).block_address(before, agree, asked("203.0.113.7"))
    assert firewall.blocked() == {}


def test_more_than_one_act_may_are_none(firewall: Stage, there: Transport) -> None:
    with pytest.raises(Refused, match="the alerts name 3 addresses, and .* blocks 2 at once"):
        changer(there, at_most=2).block_address(
            judged(target(), there), agree, asked("203.0.113.1", "203.0.113.2", "203.0.113.3")
        )
    with pytest.raises(Refused, match="has no set for addresses of IPv6"):
        changer(there, ipv6=None).block_address(judged(target(ipv6=None), there), agree, asked("2001:db8::1"))
    assert firewall.blocked() == {}


def test_a_set_that_is_not_there_or_keeps_for_ever_is_no_blocklist(there: Transport) -> None:
    with pytest.raises(PermanentError, match="there is no set none"):
        judged(target(ipv4="none"), there)
    with pytest.raises(PermanentError, match="no `flags timeout`: what is in it would stay for ever"):
        judged(target(ipv4="for_ever"), there)
    with pytest.raises(PermanentError, match="is of ipv6_addr, not of ipv4_addr"):
        judged(target(ipv4="blocked6", ipv6=None), there)


def test_a_cut_connection_blocks_them_once(firewall: Stage, server: Sshd) -> None:
    with relay(server) as way:
        there = Ssh(server.through(way, HERE), act="act-block-1", lock="it")
        before = judged(target(), there)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kind, "kill_point", lambda *_: way.cut())
            kind.Changer(target(), there, WITHIN).block_address(before, agree, asked("203.0.113.7"))
    assert list(firewall.blocked()) == ["203.0.113.7"]


def test_by_sudo_two_lines_allow_the_look_and_the_block_and_nothing_else(
    require: Callable[[str], str], firewall: Stage
) -> None:
    script = f'{firewall.stage} exec "$@"'
    with (
        tempfile.TemporaryDirectory(prefix="helper") as etc,
        sudo_user.helper(require, opened(etc), inside=("sh", "-c", script, "sh")) as (server, sudoers),
    ):
        of, there = target(server.host(HERE)), Ssh(server.host(HERE, sudo=True), lock="it")
        with pytest.raises(PermanentError, match="cannot be seen: .*Permission denied"):
            judged(of, Ssh(server.host(HERE)))
        for name in ("blocked4", "blocked6"):
            with pytest.raises(PermanentError) as no:
                judged(of, there)
            look = f"NOPASSWD: {NFT} -j list set inet filter {name}"
            assert look in str(no.value)
            sudo_user.allow(sudoers, f"helper ALL=(root) {look}\n")
        why = kind.forbidden(of, there, "block_address")
        assert why is not None
        line = why.removeprefix(f"{HERE} lacks a line in its sudoers: `").removesuffix("`")
        assert line.startswith(f"helper ALL=(root) NOPASSWD: {NFT} ^create element inet filter (blocked4|blocked6) ")
        sudo_user.allow(sudoers, f"{line}\n")
        assert kind.forbidden(of, there, "block_address") is None
        kind.Changer(of, there, WITHIN).block_address(judged(of, there), agree, asked("203.0.113.7", "2001:db8::7"))
        assert (list(firewall.blocked()), list(firewall.blocked("blocked6"))) == (["203.0.113.7"], ["2001:db8::7"])
        as_allowed = creation("inet", "filter", [("blocked4", [address("203.0.113.1")])], WITHIN)[1:]
        for other in (
            ["flush", "ruleset"],
            ["for_ever" if word == "blocked4" else word for word in as_allowed],
            ["create", "element", "inet", "filter", "blocked4", "{", "203.0.113.1", "}"],
            [*as_allowed, ";", "flush", "ruleset"],
            [*as_allowed[:3], "ip", *as_allowed[4:]],
        ):
            with pytest.raises(PermanentError, match="lacks a line in its sudoers"):
                there.command([str(NFT), *other])


def opened(name: str) -> Path:
    Path(name).chmod(0o755)
    return Path(name)
