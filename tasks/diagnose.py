"""What was there to see before anything was touched?"""

from datetime import timedelta

from paramedic.catalog.runbook import Runbook
from paramedic.catalog.target_kinds import LOG_TAIL
from paramedic.change.run import PlaybookRun
from paramedic.checks.chart import Chart
from paramedic.checks.check import CheckAtTarget
from paramedic.doors import reading
from paramedic.errors import PermanentError, TemporaryError
from paramedic.incidents.evidence import Evidence, bounded
from paramedic.incidents.incident import Incident
from paramedic.machine.clock import utc_now
from paramedic.machine.kill_points import kill_point
from paramedic.remediation.target import Target
from paramedic.store import checks, evidence, incident_alerts, incidents
from paramedic.text.redaction import redact
from tasks.current_run import current_run
from tasks.kinds import reads
from tasks.prefect_artifacts import quoted, show

#: How far back a check's values are evidence.
_CHARTED = timedelta(hours=1)


@reads(retries=2, timeout=timedelta(seconds=60))
def gather_evidence(incident: Incident, runbook: Runbook) -> list[Evidence]:
    """Gather the runbook's evidence and the values of its breached checks into the store, before the first change.

    A piece that is not available says why. Returns the pieces, for `resolved` and `hand_over`. Raises StoreUnavailable.
    """
    run = current_run()
    seen = [_look(kind, run.target) for kind in runbook.evidence]
    charts = values(run)
    seen += [Evidence("values", utc_now(), bounded(redact(chart.text()))) for chart in charts]
    with run.store.record() as tx:
        for piece in seen:
            evidence.keep(tx, incident.number, run.attempt, piece)
        incidents.append_to_timeline(
            tx,
            incident.number,
            actor=run.holder,
            what="evidence.taken",
            reason=f"seen before anything is touched: {', '.join(piece.kind for piece in seen) or 'nothing asked for'}",
        )
    show(f"evidence-{incident.id.lower()}", _page(incident, seen, charts), flow_run=run.flow_run)
    run.say(f"kept before anything is touched: {', '.join(piece.kind for piece in seen) or 'nothing was asked for'}")
    kill_point("evidence_taken", incident.target)
    return seen


def _look(kind: str, target: Target) -> Evidence:
    from_beginning = False
    try:
        if kind == LOG_TAIL:
            body = reading.log_tail(target)
        else:
            from_beginning = reading.begins_with_most(target, kind)
            body = reading.evidence(target, kind)
    except (TemporaryError, PermanentError) as error:
        body = f"could not be taken: {error}"
    return Evidence(kind, utc_now(), bounded(redact(body), from_beginning=from_beginning), from_beginning)


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


def _page(incident: Incident, seen: list[Evidence], charts: list[Chart]) -> str:
    parts = [f"## {piece.kind}\n\n{quoted(piece.body)}" for piece in seen]
    pieces = "\n\n".join([*(redact(chart.markdown()) for chart in charts), *parts])
    return f"# {incident.id}: before anything was touched\n\n{pieces}"
