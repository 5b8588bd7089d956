"""Versions of runbooks, as they were when an incident began."""

from dataclasses import dataclass

from sqlalchemy import insert, select

from paramedic.store import Tx
from paramedic.store.incident_alerts import Wanted
from paramedic.store.table_facts import TableFacts, Unchanged
from paramedic.store.tables import runbook_versions


@dataclass(frozen=True, slots=True)
class Plan:
    """What a runbook plans for a new incident. Without a plan, a person is paged at once."""

    runbook: str
    version: str
    text: str
    rungs: int  # how many remedies the ladder has
    notify: tuple[str, ...] = ()  # ways of the channels that hear of it

    @property
    def wanted(self) -> Wanted:
        """The runbook that matches the alert."""
        return Wanted(self.runbook, self.version)


def pin(tx: Tx, plan: Plan) -> None:
    """Store the runbook's text in this version, for as long as incidents refer to it."""
    known = tx.conn.execute(
        select(runbook_versions.c.version).where(runbook_versions.c.version == plan.version)
    ).one_or_none()
    if known is None:
        tx.conn.execute(insert(runbook_versions).values(version=plan.version, name=plan.runbook, text=plan.text))


def runbook_text(tx: Tx, version: str) -> str:
    """The runbook as it was when the incident began."""
    query = select(runbook_versions.c.text).where(runbook_versions.c.version == version)
    text: str = tx.conn.execute(query).scalar_one()
    return text


FACTS = (
    TableFacts(
        table=runbook_versions,
        restore=Unchanged("an incident goes on by the runbook that it began with"),
        retention=Unchanged("incidents are kept, and their reports show it"),
        times=(),
    ),
)
