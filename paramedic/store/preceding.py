"""What was deployed just before an incident began, for its messages."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from paramedic.audit.chain import Entry
from paramedic.incidents.incident import Incident
from paramedic.remediation.deployment import Preceding, environments_agree, together
from paramedic.store import Tx, deployments

#: The kind of the piece of evidence that says why the releases of the target could not be looked at.
RELEASES = "releases"

#: A deployment so long before an incident is told in its messages; of an earlier one only that it was the last.
_WITHIN = timedelta(hours=1)

#: What began longer before its incident was there before anything that is told as just before it.
_LONG_BEFORE = timedelta(days=1)

_OPENED = "incident.opened"


def preceding(
    tx: Tx,
    incident: Incident,
    alerts: Sequence[Mapping[str, Any]],
    looked_at: Sequence[Mapping[str, Any]],
    timeline: Sequence[Entry],
) -> Preceding | None:
    """The deployments of its service, of what that depends on, and of its target, from an hour before it began.

    Those after it began and before it was opened, too. `alerts` and `looked_at` are its alerts and evidence.
    None where nobody tells of deployments, and none was seen.
    """
    opened = incident.reopened_at or incident.opened_at
    current = [alert for alert in alerts if alert["last_seen"] >= opened]
    began = max(min([opened, *(alert["starts_at"] for alert in current)]), opened - _LONG_BEFORE)
    others = [str(name) for entry in timeline if entry.what == _OPENED for name in entry.data.get("depends_on", ())]
    service, target = incident.service, incident.target
    found = deployments.before(tx, service=service, target=target, others=others, since=began - _WITHIN, until=opened)
    said = {str(alert["labels"].get("environment") or alert["labels"].get("env") or "") for alert in current} or {""}
    meant = [one for one in found if any(environments_agree(one.environment, word) for word in said)]
    unseen = next((str(piece["body"]) for piece in reversed(looked_at) if piece["kind"] == RELEASES), "")
    last = None if meant else deployments.last(tx, service=service, target=target, until=began)
    if not meant and last is None and not unseen:
        return None
    return Preceding(began, _WITHIN, together(meant), last, unseen)
