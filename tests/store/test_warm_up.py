"""What a process of the responder has compiled before its run comes: the run compiles nothing of its own."""

import pytest
from sqlalchemy.util import LRUCache
from store_states import LEASE, alert, opened

from paramedic.change.exclusive import Before
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.store import Store, attempts, claims, incident_page, incidents, lifecycle, runbook_versions
from paramedic.store.claims import Claim
from paramedic.store.warm_up import rehearse


@pytest.fixture
def backend() -> str:
    return "sqlite"  # PostgreSQL has no scratch store to warm up on


def test_a_run_compiles_nothing_of_its_own(store: Store, store_url: str) -> None:
    with store.record() as tx:
        number = opened(tx, received=alert())
    run = Store(store_url)
    run.engine._compiled_cache = LRUCache(1000)  # its own, as a process has, and empty
    rehearse(run)
    compiled = len(run.engine._compiled_cache)
    with run.record() as tx:
        assert attempts.begin_attempt(tx, number, 1, flow_run="run-1") is None
        incident, known = incidents.get(tx, number), attempts.get(tx, number, 1)
        assert known is not None
        runbook_versions.runbook_text(tx, incident.runbook_version or "")
    with run.record() as tx:
        claim = claims.take(tx, target=incident.target, incident=number, attempt=1, holder="run:run-1", lease=LEASE)
        assert isinstance(claim, Claim)
        Before.of(tx, incident, incident.target)
    with run.record() as tx:
        claims.release(tx, claim)
        lifecycle.resolve(tx, number, Outcome(Ending.REMEDIATED, "well"), actor="run:run-1")
    with run.read() as tx:
        assert "INC-" in incident_page.page(tx, incidents.get(tx, number), oncall=None)
    assert len(run.engine._compiled_cache or ()) == compiled
    run.close()
