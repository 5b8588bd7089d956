"""What broke elsewhere in the service since a change: a remedy may heal its target and break the one beside it."""

from collections.abc import Collection
from datetime import datetime

from paramedic.change.cause import start_of
from paramedic.change.run import PlaybookRun
from paramedic.incidents.incident import Incident, State
from paramedic.remediation.remedy import undo_of
from paramedic.store import Tx, incident_alerts, incidents
from paramedic.store.acts import Act


def broken_since(tx: Tx, run: PlaybookRun, act: Act, undoable: Collection[str]) -> list[Incident]:
    """The open incidents of the service on other targets, of one other kind, whose first alert began after the act; oldest first.

    What began before it, by its sender's clock, is not its doing. Neither is the same trouble on another target, by its runbook
    or its title: a release that is bad in one place is bad in the next. None where nobody could tell: the service was in
    trouble elsewhere when the act was begun, or several kinds of trouble began since. None of an act that cannot be undone:
    a restart leaves behind what was there before. `undoable`: as `undo_of` has it.
    """
    if not any(one.rung == act.rung and undo_of(one, undoable) is not None for one in run.runbook.remedies):
        return []
    others = [
        one for one in incidents.of_service(tx, run.incident.service, since=act.written_at) if one.target != act.target
    ]
    if any(_opened(one) <= act.written_at for one in others):
        return []
    found = [one for one in others if one.state is not State.RESOLVED and _is_another_kind(one, run.incident)]
    found = [one for one in found if _began_after(tx, run, one, act)]
    return found if len({one.title for one in found}) == 1 else []


def named(broken: list[Incident]) -> str:
    """`CartErrors at web-2/cart (INC-12)`, joined by commas."""
    return ", ".join(f"{one.title} at {one.target} ({one.id})" for one in broken)


def _is_another_kind(one: Incident, ours: Incident) -> bool:
    return one.title != ours.title and (one.runbook is None or one.runbook != ours.runbook)


def _opened(one: Incident) -> datetime:
    return one.reopened_at or one.opened_at


def _began_after(tx: Tx, run: PlaybookRun, one: Incident, act: Act) -> bool:
    starts = [start_of(alert) for alert in incident_alerts.of(tx, one.number) if alert["last_seen"] >= _opened(one)]
    began = min((start.at - start.held_for for start in starts), default=None)
    return began is not None and began > act.written_at + run.settings.clock_skew
