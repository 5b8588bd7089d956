"""`paramedic config`."""

from datetime import timedelta

import typer
from pydantic import SecretStr

from paramedic.cli.output import AsJson, Data, command_of, console, safe, say_json, settings_of, table
from paramedic.machine.clock import spoken

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def config(data: Data = None, as_json: AsJson = False) -> None:
    """Every setting, its value (secrets hidden) and its origin."""
    known = settings_of(data)
    rows = []
    for name, value in known:
        rows.append({"setting": name, "value": _shown(value), "origin": known.origin(name)})
    if as_json:
        say_json(rows)
        return
    shown_table = table("setting", "value", "origin")
    for row in rows:
        shown_table.add_row(*map(safe, row.values()))
    console.print(shown_table)


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return "[hidden]"
    if isinstance(value, dict):
        return ", ".join(f"{name}: [hidden]" for name in value)
    if isinstance(value, timedelta):
        return spoken(value)
    return "" if value is None else str(value)


config_command = command_of(app)
