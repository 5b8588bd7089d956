"""What broke elsewhere in the service since a change: a remedy may heal its target and break the one beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from paramedic.alerts.alert import Status
from paramedic.change.cause import start_of
from paramedic.change.run import PlaybookRun
from paramedic.incidents.incident import Incident, State
from paramedic.store import Tx, incident_alerts, incidents
from paramedic.store.acts import Act

_SHOWN = 5  # incidents that are named one by one


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The new trouble, oldest first, and why the change is not undone for it: "" where it may well be its doing."""

    incidents: Sequence[Incident] = ()
    kept: str = ""
    same: Sequence[
        Incident
    ] = ()  # the trouble that the change was made for, on another target too: it is told, and no more


def named(found: Sequence[Incident]) -> str:
    """`CartErrors at web-2/cart (INC-12)`, joined by commas."""
    shown = [_named(one) for one in found[:_SHOWN]]
    more = len(found) - len(shown)
    return ", ".join(shown) + (f", and {more} more" if more else "")


def broken_since(tx: Tx, run: PlaybookRun, act: Act) -> Elsewhere:
    """The open incidents of the service on other targets whose first alert fires and began after the act.

    What began before it or near it, by its sender's clock, or nobody knows when, is not new: no cure is doubted for it. It is a
    reason not to undo, though, as is all that makes the change unlikely to be the cause. The same trouble, by its runbook or its
    title, is apart: what is bad in one place is bad in the next, and a wave of it over a fleet would hand every cure over.
    """
    others = [
        one for one in incidents.of_service(tx, run.incident.service, since=act.written_at) if one.target != act.target
    ]
    there = [one for one in others if one.state is not State.RESOLVED]
    began = [one for one in there if _is_new(tx, run, one, act)]
    same = [one for one in began if _is_same_kind(one, run.incident)]
    new = [one for one in began if one not in same]
    before = [one for one in others if _opened(one) <= act.written_at]
    undated = [one for one in there if one not in began and one not in before]
    return Elsewhere(new, _doubt(new, before, undated) if new else "", same)


def _doubt(new: Sequence[Incident], before: Sequence[Incident], undated: Sequence[Incident]) -> str:
    """Why nobody can tell that the change led to it; "" where nothing speaks against that."""
    if before:
        return f"the service was in trouble elsewhere before it ({_named(before[0])})"
    if undated:
        return f"what began about when it was made, or nobody knows when, is there too ({_named(undated[0])})"
    if len({one.title for one in new}) > 1:
        return "several kinds of trouble began, and one change is unlikely to have led to all"
    return ""


def _named(one: Incident) -> str:
    return f"{one.title} at {one.target} ({one.id})"


def _is_same_kind(one: Incident, ours: Incident) -> bool:
    return one.title == ours.title or (one.runbook is not None and one.runbook == ours.runbook)


def _opened(one: Incident) -> datetime:
    return one.reopened_at or one.opened_at


def _is_new(tx: Tx, run: PlaybookRun, one: Incident, act: Act) -> bool:
    alerts = [alert for alert in incident_alerts.of(tx, one.number) if alert["last_seen"] >= _opened(one)]
    if not any(alert["status"] == Status.FIRING for alert in alerts):
        return False
    first = min(start.at - start.held_for for start in map(start_of, alerts))
    return first > act.written_at + run.settings.clock_skew
