"""`paramedic alert`."""

import base64
import re
import secrets
import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from paramedic.cli.opened import number_of, opened
from paramedic.cli.output import (
    AsJson,
    Data,
    Limit,
    Negative,
    Source,
    command_of,
    console,
    protected_settings,
    safe,
    say_json,
    source_named,
    table,
)
from paramedic.gateway import identity
from paramedic.keys import gateway_token, gateway_token_file, link_key, link_key_file
from paramedic.machine.clock import iso, utc_now
from paramedic.settings import Settings
from paramedic.stack.instance import running
from paramedic.store import inbox, quarantine
from paramedic.text.sanitize import visible
from paramedic.transports import http_deadline

#: A time in an example.
_TIME = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")


#: Characters of a body that could not be read.
_SHOWN = 1000


class Waiting(StrEnum):
    """The state of an alert in the inbox."""

    NEW = "new"
    HELD = "held"
    TRIAGED = "triaged"


app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Send an alert, an example of one, list what came in.",
)


@app.command()
def send(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The body, as its sender would post it.")],
    source: Source = "alertmanager",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Post a body to the gateway, as its sender would."""
    settings = protected_settings(data)
    source_named(source)
    here = running(settings.data)
    gateway = here.gateway if here else settings.links_at()
    authorization = _authorization(settings)
    if not gateway.startswith("https://"):  # there its certificate proves it
        identity.demand(gateway, _key(settings))
    try:
        with http_deadline.client(seconds=10) as client:
            answer = client.post(
                f"{gateway}/alerts/{source}",
                content=file.read_bytes(),
                headers={"Authorization": authorization, "Content-Type": "application/json"},
            )
    except httpx.HTTPError as error:
        raise Negative(f"the gateway at {gateway} does not answer: {error}") from error
    if as_json:
        say_json(_as_json(answer))
    else:
        typer.echo(visible(answer.text))
    if answer.status_code != 202:
        raise Negative(f"the gateway answers {answer.status_code}")


def _key(settings: Settings) -> bytes:
    """The key of the gateway's proof. None is made here: the gateway could not have a key made just now."""
    try:
        return link_key(settings) if link_key_file(settings).exists() else secrets.token_bytes()
    except OSError as error:
        raise Negative(f"the key that the gateway proves itself with cannot be read: {error}") from error


def _as_json(answer: httpx.Response) -> dict[str, Any]:
    """The gateway's answer with its status. One that is not an object, as a proxy's page, is under `answer`."""
    try:
        payload = answer.json()
    except ValueError:
        payload = answer.text
    return (payload if isinstance(payload, dict) else {"answer": payload}) | {"status": answer.status_code}


def _authorization(settings: Settings) -> str:
    for secret in settings.gateway_tokens.values():
        return f"Bearer {secret.get_secret_value()}"
    for user, secret in settings.gateway_users.items():
        return "Basic " + base64.b64encode(f"{user}:{secret.get_secret_value()}".encode()).decode()
    if gateway_token_file(settings).exists():
        try:
            return f"Bearer {gateway_token(settings)}"
        except OSError as error:
            raise Negative(f"the token of `paramedic up` cannot be read: {error}") from error
    raise Negative("no token is known here: set PARAMEDIC_GATEWAY_TOKENS, or --data of a running `paramedic up`")


@app.command()
def example(
    source: Annotated[str, typer.Argument(help="The kind of sender.", metavar="[SOURCE]")] = "alertmanager",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Print a body as this kind of sender posts it, to paste; and, on standard error, the command that posts it.

    Its times are now: without that it would be taken for an old one.
    """
    settings = protected_settings(data)
    body = _TIME.sub(f"{utc_now():%Y-%m-%dT%H:%M:%SZ}", source_named(source).EXAMPLE)
    here = running(settings.data)
    url = f"{here.gateway if here else settings.links_at()}/alerts/{source}"
    command = f"curl -fsS {_credentials(settings)} -H 'Content-Type: application/json' --data-binary @alert.json {url}"
    if as_json:
        say_json({"source": source, "body": body, "url": url, "command": command})
        return
    typer.echo(visible(body))
    typer.echo(f"# > alert.json, then, as its sender would:\n{visible(command)}", err=True)
    typer.echo("# or `paramedic runbook test NAME --alert alert.json`, which sends nothing", err=True)


def _credentials(settings: Settings) -> str:
    """Curl's option for a sender's login; a secret that is not in a file of ours is not repeated."""
    if settings.gateway_tokens:
        return '-H "Authorization: Bearer $TOKEN"'
    if settings.gateway_users:
        return f"-u {next(iter(settings.gateway_users))}"
    return f'-H "Authorization: Bearer $(cat {shlex.quote(str(gateway_token_file(settings)))})"'


@app.command("list")
def list_(
    *,
    state: Annotated[list[Waiting] | None, typer.Option(help="Only in this state; may be repeated.")] = None,
    incident: Annotated[str | None, typer.Option(help="Only of this incident, e.g. INC-1.")] = None,
    limit: Limit = 50,
    before: Annotated[int | None, typer.Option(help="Page on from this position.", min=0, max=2**63 - 1)] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Received alerts, newest first, each with its decision and the reason."""
    _, store = opened(data)
    number = None if incident is None else number_of(incident)
    with store.read() as tx:
        rows = inbox.listed(tx, states=state or (), incident=number, limit=limit, before=before)
    if as_json:
        say_json(rows)
        return
    shown = table("position", "received", "alert", "status", "state", "verdict", "incident", "reason")
    for row in rows:
        alert = row["alert"]
        incident = f"INC-{row['incident']}" if row["incident"] else ""
        fields = (alert["name"], alert["status"], row["state"], row["verdict"] or "", incident, row["reason"] or "")
        shown.add_row(str(row["position"]), iso(row["received_at"])[:19], *map(safe, fields))
    console.print(shown)
    if len(rows) == limit:
        console.print(f"more: --before {rows[-1]['position']}")


@app.command()
def refused(
    limit: Limit = 20,
    before: Annotated[str | None, typer.Option(help="Page on from this one.", metavar="ID")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Unreadable bodies, newest first, each with the reason."""
    _, store = opened(data)
    try:
        with store.read() as tx:
            rows = quarantine.listed(tx, limit=limit, before=before)
    except quarantine.NoSuchBody as error:
        raise Negative(str(error)) from error
    if as_json:
        say_json(rows)
        return
    for row in rows:
        console.print(f"{row['id']}  {iso(row['received_at'])[:19]}  {safe(row['sender'])}: {safe(row['error'])}")
        whole = visible(row["body"])
        console.print(f"  {safe(row['body'][:_SHOWN])}{'' if len(whole) <= _SHOWN else ' … (--json has the rest)'}")
    if not rows:
        console.print("every body could be read")
    if len(rows) == limit:
        console.print(f"more: --before {rows[-1]['id']}")


alert_command = command_of(app)
