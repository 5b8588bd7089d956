"""What one probe's request says, and what it is answered: the parts that a check's conditions are about."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

from paramedic.remediation.health import Sight
from paramedic.text.sanitize import one_line

#: So much of an answer's headers is kept; libcurl itself refuses more than 300 KB of them.
_HEADERS_LIMIT = 65_536


@dataclass(frozen=True, slots=True)
class Sent:
    """A request: its method, its body, and headers beside those that every probe sends. Values may be secret."""

    method: str = "GET"
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, or as much of its body as is read."""

    status: int
    headers: Mapping[str, str]  # by lower-case name; of a name that comes twice, both values with a comma between
    body: bytes
    whole: bool  # False: there is more of the body


#: What an answer shows of the target's health, and why.
Judge = Callable[[Answer], tuple[Sight, str]]


class Headers:
    """Receives the headers of an answer, line by line; those of an answer before it (100 Continue) are forgotten."""

    def __init__(self) -> None:
        self._size = 0
        self.found: dict[str, str] = {}

    def __call__(self, line: bytes) -> None:
        if line.startswith(b"HTTP/"):
            self.found.clear()
            return
        self._size += len(line)
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or self._size > _HEADERS_LIMIT:
            return
        name = name.strip().lower()
        self.found[name] = f"{self.found[name]}, {value.strip()}" if name in self.found else value.strip()


def leads_to(url: str, location: str | None) -> str:
    """Where a redirect leads, in words: the address without its query, which may hold a key, and whether it is another host's."""
    if not location:
        return "nowhere: it names no Location"
    try:
        there, here = urlsplit(urljoin(url, location)), urlsplit(url)
        same = (there.scheme, there.hostname, there.port) == (here.scheme, here.hostname, here.port)
    except ValueError:
        return "an address that cannot be read"
    host = (there.hostname or "") + (f":{there.port}" if there.port else "")
    shown = one_line(f"{there.scheme}://{host}{there.path}")[:200]
    return shown if same else f"{shown}, another host or scheme"
