"""What broke elsewhere in the service since a change: a remedy may heal its target and break the one beside it."""

from paramedic.change.cause import start_of
from paramedic.change.run import PlaybookRun
from paramedic.incidents.incident import Incident, State
from paramedic.store import Tx, incident_alerts, incidents
from paramedic.store.acts import Act


def broken_since(tx: Tx, run: PlaybookRun, act: Act) -> list[Incident]:
    """The open incidents of the service on other targets, of another kind, whose first alert began after the act; oldest first.

    What began before it, by its sender's clock, is not its doing. Neither is the same trouble on another target, by its runbook
    or its title: a release that is bad in one place is bad in the next.
    """
    open_states = [state for state in State if state is not State.RESOLVED]
    found = incidents.listed(tx, states=open_states, services=[run.incident.service], since=act.written_at)
    return [one for one in reversed(found) if _is_another_kind(one, run.incident) and _began_after(tx, run, one, act)]


def named(broken: list[Incident]) -> str:
    """`CartErrors at web-2/cart (INC-12)`, joined by commas."""
    return ", ".join(f"{one.title} at {one.target} ({one.id})" for one in broken)


def _is_another_kind(one: Incident, ours: Incident) -> bool:
    if one.target == ours.target or one.title == ours.title:
        return False
    return one.runbook is None or one.runbook != ours.runbook


def _began_after(tx: Tx, run: PlaybookRun, one: Incident, act: Act) -> bool:
    since = one.reopened_at or one.opened_at
    starts = [start_of(alert) for alert in incident_alerts.of(tx, one.number) if alert["last_seen"] >= since]
    began = min((start.at - start.held_for for start in starts), default=None)
    return began is not None and began > act.written_at + run.settings.clock_skew
