"""The metrics of a responder: its runs, and the room for more."""

from collections.abc import Callable, Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from paramedic.responder.capacity import Capacity


class ResponderMetrics(Collector):
    """Read from the responder at each scrape. `free`: room for so many more runs; `warm`: so many processes are idle."""

    def __init__(self, capacity: Capacity, free: Callable[[], float], warm: Callable[[], int]) -> None:
        self._capacity = capacity
        self._free = free
        self._warm = warm

    def collect(self) -> Iterable[Metric]:
        """Every metric, as it is now."""
        runs = GaugeMetricFamily("paramedic_responder_runs", "Runs at work in this responder.", labels=["kind"])
        for kind, count in self._capacity.at_work().items():
            runs.add_metric([kind], count)
        yield runs
        begun = CounterMetricFamily("paramedic_responder_runs_begun", "Runs that this responder took.", labels=["kind"])
        for kind, count in self._capacity.begun().items():
            begun.add_metric([kind], count)
        yield begun
        free = "Runs that this responder could take besides those at work."
        yield GaugeMetricFamily("paramedic_responder_free_slots", free, value=self._free())
        warm = "Idle processes that have imported everything and wait for a run."
        yield GaugeMetricFamily("paramedic_responder_warm_processes", warm, value=self._warm())
