"""`paramedic config`."""

import os

import typer
from pydantic import SecretStr

from paramedic.cli.answer import AsJson, Data, chosen, command_of, console, safe, say_json, table

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def config(data: Data = None, as_json: AsJson = False) -> None:
    """Every setting, its value (secrets hidden) and where it comes from."""
    picked = chosen(data)
    rows = []
    for name, value in picked:
        origin = "default"
        if name in picked.model_fields_set:
            origin = "environment" if f"PARAMEDIC_{name.upper()}" in os.environ else "file or flag"
        shown = "[hidden]" if isinstance(value, SecretStr) else str(value)
        rows.append({"setting": name, "value": shown, "origin": origin})
    if as_json:
        say_json(rows)
        return
    shown_table = table("setting", "value", "origin")
    for row in rows:
        shown_table.add_row(safe(row["setting"]), safe(row["value"]), row["origin"])
    console.print(shown_table)


config_command = command_of(app)
