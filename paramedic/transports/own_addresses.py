"""The addresses of the machine that Paramedic runs on, and of what it needs: none of them is ever blocked."""

import socket
import threading
from collections.abc import Iterable
from urllib.parse import urlsplit

import psutil

from paramedic.errors import TemporaryError

#: A resolver has no deadline of its own. Seconds.
_RESOLVES_SECONDS = 3.0


def ours(urls: Iterable[str]) -> frozenset[str]:
    """Every address of this machine's interfaces, and of the hosts of these URLs.

    Raises TemporaryError where the name of one is not resolved: nobody knows then which address is needed.
    """
    names = {host for url in urls if (host := urlsplit(url).hostname)}
    found = {
        address.address.partition("%")[0]
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family in (socket.AF_INET, socket.AF_INET6)
    }
    return frozenset(found.union(*(_resolved(name) for name in names)))


def _resolved(name: str) -> set[str]:
    answers: list[set[str]] = []

    def ask() -> None:
        try:
            answers.append({str(row[4][0]).partition("%")[0] for row in socket.getaddrinfo(name, None)})
        except (OSError, UnicodeError):
            answers.append(set())

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(_RESOLVES_SECONDS)
    if not answers or not answers[0]:
        raise TemporaryError(f"the address of {name} is not known: its name is not resolved")
    return answers[0]
