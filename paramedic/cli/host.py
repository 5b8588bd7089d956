"""`paramedic host`: the machines that targets run on."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

import typer

from paramedic.catalog.library import open_library
from paramedic.cli.finding import APART
from paramedic.cli.output import (
    AsJson,
    Data,
    Negative,
    command_of,
    console,
    hanging,
    safe,
    say_json,
    settings_of,
    table,
)
from paramedic.errors import PermanentError, TemporaryError
from paramedic.machine.clock import spoken
from paramedic.remediation.host import Host
from paramedic.text.redaction import redact
from paramedic.text.sanitize import one_line

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, help="The hosts of services.yaml.")

#: So many hosts are looked at together, and so long one look may take.
_AT_ONCE = 32
_WITHIN = timedelta(seconds=15)

_NONE = "services.yaml lists no `hosts`: every target is on this machine"


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at one host has shown."""

    host: Host
    well: bool
    words: str
    facts: dict[str, Any]


def looked_at(hosts: Iterable[Host]) -> list[Looked]:
    """Look at each host, many at once."""
    with ThreadPoolExecutor(_AT_ONCE) as looks:
        return list(looks.map(_look, hosts))


def _look(host: Host) -> Looked:
    if host.kubernetes is not None:
        return _look_at_cluster(host)
    if host.ssh is None:
        return Looked(host, well=True, words="this machine", facts={})
    from paramedic.transports import ssh_look  # paramiko: only who has such a host loads it

    try:
        seen = ssh_look.look(host, _WITHIN)
    except (TemporaryError, PermanentError) as error:
        return Looked(host, well=False, words=str(error), facts={})
    far = _apart(seen.apart)
    wrong = [*seen.lacks, *([] if far is None else [far])]
    may = [word for word in ("root", "sudo", "systemd", "python3") if word in seen.has]
    words = f"reached as {seen.user} by {seen.key}; there are {', '.join(may) or 'neither root, sudo nor systemd'}"
    words += f"; its clock is {spoken(abs(seen.apart)) or '0s'} from ours" if far is None else ""
    facts = {
        "key": seen.key,
        "user": seen.user,
        "machine": seen.machine,
        "clock_apart_seconds": seen.apart.total_seconds(),
        "round_trip_seconds": seen.round_trip.total_seconds(),
        "has": sorted(seen.has),
        "lacks": list(seen.lacks),
    }
    return Looked(host, well=not wrong, words="; ".join([words, *wrong]), facts=facts)


def _look_at_cluster(host: Host) -> Looked:
    from paramedic.transports import kubernetes_look  # httpx: only who has such a host loads it

    try:
        seen = kubernetes_look.look(host, _WITHIN)
    except (TemporaryError, PermanentError) as error:
        return Looked(host, well=False, words=str(error), facts={})
    apart = _apart(seen.apart)
    words = f"reached {seen.who}{f' as {seen.user}' if seen.user else ''}; Kubernetes {seen.version}"
    facts = {
        "user": seen.user,
        "version": seen.version,
        "clock_apart_seconds": seen.apart.total_seconds(),
        "round_trip_seconds": seen.round_trip.total_seconds(),
    }
    return Looked(host, well=apart is None, words="; ".join([words, *([] if apart is None else [apart])]), facts=facts)


def _apart(apart: timedelta) -> str | None:
    """What is wrong with a clock that is so far from ours; None where it is near enough."""
    return f"its clock is {spoken(abs(apart))} from ours: mend NTP" if abs(apart) > APART else None


@app.command("list")
def list_(data: Data = None, as_json: AsJson = False) -> None:
    """How each host is reached, what alerts call it, and its targets. Nothing is asked of any."""
    services = open_library(settings_of(data)).services
    rows = [
        {
            "host": host.name,
            "way": [one.name for one in host.way],
            "reached": str(host).partition(", ")[2],
            "also": list(services.names_of(host.name)[1:]),
            "targets": [target.id for target in services if target.host == host.name],
        }
        for host in services.hosts.values()
    ]
    if as_json:
        say_json(rows)
        return
    if not rows:
        console.print(_NONE, markup=False)
        return
    shown = table("host", "reached", "by", "also", "targets")
    for row in rows:
        by = " → ".join(row["way"][:-1])
        shown.add_row(*map(safe, (row["host"], row["reached"], by, ", ".join(row["also"]), ", ".join(row["targets"]))))
    console.print(shown)


@app.command("test")
def try_(
    hosts: Annotated[list[str] | None, typer.Argument(help="Which; without one, all.", metavar="[HOST]...")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Reach each host, and say by which key, what may be done there, and how far its clock is from ours. Changes nothing."""
    listed = open_library(settings_of(data)).services.hosts
    if strange := [name for name in hosts or () if name not in listed]:
        known = ", ".join(listed) or "none"
        raise typer.BadParameter(f"services.yaml lists no host {strange[0]!r:.80}; it lists: {known}")
    looked = looked_at(listed[name] for name in hosts or listed)
    if as_json:
        say_json([{"host": one.host.name, "well": one.well, "words": redact(one.words), **one.facts} for one in looked])
    else:
        if not looked:
            console.print(_NONE, markup=False)
        for one in looked:
            head = f"{'well' if one.well else 'MEND':<5} {one.host.name:<12} "
            console.print(hanging(head, one_line(redact(one.words))), markup=False)
    if not all(one.well for one in looked):
        raise Negative("not every host is as it should be") if not as_json else typer.Exit(1)


host_command = command_of(app)
