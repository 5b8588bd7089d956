"""Failed log-ins in the lines of a log: the address of each, as the program that refused it has written it.

A user's name is anybody's text, also ` from 192.0.2.1 port 22 ssh2`: each pattern is bound at both ends of what the program
itself writes, and of several addresses that fit the one counts that the program wrote.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

from paramedic.text.linear_search import linear_search

#: Of one line that stands for several at most so many are counted.
_MOST_REPEATED = 1000

#: No program's own line about a log-in is longer.
_LONGEST = 8192


@dataclass(frozen=True, slots=True)
class Failure:
    """One line about a log-in that failed."""

    address: str  # as it is written
    count: int = 1
    connection: str | None = None  # which one it was, where the line says it
    accompanies: bool = False  # it stands beside others of its connection: alone it counts, beside another it does not


#: The failures that a line tells of: none, or one.
Reader = Callable[[str], Failure | None]

# --- sshd -------------------------------------------------------------------------------------------------------------

_ADDRESS = r"(?P<address>[0-9A-Fa-f.:]{2,45}(?:%[\w.-]{1,20})?)"

#: As syslog writes it, with the old and the new form of the time; and as `journalctl` prints a message of sshd.
_FROM_SSHD = re.compile(
    r"(?:<\d{1,3}>)?(?:[A-Z][a-z]{2} +\d{1,2} [\d:.]+|\d{4}-\d\d-\d\dT[\d:.,]+(?:Z|[+-]\d\d:?\d\d)?|\d{9,11}\.\d+) "
    r"\S+ sshd(?:-session|-auth)?(?:\[(?P<pid>\d+)\])?: (?P<message>.*)",
    re.DOTALL,
)
_REPEATED = re.compile(r"message repeated (?P<times>\d{1,9}) times: \[ (?P<message>.*)\]", re.DOTALL)

_PORT = r"(?: port (?P<port>\d{1,5}))?"
_FAILED = re.compile(
    rf"Failed (?:password|keyboard-interactive/pam|gssapi-with-mic|hostbased) for (?:invalid user )?.* from {_ADDRESS}{_PORT}"
    r"(?: ssh\d)?(?: \[preauth\])?",
    re.DOTALL,
)

#: Several of these may stand beside one failure, and publickey alone leaves nothing else.
_PAM = rf"; logname=\S* uid=\d* euid=\d* tty=\S* ruser=\S* rhost={_ADDRESS}(?:\s+user=.*)?"
_OF_PORT = rf"{_ADDRESS} port (?P<port>\d{{1,5}})"
_BESIDE = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        rf"(?:error: )?[Ii](?:nvalid|llegal) user .* ?from {_ADDRESS}{_PORT}",
        rf"(?:Connection closed by|Connection reset by) (?:authenticating|invalid) user .* {_OF_PORT} \[preauth\]",
        rf"Disconnect(?:ed from|ing) (?:authenticating|invalid) user .* {_OF_PORT}(?:: [^\[\]]*)? \[preauth\]",
        rf"(?:error: )?maximum authentication attempts exceeded for .* from {_OF_PORT} ssh\d \[preauth\]",
        rf"User .* from {_ADDRESS} not allowed because [^:]*",
        rf"(?:error: )?PAM: [A-Z][a-z ]+ for (?:illegal user )?.* from {_ADDRESS}",
        rf"pam_\w+\(sshd:auth\): authentication failure{_PAM}",
        rf"PAM \d+ more authentication failures?{_PAM}",
    )
)


def sshd(line: str) -> Failure | None:
    """OpenSSH's, with `sshd`, `sshd-session` and `sshd-auth`, from a file or the journal."""
    found = _FROM_SSHD.fullmatch(line) if len(line) <= _LONGEST else None
    if found is None:
        return None
    message, count = found["message"].rstrip(), 1
    if (repeated := _REPEATED.fullmatch(message)) is not None:
        message, count = repeated["message"].rstrip(), min(int(repeated["times"]), _MOST_REPEATED)
    failed = _FAILED.fullmatch(message)
    beside = None if failed is not None else next((hit for one in _BESIDE if (hit := one.fullmatch(message))), None)
    hit = failed or beside
    if hit is None:
        return None
    connection = found["pid"] or hit.groupdict().get("port")
    return Failure(hit["address"], 1 if failed is None else count, connection, accompanies=failed is None)


# --- others -----------------------------------------------------------------------------------------------------------

_SYSLOG = (
    r"(?:<\d{1,3}>)?(?:[A-Z][a-z]{2} +\d{1,2} [\d:.]+|\d{4}-\d\d-\d\dT[\d:.,]+(?:Z|[+-]\d\d:?\d\d)?|\d{9,11}\.\d+) \S+ "
)

#: Who logs in writes `user=<…>`; what comes after the address is the server's own.
_DOVECOT = re.compile(
    rf"{_SYSLOG}dovecot(?:\[\d+\])?: [a-z0-9-]+-login: (?:Info: )?(?:Disconnected|Aborted login|Login aborted)[^<>]*"
    rf"\(auth failed, (?P<times>\d{{1,6}}) attempts[^()]*\)[^<>]*: (?:user=<.*>, )?(?:method=[\w-]*, )?rip={_ADDRESS}, lip=.*"
)
_POSTFIX = re.compile(
    rf"{_SYSLOG}postfix[\w/-]*/smtpd\[\d+\]: warning: [\w.-]*\[{_ADDRESS}\](?::\d+)?: SASL [\w-]+ authentication failed.*"
)
_REFUSED = re.compile(rf"{_ADDRESS} \S+ .*? \[\d\d/[A-Z][a-z]{{2}}/\d{{4}}:[\d:]+ [+-]\d{{4}}\] \"[^\"]*\" 401 .*")


def _dovecot(line: str) -> Failure | None:
    found = _DOVECOT.fullmatch(line) if len(line) <= _LONGEST else None
    return None if found is None else Failure(found["address"], min(int(found["times"]), _MOST_REPEATED))


def _by(pattern: re.Pattern[str]) -> Reader:
    def read(line: str) -> Failure | None:
        found = pattern.fullmatch(line) if len(line) <= _LONGEST else None
        return None if found is None else Failure(found["address"])

    return read


#: How to read the log of which program, by the name that an author gives it.
FORMATS: dict[str, Reader] = {"sshd": sshd, "dovecot": _dovecot, "postfix": _by(_POSTFIX), "access": _by(_REFUSED)}


def own(pattern: str) -> Reader:
    """An author's own expression, with a group `address`. It is searched for in linear time, whatever is in the line.

    Raises ValueError where it is none, or has no such group.
    """
    search = linear_search(pattern)
    if "address" not in search.groups:
        raise ValueError("it has no group `address`: write (?P<address>[0-9a-fA-F.:]+) where the address is")

    def read(line: str) -> Failure | None:
        found = search.of(line)
        return None if found is None or not found.get("address") else Failure(found["address"])

    return read


def subject(address: str, v6_prefix: int) -> str | None:
    """Whose address it is: IPv4 as it is, IPv6 by the network that one customer has; None for what is no address."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(found) if v6_prefix == 128 else str(ip_network((found, v6_prefix), strict=False))
    return str(found)
