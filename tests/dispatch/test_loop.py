"""What the outbox holds goes to Prefect, each order by itself."""

import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

from databases import Clock
from incident_states import alert

from paramedic.demo.world import free_port
from paramedic.dispatch.loop import Dispatch
from paramedic.dispatch.prefect_runs import CreatedRun, NotDeployed, PrefectRuns
from paramedic.errors import TemporaryError
from paramedic.incidents.incident import State
from paramedic.store import Store, attempts, incidents, lifecycle, outbox, trail
from paramedic.store.runbook_versions import Plan
from paramedic.transports.prefect_http import PrefectApi

READABLE = (Path(__file__).parents[2] / "runbooks" / "tracking-api-memory.md").read_text()
#: As an older version may have read it.
UNREADABLE = READABLE.replace("mode:", "manner:")


def _opened(store: Store, target: str, version: str, text: str) -> int:
    plan = Plan("tracking-api-memory", version, text, 1)
    with store.record() as tx:
        incident = lifecycle.open_incident(
            tx, alert(), service="tracking-api", target=target, policy="default", reason="it is new", plan=plan
        )
    return incident.number


def test_a_pinned_runbook_that_cannot_be_read_is_a_persons_and_stops_nobody_elses_run(
    timed: Store, clock: Clock
) -> None:
    unreadable = _opened(timed, "web-1/tracking-api", "v0", UNREADABLE)
    readable = _opened(timed, "web-2/tracking-api", "v1", READABLE)
    assert Dispatch(timed, PrefectRuns(PrefectApi(f"http://127.0.0.1:{free_port()}/api")), lambda: None).work() == 2
    clock.advance(timedelta(minutes=1))
    with timed.read() as tx:
        given = incidents.get(tx, unreadable)
        waiting = outbox.waiting(tx)
    assert given.state is State.HANDED_OVER
    assert "this version cannot read the runbook" in (given.because or "")
    assert "manner" in (given.because or "")
    assert [(order.incident, order.tries) for order in waiting] == [(readable, 1)]


def test_what_comes_while_prefect_is_asked_does_not_wait_until_the_first_is_written_down(timed: Store) -> None:
    waiting: list[list[int]] = []

    class Prefect(PrefectRuns):
        """While the first run is created, the second incident opens."""

        def create_run(self, *_: Any, **__: Any) -> CreatedRun:
            if not waiting:
                _opened(timed, "web-2/tracking-api", "v1", READABLE)
            with timed.read() as tx:
                waiting.append([order.incident for order in outbox.waiting(tx)])
            return CreatedRun(str(uuid.uuid4()), "SCHEDULED")

    first = _opened(timed, "web-1/tracking-api", "v1", READABLE)
    assert Dispatch(timed, Prefect(PrefectApi("http://127.0.0.1:9/api")), lambda: None).work() == 2
    assert waiting == [[first, first + 1], [first, first + 1]]
    with timed.read() as tx:
        assert outbox.waiting(tx) == []
        assert attempts.get(tx, first + 1, 1) is not None


def test_a_prefect_that_is_away_is_not_asked_for_what_comes_meanwhile(timed: Store) -> None:
    class Away(PrefectRuns):
        """While it is asked for the first run, the second incident opens."""

        def create_run(self, *_: Any, **__: Any) -> CreatedRun:
            _opened(timed, "web-2/tracking-api", "v1", READABLE)
            raise TemporaryError("no answer")

    _opened(timed, "web-1/tracking-api", "v1", READABLE)
    assert Dispatch(timed, Away(PrefectApi("http://127.0.0.1:9/api")), lambda: None).work() == 1


def test_a_playbook_that_cannot_be_deployed_is_a_persons_at_once_with_the_cause(timed: Store) -> None:
    class Without(PrefectRuns):
        """It has no such deployment."""

        def create_run(self, *_: Any, **__: Any) -> CreatedRun:
            raise NotDeployed("Prefect knows no such deployment")

    number = _opened(timed, "web-1/tracking-api", "v1", READABLE)
    prefect = Without(PrefectApi("http://127.0.0.1:9/api"))
    Dispatch(timed, prefect, lambda: {"our-restart": "it is another's"}).work()
    with timed.read() as tx:
        assert incidents.get(tx, number).state is State.OPEN
    second = _opened(timed, "web-2/tracking-api", "v1", READABLE)
    Dispatch(timed, prefect, lambda: {"restart-service": "it cannot be imported: No module named 'x'"}).work()
    with timed.read() as tx:
        given = incidents.get(tx, second)
    assert (given.state, given.because) == (State.HANDED_OVER, "it cannot be imported: No module named 'x'")


def test_a_key_that_meets_a_dead_run_raises_the_next_attempt_with_what_prefect_says_of_it(timed: Store) -> None:
    class Dead(PrefectRuns):
        """The first order meets a run that has died; no other does."""

        def create_run(self, *_: Any, attempt: int, **__: Any) -> CreatedRun:
            state = {"message": "Process exited with status code: 1. password=hunter2hunter2"}
            return CreatedRun(str(uuid.uuid4()), "CRASHED" if attempt == 1 else "SCHEDULED", {"state": state})

    number = _opened(timed, "web-1/tracking-api", "v1", READABLE)
    assert Dispatch(timed, Dead(PrefectApi("http://127.0.0.1:9/api")), lambda: None).work() == 1
    with timed.read() as tx:
        [_opened_with, reason] = [entry.reason for entry in trail.entries(tx) if entry.what == "attempt.raised"]
        assert incidents.get(tx, number).attempt == 2
    assert reason == (
        "Prefect's run for attempt 1 is CRASHED and never began here: Process exited with status code: 1. password=[secret]"
    )
