"""`paramedic alert example`."""

import re
import shlex
from datetime import datetime
from typing import Annotated

import typer

from paramedic.cli.output import AsJson, Data, protected_settings, say_json
from paramedic.cli.source_named import source_named
from paramedic.keys import gateway_token_file
from paramedic.machine.clock import utc_now
from paramedic.settings import Settings
from paramedic.stack.instance import running
from paramedic.text.sanitize import visible

app = typer.Typer(add_completion=False, rich_markup_mode=None)

#: A time in an example: a text, or the seconds or milliseconds since 1970 of 2026-01-31.
_TIME = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?P<zone>Z|\+00:?00)")
_EPOCH = re.compile(r"\b17698[0-9]{5}(?P<more>[0-9]{3})?\b")


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
    body = _with_times_of(utc_now(), source_named(source).EXAMPLE)
    here = running(settings.data)
    url = f"{here.gateway if here else settings.links_at()}/alerts/{source}"
    command = f"curl -fsS {_credentials(settings)} -H 'Content-Type: application/json' --data-binary @alert.json {url}"
    if as_json:
        say_json({"source": source, "body": body, "url": url, "command": command})
        return
    typer.echo(visible(body))
    typer.echo(f"# > alert.json, then, as its sender would:\n{visible(command)}", err=True)
    typer.echo("# or `paramedic runbook test NAME --alert alert.json`, which sends nothing", err=True)


def _with_times_of(now: datetime, body: str) -> str:
    seconds = int(now.timestamp())
    body = _TIME.sub(lambda found: f"{now:%Y-%m-%dT%H:%M:%S}{found['zone']}", body)
    return _EPOCH.sub(lambda found: f"{seconds}000" if found["more"] else str(seconds), body)


def _credentials(settings: Settings) -> str:
    """Curl's option for a sender's login; a secret that is not in a file of ours is not repeated."""
    if settings.gateway_tokens:
        return '-H "Authorization: Bearer $TOKEN"'
    if settings.gateway_users:
        return f"-u {next(iter(settings.gateway_users))}"
    return f'-H "Authorization: Bearer $(cat {shlex.quote(str(gateway_token_file(settings)))})"'
