"""The metrics that the gateway counts itself; those of the whole Paramedic are in `paramedic/serving/store_metrics.py`."""

from prometheus_client import CollectorRegistry, Counter, Histogram

registry = CollectorRegistry()

ALERTS = Counter("paramedic_alerts_total", "Alerts taken in.", ["source", "status"], registry=registry)
REFUSED = Counter("paramedic_refused_requests_total", "Requests answered with an error.", ["reason"], registry=registry)
QUARANTINED = Counter("paramedic_quarantined_total", "Bodies that could not be read.", ["source"], registry=registry)
TRUNCATED = Counter(
    "paramedic_truncated_alerts_total", "Alerts that their sender left out of a group.", ["source"], registry=registry
)
HELD_BACK = Counter(
    "paramedic_alerts_held_back_total",
    "Decisions that an alert is held for a time, or dropped: each look at a held one is another.",
    ["reason"],
    registry=registry,
)
RAW_NOT_KEPT = Counter(
    "paramedic_raw_bodies_not_kept_total",
    "Bodies that were not kept beside their alerts: too much came at once.",
    registry=registry,
)
TOOK = Histogram(
    "paramedic_commit_seconds",
    "From the whole body to the durable commit.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5),
    registry=registry,
)
