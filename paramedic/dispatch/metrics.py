"""The metrics that a dispatch counts itself."""

from prometheus_client import CollectorRegistry, Counter

registry = CollectorRegistry()

ORDERS = Counter(
    "paramedic_dispatched_orders_total",
    "Orders of runs: taken by Prefect, to be tried again, or handed over to a person.",
    ["outcome"],
    registry=registry,
)

for _outcome in ("created", "put_off", "handed_over"):
    ORDERS.labels(_outcome)
