"""What the commands about incidents share."""

from typing import Annotated, Any

import typer

from paramedic.cli.output import Negative
from paramedic.incidents.incident import Incident
from paramedic.store import Tx, incidents
from paramedic.store.incidents import NoSuchIncident

Id = Annotated[str, typer.Argument(help="INC-1, or just 1.", metavar="ID")]


def incident_of(tx: Tx, number: int) -> Incident:
    """The incident. Raises Negative if there is none."""
    try:
        return incidents.get(tx, number)
    except NoSuchIncident as error:
        raise Negative(str(error)) from error


def fields_of(incident: Incident) -> dict[str, Any]:
    """The incident's own fields, by name."""
    return {"id": incident.id} | {name: getattr(incident, name) for name in Incident.__slots__}
