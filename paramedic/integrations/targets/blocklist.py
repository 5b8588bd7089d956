"""Blocklists: sets of nftables into which addresses are put for a time, and leave by themselves."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TargetChanged, TemporaryError
from paramedic.kinds.asked import Asked
from paramedic.kinds.blocked_addresses import (
    WRITTEN,
    Firewall,
    Network,
    Set,
    address,
    creation,
    plain,
    sudoers,
    why_never,
    words,
)
from paramedic.kinds.evidence import ByDeadline, Gathered, Unseen, collected, time_left
from paramedic.kinds.transport import GUARD, OutOfTime, Transport
from paramedic.machine.clock import boottime, spoken
from paramedic.machine.kill_points import kill_point
from paramedic.remediation.target import Identity, Target
from paramedic.text import template
from paramedic.text.units import duration

LABEL = "blocklist"
REMEDIES = ("block_address",)

UP = "up"

#: A look at the sets takes so long at most.
LOOK = timedelta(seconds=5)

_Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")]


def _network(text: str) -> str:
    return str(address(text))


class Words(BaseModel):
    """`blocklist: {name: abusers, table: inet filter, ipv4: blocked4, ipv6: blocked6}` in services.yaml."""

    model_config = ConfigDict(extra="forbid", strict=True)
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")] = Field(
        description="what runbooks and alerts call it: abusers"
    )
    table: Annotated[str, Field(pattern=r"^(inet|ip|ip6|bridge|netdev) [A-Za-z_][A-Za-z0-9_]{0,62}$")] = Field(
        description="the table of its sets, with its family: inet filter"
    )
    ipv4: _Name | None = Field(default=None, description="its set for IPv4 addresses, which must exist: blocked4")
    ipv6: _Name | None = Field(default=None, description="its set for IPv6 addresses, which must exist: blocked6")
    never: list[Annotated[str, Field(pattern=WRITTEN), AfterValidator(_network)]] = Field(
        default=[], description="addresses and networks that are never blocked: 10.0.0.0/8"
    )
    at_most: int = Field(default=10, ge=1, le=100, description="so many addresses are blocked by one act: 10")

    @model_validator(mode="after")
    def _some_set(self) -> Self:
        if self.ipv4 is None and self.ipv6 is None:
            raise ValueError("name a set: `ipv4`, `ipv6`, or both")
        return self

    @property
    def sets(self) -> dict[int, str]:
        """Its sets, by the version of their addresses."""
        return {version: name for version, name in ((4, self.ipv4), (6, self.ipv6)) if name is not None}

    @property
    def where(self) -> tuple[str, str]:
        """The family and the table."""
        family, _, table = self.table.partition(" ")
        return family, table


def _filled_in(text: str) -> str:
    if not template.fields(text):
        raise ValueError("an address comes from the alert: write the label that has it, {client_ip}")
    return text


class Block(BaseModel):
    """`block_address: {address: "{client_ip}", for: 1h}` in a runbook."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    address: Annotated[
        str,
        Field(min_length=1, max_length=200, json_schema_extra={"pattern": template.PATTERN}),
        AfterValidator(_filled_in),
    ] = Field(description='the label of the alert that has the address: "{client_ip}"')
    time: Annotated[timedelta, duration("10s", "7d")] = Field(
        alias="for", description="for how long: it leaves the set by itself: 1h"
    )
    widest_ipv4: int = Field(
        default=32, ge=8, le=32, description="the widest network of IPv4, by the length of its prefix: 24"
    )
    widest_ipv6: int = Field(
        default=128, ge=32, le=128, description="the widest network of IPv6, by the length of its prefix: 64"
    )


ASKED = {"block_address": Block}


def name_of(asked: Words) -> str:
    """What it is called."""
    return asked.name


def address_of(asked: Words) -> str:
    """The table and the sets."""
    return f"{asked.table}: {', '.join(asked.sets.values())}"


def running(identity: Identity) -> bool:
    """Whether its sets are there: what is blocked is neither well nor ill."""
    return identity.state == UP


def restarted(_before: Identity, _now: Identity) -> bool:
    """Never: an address that is blocked makes it no other list. What it says of one that is gone, nobody could know."""
    return False


class Reader:
    """Looks at one blocklist."""

    def __init__(self, target: Target, transport: Transport, timeout: timedelta = LOOK) -> None:
        self._target, self._transport, self._timeout = target, transport, timeout

    def identity(self) -> Identity:
        """Which sets it is. Raises PermanentError where one is not there, or is not fit; TemporaryError without an answer."""
        return self.of(self.sets())

    @staticmethod
    def of(sets: dict[int, Set]) -> Identity:
        """The identity that the sets have."""
        return Identity(UP, {f"ipv{version}": f"{found.name} {found.handle}" for version, found in sets.items()})

    def sets(self) -> dict[int, Set]:
        """Its sets, by the version of their addresses. Raises as `identity` does."""
        firewall = self.firewall()
        found = {version: firewall.set(name) for version, name in self._target.words.sets.items()}
        for version, one in found.items():
            if one.type != f"ipv{version}_addr":
                raise PermanentError(
                    f"the set {one.name} of {self._target.id} is of {one.type}, not of ipv{version}_addr"
                )
            if "timeout" not in one.flags:
                raise PermanentError(
                    f"the set {one.name} of {self._target.id} has no `flags timeout`: what is in it would stay for ever"
                )
        return found

    def firewall(self) -> Firewall:
        """What it is looked at with. Raises PermanentError where the transport leads to another machine."""
        target = self._target
        if not self._transport.leads_to(target.host):
            raise PermanentError(f"{target.id} is of {target.host}, and this machine is {self._transport.machine}")
        family, table = target.words.where
        return Firewall(self._transport, family, table, boottime() + self._timeout.total_seconds())


class Changer:
    """Puts addresses into one blocklist."""

    def __init__(self, target: Target, transport: Transport, total_timeout: timedelta = timedelta(seconds=30)) -> None:
        self._target, self._transport, self._total = target, transport, total_timeout
        self._words: Words = target.words
        self._reader = Reader(target, transport, min(LOOK, total_timeout))
        self.did = ""
        self.output = ""  # each address, and what became of it: they are people's, and stand on no trail

    def block_address(self, expected: Identity, last_look: Callable[[], None], asked: Asked) -> Identity:
        """Block the addresses of the incident's alerts, for the time that the runbook says, by one transaction of nftables.

        All of them or none; one that is in a set already stays there as it is. It is proven by a look at the sets.

        Nothing was sent if it raises Refused (no address, one that is never blocked, a network that is too wide, more than
        `at_most`, other sets than the judged ones, all of them blocked already) or TemporaryError. PermanentError: nftables
        said no, and none is blocked by us. OutcomeUnknown: it was sent, and its outcome is open.
        """
        deadline, target = boottime() + self._total.total_seconds(), self._target
        block: Block = asked.words
        wanted = self._judged(block, asked)
        sets = self._reader.sets()
        if self._reader.of(sets).instance != dict(expected.instance):
            raise TargetChanged(f"the sets of {target.id} are others than those that were judged")
        new = [network for network in wanted if not sets[network.version].holds(network)]
        if not new:
            raise Refused(f"every address that the alerts name is blocked by {target.id} already")
        self._refuse_networks_in(sets, new)
        family, table = self._words.where
        elements = [
            (sets[version].name, of) for version in sets if (of := [one for one in new if one.version == version])
        ]
        allowed = sudoers(family, table, [*self._words.sets.values()])
        words_of_nft = creation(family, table, elements, block.time)
        with self._transport.command(words_of_nft, limit=self._total + GUARD, sudoers=allowed) as nft:
            last_look()
            if boottime() >= deadline:
                raise Refused(f"the {spoken(self._total)} for {target.id} were over before anything was blocked")
            nft.start()
            kill_point("act_sent", target.id)
            try:
                ended = nft.end(deadline)
            except OutOfTime as error:
                raise OutcomeUnknown(
                    f"nft was told to block {len(new)} addresses, and has not ended in time"
                ) from error
        said_no = None if ended.code == 0 or ended.limited else words(ended)
        return self._after(new, len(wanted) - len(new), block.time, said_no)

    def _judged(self, block: Block, asked: Asked) -> list[Network]:
        """The addresses that the alerts name, none twice. Raises Refused for one that may not be blocked."""
        target, found = self._target, dict[Network, None]()
        seen_from = self._transport.seen_from()
        never = [
            ("one that services.yaml never blocks", self._words.never),
            ("an address of the machine itself", self._reader.firewall().own()),
            ("where Paramedic comes from", [] if seen_from is None else [seen_from]),
            ("Paramedic's own, or that of its Prefect or database", asked.ours),
        ]
        for one in asked.about:
            try:
                network = address(one["address"])
            except ValueError as error:
                raise Refused(f"an alert's {block.address} is not blocked by {target.id}: {error}") from error
            widest = block.widest_ipv4 if network.version == 4 else block.widest_ipv6
            if network.prefixlen < widest:
                raise Refused(f"a network of /{network.prefixlen} is wider than the runbook allows: /{widest}")
            if (why := why_never(network, never)) is not None:
                self.output = why
                raise Refused(f"an address that an alert names is never blocked: {_without(why, network)}")
            if network.version not in self._words.sets:
                raise Refused(f"{target.id} has no set for addresses of IPv{network.version}")
            found[network] = None
        if len(found) > self._words.at_most:
            raise Refused(
                f"the alerts name {len(found)} addresses, and {target.id} blocks {self._words.at_most} at once"
            )
        return list(found)

    def _refuse_networks_in(self, sets: dict[int, Set], new: Sequence[Network]) -> None:
        for network in new:
            one = sets[network.version]
            if network.prefixlen < network.max_prefixlen and "interval" not in one.flags:
                raise Refused(f"the set {one.name} of {self._target.id} has no `flags interval`: it holds no network")

    def _after(self, new: Sequence[Network], there: int, time: timedelta, said_no: str | None) -> Identity:
        """The list as it is now. Raises PermanentError where none is in it, OutcomeUnknown where that is not seen."""
        target = self._target
        if said_no is not None:
            raise PermanentError(f"nftables blocked none of the addresses in {target.id}: {said_no}")
        try:
            sets = self._reader.sets()
        except (TemporaryError, PermanentError) as error:
            raise OutcomeUnknown(f"addresses were put into {target.id}, and it does not say so: {error}") from error
        self.output = "\n".join(f"{plain(one)}: blocked for {spoken(time)}" for one in new)
        if lost := [one for one in new if one not in sets[one.version].elements]:
            raise PermanentError(
                f"{len(lost)} of {len(new)} addresses are not in {target.id}, though nftables took them"
            )
        addresses = "1 address" if len(new) == 1 else f"{len(new)} addresses"
        self.did = f"blocked {addresses} for {spoken(time)}" + (f"; {there} more were blocked already" if there else "")
        return self._reader.of(sets)


def _without(why: str, network: Network) -> str:
    """The words without the address, which is a person's: those of the trail."""
    return why.replace(plain(network), "it", 1)


def forbidden(target: Target, transport: Transport, _remedy: str) -> str | None:
    """Why this user may not put addresses into it, and what grants it. Raises TemporaryError or PermanentError."""
    sets = Reader(target, transport).sets()
    family, table = target.words.where
    example = {4: address("192.0.2.1"), 6: address("2001:db8::1")}
    command = creation(
        family, table, [(one.name, [example[version]]) for version, one in sets.items()], timedelta(minutes=1)
    )
    try:
        with transport.command(command, sudoers=sudoers(family, table, [*target.words.sets.values()])):
            return None
    except PermanentError as error:
        return str(error)


def _blocked(target: Target, transport: Transport, deadline: float) -> Gathered:
    return collected(_listed(target, Reader(target, transport, time_left(deadline)).firewall()))


def _listed(target: Target, firewall: Firewall) -> Iterator[str]:
    """Each set with its addresses."""
    for version, name in target.words.sets.items():
        try:
            found = firewall.set(name)
        except (TemporaryError, PermanentError) as error:
            yield Unseen(f"the set {name} of IPv{version} was not seen: {error}")
            continue
        yield f"IPv{version}, the set {name}: {len(found.elements)}"
        for network, left in found.elements.items():
            yield f"  {plain(network)}  {'for ever' if left is None else f'for {spoken(timedelta(seconds=left))}'}"


EVIDENCE = {"blocked": ByDeadline(_blocked, from_beginning=False)}
