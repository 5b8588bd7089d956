"""What changed on a host, read from what its own programs print: its packages, its services, its files."""

import json
import re
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime, timedelta

from paramedic.kinds.changes import Change
from paramedic.text.sanitize import one_line

#: Properties of a service that tell when it was started and stopped last, and how that ended.
UNIT_PROPERTIES = ("Id", "Type", "ActiveState", "Result", "NRestarts", "ActiveEnterTimestamp", "InactiveEnterTimestamp")

#: What begins so soon after the host itself came with it. A stop that a start follows so soon is a restart.
_WITH_THE_HOST, _A_RESTART = timedelta(minutes=3), timedelta(seconds=5)

#: What systemd itself writes into the journal of a unit's jobs (systemd.messages): by its message's id, what became of the unit.
UNIT_MESSAGES = {
    "39f53479d3a045ac8e11786248231fbf": "was started",
    "9d1aaa27d60140bd96365438aad20286": "stopped",
    "d9b373ed55a64feb8242e02dbe79a49c": "failed",
    "be02cf6855d2428ba40df7e9d022f03d": "failed: it did not start",
}

_DPKG = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (install|upgrade|remove|purge) (\S+) (\S+) (\S+)", re.MULTILINE)
_NUMBERED = re.compile(r"^(\d+)(?:\.\d+)? (.*)$", re.MULTILINE)
_SYSTEMD = re.compile(r"[A-Z][a-z]{2} (\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) UTC")


def dpkg(text: str, offset: timedelta) -> Iterator[Change]:
    """The packages of dpkg's log, whose times are the host's own: `offset` from UTC."""
    for at, what, name, old, new in _DPKG.findall(text):
        when = (datetime.fromisoformat(at) - offset).replace(tzinfo=UTC)
        versions = f"{old} to {new}" if what == "upgrade" else new if what == "install" else old
        yield Change(when, f"package {name}: {what} {versions}")


def rpm(text: str) -> Iterator[Change]:
    """The packages of `rpm -qa`, from lines `installed-at name version`."""
    for at, rest in _NUMBERED.findall(text):
        yield Change(moment(float(at)), f"package {rest}: installed")


def files(text: str, what: str) -> Iterator[Change]:
    """The files of `find`, from lines `changed-at path`."""
    for at, path in _NUMBERED.findall(text):
        yield Change(moment(float(at)), f"{what} {path}")


def configuration(text: str) -> Iterator[Change]:
    """What `find` shows of an application's configuration, from lines `changed-at type path`: of a folder its entries changed."""
    for at, rest in _NUMBERED.findall(text):
        kind, _, path = rest.partition(" ")
        what = "configuration, an entry added or removed in" if kind == "d" else "configuration"
        yield Change(moment(float(at)), f"{what} {path}")


def units(text: str, booted_at: datetime | None) -> Iterator[Change]:
    """What services were started, stopped or failed last, by `systemctl show`, printed in UTC.

    Of those that came with the host there is one line, with their number.
    """
    with_the_host = 0
    for block in text.split("\n\n"):
        shown = dict(line.partition("=")[::2] for line in block.splitlines() if "=" in line)
        started, stopped = (
            _systemd(shown.get(name, "")) for name in ("ActiveEnterTimestamp", "InactiveEnterTimestamp")
        )
        with_it = booted_at is not None and started is not None and started <= booted_at + _WITH_THE_HOST
        if with_it and shown.get("ActiveState") == "active" and stopped is None:
            with_the_host += 1
            continue
        yield from _unit(shown, None if with_it else started, stopped)
    if booted_at is not None and with_the_host:
        yield Change(booted_at, f"{with_the_host} services were started with the host, and run since then")


def loaded(text: str) -> set[str]:
    """The services that systemd has loaded, by `systemctl show`: of those it tells the last start and stop itself."""
    return set(re.findall(r"^Id=(\S+)$", text, re.MULTILINE))


def journal(text: str, without: Collection[str]) -> Iterator[Change]:
    """What became of services that systemd has loaded no more, by lines of `journalctl --output=json`."""
    for line in text.splitlines():
        try:
            found = json.loads(line)
            unit, at = str(found["UNIT"]), moment(int(found["__REALTIME_TIMESTAMP"]) / 1e6)
            what = UNIT_MESSAGES[str(found["MESSAGE_ID"])]
        except (ValueError, LookupError, TypeError, OverflowError):  # cut, or no line of it
            continue
        if unit.endswith(".service") and unit not in without:
            yield Change(at, f"service {one_line(unit)} {what}")


def _unit(shown: dict[str, str], started: datetime | None, stopped: datetime | None) -> Iterator[Change]:
    name = f"service {one_line(shown.get('Id', ''))}"
    again = shown.get("NRestarts", "0")
    times = f" ({again} times by its own Restart= since it was started by hand)" if again not in ("", "0") else ""
    runs = shown.get("ActiveState") == "active"
    if runs and started is not None and stopped is not None and stopped <= started <= stopped + _A_RESTART:
        yield Change(started, f"{name} was restarted{times}")
        return
    if started is not None:
        yield Change(started, f"{name} was started{times}")
    if stopped is not None:
        if shown.get("ActiveState") == "failed":
            how = f"failed: {one_line(shown.get('Result', ''))}"
        else:
            how = "ran to its end" if shown.get("Type") == "oneshot" else "stopped"
        yield Change(stopped, f"{name} {how}")


def newest(changes: Iterable[Change], most: int) -> list[Change]:
    """So many of them, the newest first."""
    return sorted(changes, key=lambda change: change.at, reverse=True)[:most]


def zone(text: str) -> timedelta:
    """`+0130` as a duration. Raises ValueError."""
    size = timedelta(hours=int(text[1:3]), minutes=int(text[3:5]))
    return -size if text.startswith("-") else size


def moment(seconds: float) -> datetime:
    """Seconds since the epoch as a moment."""
    return datetime.fromtimestamp(seconds, UTC)


def _systemd(text: str) -> datetime | None:
    """`Mon 2026-11-30 16:00:00 UTC`; None for never."""
    found = _SYSTEMD.fullmatch(text)
    return datetime.fromisoformat(f"{found[1]}T{found[2]}+00:00") if found else None
