"""Judges a probe's answer, or its absence: well, failing, or unknown. docs/health.md has the table.

What cannot be seen, or may not be asked, is never failing: a restart fixes no certificate, DNS name or rate limit (P11).
"""

import errno
import ipaddress

from paramedic.remediation.health import Sight

#: The service answers that this is not there: it runs without what was asked for, as after a start that half failed.
_NOT_THERE = (404, 410)

#: Of the 5xx those that are about us or the way there: a network that asks for a login, a method or version not spoken.
_ABOUT_US = (501, 505, 511)

_REASONS = {
    401: "it wants a login that we do not have",
    403: "it does not allow us to ask",
    407: "a proxy wants a login",
    429: "it is asked too often, and says so",
    511: "the network wants a login",
}

#: Of the errors of a connection only these are the other side's: somebody there refused it, or broke it off.
_THEIRS = (errno.ECONNREFUSED, errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED)


def of_status(status: int) -> tuple[Sight, str]:
    """The health that a complete HTTP answer with this status shows, and the reason. A redirect is not followed."""
    answer = f"answered {status}"
    if 200 <= status < 300:
        return Sight.WELL, answer
    if 300 <= status < 400:
        return Sight.UNKNOWN, f"{answer}, and redirects are not followed: what lies there may be a login page"
    if status in _NOT_THERE or (500 <= status < 600 and status not in _ABOUT_US):
        return Sight.FAILING, answer
    return Sight.UNKNOWN, f"{answer}: {_REASONS.get(status, 'that is about our question, not about its health')}"


def of_errno(number: int) -> Sight:
    """The health that a connection's operating-system error shows.

    A refused connection is failing. A lack of descriptors, ports, routes or permissions here (EMFILE, EADDRNOTAVAIL,
    ENETUNREACH, EHOSTUNREACH, EACCES, …), and any other error, is unknown.
    """
    return Sight.FAILING if number in _THEIRS else Sight.UNKNOWN


def of_no_answer(host: str, *, connected: bool) -> Sight:
    """The health that a time-out shows at this host, a name or an address.

    A server that accepts and does not answer is failing, and so is one that does not accept on loopback (full backlog): no
    network is between. Elsewhere, without a connection, the network may be what is broken.
    """
    return Sight.FAILING if connected or _is_loopback(host) else Sight.UNKNOWN


def _is_loopback(host: str) -> bool:
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
