"""Addresses as authors write them: `tcp://HOST:PORT`."""

from urllib.parse import urlsplit


def host_and_port(address: str, *, needs_port: bool = True) -> tuple[str, int]:
    """The two parts of `tcp://HOST:PORT`. Raises ValueError, saying what is allowed."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"{address!r:.120} is no address: {error}") from error
    if not host or port == 0 or (needs_port and port is None):
        raise ValueError(f"{address!r:.120} is no address; write {parts.scheme}://HOST:PORT")
    return host, port or 0
