"""The metrics that a watchdog counts itself; those of the whole Paramedic are in `paramedic/serving/store_metrics.py`."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

registry = CollectorRegistry()

ROUND = Histogram(
    "paramedic_watchdog_round_seconds",
    "Rounds of all looks: how long each took.",
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
    registry=registry,
)
ROUND_AT = Gauge(
    "paramedic_watchdog_last_round_timestamp_seconds", "When the last round ended, in Unix time.", registry=registry
)
STUCK = Gauge(
    "paramedic_watchdog_looks_stuck", "Looks that have not come back from an earlier round.", registry=registry
)
FAULTS = Counter(
    "paramedic_watchdog_look_faults_total", "Looks that failed, by their name in the log.", ["look"], registry=registry
)
UNANSWERED = Gauge("paramedic_unanswered", "1 while it does not answer this watchdog.", ["what"], registry=registry)
DIRECT = Counter(
    "paramedic_direct_pages_total",
    "Pages without the store, which are on no trail: told, or no recipient could be reached.",
    ["outcome"],
    registry=registry,
)
HEARTBEATS = Counter(
    "paramedic_heartbeats_total", "Outward heartbeats: sent, failed, or withheld.", ["outcome"], registry=registry
)

for _outcome in ("told", "unreachable"):
    DIRECT.labels(_outcome)
for _outcome in ("sent", "failed", "withheld"):
    HEARTBEATS.labels(_outcome)
