"""What an answer, or its absence, says of whoever was asked: well, failing, or that we cannot see. docs/health.md has the table.

What we cannot see, or may not ask, is never failing: a restart heals no certificate, no name and no rate limit (P11).
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
    """What a whole HTTP answer with this status says, and the reason in words. A redirect is not followed."""
    said = f"answered {status}"
    if 200 <= status < 300:
        return Sight.WELL, said
    if 300 <= status < 400:
        return Sight.UNKNOWN, f"{said}, and redirects are not followed: what lies there may be a login page"
    if status in _NOT_THERE or (500 <= status < 600 and status not in _ABOUT_US):
        return Sight.FAILING, said
    return Sight.UNKNOWN, f"{said}: {_REASONS.get(status, 'that is about our question, not about its health')}"


def of_errno(number: int) -> Sight:
    """What an error of the operating system says that kept us from a connection, or ended it.

    A refused connection is failing. No descriptor, port, route or permission of ours left (EMFILE, EADDRNOTAVAIL,
    ENETUNREACH, EHOSTUNREACH, EACCES, …), and whatever is not known here, is cannot see.
    """
    return Sight.FAILING if number in _THEIRS else Sight.UNKNOWN


def of_silence(host: str, *, connected: bool) -> Sight:
    """What a time-out says of whoever was asked at this host, a name or an address.

    Who accepts and does not answer is failing, and so is who does not even accept on loopback, as with a full backlog: no
    network lies between. Elsewhere, without a connection, the way there may be what is broken.
    """
    return Sight.FAILING if connected or _is_loopback(host) else Sight.UNKNOWN


def _is_loopback(host: str) -> bool:
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
