"""The metrics of the whole Paramedic, read from the store: the same in every process that is asked, whichever did the work."""

import logging
import threading
from collections.abc import Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from paramedic.serving.trail_counts import Counts, TrailCounts, labels
from paramedic.store import Store, StoreUnavailable, StoreUnknown
from paramedic.store.live_work import LiveWork, Waiting, live_work

log = logging.getLogger(__name__)


class StoreMetrics(Collector):
    """Reads the store once a scrape, at a cost that does not grow with its history.

    While it cannot be read, `paramedic_store_up` is 0 and the gauges are absent: an old figure would look like a good one.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._counts = TrailCounts()
        self._lock = threading.Lock()  # two scrapes at once count nothing twice

    def collect(self) -> Iterable[Metric]:
        """Every metric, as it is now."""
        with self._lock:
            work = self._read()
            up = "1 while this process can read the store."
            yield GaugeMetricFamily("paramedic_store_up", up, value=0 if work is None else 1)
            if work is not None:
                yield from gauges(work)
            yield from counters(self._counts)

    def _read(self) -> LiveWork | None:
        try:
            with self._store.read() as tx:
                work = live_work(tx)
                self._counts.follow(tx)
        except (StoreUnavailable, StoreUnknown) as error:
            log.warning("the store cannot be read for metrics: %s", error)
            return None
        return work


def gauges(work: LiveWork) -> Iterable[Metric]:
    """What waits, and what is under way."""
    yield from _queue("paramedic_inbox", "alerts", "Alerts that wait for their decision.", work.inbox)
    held = GaugeMetricFamily(
        "paramedic_held_alerts", "Alerts that are held now, and looked at again.", labels=["reason"]
    )
    for reason, count in work.held.items():
        held.add_metric([reason], count)
    yield held
    yield from _queue("paramedic_outbox", "orders", "Runs that Prefect does not have yet.", work.outbox)
    yield from _queue("paramedic_messages", "due", "Messages to people that could be sent now.", work.messages)
    late = "Messages to people that have been due for a minute or longer."
    yield GaugeMetricFamily("paramedic_messages_late", late, value=work.late)
    retrying = "Messages to people that failed at least once and have not been sent."
    yield GaugeMetricFamily("paramedic_messages_retrying", retrying, value=work.retrying)
    live = GaugeMetricFamily("paramedic_incidents", "Incidents that are not resolved.", labels=["state"])
    for state, count in work.incidents.items():
        live.add_metric([state.value], count)
    yield live
    yield GaugeMetricFamily("paramedic_claims", "Targets that a run holds the claim on.", value=work.claims)
    here = GaugeMetricFamily(
        "paramedic_processes", "Processes that run on this store, on all machines.", labels=["role"]
    )
    for role, count in work.processes.items():
        here.add_metric([role], count)
    yield here
    yield from _queue("paramedic_acts", "open", "Changes without an outcome; each blocks its target.", work.open_acts)
    paused = "1 while acts are paused everywhere, by a person, the watchdog, a mass failure or the fleet's breaker."
    yield GaugeMetricFamily("paramedic_acts_paused", paused, value=work.acts_paused)


def counters(counts: TrailCounts) -> Iterable[Metric]:
    """What the trail says happened since this process's first read."""
    yield CounterMetricFamily("paramedic_acts_begun", "Changes whose intent was written.", value=counts.intents)
    yield _counter("paramedic_act_outcomes", "Outcomes of changes.", ["outcome"], counts.outcomes)
    yield _counter("paramedic_refusals", "Changes that a guardrail refused.", ["guardrail"], counts.refusals)
    yield _counter("paramedic_decisions", "Decisions on the trail.", ["decision"], counts.decisions)
    ended = "Playbooks' work on incidents that ended, and incidents that a person resolved."
    yield _counter("paramedic_incident_endings", ended, ["ending"], counts.endings)
    told = "Messages to people: told, or no recipient could be reached."
    yield _counter("paramedic_pages", told, ["kind", "outcome"], counts.messages)


def _queue(name: str, counted: str, about: str, waiting: Waiting) -> Iterable[Metric]:
    yield GaugeMetricFamily(f"{name}_{counted}", about, value=waiting.count)
    oldest = "For how long the oldest of them has waited; 0 where there is none."
    yield GaugeMetricFamily(f"{name}_oldest_seconds", oldest, value=waiting.oldest.total_seconds())


def _counter(name: str, about: str, names: Sequence[str], counts: Counts) -> Metric:
    family = CounterMetricFamily(name, about, labels=names)
    for values, count in labels(counts):
        family.add_metric(values, count)
    return family
