"""`paramedic alert send`."""

import base64
import secrets
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from paramedic.cli.output import AsJson, Data, Negative, protected_settings, say_json
from paramedic.cli.source_named import Source, source_named
from paramedic.gateway import identity
from paramedic.keys import gateway_token, gateway_token_file, link_key, link_key_file
from paramedic.settings import Settings
from paramedic.stack.instance import running
from paramedic.text.sanitize import visible
from paramedic.transports import http_deadline

app = typer.Typer(add_completion=False, rich_markup_mode=None)


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
