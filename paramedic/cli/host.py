"""`paramedic host`: the machines that targets run on."""

from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
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
from paramedic.doors import reading
from paramedic.errors import PermanentError, TemporaryError
from paramedic.machine.clock import spoken
from paramedic.remediation.host import Host
from paramedic.remediation.target import Target
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
        return _look_here(host)
    from paramedic.transports import ssh_look  # paramiko: only who has such a host loads it

    try:
        seen = ssh_look.look(host, _WITHIN)
    except (TemporaryError, PermanentError) as error:
        return Looked(host, well=False, words=str(error), facts={})
    words = f"reached as {seen.user} by {seen.key}; {_there_are(seen.has)}"
    if "sudo" in seen.has and "sudo-limits" not in seen.has:
        words += f"; its sudo sets no time limit (`Defaults:{seen.user} user_command_timeouts`)"
    words += f"; {_clock(seen.apart)}"
    facts = {
        "key": seen.key,
        "user": seen.user,
        "machine": seen.machine,
        "clock_apart_seconds": seen.apart.total_seconds(),
        "round_trip_seconds": seen.round_trip.total_seconds(),
        "has": sorted(seen.has),
        "lacks": list(seen.lacks),
    }
    well = not seen.lacks and not _is_far(seen.apart)
    return Looked(host, well=well, words="; ".join([words, *seen.lacks]), facts=facts)


def _look_here(host: Host) -> Looked:
    from paramedic.transports import local_look

    seen = local_look.look()
    words = f"this machine, {seen.machine}, as {seen.user}{'' if 'root' in seen.has else ', who is not root'}"
    facts = {"user": seen.user, "machine": seen.machine, "has": sorted(seen.has)}
    return Looked(host, well=True, words=f"{words}; {_there_are(seen.has)}", facts=facts)


def _there_are(has: Collection[str]) -> str:
    found = [word for word in ("root", "sudo", "systemd", "python3") if word in has]
    return f"there are {', '.join(found) or 'neither root, sudo nor systemd'}"


def _look_at_cluster(host: Host) -> Looked:
    from paramedic.transports import kubernetes_look  # httpx: only who has such a host loads it

    try:
        seen = kubernetes_look.look(host, _WITHIN)
    except (TemporaryError, PermanentError) as error:
        return Looked(host, well=False, words=str(error), facts={})
    words = (
        f"reached {seen.who}{f' as {seen.user}' if seen.user else ''}; Kubernetes {seen.version}; {_clock(seen.apart)}"
    )
    facts = {
        "user": seen.user,
        "version": seen.version,
        "clock_apart_seconds": seen.apart.total_seconds(),
        "round_trip_seconds": seen.round_trip.total_seconds(),
    }
    return Looked(host, well=not _is_far(seen.apart), words=words, facts=facts)


def _clock(apart: timedelta) -> str:
    """How far the clock is from ours, and what to do where that is too far."""
    return f"its clock is {spoken(abs(apart)) or '0s'} from ours{': mend NTP' if _is_far(apart) else ''}"


def _is_far(apart: timedelta) -> bool:
    return abs(apart) > APART


def _with_rights(looked: list[Looked], targets: Iterable[Target]) -> list[Looked]:
    """The looks, and of each host that was reached what may be done to its targets, as their owners say."""
    reached = {one.host.name for one in looked if one.facts}
    asked = [
        (target, remedy)
        for target in targets
        if target.host in reached and reading.asks_for_rights(target)
        for remedy in reading.kind_of(target).REMEDIES
    ]
    with ThreadPoolExecutor(_AT_ONCE) as looks:
        answers = list(zip(asked, looks.map(lambda one: _forbidden(*one), asked), strict=True))
    return [_and_rights(one, [(at, why) for at, why in answers if at[0].host == one.host.name]) for one in looked]


def _and_rights(looked: Looked, answers: list[tuple[tuple[Target, str], str | None]]) -> Looked:
    if not answers:
        return looked
    may = [f"{remedy} {target.id}" for (target, remedy), why in answers if why is None]
    may_not = {f"{remedy} {target.id}": why for (target, remedy), why in answers if why is not None}
    words = [looked.words, f"may there: {', '.join(may) or 'nothing'}"]
    words += [f"may not {what}: {why}" for what, why in may_not.items()]
    return replace(looked, words="; ".join(words), facts={**looked.facts, "may": may, "may_not": may_not})


def _forbidden(target: Target, remedy: str) -> str | None:
    try:
        return reading.forbidden(target, remedy)
    except (TemporaryError, PermanentError) as error:
        return str(error)


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
    """Reach each host, and say by which key, what may be done there and to its targets, and how far its clock is from ours.

    Changes nothing.
    """
    services = open_library(settings_of(data)).services
    listed = services.hosts
    if strange := [name for name in hosts or () if name not in listed]:
        known = ", ".join(listed) or "none"
        raise typer.BadParameter(f"services.yaml lists no host {strange[0]!r:.80}; it lists: {known}")
    looked = _with_rights(looked_at(listed[name] for name in hosts or listed), services)
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
