"""What was there to see before anything was touched?"""

from collections.abc import Callable
from datetime import timedelta

from paramedic.catalog.runbook import Runbook
from paramedic.change.run import PlaybookRun
from paramedic.checks.chart import Chart
from paramedic.checks.check import CheckAtTarget
from paramedic.doors import reading
from paramedic.errors import PermanentError, TemporaryError
from paramedic.incidents.evidence import Evidence, bounded
from paramedic.incidents.incident import Incident
from paramedic.machine.clock import utc_now
from paramedic.machine.kill_points import reached
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
    """What the runbook asks to see, and what its broken checks measured, kept in the store before the first change.

    A piece that cannot be had says why.
    """
    run = current_run()
    seen = [_look(kind, run.target) for kind in runbook.evidence]
    charts = values(run)
    seen += [Evidence("values", utc_now(), bounded(redact(one.text()))) for one in charts]
    with run.store.record() as tx:
        for piece in seen:
            evidence.add(tx, incident.number, run.attempt, kind=piece.kind, taken_at=piece.taken_at, body=piece.body)
        incidents.tell_timeline(
            tx,
            incident.number,
            actor=run.holder,
            what="evidence.taken",
            reason=f"seen before anything is touched: {', '.join(piece.kind for piece in seen) or 'nothing asked for'}",
        )
    show(f"evidence-{incident.id.lower()}", _page(incident, seen, charts), flow_run=run.flow_run)
    reached("evidence_taken", incident.target)
    return seen


def _look(kind: str, target: Target) -> Evidence:
    try:
        body = _LOOKS[kind](target)
    except (TemporaryError, PermanentError) as error:
        body = f"could not be taken: {error}"
    return Evidence(kind, utc_now(), bounded(redact(body)))


def _process_tree(target: Target) -> str:
    rows = reading.process_tree(_pid(target))
    lines = [f"{'pid':>8} {'parent':>8} {'resident B':>14} {'cpu %':>6}  command"]
    lines += [f"{row.pid:>8} {row.ppid:>8} {row.rss:>14,} {row.cpu_percent:>6.1f}  {row.cmdline}" for row in rows]
    return "\n".join(lines)


def _memory(target: Target) -> str:
    pid = _pid(target)
    return f"process {pid} holds {reading.resident_memory(pid):,} B of resident memory"


def _log_tail(target: Target) -> str:
    if target.log is None:
        raise PermanentError(f"services.yaml names no log for {target.id}")
    return reading.tail(target.log)


def _pid(target: Target) -> int:
    identity = reading.reader(target).identity()
    if identity.pid is None:
        raise PermanentError(f"no process of {target.id} is running: {identity.state}")
    return identity.pid


_LOOKS: dict[str, Callable[[Target], str]] = {
    "process-tree": _process_tree,
    "memory": _memory,
    "log-tail": _log_tail,
    "journal": reading.journal,
}


def values(run: PlaybookRun) -> list[Chart]:
    """The last hour of each metric of the runbook's checks that the incident is about."""
    ours = run.runbook.name
    charts = []
    with run.store.read() as tx:
        said = [alert["labels"] for alert in incident_alerts.of(tx, run.incident.number)]
        broken = {(labels.get("check"), labels.get("metric")) for labels in said if labels.get("runbook") == ours}
        for check in run.runbook.checks:
            placed = CheckAtTarget(ours, check, run.target)
            for threshold in check.thresholds:
                if (check.name, threshold.metric) in broken:
                    points = checks.points(tx, placed, threshold.metric, since=tx.now - _CHARTED)
                    charts.append(Chart(f"{threshold.metric} of {run.target.id}", threshold, points))
    return charts


def _page(incident: Incident, seen: list[Evidence], charts: list[Chart]) -> str:
    parts = [f"## {piece.kind}\n\n{quoted(piece.body)}" for piece in seen]
    pieces = "\n\n".join([*(chart.markdown() for chart in charts), *parts])
    return f"# {incident.id}: before anything was touched\n\n{pieces}"
