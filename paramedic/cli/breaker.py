"""`paramedic breaker`: what is blocked because it did not help, or because too much was changed; and its reset by a person."""

from typing import Annotated, Any

import typer

from paramedic.cli.opened import opened
from paramedic.cli.output import AsJson, By, Data, Negative, command_of, console, safe, say_json, table, written
from paramedic.incidents.incident import name
from paramedic.machine.clock import iso
from paramedic.remediation.kill_switch import RESET_FLEET
from paramedic.remediation.site_limits import BreakerLimit
from paramedic.settings import Settings
from paramedic.store import breakers
from paramedic.store.breakers import NotTripped, Tripped

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="What is blocked because it did not help, until a person resets it.",
)


@app.command("list")
def list_(*, data: Data = None, as_json: AsJson = False) -> None:
    """The remedies that are blocked at a target, and what waits for their reset."""
    settings, store = opened(data)
    limit = _limit(settings)
    with store.read() as tx:
        found, fleet = breakers.tripped(tx, limit), breakers.fleet_is_tripped(tx)
        fleet_waiting = breakers.fleet_waiting(tx) if fleet else ()
    if as_json:
        blocked = [_as_json(one) for one in found]
        say_json({"fleet": {"tripped": fleet, "waiting": list(map(name, fleet_waiting))}, "remedies": blocked})
        return
    if fleet:
        console.print(f"every act is stopped: too much of the fleet was changed; `{RESET_FLEET}` allows acts again")
        console.print(f"it waits: {', '.join(map(name, fleet_waiting)) or 'no incident'}")
    if not found and not fleet:
        console.print("nothing is blocked")
    if not found:
        return
    rows = table("target", "remedy", "did not help", "last", "waiting", "reset")
    for one in found:
        what = one.unhelpful
        times, waiting = f"{limit.count} times", ", ".join(map(name, one.waiting)) or "none"
        rows.add_row(*map(safe, (what.target, what.remedy, times, iso(what.at[0])[:16], waiting, what.reset)))
    console.print(rows)


@app.command()
def reset(
    *,
    target: Annotated[str | None, typer.Argument(metavar="TARGET", help="Where: web-1/tracking-api.")] = None,
    remedy: Annotated[
        str | None, typer.Option(help="Only this one, by its name in `list`; else all that are blocked there.")
    ] = None,
    fleet: Annotated[bool, typer.Option("--fleet", help="The breaker of the whole fleet.")] = False,
    by: By,
    because: Annotated[str, typer.Option(help="Why.", callback=written)] = "a person has looked",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Allow it again. What waited is measured again, not worked off: what is well by now ends."""
    if fleet == (target is not None):
        raise typer.BadParameter("name the TARGET whose remedies are allowed again, or --fleet")
    settings, store = opened(data)
    try:
        with store.record() as tx:
            if target is None:
                again, allowed = breakers.reset_fleet(tx, by=by, because=because), ["every act"]
            else:
                found = breakers.reset(tx, _limit(settings), target=target, remedy=remedy, by=by, because=because)
                again = tuple(number for one in found for number in one.waiting)
                allowed = [f"{one.unhelpful.remedy} of {target}" for one in found]
    except NotTripped as error:
        raise Negative(str(error)) from error
    if as_json:
        say_json({"allowed": allowed, "measured_again": list(map(name, again))})
        return
    console.print(safe(f"{', '.join(allowed)} is allowed again"))
    console.print(f"measured again: {', '.join(map(name, again)) or 'no incident waited'}")


def _limit(settings: Settings) -> BreakerLimit:
    return BreakerLimit(settings.breaker_failures, settings.breaker_within)


def _as_json(one: Tripped) -> dict[str, Any]:
    what = one.unhelpful
    return {
        "target": what.target,
        "remedy": what.remedy,
        "at": list(map(iso, what.at)),
        "waiting": list(map(name, one.waiting)),
        "reset": what.reset,
    }


breaker_command = command_of(app)
