"""What the checks of the breach have measured is evidence, as a chart."""

from collections.abc import Callable

from fake_service import service
from playbook_runs import at_work, saw

from paramedic.change.run import PlaybookRun
from paramedic.store import Store
from tasks.diagnose import values

__all__ = ["at_work", "service"]


def test_the_values_of_the_breach_are_charted_as_evidence(at_work: Callable[..., PlaybookRun], store: Store) -> None:
    work = at_work()
    saw(store, work, 0, 3)
    (chart,) = values(work)
    assert chart.title == "latency_p95 of web-1/tracking-api"
    assert [value for _, value in chart.points] == [0.1] * 3
    assert "last 100ms" in chart.text()
