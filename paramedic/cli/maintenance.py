"""`paramedic maintenance`: windows in which nothing acts on a service or target, and its alerts wait."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer

from paramedic.cli.lazy_group import loaded
from paramedic.cli.opened import opened
from paramedic.cli.output import AsJson, By, Data, Limit, Negative, console, safe, say_json, table, written
from paramedic.machine.clock import iso
from paramedic.remediation.maintenance import Window
from paramedic.store import maintenance
from paramedic.store.maintenance import NoSuchWindow

app = typer.Typer(add_completion=False, rich_markup_mode=None)


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
    settings, store = opened(data)
    with store.read() as tx:
        found, now = maintenance.listed(tx, service=service, past=past, limit=limit, before=before), tx.now
        ever = service is None or maintenance.listed(tx, service=service, past=True, limit=1)
    if service is not None and not ever:
        loaded("known_names").check(store, settings, services=[service], so="so that it has no window")
    if as_json:
        say_json([fields_of(window, now) for window in found])
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
    because: Annotated[str, typer.Option(help="Why.", callback=written)] = "the work is done",
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
        say_json(fields_of(window, tx.now))
        return
    console.print(f"{window.id} is over; {safe(window.where)} is watched and healed again")


def _stands(window: Window, now: datetime) -> str:
    if window.ends_at <= now:
        return "over"
    return "in it" if window.starts_at <= now else "planned"


def fields_of(window: Window, now: datetime) -> dict[str, Any]:
    """The window as plain values, and whether it is in force."""
    times = {"starts_at": iso(window.starts_at), "ends_at": iso(window.ends_at)}
    return asdict(window) | times | {"stands": _stands(window, now)}
