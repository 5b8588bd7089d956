"""`paramedic source`: the kinds of senders, and what to paste at each vendor."""

from typing import Any

import typer

from paramedic.cli.output import AsJson, Data, Negative, command_of, console, protected_settings, safe, say_json, table
from paramedic.cli.source_named import source_named
from paramedic.kinds import registry
from paramedic.kinds.registry import Room
from paramedic.text.sanitize import visible

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, help="Kinds of senders.")


@app.command("list")
def list_(data: Data = None, as_json: AsJson = False) -> None:
    """Every kind of sender: its address, what it posts, and whether there is a template to paste there."""
    protected_settings(data)
    sources = registry.current().usable(Room.SOURCES)
    if as_json:
        say_json([_as_json(name, source) for name, source in sources.items()])
        return
    rows = table("source", "address", "template", "what it posts")
    for name, source in sources.items():
        rows.add_row(*map(safe, (name, f"/alerts/{name}", "yes" if _template(source) else "", source.BODY)))
    console.print(rows)


@app.command()
def template(name: str, data: Data = None, as_json: AsJson = False) -> None:
    """Print the body's template to paste at the vendor. Exit code 1 where its vendor has none: the body is the vendor's own."""
    protected_settings(data)
    source = source_named(name)
    if not _template(source):
        raise Negative(f"{name} takes what its vendor sends as it is: there is no template to paste")
    if as_json:
        say_json(_as_json(name, source))
        return
    typer.echo(visible(_template(source)))


def _template(source: Any) -> str:
    return str(getattr(source, "TEMPLATE", ""))


def _as_json(name: str, source: Any) -> dict[str, Any]:
    return {
        "name": name,
        "address": f"/alerts/{name}",
        "body": source.BODY,
        "signed": hasattr(source, "authentic"),
        "template": _template(source) or None,
        "severities": dict(getattr(source, "SEVERITIES", {})),
    }


source_command = command_of(app)
