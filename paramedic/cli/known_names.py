"""Names of services and runbooks that somebody typed: a misspelt one is refused, and not answered as if all were well."""

from collections.abc import Iterable

import typer

from paramedic.catalog.library import open_library
from paramedic.cli.output import Negative
from paramedic.settings import Settings
from paramedic.store import Store, incidents
from paramedic.text.nearest import nearest
from paramedic.text.sanitize import visible
from paramedic.text.yaml_document import BadDocument


def check(
    store: Store, settings: Settings, *, services: Iterable[str] = (), runbooks: Iterable[str] = (), so: str
) -> None:
    """Refuse a name that no file of the authors has, nor ever had an incident; `so` is what follows from it.

    Where the folder cannot be read, any name is accepted, and a line on standard error says so. Raises Negative.
    """
    try:
        library = open_library(settings)
    except BadDocument as error:
        typer.echo(f"not compared with the runbooks, which cannot be read: {visible(str(error))}", err=True)
        return
    files = {path.stem for path in settings.runbooks.glob("*.md")}  # one that is broken may still be at work
    with store.read() as tx:
        known_services, known_runbooks = incidents.services(tx), incidents.runbooks(tx)
    _check("service", services, known_services | {target.service for target in library.services}, so)
    _check("runbook", runbooks, known_runbooks | files, so)


def _check(kind: str, names: Iterable[str], known: set[str], so: str) -> None:
    for name in names:
        if name not in known:
            raise Negative(
                f"there is no {kind} {name!r}, {so}; {nearest(name, sorted(known), 'there are') or 'there are none'}"
            )
