"""`paramedic oncall`: the schedule, its overrides and gaps."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from whenever import Instant, PlainDateTime

from paramedic.cli.opened import NoStore, opened
from paramedic.cli.output import AsJson, By, Data, console, protected_settings, safe, say_json, table
from paramedic.machine.clock import iso, utc_now
from paramedic.oncall import overrides_file as copy
from paramedic.oncall.on_call import Oncall
from paramedic.oncall.oncall_file import schema
from paramedic.oncall.oncall_reload import OncallFile
from paramedic.oncall.rotation import Override, Person
from paramedic.oncall.shifts import Shift, shifts, uncovered
from paramedic.store import StoreUnavailable, StoreUnknown, oncall_overrides
from paramedic.text.units import within_reach

app = typer.Typer(add_completion=False, rich_markup_mode=None)

Days = Annotated[int, typer.Option(min=1, max=366, help="How far to look.")]

_WRITTEN = "2026-12-24 18:00 in the rotation's zone, or with its own: 2026-12-24T18:00Z."


@app.command("schema")
def schema_() -> None:
    """The JSON Schema of oncall.yaml, for editors (docs/channels.md)."""
    say_json(schema())


@app.command()
def who(
    at: Annotated[str | None, typer.Option(help=f"Another moment than now: {_WRITTEN}", metavar="TIME")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Who is on call."""
    oncall = _known(data)
    moment = _moment(at, oncall) if at else utc_now()
    shift = next(shift for shift in shifts(oncall, moment, moment + timedelta(days=366)) if shift.ends > moment)
    missing = uncovered(oncall, shift)
    if as_json:
        say_json(_as_json(shift, oncall) | {"at": iso(moment)})
    elif missing is None:
        console.print(f"{_named(shift, oncall)} until {_local(shift.ends, oncall)}{_because(shift)}")
    else:
        console.print(f"nobody who can be told: {safe(missing)}")
    if missing is not None:
        raise typer.Exit(1)


@app.command()
def schedule(days: Days = 14, data: Data = None, as_json: AsJson = False) -> None:
    """The shifts to come."""
    oncall = _known(data)
    _list(_to_come(oncall, days), oncall, as_json=as_json)


@app.command()
def gaps(days: Days = 30, data: Data = None, as_json: AsJson = False) -> None:
    """The shifts in which a page to the person on call would reach nobody; exit code 1 if there are any."""
    oncall = _known(data)
    found = [shift for shift in _to_come(oncall, days) if uncovered(oncall, shift) is not None]
    _list(found, oncall, as_json=as_json)
    if found:
        raise typer.Exit(1)
    if not as_json:
        console.print(f"somebody can be told at every moment of the next {days} days")


@app.command()
def override(  # noqa: PLR0917 - a command's options
    person: Annotated[str, typer.Option(help="Who stands in.", metavar="PERSON")],
    begins: Annotated[str, typer.Option("--from", help=_WRITTEN, metavar="TIME")],
    ends: Annotated[str, typer.Option("--to", help="The same.", metavar="TIME")],
    by: By,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Give a shift to somebody other than the rotation does. A later override takes precedence over an older one."""
    settings, store = opened(data)
    oncall = _known(data)
    person_named(person, oncall)
    override = Override(person, _moment(begins, oncall), _moment(ends, oncall), by)
    if not override.begins < override.ends:
        raise typer.BadParameter(f"--to {ends} is not after --from {begins}")
    if override.ends <= utc_now():
        raise typer.BadParameter(f"--to {ends} is over already")
    with store.record() as tx:
        oncall_overrides.add(tx, override)
        current = oncall_overrides.current(tx)
    copy.write_copy(settings.data, current)
    shift = Shift(override.begins, override.ends, override.person, override.by)
    if as_json:
        say_json(_as_json(shift, oncall))
        return
    console.print(f"{_named(shift, oncall)} from {_local(override.begins, oncall)} to {_local(override.ends, oncall)}")


def _known(data: Path | None) -> Oncall:
    """oncall.yaml with the overrides: the store's, or those of their copy where it cannot be asked."""
    settings = protected_settings(data)
    oncall = OncallFile(settings).oncall
    try:
        with opened(data)[1].read() as tx:
            known = oncall_overrides.current(tx)
    except (NoStore, StoreUnavailable, StoreUnknown) as error:
        known = copy.read_copy(settings.data)
        if known or not isinstance(error, NoStore):  # before the first `up` nobody can have given a shift away
            typer.echo(f"by the copy on disk, which has {len(known)} overrides: {error}", err=True)
    return replace(oncall, overrides=known)


def person_named(name: str, oncall: Oncall) -> Person:
    """The person. Raises BadParameter where oncall.yaml has none of that id."""
    if name not in oncall.people:
        raise typer.BadParameter(f"oncall.yaml knows no {name!r}; there are {', '.join(oncall.people)}")
    return oncall.people[name]


def _moment(text: str, oncall: Oncall) -> datetime:
    """A moment, in the rotation's zone if it names none; an ambiguous local time is its first, a skipped one an hour later."""
    try:
        moment = datetime.fromisoformat(text.strip())
        within_reach(moment)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
        zoned = PlainDateTime(moment).assume_tz(oncall.rotation.zone, disambiguate="compatible")
        return zoned.to_instant().to_stdlib()
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(f"{text!r} is not a moment; write {_WRITTEN}") from error


def _to_come(oncall: Oncall, days: int) -> list[Shift]:
    now = utc_now()
    return shifts(oncall, now, now + timedelta(days=days))


def _local(moment: datetime, oncall: Oncall) -> str:
    there = Instant(moment).to_tz(oncall.rotation.zone).to_stdlib()
    return f"{there:%a %Y-%m-%d %H:%M} ({there:%z})"


def _named(shift: Shift, oncall: Oncall) -> str:
    person = oncall.people.get(shift.person or "")
    return "nobody" if person is None else f"{safe(person.id)} ({safe(person.name)})"


def _because(shift: Shift) -> str:
    return "" if shift.by is None else f", because {safe(shift.by)} said so"


def _list(found: list[Shift], oncall: Oncall, *, as_json: bool) -> None:
    if as_json:
        say_json([_as_json(shift, oncall) for shift in found])
        return
    rows = table("from", "to", "person", "because of", "gap")
    for shift in found:
        rows.add_row(
            _local(shift.begins, oncall),
            _local(shift.ends, oncall),
            _named(shift, oncall),
            "the rotation" if shift.by is None else f"{safe(shift.by)}'s word",
            safe(uncovered(oncall, shift) or ""),
        )
    if found:
        console.print(rows)


def _as_json(shift: Shift, oncall: Oncall) -> dict[str, Any]:
    return {
        "begins": iso(shift.begins),
        "ends": iso(shift.ends),
        "person": shift.person,
        "overridden_by": shift.by,
        "gap": uncovered(oncall, shift),
    }
