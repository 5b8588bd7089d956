"""`paramedic maintenance`: windows in which nothing acts on a service or target, and its alerts wait."""

import difflib
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer

from paramedic.catalog.library import open_library
from paramedic.catalog.services import Services
from paramedic.cli.opened import opened
from paramedic.cli.output import AsJson, By, Data, Limit, Negative, command_of, console, safe, say_json, table
from paramedic.machine.clock import iso
from paramedic.remediation.maintenance import Window
from paramedic.store import maintenance
from paramedic.store.maintenance import NoSuchWindow
from paramedic.text.units import moment

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="People work on it: nothing acts on it, and its alerts wait until the window ends.",
)


@app.command()
def add(
    *,
    service: Annotated[str, typer.Option(help="The service.", metavar="NAME")],
    target: Annotated[str | None, typer.Option(help="Only this target, e.g. web-1/tracking-api.", metavar="ID")] = None,
    from_: Annotated[str, typer.Option("--from", help="2026-01-31T22:00+01:00, now, +2h.", metavar="TIME")] = "now",
    to: Annotated[str, typer.Option(help="The same; +2h is after its beginning.", metavar="TIME")],
    because: Annotated[str, typer.Option(help="What is done.")],
    by: By,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Plan a window, or begin one now."""
    settings, store = opened(data)
    _check_listed(open_library(settings).services, service, target)
    with store.record() as tx:
        starts_at = _moment("--from", from_, tx.now)
        try:
            window = maintenance.add(
                tx,
                service=service,
                target=target,
                starts_at=starts_at,
                ends_at=_moment("--to", to, starts_at),
                by=by,
                reason=because,
            )
        except ValueError as error:
            raise typer.BadParameter(f"a window like that cannot be meant: {error}") from error
    if as_json:
        say_json(_as_json(window, tx.now))
        return
    console.print(f"{window.id}: {safe(window.where)} is in maintenance {_when(window)}")
    console.print(f"`{window.end}` ends it before")


@app.command("list")
def list_(
    *,
    service: Annotated[str | None, typer.Option(help="Only of this service.", metavar="NAME")] = None,
    past: Annotated[bool, typer.Option("--past", help="With those that are over.")] = False,
    limit: Limit = 50,
    before: Annotated[int | None, typer.Option(help="Page on from this number.", min=0, max=2**63 - 1)] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """The windows in force or planned, newest first."""
    _, store = opened(data)
    with store.read() as tx:
        found, now = maintenance.listed(tx, service=service, past=past, limit=limit, before=before), tx.now
    if as_json:
        say_json([_as_json(window, now) for window in found])
        return
    rows = table("number", "now", "service", "target", "from", "to", "by", "because")
    for window in found:
        times = (iso(window.starts_at)[:16], iso(window.ends_at)[:16])
        rows.add_row(
            str(window.id),
            _stands(window, now),
            *map(safe, (window.service, window.target or "all", *times, window.by, window.reason)),
        )
    console.print(rows)
    if len(found) == limit:
        console.print(f"more: --before {found[-1].id}")


@app.command()
def end(
    number: Annotated[int, typer.Argument(min=1, max=2**63 - 1)],
    by: By,
    because: Annotated[str, typer.Option(help="Why.")] = "the work is done",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """End or cancel a window. The alerts that waited for its end are decided now."""
    _, store = opened(data)
    try:
        with store.record() as tx:
            window = maintenance.end(tx, number, by=by, reason=because)
    except NoSuchWindow as error:
        raise Negative(str(error)) from error
    if as_json:
        say_json(_as_json(window, tx.now))
        return
    console.print(f"{window.id} is over; {safe(window.where)} is watched and healed again")


def _check_listed(services: Services, service: str, target: str | None) -> None:
    """Refuse a misspelt name: its window would have no effect."""
    names = {target.service for target in services}
    if service not in names:
        raise Negative(f"services.yaml lists no service {service!r}; {_meant(service, names)}")
    ids = {target.id for target in services if target.service == service}
    if target is not None and target not in ids:
        raise Negative(f"services.yaml lists no target {target!r} of {service}; {_meant(target, ids)}")


def _meant(name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known)[:20])}"


def _moment(option: str, text: str, after: datetime) -> datetime:
    try:
        return moment(text, after=after)
    except ValueError as error:
        raise typer.BadParameter(f"{option} {error}") from error


def _when(window: Window) -> str:
    return f"from {iso(window.starts_at)[:16]}Z to {iso(window.ends_at)[:16]}Z"


def _stands(window: Window, now: datetime) -> str:
    if window.ends_at <= now:
        return "over"
    return "in it" if window.starts_at <= now else "planned"


def _as_json(window: Window, now: datetime) -> dict[str, Any]:
    times = {"starts_at": iso(window.starts_at), "ends_at": iso(window.ends_at)}
    return asdict(window) | times | {"stands": _stands(window, now)}


maintenance_command = command_of(app)
