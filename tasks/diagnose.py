"""What was there to see before anything was touched?"""

from datetime import datetime, timedelta

from paramedic.catalog.runbook import Runbook
from paramedic.change.gathering import NOT_SEEN, gather, pieces, unseen
from paramedic.change.release_look import ReleaseLook
from paramedic.change.run import PlaybookRun
from paramedic.checks.chart import Chart
from paramedic.checks.check import CheckAtTarget
from paramedic.incidents.evidence import Evidence, bounded
from paramedic.incidents.incident import Incident
from paramedic.machine.clock import utc_now
from paramedic.machine.kill_points import kill_point
from paramedic.store import checks, deployments, evidence, incident_alerts, incidents
from paramedic.store.preceding import RELEASES
from paramedic.text.redaction import redact
from tasks.current_run import current_run
from tasks.kinds import reads
from tasks.prefect_artifacts import quoted, show

#: How far back a check's values are evidence.
_CHARTED = timedelta(hours=1)

_DAY = timedelta(days=1)


@reads(retries=2, timeout=timedelta(seconds=60))
def gather_evidence(incident: Incident, runbook: Runbook) -> list[Evidence]:
    """Gather the runbook's evidence and the values of its breached checks into the store, before the first change.

    All kinds are gathered side by side, in `evidence_within` (5 s). A piece that is not available says why, and the last one
    what could not be seen, with what would have shown it. The target's releases are looked at meanwhile: which of them came just
    before is told with the incident. Where the target's host is not reached, what is known of it otherwise
    comes first. Returns the pieces, for `resolved` and `hand_over`. Raises StoreUnavailable.
    """
    run = current_run()
    since = _began(run)
    releases = ReleaseLook(run.target, since=since - _DAY, patience=run.settings.evidence_within)
    looks = gather(run.target, runbook.evidence, since=since, patience=run.settings.evidence_within)
    deployed, unseen_releases = releases.result()
    charts = values(run)
    seen = [Evidence("values", utc_now(), bounded(redact(chart.text()))) for chart in charts]
    seen = [*([] if run.of_its_host is None else [run.of_its_host]), *pieces(looks), *seen]
    if unseen_releases is not None:
        seen.append(Evidence(RELEASES, utc_now(), unseen_releases))
    names = ", ".join(piece.kind for piece in seen if piece.kind != NOT_SEEN)
    partly = ", ".join(look.kind for look in looks if look.unseen)
    with run.store.record() as tx:
        for piece in seen:
            evidence.keep(tx, incident.number, run.attempt, piece)
        deployments.see(tx, run.target.service, run.target.id, deployed)
        incidents.append_to_timeline(
            tx,
            incident.number,
            actor=run.holder,
            what="evidence.taken",
            reason=f"seen before anything is touched: {names or 'nothing asked for'}"
            + (f"; not all could be seen of: {partly}" if partly else ""),
        )
    show(f"evidence-{incident.id.lower()}", _page(incident, seen, charts, unseen(looks)), flow_run=run.flow_run)
    run.say(f"kept before anything is touched: {names or 'nothing was asked for'}")
    kill_point("evidence_taken", incident.target)
    return seen


def _began(run: PlaybookRun) -> datetime:
    """When what is wrong began, as the alerts have it; at most a day before the incident."""
    opened = run.incident.opened_at
    with run.store.read() as tx:
        starts: list[datetime] = [alert["starts_at"] for alert in incident_alerts.of(tx, run.incident.number)]
    return max(min([opened, *starts]), opened - timedelta(days=1))


def values(run: PlaybookRun) -> list[Chart]:
    """The last hour of each metric of the runbook's checks that the incident is about."""
    ours = run.runbook.name
    charts = []
    with run.store.read() as tx:
        alert_labels = [alert["labels"] for alert in incident_alerts.of(tx, run.incident.number)]
        broken = {
            (labels.get("check"), labels.get("metric")) for labels in alert_labels if labels.get("runbook") == ours
        }
        for check in run.runbook.checks:
            placed = CheckAtTarget(ours, check, run.target)
            for threshold in check.thresholds:
                if (check.name, threshold.metric) in broken:
                    points = checks.points(tx, placed, threshold.metric, since=tx.now - _CHARTED)
                    charts.append(Chart(f"{threshold.metric} of {run.target.id}", threshold, points))
    return charts


def _page(incident: Incident, seen: list[Evidence], charts: list[Chart], not_seen: list[str]) -> str:
    parts = [f"## {piece.kind}\n\n{quoted(piece.body)}" for piece in seen if piece.kind != NOT_SEEN]
    shown = "\n\n".join([*(redact(chart.markdown()) for chart in charts), *parts])
    missing = quoted("\n".join(not_seen)) if not_seen else "Nothing of what was asked for."
    return f"# {incident.id}: before anything was touched\n\n{shown}\n\n## What could not be seen\n\n{missing}"
