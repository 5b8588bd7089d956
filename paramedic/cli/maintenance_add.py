"""`paramedic maintenance add`: a window of what services.yaml lists."""

from datetime import datetime
from typing import Annotated

import typer

from paramedic.catalog.library import open_library
from paramedic.catalog.services import Services
from paramedic.cli.maintenance import fields_of
from paramedic.cli.opened import opened
from paramedic.cli.output import AsJson, By, Data, Negative, console, safe, say_json, written
from paramedic.machine.clock import iso
from paramedic.remediation.maintenance import Window
from paramedic.store import maintenance
from paramedic.text.nearest import nearest
from paramedic.text.units import moment

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def add(
    *,
    service: Annotated[str, typer.Option(help="The service.", metavar="NAME")],
    target: Annotated[str | None, typer.Option(help="Only this target, e.g. web-1/tracking-api.", metavar="ID")] = None,
    from_: Annotated[str, typer.Option("--from", help="2026-01-31T22:00+01:00, now, +2h.", metavar="TIME")] = "now",
    to: Annotated[str, typer.Option(help="The same; +2h is after its beginning.", metavar="TIME")],
    because: Annotated[str, typer.Option(help="What is done.", callback=written)],
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
        say_json(fields_of(window, tx.now))
        return
    console.print(f"{window.id}: {safe(window.where)} is in maintenance {_when(window)}")
    console.print(f"`{window.end}` ends it before")


def _check_listed(services: Services, service: str, target: str | None) -> None:
    """Refuse a misspelt name: its window would have no effect."""
    names = {target.service for target in services}
    if service not in names:
        raise Negative(f"services.yaml lists no service {service!r}; {nearest(service, sorted(names), 'there are')}")
    ids = {target.id for target in services if target.service == service}
    if target is not None and target not in ids:
        raise Negative(
            f"services.yaml lists no target {target!r} of {service}; {nearest(target, sorted(ids), 'there are')}"
        )


def _moment(option: str, text: str, after: datetime) -> datetime:
    try:
        return moment(text, after=after)
    except ValueError as error:
        raise typer.BadParameter(f"{option} {error}") from error


def _when(window: Window) -> str:
    return f"from {iso(window.starts_at)[:16]}Z to {iso(window.ends_at)[:16]}Z"
