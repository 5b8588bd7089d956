"""`paramedic ui`."""

import typer

from paramedic.cli.output import AsJson, Data, Negative, command_of, protected_settings, say_json
from paramedic.stack.instance import running
from paramedic.transports.prefect_login import clickable, with_embedded_login

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def ui(data: Data = None, as_json: AsJson = False) -> None:
    """Print the address that opens the Prefect UI logged in; anyone with it has your rights. `up` must be running."""
    settings = protected_settings(data)
    here = running(settings.data)
    if here is None:
        raise Negative(f"no `paramedic up` runs on {settings.data}: start it, or name its folder with --data")
    address = settings.prefect_ui_url or here.prefect.removesuffix("/api")
    if settings.prefect_api_url is None:
        login = with_embedded_login(settings, here.prefect).prefect_api_auth
        address = clickable(address, login.get_secret_value()) if login is not None else address
    # Not redacted: the login is what was asked for, by somebody who may read it in the data folder.
    if as_json:
        say_json({"address": address})
    else:
        typer.echo(address)


ui_command = command_of(app)
