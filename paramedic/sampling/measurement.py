"""Takes one sample of a check. A check that breaks is no breach: whatever keeps it from seeing is told as unknown."""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Protocol

from paramedic.checks.check import ERROR, LATENCY, Check, Kind, Sample
from paramedic.doors import reading
from paramedic.errors import PermanentError, TemporaryError
from paramedic.machine.clock import spoken
from paramedic.remediation.health import Sight
from paramedic.remediation.target import Target
from paramedic.text.address import host_and_port

log = logging.getLogger(__name__)

#: How long ago a heartbeat was last heard, by the clock that wrote it down; None if never.
LastHeard = Callable[[str], timedelta | None]


class Exchange(Protocol):
    """One try to have an answer from somebody."""

    @property
    def sight(self) -> Sight:
        """What it showed."""

    @property
    def took_ms(self) -> float:
        """How long it took."""

    @property
    def why(self) -> str:
        """What was seen, in words."""


Seen = tuple[Mapping[str, float], str]


def sample(check: Check, target: Target, *, now: Callable[[], datetime], last_heard: LastHeard) -> Sample:
    """One look, at the moment when it began. Never raises: what cannot be seen has no values, and says why."""
    at = now()
    try:
        values, why = _LOOKS[check.kind](check, target, at, last_heard)
    except (TemporaryError, PermanentError) as error:
        return Sample(at, None, str(error))
    except Exception as error:  # the edge of one check: a fault in it is neither a breach nor the others' fault
        log.exception("the check %s failed to look at %s", check.name, target.id)
        return Sample(at, None, f"the check itself failed: {type(error).__name__}: {error}")
    return Sample(at, values, why)


def silent(address: str, timeout: timedelta) -> bool:
    """Whether an address that should always answer, as `http://…` or `tcp://HOST:PORT`, does not. Any answer will do."""
    try:
        if address.startswith("tcp://"):
            return not reading.connect(*host_and_port(address), timeout).ok
        return reading.probe(address, timeout).status is None
    except (PermanentError, ValueError) as error:
        log.warning("the control probe %s cannot be asked: %s", address, error)
        return True


def _http(check: Check, target: Target, _at: datetime, _heard: LastHeard) -> Seen:
    return _probed(check.at(target), check.timeout)


def _health(check: Check, target: Target, _at: datetime, _heard: LastHeard) -> Seen:
    if target.health is None:
        raise PermanentError(f"services.yaml names no health address for {target.id}")
    return _probed(target.health, check.timeout)


def _probed(url: str, timeout: timedelta) -> Seen:
    return _exchanged(reading.probe(url, timeout))


def _tcp(check: Check, target: Target, _at: datetime, _heard: LastHeard) -> Seen:
    return _exchanged(reading.connect(*host_and_port(check.at(target)), check.timeout))


def _exchanged(seen: Exchange) -> Seen:
    """What an exchange tells. One in which we could not see has no values: it is neither slow nor an error."""
    if seen.sight is Sight.UNKNOWN:
        raise PermanentError(seen.why)
    return {LATENCY: seen.took_ms / 1000, ERROR: float(seen.sight is Sight.FAILING)}, seen.why


def _tls(check: Check, target: Target, at: datetime, _heard: LastHeard) -> Seen:
    ends = reading.certificate_expires_at(*host_and_port(check.at(target)), check.timeout)
    return {"expires_in": (ends - at).total_seconds()}, f"the certificate is good until {ends:%Y-%m-%d %H:%M} UTC"


def _process(_check: Check, target: Target, _at: datetime, _heard: LastHeard) -> Seen:
    use, which = reading.process_use(target)
    values = {"cpu": use.cpu_percent, "memory": float(use.rss), "memory_percent": use.memory_percent}
    return values, which


def _host(check: Check, _target: Target, _at: datetime, _heard: LastHeard) -> Seen:
    use = reading.host_use(check.where)
    values = {
        "cpu": use.cpu_percent,
        "memory": float(use.memory),
        "memory_percent": use.memory_percent,
        "disk": use.disk_percent,
    }
    return values, f"this machine, the disk of {check.where}"


def _heartbeat(check: Check, target: Target, _at: datetime, heard: LastHeard) -> Seen:
    name = check.at(target)
    ago = heard(name)
    if ago is None:
        raise PermanentError(f"no heartbeat {name} has ever come: it is posted to /heartbeats/{name}")
    return {"missing_for": ago.total_seconds()}, f"heard {spoken(ago)} ago"


_LOOKS: dict[Kind, Callable[[Check, Target, datetime, LastHeard], Seen]] = {
    Kind.HTTP: _http,
    Kind.HEALTH: _health,
    Kind.TCP: _tcp,
    Kind.TLS: _tls,
    Kind.PROCESS: _process,
    Kind.HOST: _host,
    Kind.HEARTBEAT: _heartbeat,
}
