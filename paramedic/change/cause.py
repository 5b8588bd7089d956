"""Roll back on cause: reads the releases, the alerts' starts and the kept values of what is broken, and has them judged."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from paramedic.change.run import PlaybookRun
from paramedic.checks.check import SOURCE, CheckAtTarget
from paramedic.checks.threshold import Threshold
from paramedic.doors import reading
from paramedic.doors.clocks import clock_distance
from paramedic.errors import PermanentError, Refused, TemporaryError
from paramedic.machine.clock import utc_now
from paramedic.machine.clock_distance import ClockDistance
from paramedic.remediation.cause import AlertStart, Facts, Series, Verdict, judge
from paramedic.remediation.release import Release
from paramedic.remediation.target import Target
from paramedic.store import Tx, checks, incident_alerts, incidents
from paramedic.text.units import between

#: Values from so long before the deployment say how it was then.
_LOOK_BACK = timedelta(hours=1)

#: So long a machine may take to tell its time.
_CLOCK_WITHIN = timedelta(seconds=5)

#: The annotation by which an alert says how long its rule waits before it fires.
HELD_FOR = "for"

_HELD_FOR = between("0s", "7d")


def judged(run: PlaybookRun, within: timedelta) -> Verdict:
    """Whether the deployment of the target's current release, within that time, is the cause of the incident's breach.

    How far the clock that dates the release is from ours is measured here, once. Raises TemporaryError where the target's
    machine does not tell its releases.
    """
    current, older = _releases(run.target)
    deployed_at = None if isinstance(current, str) else current.deployed_at
    distance = None if deployed_at is None else _distance(run.target)
    far = distance.apart if isinstance(distance, ClockDistance) else timedelta()
    with run.store.read() as tx:
        incident = incidents.get(tx, run.incident.number)
        since = incident.reopened_at or incident.opened_at
        alerts = [alert for alert in incident_alerts.of(tx, incident.number) if alert["last_seen"] >= since]
        placed = list(_measured(run, {_key(alert) for alert in alerts if _is_ours(run, alert)}))
        has_series = {(check.check.name, threshold.metric) for check, threshold in placed}
        facts = Facts(
            now=tx.now,
            within=within,
            current=current,
            older=older,
            series=[]
            if deployed_at is None
            else [_series(tx, *one, since=deployed_at - far - _LOOK_BACK) for one in placed],
            alerts=[start_of(alert) for alert in alerts if not (_is_ours(run, alert) and _key(alert) in has_series)],
            apart=abs(tx.now - utc_now()) + (timedelta() if distance is None else run.settings.clock_skew),
            skew=run.settings.clock_skew,
            distance=distance,
        )
    return judge(facts)


def _releases(target: Target) -> tuple[Release | str, Release | str]:
    """The current release, and the last healthy one before it; a text in place of one says why it is not known."""
    try:
        reader = reading.releases(target)
        current = reader.current()
    except PermanentError as error:
        return str(error), ""
    try:
        return current, reader.before()
    except (Refused, PermanentError) as error:
        return current, str(error)


def _distance(target: Target) -> ClockDistance | str | None:
    """How far the clock that dates the target's releases is from ours; why that is not known; None where it is ours."""
    try:
        return clock_distance(target, _CLOCK_WITHIN)
    except (TemporaryError, PermanentError) as error:
        return str(error)


def _is_ours(run: PlaybookRun, alert: Mapping[str, Any]) -> bool:
    """Whether a check of the run's runbook has raised the alert."""
    return bool(alert["source"] == SOURCE and alert["labels"].get("runbook") == run.runbook.name)


def _key(alert: Mapping[str, Any]) -> tuple[str, str]:
    return str(alert["labels"].get("check")), str(alert["labels"].get("metric"))


def _measured(run: PlaybookRun, broken: set[tuple[str, str]]) -> Iterator[tuple[CheckAtTarget, Threshold]]:
    """What the runbook measures at the target, of what is broken."""
    for check in run.runbook.checks:
        for threshold in check.thresholds:
            if (check.name, threshold.metric) in broken:
                yield CheckAtTarget(run.runbook.name, check, run.target), threshold


def _series(tx: Tx, placed: CheckAtTarget, threshold: Threshold, *, since: datetime) -> Series:
    ended_at = incidents.last_ended_at(tx, placed.target.id)
    since = since if ended_at is None else max(since, ended_at)
    points = checks.points(tx, placed, threshold.metric, since=since)
    return Series(
        name=f"{threshold.metric} of {placed.name}",
        unit=threshold.unit,
        bound=threshold.mildest,
        below=threshold.below,
        every=placed.check.every,
        values=[(at, value) for at, value in points if value is not None],
    )


def start_of(alert: Mapping[str, Any]) -> AlertStart:
    """When an alert of an incident began, by its sender.

    An annotation that is no duration says nothing (P7): it is the sender's text.
    """
    try:
        held_for = _HELD_FOR(alert["annotations"].get(HELD_FOR, "0s"))
    except ValueError:
        held_for = timedelta()
    return AlertStart(alert["starts_at"], held_for)
