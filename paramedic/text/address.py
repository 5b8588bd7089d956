"""Addresses in authors' files: `tcp://HOST:PORT`, URLs."""

from urllib.parse import urlsplit


def host_and_port(address: str, *, needs_port: bool = True) -> tuple[str, int]:
    """The two parts of `tcp://HOST:PORT`. Raises ValueError, saying what is allowed."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"{address!r:.120} is not an address: {error}") from error
    if not host or port == 0 or (needs_port and port is None):
        raise ValueError(f"{address!r:.120} is not an address; write {parts.scheme}://HOST:PORT")
    return host, port or 0


def fit_url(url: str) -> str:
    """The URL, checked. Raises ValueError for one without a host or with an invalid port; unix: needs neither."""
    parts = urlsplit(url)
    try:
        fit = parts.scheme == "unix" or (bool(parts.hostname) and parts.port != 0)
    except ValueError:
        fit = False
    if not fit:
        raise ValueError(f"{url!r:.120} is not an address: it names a host, and a port, if any, from 1 to 65535")
    return url
