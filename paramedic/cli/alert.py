"""`paramedic alert`."""

from pathlib import Path
from typing import Annotated

import httpx
import typer
from sqlalchemy import select

from paramedic.cli.answer import AsJson, Data, Negative, chosen, command_of, console, opened, safe, say_json, table
from paramedic.clock import iso
from paramedic.store.tables import inbox

app = typer.Typer(
    add_completion=False, no_args_is_help=True, rich_markup_mode=None, help="Send an alert, list what came in."
)


@app.command()
def send(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The body, as its sender would post it.")],
    source: Annotated[str, typer.Option(help="The kind of sender.")] = "alertmanager",
    data: Data = None,
) -> None:
    """Post a body to the gateway, as its sender would."""
    picked = chosen(data)
    if source != "alertmanager":
        raise typer.BadParameter(f"there is no source {source!r}; there is alertmanager")
    token_file = picked.data / "gateway-token"
    tokens = [secret.get_secret_value() for secret in picked.gateway_tokens.values()]
    if not tokens and token_file.exists():
        tokens = [token_file.read_text().strip()]
    if not tokens:
        raise Negative("no token is known here: set PARAMEDIC_GATEWAY_TOKENS, or --data of a running `paramedic up`")
    try:
        answer = httpx.post(
            f"{picked.links_at()}/alerts/{source}",
            content=file.read_bytes(),
            headers={"Authorization": f"Bearer {tokens[0]}", "Content-Type": "application/json"},
            timeout=10,
            trust_env=False,
        )
    except httpx.HTTPError as error:
        raise Negative(f"the gateway at {picked.links_at()} does not answer: {error}") from error
    typer.echo(answer.text)
    if answer.status_code != 202:
        raise Negative(f"the gateway answers {answer.status_code}")


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1)] = 50,
    before: Annotated[int | None, typer.Option(help="Page on from this position.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """What came in, the newest first, with its decision and the reason."""
    _, store = opened(data)
    query = select(inbox).order_by(inbox.c.position.desc()).limit(limit)
    if before is not None:
        query = query.where(inbox.c.position < before)
    with store.read() as tx:
        rows = [dict(row._mapping) for row in tx.conn.execute(query)]  # noqa: SLF001 - SQLAlchemy's documented way
    if as_json:
        say_json(rows)
        return
    shown = table("position", "received", "alert", "status", "state", "verdict", "incident", "reason")
    for row in rows:
        said = row["alert"]
        incident = f"INC-{row['incident']}" if row["incident"] else ""
        fields = (said["name"], said["status"], row["state"], row["verdict"] or "", incident, row["reason"] or "")
        shown.add_row(str(row["position"]), iso(row["received_at"])[:19], *map(safe, fields))
    console.print(shown)


alert_command = command_of(app)
