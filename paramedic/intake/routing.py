"""Routing: the runbook and listed target for an alert, and the open incident that it belongs to."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from paramedic.alerts import alert_object
from paramedic.alerts.alert import Alert, Status
from paramedic.catalog.library import Library
from paramedic.catalog.runbook import Runbook
from paramedic.incidents.incident import Incident
from paramedic.store import Tx, incident_alerts, incidents

#: The target of an alert that names no listed one begins so.
UNLISTED = "unlisted:"

#: So many incidents of one unlisted alert may go on at once; whatever else it fires for is one incident more.
CROWD = 20


@dataclass(frozen=True, slots=True)
class Place:
    """Where an alert belongs: its service, its canonical target, and the runbook, if one matches."""

    service: str
    target: str
    runbook: Runbook | None
    why: str


def place(alert: Alert, library: Library) -> Place:
    """The first runbook, by name, that matches the alert and locates a listed target; else none, with the reason."""
    reasons = []
    for runbook in sorted(library.runbooks.values(), key=lambda runbook: runbook.name):
        if not runbook.wants(alert):
            continue
        target = runbook.locate(alert, library.services)
        if not isinstance(target, str):
            return Place(target.service, target.id, runbook, f"runbook {runbook.name} wants it")
        reasons.append(f"runbook {runbook.name} wants it, but {target}")
    why = "; ".join(
        [
            *(reasons or ["no runbook wants it"]),
            *(f"not asked, because it cannot be used: {problem!s:.300}" for problem in library.problems[:3]),
        ]
    )
    return Place(alert_object.service_of(alert), f"{UNLISTED}{alert_object.place_of(alert)}", None, why)


def beyond(at: Place, alert: Alert, services: Collection[str]) -> Place:
    """The place of an alert whose sender may not speak for the service there: no runbook's, so that nothing is changed for it."""
    why = f"its sender may speak for {', '.join(services)} alone, and not for {at.service} (sender_services)"
    return Place(at.service, f"{UNLISTED}{alert_object.place_of(alert)}", None, why)


def placed(
    tx: Tx, alert: Alert, library: Library, services: Collection[str] | None = None
) -> tuple[Place, Incident | None]:
    """Where the alert belongs, and the open incident there. `services`: those that its sender may speak for; None means all.

    An alert of another service is a person's, and no word of it ends or takes an incident that others opened.

    An alert of an unlisted target stays in its incident; so does every alert that its sender ends or acknowledges with less
    than it said before. One that fires for very many objects shares one incident.
    """
    at = place(alert, library)
    if services is not None and at.service not in services:
        at = beyond(at, alert, services)
        if alert.status is not Status.FIRING:
            number = incident_alerts.holder(tx, alert.fingerprint)
            live = None if number is None else incidents.get(tx, number)
            return at, live if live is not None and live.service in services else None
    live = None if alert.status is Status.ACKNOWLEDGED else incidents.live(tx, at.service, at.target)
    if live is not None or (at.runbook is not None and alert.status is Status.FIRING):
        return at, live
    number = incident_alerts.holder(tx, alert.fingerprint)
    if number is not None:
        live = incidents.get(tx, number)
        return replace(at, service=live.service, target=live.target), live
    if alert.status is Status.FIRING and incidents.alike(tx, alert, at.service, UNLISTED) >= CROWD:
        at = replace(at, target=f"{UNLISTED}{alert_object.crowd_of(alert)}")
        live = incidents.live(tx, at.service, at.target)
    return at, live
