"""While what a service depends on is down its alerts wait, nothing acts on them, and none of them is lost."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from databases import Clock
from incident_states import on_call
from sqlalchemy import select
from store_states import ALIVE, inbox_rows, recorded

from paramedic.alerts.alert import Alert, Severity, Status, fingerprint
from paramedic.catalog import runbook_file
from paramedic.catalog.library import Library, read_folder
from paramedic.catalog.services import parse_services
from paramedic.catalog.touched import touched_by
from paramedic.incidents.incident import State
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.incidents.tier import Tier
from paramedic.intake.dry_run import rehearse
from paramedic.intake.intake import Intake
from paramedic.messages.page import what_and_now
from paramedic.remediation.guardrail import Refusal
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.store import (
    Store,
    attempts,
    claims,
    incident_alerts,
    incident_summary,
    incidents,
    intents,
    lifecycle,
    outbox,
)
from paramedic.store import inbox as receipts
from paramedic.store.claims import Claim
from paramedic.store.guardrail_facts import Around
from paramedic.store.tables import messages
from paramedic.text.local_time import LocalTime

SHIPPED = read_folder(Path(__file__).parents[2] / "runbooks")
MINUTE = timedelta(minutes=1)
SERVICES = """\
services:
  db: {targets: [{host: db-1, systemd: db.service}]}
  api: {depends_on: [db], targets: [{host: api-1, systemd: api.service}]}
  shop:
    tier: core
    customers: Nobody can order.
    depends_on: [api]
    targets: [{host: web-1, systemd: shop.service}]
  cache:
    targets: [{host: c-1, systemd: cache.service}, {host: c-2, systemd: cache.service}, {host: c-3, systemd: cache.service}]
  search: {depends_on: [cache], targets: [{host: s-1, systemd: search.service}]}
"""
HOSTS = {"db": "db-1", "api": "api-1", "shop": "web-1", "search": "s-1"}


def _library() -> Library:
    text = SHIPPED.runbooks["tracking-api-memory"].text
    runbooks = {}
    for service in ("db", "api", "shop", "cache", "search"):
        of_it = (
            text.replace("runbook: tracking-api-memory", f"runbook: {service}-down")
            .replace("service: tracking-api", f"service: {service}")
            .replace('alert: TrackingApiMemory{env=~"prod|canary"}', f'alert: Down{{service="{service}"}}')
            .replace("supervisord: tracking-api", f"systemd: {service}.service")
            .replace("mode: observe", "mode: act")
        )
        runbooks[f"{service}-down"] = runbook_file.parse(of_it, f"{service}-down.md")
    return Library(runbooks, parse_services(SERVICES, "services.yaml"), SHIPPED.oncall, ())


LIBRARY = _library()


def _decide(store: Store) -> None:
    Intake(store, lambda: LIBRARY).work()


@pytest.fixture
def say(store: Store, clock: Clock) -> Callable[..., Any]:
    """Take an alert of a service in and decide on it; its row."""

    def taken(
        service: str,
        name: str = "Down",
        *,
        status: Status = Status.FIRING,
        severity: Severity = Severity.CRITICAL,
        began: datetime | None = None,
        **labels: str,
    ) -> Any:
        all_labels = {"alertname": name, "service": service, "instance": HOSTS.get(service, "")} | labels
        at = began or clock.now()
        known_by = fingerprint("alertmanager", all_labels)
        ended = clock.now() if status is Status.RESOLVED else None
        said = Alert("alertmanager", name, severity, status, at, known_by, all_labels, ends_at=ended)
        receipts.receive(store, [said], source="alertmanager", sender="test")
        _decide(store)
        return inbox_rows(store)[-1]

    return taken


def _ends(store: Store, number: int, ending: Ending = Ending.REMEDIATED) -> None:
    with store.record() as tx:
        actor = "person:ada" if ending is Ending.HANDED_OVER else "run"
        lifecycle.resolve(tx, number, Outcome(ending, "it is up"), actor=actor)


def _last(store: Store) -> Any:
    return inbox_rows(store)[-1]


def test_what_depends_on_a_service_that_is_down_waits_for_its_incident_and_nothing_acts(
    store: Store, say: Callable[..., Any]
) -> None:
    assert say("db").verdict == "open"
    waits = say("api")
    assert (waits.verdict, waits.state, waits.incident) == ("wait", "held", 1)
    assert waits.reason.startswith("its service depends on db, and db is down (INC-1, since 2026-01-31T")
    with store.read() as tx:
        assert [incident.number for incident in incidents.listed(tx)] == [1]
        assert [order.incident for order in outbox.waiting(tx)] == [1]
        [affected] = incident_alerts.affected(tx, 1)
        assert (affected["name"], affected["affects"]) == ("Down", "api")
    assert recorded(store)[-1] == "alert.waits"


def test_so_does_what_depends_on_it_through_others_and_an_alert_that_no_runbook_wants(
    store: Store, say: Callable[..., Any]
) -> None:
    say("db")
    assert say("shop").incident == 1
    unlisted = say("shop", "QueueGrows", instance="queue-7")
    assert (unlisted.verdict, unlisted.incident) == ("wait", 1)
    with store.read() as tx:
        assert tx.conn.execute(select(messages)).all() == [], "nobody is paged for it"


@pytest.mark.parametrize("ending", [Ending.REMEDIATED, Ending.HANDED_OVER])
def test_what_still_fires_when_the_dependency_is_up_again_is_handled_on_its_own_after_a_time_to_recover(
    store: Store, clock: Clock, say: Callable[..., Any], ending: Ending
) -> None:
    say("db")
    say("api")
    clock.advance(MINUTE)
    _ends(store, 1, ending)
    _decide(store)
    held = _last(store)
    assert (held.verdict, held.state) == ("hold", "held"), held.reason
    assert "INC-1, for which it waited, is over" in held.reason
    clock.advance(2 * MINUTE)
    _decide(store)
    opened = _last(store)
    assert (opened.verdict, opened.incident) == ("open", 2)
    assert "it waited for INC-1" in opened.reason
    with store.read() as tx:
        assert incidents.get(tx, 2).service == "api"


def test_what_has_ended_while_it_waited_opens_nothing(store: Store, clock: Clock, say: Callable[..., Any]) -> None:
    say("db")
    began = clock.now()
    say("api", began=began)
    clock.advance(MINUTE)
    ended = say("api", status=Status.RESOLVED, began=began)
    assert (ended.verdict, "it waited for INC-1" in ended.reason) == ("drop", True)
    with store.read() as tx:
        assert [alert["status"] for alert in incident_alerts.affected(tx, 1)] == ["resolved"]
    _ends(store, 1)
    clock.advance(10 * MINUTE)
    _decide(store)
    assert {row.state for row in inbox_rows(store)} == {"triaged"}
    with store.read() as tx:
        assert len(incidents.listed(tx)) == 1


def test_a_dependency_whose_alert_has_ended_keeps_nothing_waiting_though_its_incident_is_a_person_s(
    store: Store, clock: Clock, say: Callable[..., Any]
) -> None:
    began = clock.now()
    say("db", began=began)
    say("api")
    with store.record() as tx:
        lifecycle.hand_over(tx, 1, Outcome(Ending.HANDED_OVER, "restarted, still failing"), actor="run")
    clock.advance(MINUTE)
    say("db", status=Status.RESOLVED, began=began)
    clock.advance(2 * MINUTE)
    _decide(store)
    with store.read() as tx:
        assert [incident.service for incident in incidents.listed(tx)] == ["api", "db"]


def test_it_is_looked_at_again_in_any_case_should_nobody_say_that_the_incident_is_over(
    store: Store, clock: Clock, say: Callable[..., Any]
) -> None:
    say("db")
    say("api")
    with store.write() as tx:  # as a process of an older version would end it
        tx.conn.exec_driver_sql("UPDATE incidents SET state = 'resolved', ended_at = opened_at")
    _decide(store)
    assert _last(store).state == "held"
    clock.advance(5 * MINUTE)
    _decide(store)
    assert _last(store).verdict == "open"


@pytest.mark.parametrize("times", [1, 5])
def test_a_repeated_alert_waits_and_is_counted_and_opens_one_incident(
    store: Store, clock: Clock, say: Callable[..., Any], times: int
) -> None:
    say("db")
    began = clock.now()
    for _ in range(times):
        say("api", began=began)
        clock.advance(MINUTE)
    with store.read() as tx:
        [affected] = incident_alerts.affected(tx, 1)
        assert affected["count"] == times
    clock.advance(10 * MINUTE)
    _decide(store)
    with store.read() as tx:
        [affected] = incident_alerts.affected(tx, 1)
        assert affected["count"] == times, "to look again is no new word of its sender"
    _ends(store, 1)
    clock.advance(10 * MINUTE)
    _decide(store)
    with store.read() as tx:
        assert len(incidents.listed(tx)) == 2


# --- what does not mean that a service is down ------------------------------------------------------------------------


def test_a_warning_about_the_dependency_keeps_nothing_waiting(store: Store, say: Callable[..., Any]) -> None:
    say("db", severity=Severity.WARNING)
    assert say("shop").verdict == "open"
    assert say("api", severity=Severity.WARNING).verdict == "open"


def test_what_was_critical_and_is_a_warning_by_now_keeps_nothing_waiting(
    store: Store, clock: Clock, say: Callable[..., Any]
) -> None:
    began = clock.now()
    say("db", began=began)
    say("db", began=began, severity=Severity.WARNING)
    assert say("api").verdict == "open"


def test_a_critical_alert_of_no_listed_target_of_the_dependency_keeps_nothing_waiting(
    store: Store, say: Callable[..., Any]
) -> None:
    assert say("db", "BackupFailed", instance="backup-1").verdict == "open"
    assert say("api").verdict == "open"


def test_a_service_of_several_targets_is_down_when_half_of_them_are(store: Store, say: Callable[..., Any]) -> None:
    say("cache", instance="c-1")
    assert say("search", "Slow").verdict == "open"
    say("cache", instance="c-2")
    assert say("search", "Slow", instance="s-2").verdict == "wait"


def test_the_alerts_that_wait_do_not_keep_the_dependency_down(
    store: Store, clock: Clock, say: Callable[..., Any]
) -> None:
    began = clock.now()
    say("db", began=began)
    say("api")
    clock.advance(MINUTE)
    say("db", began=began, status=Status.RESOLVED)
    with store.read() as tx:
        assert incident_alerts.firing(tx, incidents.get(tx, 1), at_most=5) == 0
        known = incident_summary.summary(tx, incidents.get(tx, 1))
        assert known.is_over


# --- what had begun before --------------------------------------------------------------------------------------------


def _run_of(store: Store, number: int) -> Claim:
    with store.record() as tx:
        assert attempts.begin_attempt(tx, number, 1, flow_run="run-1") is None
        target = incidents.get(tx, number).target
        claim = claims.take(
            tx, target=target, incident=number, attempt=1, holder="run:run-1", lease=timedelta(seconds=30)
        )
    assert isinstance(claim, Claim)
    return claim


def _acts(store: Store, claim: Claim, service: str) -> Any:
    target = next(target for target in LIBRARY.services if target.service == service)
    with store.record() as tx:
        return intents.intend(
            tx,
            claim,
            rung=1,
            remedy="restart",
            identity=ALIVE,
            deadline=timedelta(seconds=5),
            limits=Guardrails("act"),
            around=Around(touched=touched_by(target, LIBRARY)),
        )


def test_a_run_that_had_begun_is_stopped_just_before_its_change(store: Store, say: Callable[..., Any]) -> None:
    say("shop")
    claim = _run_of(store, 1)
    say("db")
    no = _acts(store, claim, "shop")
    assert isinstance(no, Refusal)
    assert (no.guardrail, no.reason.startswith("db is down (INC-2")) == ("dependency", True)
    assert "shop depends on it" in no.reason


def test_the_dependency_itself_may_be_changed(store: Store, say: Callable[..., Any]) -> None:
    say("shop")
    say("db")
    assert not isinstance(_acts(store, _run_of(store, 2), "db"), Refusal)


def test_an_alert_of_a_service_that_has_an_incident_joins_that_one(store: Store, say: Callable[..., Any]) -> None:
    say("shop")
    say("db")
    assert (say("shop").verdict, say("shop").incident) == ("join", 1)


# --- what people see --------------------------------------------------------------------------------------------------


def test_the_incident_says_what_it_affects_and_is_as_urgent_as_that(store: Store, say: Callable[..., Any]) -> None:
    say("db")
    say("api", severity=Severity.WARNING)
    say("shop")
    say("shop", "Slow", severity=Severity.WARNING)
    with store.read() as tx:
        incident = incidents.get(tx, 1)
        said = list(what_and_now(incident_summary.summary(tx, incident, oncall=on_call().oncall), LocalTime("UTC")))
    assert incident.tier is Tier.CORE
    assert "incident.rose" in recorded(store)
    assert ("Affects", "api: Down (warning)") in said
    assert ("And", "shop: Down (critical), and 1 more") in said


def test_whoever_has_it_hears_of_each_service_and_name_once(store: Store, say: Callable[..., Any]) -> None:
    say("db")
    with store.record() as tx:
        lifecycle.acknowledge(tx, 1, by="ada", reason="test")
    for _ in range(3):
        say("shop")
    say("shop", "Slow")
    with store.read() as tx:
        rows = tx.conn.execute(select(messages.c.subject, messages.c.body, messages.c.recipient)).all()
    assert [row.subject for row in rows] == [
        "shop, which depends on it, fails too: Down (critical)",
        "shop, which depends on it, fails too: Slow (critical)",
    ]
    assert {row.recipient for row in rows} == {"ada"}
    assert "What customers notice: Nobody can order." in rows[0].body


def test_an_acknowledgement_at_the_sender_of_what_waits_takes_the_dependency_from_nobody(
    store: Store, clock: Clock, say: Callable[..., Any]
) -> None:
    say("db")
    with store.record() as tx:
        lifecycle.hand_over(tx, 1, Outcome(Ending.HANDED_OVER, "restarted, still failing"), actor="run")
    say("api")
    assert say("api", status=Status.ACKNOWLEDGED, began=clock.now()).verdict == "drop"
    with store.read() as tx:
        assert incidents.get(tx, 1).state is State.HANDED_OVER


def test_a_dry_run_says_that_it_would_wait(store: Store, say: Callable[..., Any]) -> None:
    say("db")
    labels = {"alertname": "Down", "service": "shop", "instance": "web-1"}
    alert = Alert("a", "Down", Severity.CRITICAL, Status.FIRING, datetime.now().astimezone(), "f", labels)
    found = rehearse(alert, LIBRARY.runbooks["shop-down"], LIBRARY, store)
    assert not found.acts
    assert any(line.startswith("it would wait: db is down (INC-1") for line in found.lines)
