"""A look at the target takes the conditions of the breach too, and after an act by fresh samples alone."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from fake_service import Service, service
from playbook_runs import SLOW, at_work, saw

from paramedic.catalog.runbook_file import parse
from paramedic.change.look import measure
from paramedic.change.run import PlaybookRun
from paramedic.doors import reading
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.kinds.process_target import process_identity
from paramedic.machine.clock import utc_now
from paramedic.remediation.health import Sight
from paramedic.remediation.target import Identity
from paramedic.store import Store, lifecycle, mass_failure

__all__ = ["at_work", "service"]


@pytest.fixture(autouse=True)
def _running(monkeypatch: pytest.MonkeyPatch) -> None:
    class Reader:
        def identity(self) -> Identity:
            return process_identity(4711, 1.0, "RUNNING")

    monkeypatch.setattr(reading, "reader", lambda _: Reader())


def test_a_breach_of_the_window_is_seen_in_a_fresh_sample_before_an_act_and_counts_for_nothing_after_it(
    at_work: Callable[..., PlaybookRun], store: Store, service: Service
) -> None:
    work = at_work()
    saw(store, work, 1, 3)
    service.status = 500
    before = measure(work)
    assert before.sight is Sight.FAILING
    assert before.why.startswith("error_rate is 100% (critical 3%)")
    service.status = 200
    again = measure(work)
    assert again.sight is Sight.FAILING, "one fresh look of two has seen it"
    work.forget_samples()
    assert measure(work).sight is Sight.WELL


def test_a_breach_that_only_the_window_remembers_is_not_seen_and_fresh_looks_end_it(
    at_work: Callable[..., PlaybookRun], store: Store
) -> None:
    """A repair by hand: the target answers, and its check's window is still full of errors."""
    work = at_work()
    saw(store, work, 1, 3)
    looks = [measure(work) for _ in range(5)]
    assert [look.sight for look in looks] == [Sight.UNKNOWN] * 4 + [Sight.WELL]
    assert looks[0].why.startswith("over its window error_rate is 75% (critical 3%), and a fresh look is well")


def test_a_few_fresh_looks_say_nothing_of_an_error_that_comes_now_and_then(
    at_work: Callable[..., PlaybookRun], store: Store
) -> None:
    work = at_work()
    for error in (1, 0, 0, 0, 0, 0, 0, 0, 0, 0):
        saw(store, work, error, 1)
    looks = [measure(work) for _ in range(8)]
    assert {look.sight for look in looks} == {Sight.UNKNOWN}, "nine in ten requests were answered before, too"
    assert looks[7].why.startswith("over its window error_rate is 5.")
    assert "8 fresh looks are well" in looks[7].why


def test_what_was_seen_before_the_last_incident_ended_counts_for_nothing(
    at_work: Callable[..., PlaybookRun], store: Store
) -> None:
    work = at_work()
    saw(store, work, 1, 3)
    with store.record() as tx:
        lifecycle.resolve(tx, work.incident.number, Outcome(Ending.HANDED_OVER, "mended by hand"), actor="person:ada")
    assert measure(work).sight is Sight.WELL


def test_an_error_after_the_act_is_a_failure_until_its_window_has_passed(
    at_work: Callable[..., PlaybookRun], service: Service
) -> None:
    work = at_work()
    work.forget_samples()
    service.status = 500
    assert measure(work).sight is Sight.FAILING
    service.status = 200
    assert measure(work).sight is Sight.FAILING, "one of two is an error"
    work.samples["health"][0] = replace(work.samples["health"][0], at=utc_now() - timedelta(seconds=61))
    assert measure(work).sight is Sight.WELL


def test_the_breach_is_a_condition_though_verify_does_not_name_it(
    at_work: Callable[..., PlaybookRun], service: Service, store: Store
) -> None:
    runbook = parse(SLOW.replace("latency_p95: {critical: 10s}", "latency_p95: {critical: 100ms}"), "r.md")
    work = at_work(runbook)
    service.late = 0.15
    health = measure(work)
    assert health.sight is Sight.FAILING
    assert health.why.startswith("latency_p95 is ")


def test_what_is_neither_named_nor_broken_is_no_condition(
    at_work: Callable[..., PlaybookRun], service: Service
) -> None:
    text = SLOW.replace(
        "    latency_p95: {critical: 10s}\n", "    latency_p50: {critical: 100ms}\n    latency_p95: {critical: 10s}\n"
    )
    work = at_work(parse(text, "r.md"))
    service.late = 0.15
    assert measure(work).sight is Sight.WELL


def test_a_check_that_sees_nothing_proves_nothing(at_work: Callable[..., PlaybookRun]) -> None:
    work = at_work()
    work.target = replace(work.target, health=None)
    health = measure(work)
    assert health.sight is Sight.UNKNOWN
    assert "tracking-api-slow/health sees nothing" in health.why


def test_while_we_are_blind_nothing_is_known(
    at_work: Callable[..., PlaybookRun], store: Store, service: Service
) -> None:
    work = at_work()
    service.hang()
    with store.record() as tx:
        assert mass_failure.judge(tx, blind=True, limit=99)
    assert measure(work).why == mass_failure.BLIND
    assert measure(work).sight is Sight.UNKNOWN
