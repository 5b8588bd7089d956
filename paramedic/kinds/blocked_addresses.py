"""Addresses to block, and those that never are: read, judged and written for nftables. For the kind `blocklist`."""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.transport import MOST_KEPT, Ended, OutOfTime, Transport
from paramedic.text.sanitize import one_line

Network = IPv4Network | IPv6Network

#: By an absolute path: it is on no ordinary user's PATH.
NFT = "/usr/sbin/nft"

#: What Paramedic's elements say of themselves.
COMMENT = "paramedic"

#: An address, or one with the length of its network. Whoever writes anything else means something else.
WRITTEN = r"^[0-9A-Fa-f:.]{2,45}(/[0-9]{1,3})?$"

#: Never blocked, whatever services.yaml says: what is nobody's, everybody's, or reaches the machine itself.
_NEVER = tuple(
    ip_network(text)
    for text in (
        *("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4"),
        *("::/128", "::1/128", "fe80::/10", "ff00::/8"),
    )
)

#: The addresses of the machine itself, as the kernel routes them.
_OWN = ("/proc/net/fib_trie", "/proc/net/if_inet6")


def address(text: str) -> Network:
    """The address, or the network. Raises ValueError for anything else; an IPv4 address in an IPv6 one is the IPv4 one."""
    if not re.fullmatch(WRITTEN.removesuffix("$"), text):
        raise ValueError(f"{one_line(text)!r:.60} is no address")
    network = ip_network(text, strict=True)
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None:
        if network.prefixlen < 96:
            raise ValueError(f"{text} is wider than all of IPv4")
        return ip_network(f"{network.network_address.ipv4_mapped}/{network.prefixlen - 96}", strict=True)
    return network


def plain(network: Network) -> str:
    """An address alone, or a network, as nftables writes it."""
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


def why_never(network: Network, allowed: Iterable[tuple[str, Iterable[str]]]) -> str | None:
    """Why the network is never blocked, in words; `allowed`: groups of addresses that are not, each with what it is."""
    if network.prefixlen == 0:
        return f"{network} is everybody"
    for never in _NEVER:
        if network.version == never.version and network.overlaps(never):
            return f"{plain(network)} is in {never}, which is never blocked"
    for what, addresses in allowed:
        for other in addresses:
            one = address(other)
            if network.version == one.version and network.overlaps(one):
                return f"{plain(network)} is {what}" + (f", {plain(one)}" if plain(one) != plain(network) else "")
    return None


@dataclass(frozen=True, slots=True)
class Set:
    """A set of nftables, as it is now."""

    name: str
    handle: int
    type: str
    flags: Collection[str]
    elements: Mapping[Network, float | None]  # each with the seconds that it is left; None: it stays

    def holds(self, network: Network) -> bool:
        """Whether all of the network is in it."""
        return any(
            one.version == network.version and network.subnet_of(one)  # type: ignore[arg-type] # of one version
            for one in self.elements
        )


class Firewall:
    """Looks at sets of one table. All raise TemporaryError or PermanentError."""

    def __init__(self, transport: Transport, family: str, table: str, deadline: float) -> None:
        self._transport, self._family, self._table, self._deadline = transport, family, table, deadline

    def set(self, name: str) -> Set:
        """One of its sets. Raises PermanentError where there is none, or this user may not see it."""
        ended = self._run(*self._by_root(), NFT, "-j", "list", "set", self._family, self._table, name)
        if ended.code != 0:
            raise _failure(f"set {name} in the table {self._family} {self._table}", ended, self.listing(name))
        try:
            [found] = [row["set"] for row in json.loads(ended.output)["nftables"] if "set" in row]
            elements = dict(_element(row) for row in found.get("elem", ()))
            return Set(found["name"], int(found["handle"]), str(found["type"]), found.get("flags", ()), elements)
        except (ValueError, LookupError, TypeError) as error:
            raise TemporaryError(f"nft's answer does not describe the set {name}: {error}") from error

    def listing(self, name: str) -> str:
        """The line of the sudoers that the look at a set needs, but for who and where."""
        return f"{NFT} -j list set {self._family} {self._table} {name}"

    def own(self) -> list[str]:
        """The addresses of the machine itself."""
        ended = self._run("cat", *_OWN)
        v4 = re.findall(r"\|-- ([0-9.]+)\n\s+/32 host LOCAL", ended.output)
        v6 = [":".join(re.findall("....", row)) for row in re.findall(r"^([0-9a-f]{32}) ", ended.output, re.MULTILINE)]
        if not v4 and not v6:
            raise TemporaryError("the machine does not say which addresses it has")
        return sorted({*v4, *(str(IPv6Address(one)) for one in v6)})

    def _by_root(self) -> tuple[str, ...]:
        """The kernel shows sets to nobody but root: the one look that sudo is asked for."""
        return ("sudo", "-n", "--") if self._transport.by_sudo else ()

    def _run(self, *command: str) -> Ended:
        try:
            return self._transport.run(("env", "LC_ALL=C", *command), self._deadline, kept=MOST_KEPT)
        except OutOfTime as error:
            raise TemporaryError("nft did not answer in time") from error


def _failure(what: str, ended: Ended, listing: str) -> TemporaryError | PermanentError:
    said = words(ended)
    if "sudo: a password is required" in said or "not allowed to execute" in said:
        return PermanentError(f"the {what} cannot be seen: the sudoers lack `USER ALL=(root) NOPASSWD: {listing}`")
    if "No such file or directory" in said:
        return PermanentError(
            f"there is no {what}: create it, with `flags timeout`, and a rule that drops what is in it"
        )
    if re.search("not permitted|Permission denied", said):
        return PermanentError(f"the {what} cannot be seen: {said}; root sees it, `sudo: true`, or CAP_NET_ADMIN")
    return TemporaryError(f"the {what} cannot be seen: {said}")


def _element(row: object) -> tuple[Network, float | None]:
    """An element, with the seconds that it is left."""
    facts = row.get("elem", row) if isinstance(row, dict) else row
    expires = facts.get("expires") if isinstance(facts, dict) else None
    value = facts.get("val", facts) if isinstance(facts, dict) else facts
    if isinstance(value, dict) and "prefix" in value:
        value = f"{value['prefix']['addr']}/{value['prefix']['len']}"
    elif isinstance(value, dict):  # a range, which nobody of us has written
        value = str(value["range"][0])
    return ip_network(str(value)), None if expires is None else float(expires)


def creation(family: str, table: str, elements: Sequence[tuple[str, Sequence[Network]]], time: timedelta) -> list[str]:
    """The command that puts the addresses into their sets for a time: all of them or none, and none that is there by then."""
    command = [NFT]
    for name, networks in elements:
        command += [";"] if len(command) > 1 else []
        command += ["create", "element", family, table, name, "{"]
        for number, network in enumerate(networks):
            timeout = f"{int(time.total_seconds())}s"
            command += [*([","] if number else []), plain(network), "timeout", timeout, "comment", COMMENT]
        command += ["}"]
    return command


_ONE = "[0-9a-f.:/]+ timeout [0-9]+s comment paramedic"


def sudoers(family: str, table: str, names: Sequence[str]) -> str:
    """The arguments of `creation`, whichever addresses, as a line of the sudoers has them: a regular expression."""
    sets = "|".join(names)
    element = f"create element {family} {table} ({sets}) [{{] {_ONE}( , {_ONE})* [}}]"
    return f"^{element}( ; {element})?$".replace(",", r"\,").replace(":", r"\:")


def words(ended: Ended) -> str:
    """What a program said, in one line."""
    return one_line(ended.errors or ended.output)[:300] or f"it ended with {ended.code}"
