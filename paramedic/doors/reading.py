"""What looks, and never touches."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from paramedic.doors import integration
from paramedic.errors import PermanentError, TemporaryError
from paramedic.machine.open_transaction import must_be_closed
from paramedic.remediation.release import Release
from paramedic.remediation.target import Identity, Target

if TYPE_CHECKING:
    from paramedic.integrations.probes.host import HostRow
    from paramedic.integrations.probes.tcp import Connection
    from paramedic.transports.http_probe import Probe
    from paramedic.transports.local_process import ProcessRow, Use


class Reader(Protocol):
    """Looks at one target in the system that owns it."""

    def identity(self) -> Identity:
        """Which life the target is in. Raises TemporaryError or PermanentError."""


def reader(target: Target) -> Reader:
    """What can look at this target. Raises PermanentError if no integration reads its kind."""
    return cast("Reader", integration("targets", target.kind, "Reader")(target))


def identity(target: Target) -> Identity:
    """Which life the target is in, and which release it runs where that can be read. Raises TemporaryError or PermanentError."""
    life = reader(target).identity()
    if target.releases is None:
        return life
    with suppress(TemporaryError, PermanentError):  # whoever needs the release asks for it, and hears why
        return replace(life, revision=releases(target).current().id)
    return life


def journal(target: Target) -> str:
    """The last lines that its system keeps of the target.

    Raises TemporaryError, or PermanentError where nothing keeps a journal.
    """
    look = getattr(reader(target), "journal", None)
    if look is None:
        raise PermanentError(
            f"{target.id} is a {target.kind} target, and keeps no journal: name its `log` in services.yaml"
        )
    return str(look())


class Releases(Protocol):
    """Looks at the releases of one target."""

    def current(self) -> Release:
        """The release that runs once the target is restarted. Raises PermanentError if the folder is not in order."""

    def before(self) -> Release:
        """The last healthy release before the current one. Raises Refused if there is none, PermanentError as `current` does."""

    def all(self) -> list[Release]:
        """Every release that lies there, the last deployed first. Raises PermanentError as `current` does."""


def releases(target: Target) -> Releases:
    """What can look at the target's releases. Raises PermanentError if services.yaml names no folder for them."""
    if target.releases is None:
        raise PermanentError(f"services.yaml names no `releases` for {target.id}")
    must_be_closed("the releases of a target are looked at")
    from paramedic.integrations.remedies import release_folder

    return release_folder.Reader(target)


def probe(url: str, timeout: timedelta) -> "Probe":
    """Ask a health URL once; see `paramedic.transports.http_probe`."""
    must_be_closed("a target is looked at")
    from paramedic.transports import http_probe

    return http_probe.probe(url, timeout)


def connect(host: str, port: int, timeout: timedelta) -> "Connection":
    """Try one TCP connection; see `paramedic.integrations.probes.tcp`."""
    must_be_closed("a target is looked at")
    from paramedic.integrations.probes import tcp

    return tcp.connect(host, port, timeout)


def certificate_expires_at(host: str, port: int, timeout: timedelta) -> datetime:
    """Until when a TLS server's certificate is good; see `paramedic.integrations.probes.tls`."""
    must_be_closed("a target is looked at")
    from paramedic.integrations.probes import tls

    return tls.expires_at(host, port, timeout)


def host_use(path: str) -> "HostRow":
    """How much of this machine is used; see `paramedic.integrations.probes.host`."""
    must_be_closed("a target is looked at")
    from paramedic.integrations.probes import host

    return host.used(path)


def process_use(pid: int) -> "Use":
    """What a process of this machine uses; see `paramedic.transports.local_process`."""
    must_be_closed("a target is looked at")
    from paramedic.transports import local_process

    return local_process.used(pid)


def tail(path: str | Path, max_bytes: int = 16_384, max_lines: int = 100) -> str:
    """The end of a log file; see `paramedic.transports.log_file`."""
    must_be_closed("a target is looked at")
    from paramedic.transports import log_file

    return log_file.tail(path, max_bytes, max_lines)


def resident_memory(pid: int) -> int:
    """Bytes that a process of this machine holds; see `paramedic.transports.local_process`."""
    must_be_closed("a target is looked at")
    from paramedic.transports import local_process

    return local_process.resident_memory(pid)


def process_tree(pid: int) -> "list[ProcessRow]":
    """A process of this machine and its descendants; see `paramedic.transports.local_process`."""
    must_be_closed("a target is looked at")
    from paramedic.transports import local_process

    return local_process.tree(pid)


def alive(pid: int, started_at: float) -> bool:
    """Whether that very process still runs on this machine; see `paramedic.transports.local_process`."""
    must_be_closed("a target is looked at")
    from paramedic.transports import local_process

    return local_process.alive(pid, started_at)
