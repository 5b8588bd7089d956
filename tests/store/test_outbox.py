"""What Prefect is asked for, and in what order."""

from datetime import timedelta

from databases import Clock
from store_states import alert, opened

from paramedic.alerts.alert import Severity
from paramedic.store import Store, approvals, incidents, outbox
from paramedic.store.tables import approvals as approvals_table
from paramedic.store.tables import attempts


def _orders(store: Store, clock: Clock, count: int, severity: Severity) -> list[int]:
    numbers = []
    for _ in range(count):
        with store.record() as tx:
            number = opened(tx, target=f"host/{severity}-{clock.now()}", received=alert(severity=severity))
        clock.advance(timedelta(seconds=1))
        numbers.append(number)
    return numbers


def test_a_critical_incident_gets_its_run_before_any_number_of_warnings(timed: Store, clock: Clock) -> None:
    warnings = _orders(timed, clock, 30, Severity.WARNING)
    first, second = _orders(timed, clock, 2, Severity.CRITICAL)
    with timed.read() as tx:
        assert [order.incident for order in outbox.waiting(tx)] == [first, second, *warnings[:18]]
        assert incidents.get(tx, first).severity is Severity.CRITICAL


def test_a_critical_incidents_answer_is_passed_on_before_those_of_warnings(timed: Store, clock: Clock) -> None:
    numbers = [*_orders(timed, clock, 25, Severity.WARNING), *_orders(timed, clock, 1, Severity.CRITICAL)]
    with timed.record() as tx:
        for number in numbers:
            tx.conn.execute(attempts.update().where(attempts.c.incident == number).values(flow_run=f"run-{number}"))
            tx.conn.execute(
                approvals_table.insert().values(
                    incident=number,
                    attempt=1,
                    rung=1,
                    target="t",
                    remedy="restart",
                    identity={"pid": 1, "started_at": 1.0, "state": "RUNNING"},
                    asked_at=tx.now,
                    expires_at=tx.now,
                    state="granted",
                    flow_run=f"run-{number}",
                    resume_at=tx.now,
                    wrong_codes=0,
                )
            )
    with timed.read() as tx:
        assert approvals.to_resume(tx)[0].incident == numbers[-1]
