"""`paramedic silence`: alerts that match are held, and nobody is told of them, until the silence ends."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError

from paramedic.alerts.silence import Silence
from paramedic.cli.opened import opened
from paramedic.cli.output import AsJson, Data, Limit, Negative, console, person_named, safe, say_json, table, written
from paramedic.machine.clock import iso
from paramedic.store import silences
from paramedic.store.silences import NoSuchSilence
from paramedic.text.units import duration

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_LASTS: TypeAdapter[timedelta] = TypeAdapter(Annotated[timedelta, duration("1m", "90d")])

Author = Annotated[
    str, typer.Option("--author", "--by", help="Who you are.", envvar="USER", metavar="PERSON", callback=person_named)
]


@app.command()
def add(
    *,
    matcher: Annotated[
        list[str],
        typer.Option(
            help="""As Alertmanager writes it: 'service="shop"'; repeat it: all must match.""", metavar="TEXT"
        ),
    ],
    lasts: Annotated[str, typer.Option("--for", help="How long: 30m, 2h, 1d.", metavar="DURATION")],
    reason: Annotated[str, typer.Option("--reason", "--because", help="Why.", callback=written)],
    author: Author,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Silence alerts from now on. What has an incident already keeps it."""
    try:
        span = _LASTS.validate_python(lasts)
    except ValidationError as error:
        raise typer.BadParameter(f"--for {lasts!r}: {error.errors()[0]['msg']}") from error
    _, store = opened(data)
    with store.record() as tx:
        try:
            silence = silences.add(tx, matchers=matcher, ends_at=tx.now + span, author=author, reason=reason)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
        matches = sum(silence.matches(alert) for alert in silences.firing(tx))
    if as_json:
        say_json(fields_of(silence, tx.now) | {"matches_now": matches})
        return
    console.print(f"{silence.id}: {safe(', '.join(silence.matchers))} is silent until {iso(silence.ends_at)[:16]}Z")
    console.print(f"of the alerts that fire in open incidents it matches {matches}; those incidents go on")
    console.print(f"`paramedic silence expire {silence.id}` ends it before")


@app.command("list")
def list_(
    *,
    past: Annotated[bool, typer.Option("--past", help="With those that are over.")] = False,
    limit: Limit = 50,
    before: Annotated[int | None, typer.Option(help="Page on from this number.", min=0, max=2**63 - 1)] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """The silences in force, newest first, and how many alerts each holds now."""
    _, store = opened(data)
    with store.read() as tx:
        found, now = silences.listed(tx, past=past, limit=limit, before=before), tx.now
        holds = {silence.id: silences.held_by(tx, silence) for silence in found}
    if as_json:
        say_json([fields_of(silence, now) | {"holds": holds[silence.id]} for silence in found])
        return
    rows = table("id", "now", "matchers", "until", "holds", "last matched", "author", "reason")
    for silence in found:
        matched = iso(silence.last_matched_at)[:16] if silence.last_matched_at else "never"
        rows.add_row(
            str(silence.id),
            _stands(silence, now),
            safe(", ".join(silence.matchers)),
            iso(silence.ends_at)[:16],
            str(holds[silence.id]),
            matched,
            safe(silence.author),
            safe(silence.reason),
        )
    console.print(rows)
    if len(found) == limit:
        console.print(f"more: --before {found[-1].id}")


@app.command()
def expire(
    number: Annotated[int, typer.Argument(metavar="ID", min=1, max=2**63 - 1)],
    author: Author,
    reason: Annotated[
        str, typer.Option("--reason", "--because", help="Why.", callback=written)
    ] = "it is not needed any more",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """End a silence now. The alerts that it holds are decided at once."""
    _, store = opened(data)
    try:
        with store.record() as tx:
            silence = silences.expire(tx, number, by=author, reason=reason)
    except NoSuchSilence as error:
        raise Negative(str(error)) from error
    if as_json:
        say_json(fields_of(silence, tx.now))
        return
    console.print(f"silence {silence.id} is over; what it held is decided now")


def _stands(silence: Silence, now: datetime) -> str:
    return "over" if silence.ends_at <= now else "in force"


def fields_of(silence: Silence, now: datetime) -> dict[str, Any]:
    """The silence as plain values, and whether it is in force."""
    moments = {name: getattr(silence, name) for name in ("starts_at", "ends_at", "last_matched_at")}
    times = {name: iso(moment) if moment else None for name, moment in moments.items()}
    return asdict(silence) | times | {"matchers": list(silence.matchers), "stands": _stands(silence, now)}
