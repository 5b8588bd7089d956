"""Every alert gets its decision, and the decision its consequence."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from databases import Clock
from store_states import inbox_rows

from paramedic.alerts.alert import Alert, Severity, Status, fingerprint
from paramedic.catalog import runbook_file
from paramedic.catalog.library import read_folder
from paramedic.catalog.runbook import Runbook
from paramedic.incidents.incident import State
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.intake.intake import Intake
from paramedic.intake.routing import CROWD
from paramedic.intake.triage import MARK
from paramedic.store import (
    Store,
    attempts,
    inbox,
    incident_alerts,
    incidents,
    lifecycle,
    maintenance,
    outbox,
    runbook_versions,
)
from paramedic.store.tables import inbox as table
from paramedic.store.tables import messages
from paramedic.text.redaction import forget_all, remember

LIBRARY = read_folder(Path(__file__).parents[2] / "runbooks")

#: Another runbook, which works on the same target.
DOWN = runbook_file.parse(
    LIBRARY.runbooks["tracking-api-memory"]
    .text.replace("runbook: tracking-api-memory", "runbook: tracking-api-down")
    .replace('alert: TrackingApiMemory{env=~"prod|canary"}', "alert: TrackingApiDown")
    .replace("1. Restart it", "1. Ask the network team"),
    "tracking-api-down.md",
)
BOTH = replace(LIBRARY, runbooks={**LIBRARY.runbooks, DOWN.name: DOWN})
KSM = {"job": "kube-state-metrics", "service": "kube-state-metrics", "instance": "10.1.2.3:8080"}


@pytest.fixture
def say(store: Store, clock: Clock) -> Callable[..., Any]:
    """Take an alert in and decide on it; the inbox's newest row."""

    def taken(
        *,
        status: Status = Status.FIRING,
        began: datetime | None = None,
        ended: datetime | None = None,
        severity: Severity = Severity.CRITICAL,
        name: str = "TrackingApiMemory",
        **labels: str,
    ) -> Any:
        all_labels = {"alertname": name, "env": "prod", "instance": "web-1:9100"} | labels
        at = began or clock.now()
        known_by = fingerprint("alertmanager", all_labels)
        alert = Alert("alertmanager", name, severity, status, at, known_by, all_labels, ends_at=ended)
        inbox.receive(store, [alert], source="alertmanager", sender="test")
        Intake(store, lambda: BOTH).work()
        return inbox_rows(store)[-1]

    return taken


def _ends_well(store: Store, number: int) -> None:
    with store.record() as tx:
        attempts.begin_attempt(tx, number, 1, flow_run="run")
        lifecycle.resolve(tx, number, Outcome(Ending.REMEDIATED, "a test"), actor="run:run")


def test_a_wanted_alert_on_a_listed_target_opens_an_incident_and_orders_a_run(
    store: Store, say: Callable[..., Any]
) -> None:
    row = say()
    assert (row.state, row.verdict, row.incident) == ("triaged", "open", 1)
    with store.read() as tx:
        incident = incidents.get(tx, 1)
        assert (incident.service, incident.target, incident.attempt) == ("tracking-api", "web-1/tracking-api", 1)
        assert [order.key for order in outbox.waiting(tx)] == [f"paramedic:{store.uuid}:1:1:1"]
        assert (
            runbook_versions.runbook_text(tx, incident.runbook_version or "")
            == LIBRARY.runbooks["tracking-api-memory"].text
        )


def test_a_repeat_and_another_name_on_the_same_target_join(store: Store, say: Callable[..., Any]) -> None:
    say()
    assert say().verdict == "join"
    assert say(replica="b").incident == 1
    with store.read() as tx:
        assert sorted(alert["count"] for alert in incident_alerts.of(tx, 1)) == [1, 2]


@pytest.mark.parametrize(
    ("labels", "target"),
    [
        ({"env": "dev"}, "unlisted:web-1:9100"),
        ({"instance": "web-9"}, "unlisted:web-9"),
        ({"instance": "$(reboot)"}, "unlisted:$(reboot)"),
    ],
)
def test_what_nobody_wants_or_nobody_listed_goes_to_a_person_at_once(
    store: Store, say: Callable[..., Any], labels: dict[str, str], target: str
) -> None:
    say(**labels)
    with store.read() as tx:
        incident = incidents.get(tx, 1)
        assert (incident.target, incident.state, incident.policy) == (target, State.HANDED_OVER, "default")
        assert outbox.waiting(tx) == []
        assert [row.kind for row in tx.conn.execute(messages.select())] == ["rung"]


def test_resolved_marks_the_alert_and_ends_nothing(store: Store, clock: Clock, say: Callable[..., Any]) -> None:
    began = clock.now()
    say(began=began)
    assert say(began=began, status=Status.RESOLVED).verdict == "mark_resolved"
    with store.read() as tx:
        assert incidents.get(tx, 1).state is State.OPEN
        assert incident_alerts.of(tx, 1)[0]["status"] == "resolved"


def test_the_end_of_an_alert_of_two_servers_counts_for_the_start_that_each_of_them_said(
    store: Store, clock: Clock, say: Callable[..., Any]
) -> None:
    merged = clock.now()
    say(began=merged + timedelta(minutes=2))
    clock.advance(timedelta(minutes=30))
    say(began=merged)
    assert say(began=merged, ended=clock.now(), status=Status.RESOLVED).verdict == "mark_resolved"
    with store.read() as tx:
        assert incident_alerts.of(tx, 1)[0]["status"] == "resolved"
    assert say(began=merged + timedelta(minutes=2)).verdict == "drop"
    clock.advance(timedelta(minutes=1))
    assert say().verdict == "join"
    with store.read() as tx:
        assert incident_alerts.of(tx, 1)[0]["status"] == "firing"


def test_an_alert_that_is_said_again_with_its_old_start_long_after_its_end_is_no_late_word(
    store: Store, clock: Clock, say: Callable[..., Any]
) -> None:
    began = clock.now()
    say(began=began)
    clock.advance(timedelta(minutes=10))
    say(began=began, ended=clock.now(), status=Status.RESOLVED)
    clock.advance(timedelta(minutes=1))
    assert say(began=began).verdict == "drop"
    clock.advance(timedelta(minutes=5))
    assert say(began=began).verdict == "join"
    with store.read() as tx:
        assert incident_alerts.of(tx, 1)[0]["status"] == "firing"


def test_what_began_before_the_cure_is_held_and_looked_at_again(
    store: Store, clock: Clock, say: Callable[..., Any]
) -> None:
    began = clock.now()
    say(began=began)
    clock.advance(timedelta(seconds=30))
    _ends_well(store, 1)
    held = say(began=began)
    assert (held.state, held.verdict) == ("held", "hold")
    Intake(store, lambda: LIBRARY).work()
    assert inbox_rows(store)[-1].state == "held"
    clock.advance(timedelta(minutes=11))
    Intake(store, lambda: LIBRARY).work()
    assert (inbox_rows(store)[-1].verdict, inbox_rows(store)[-1].incident) == ("open", 2)


def test_a_held_alert_that_was_resolved_meanwhile_opens_nothing(
    store: Store, clock: Clock, say: Callable[..., Any]
) -> None:
    began = clock.now()
    say(began=began)
    clock.advance(timedelta(seconds=30))
    _ends_well(store, 1)
    say(began=began)
    say(began=began, status=Status.RESOLVED)
    clock.advance(timedelta(minutes=11))
    Intake(store, lambda: LIBRARY).work()
    assert [row.verdict for row in inbox_rows(store)] == ["open", "drop", "drop"]


def test_what_begins_again_soon_after_its_cure_reopens_its_incident(
    store: Store, clock: Clock, say: Callable[..., Any]
) -> None:
    say()
    clock.advance(timedelta(minutes=1))
    _ends_well(store, 1)
    clock.advance(timedelta(minutes=29))
    again = say(replica="b")
    assert (again.verdict, again.incident) == ("reopen", 1)
    with store.read() as tx:
        assert incidents.get(tx, 1).state is State.OPEN
        assert [order.attempt for order in outbox.waiting(tx)] == [2]
    assert say().verdict == "join"


def test_another_fault_soon_after_a_cure_is_another_incident_of_the_runbook_that_wants_it(
    store: Store, clock: Clock, say: Callable[..., Any]
) -> None:
    say()
    clock.advance(timedelta(minutes=1))
    _ends_well(store, 1)
    clock.advance(timedelta(minutes=11))
    assert (say(name="TrackingApiDown").verdict, inbox_rows(store)[-1].incident) == ("open", 2)
    with store.read() as tx:
        assert incidents.get(tx, 1).state is State.RESOLVED
        assert incidents.get(tx, 2).runbook == "tracking-api-down"
        assert runbook_versions.runbook_text(tx, incidents.get(tx, 2).runbook_version or "") == DOWN.text
    clock.advance(timedelta(minutes=1))
    _ends_well(store, 2)
    clock.advance(timedelta(minutes=1))
    assert (say().verdict, inbox_rows(store)[-1].incident) == ("reopen", 1), "what came back is the first of the two"


@pytest.mark.parametrize(("over", "verdict"), [(False, "open"), (True, "drop")])
def test_what_joined_and_another_runbook_wants_has_its_turn_when_the_playbook_has_ended(
    store: Store, clock: Clock, say: Callable[..., Any], over: bool, verdict: str
) -> None:
    say()
    clock.advance(timedelta(minutes=1))
    began = clock.now()
    joined = say(name="TrackingApiDown", began=began)
    assert (joined.verdict, joined.incident) == ("join", 1)
    assert "runbook tracking-api-down wants it" in joined.reason
    clock.advance(timedelta(minutes=1))
    _ends_well(store, 1)
    Intake(store, lambda: BOTH).work()
    assert [(row.verdict, row.state) for row in inbox_rows(store)[2:]] == [("hold", "held")]
    if over:
        say(name="TrackingApiDown", began=began, ended=clock.now(), status=Status.RESOLVED)
    clock.advance(timedelta(minutes=11))
    Intake(store, lambda: BOTH).work()
    assert inbox_rows(store)[2].verdict == verdict
    with store.read() as tx:
        assert [incident.runbook for incident in incidents.listed(tx)] == ["tracking-api-down"] * (not over) + [
            "tracking-api-memory"
        ]


def test_what_a_person_has_or_has_ended_gives_no_other_runbook_a_turn(
    store: Store, clock: Clock, say: Callable[..., Any]
) -> None:
    say()
    say(name="TrackingApiDown")
    with store.record() as tx:
        lifecycle.hand_over(tx, 1, Outcome(Ending.HANDED_OVER, "a test"), actor="run:run")
    clock.advance(timedelta(minutes=1))
    assert say(name="TrackingApiDown", replica="b").verdict == "join"
    with store.record() as tx:
        lifecycle.resolve(tx, 1, Outcome(Ending.HANDED_OVER, "mended"), actor="person:ada")
    assert Intake(store, lambda: BOTH).work() == 0
    assert say(name="TrackingApiDown", began=clock.now()).verdict == "open"


def test_things_that_nobody_lists_are_told_apart_by_what_they_are_not_by_who_measured_them(
    store: Store, say: Callable[..., Any]
) -> None:
    say(name="KubePodCrashLooping", severity=Severity.WARNING, namespace="sandbox", pod="demo-1", **KSM)
    with store.record() as tx:
        lifecycle.acknowledge(tx, 1, by="ada", reason="a test")
    assert say(name="KubeNodeNotReady", node="db-7", **KSM).incident == 2
    assert say(name="KubeDeploymentReplicasMismatch", namespace="checkout", deployment="payments", **KSM).incident == 3
    assert say(name="KubePodNotReady", namespace="sandbox", pod="demo-1", **KSM).incident == 1
    assert say(name="DatasourceNoData", rulename="Room temperature", grafana_folder="Office").incident == 4
    assert say(name="DatasourceNoData", rulename="Payments", grafana_folder="Checkout").incident == 5
    with store.read() as tx:
        assert incidents.get(tx, 2).target == 'unlisted:{env="prod", node="db-7"}'
        assert incidents.get(tx, 5).title == "Payments (DatasourceNoData)"


def test_an_alert_that_fires_for_very_many_objects_is_not_as_many_incidents(
    store: Store, clock: Clock, say: Callable[..., Any]
) -> None:
    alerts = [alert_about(f"queue-{n}", clock.now()) for n in range(3 * CROWD)]
    inbox.receive(store, alerts, source="alertmanager", sender="test")
    Intake(store, lambda: LIBRARY).work()
    with store.read() as tx:
        found = incidents.listed(tx, limit=100)
        assert len(found) == CROWD + 1
        assert found[0].target == "unlisted:QueueFull: many objects"
        assert len(incident_alerts.of(tx, found[0].number)) == 2 * CROWD
    with store.record() as tx:
        lifecycle.resolve(tx, 1, Outcome(Ending.HANDED_OVER, "mended"), actor="person:ada")
    clock.advance(timedelta(minutes=1))
    inbox.receive(store, alerts[-1:], source="alertmanager", sender="test")
    Intake(store, lambda: LIBRARY).work()
    assert inbox_rows(store)[-1].incident == found[0].number, "what is part of one stays there"


def alert_about(queue: str, at: datetime) -> Alert:
    labels = {"alertname": "QueueFull", "instance": "rabbit:9419", "queue": queue}
    known_by = fingerprint("alertmanager", labels)
    return Alert("alertmanager", "QueueFull", Severity.WARNING, Status.FIRING, at, known_by, labels)


def test_what_begins_again_later_is_another_incident(store: Store, clock: Clock, say: Callable[..., Any]) -> None:
    say()
    clock.advance(timedelta(minutes=1))
    _ends_well(store, 1)
    clock.advance(timedelta(minutes=30))
    assert (say().verdict, inbox_rows(store)[-1].incident) == ("open", 2)


def _in_maintenance(store: Store, **minutes: int) -> int:
    with store.record() as tx:
        about = {"service": "tracking-api", "target": None, "by": "ada", "reason": "a new disk"}
        return maintenance.add(tx, starts_at=tx.now, ends_at=tx.now + timedelta(**minutes), **about).id


def test_an_alert_in_a_maintenance_window_is_looked_at_when_that_ends(
    store: Store, clock: Clock, say: Callable[..., Any]
) -> None:
    _in_maintenance(store, minutes=30)
    assert [(held.state, held.verdict) for held in (say(), say(env="canary"))] == [("held", "hold")] * 2
    clock.advance(timedelta(minutes=29))
    Intake(store, lambda: LIBRARY).work()
    assert {row.state for row in inbox_rows(store)} == {"held"}
    clock.advance(timedelta(minutes=1))
    Intake(store, lambda: LIBRARY).work()
    assert [(row.verdict, row.incident) for row in inbox_rows(store)] == [("open", 1), ("join", 1)]


def test_what_is_over_before_the_window_ends_opens_nothing(store: Store, clock: Clock, say: Callable[..., Any]) -> None:
    began = clock.now()
    _in_maintenance(store, minutes=30)
    say(began=began)
    say(began=began, status=Status.RESOLVED)
    clock.advance(timedelta(minutes=30))
    Intake(store, lambda: LIBRARY).work()
    assert [row.verdict for row in inbox_rows(store)] == ["drop", "drop"]


def test_a_window_that_is_ended_early_keeps_no_alert_waiting(
    store: Store, clock: Clock, say: Callable[..., Any]
) -> None:
    number = _in_maintenance(store, minutes=30)
    say()
    clock.advance(timedelta(minutes=1))
    with store.record() as tx:
        maintenance.end(tx, number, by="ada", reason="done")
    Intake(store, lambda: LIBRARY).work()
    assert inbox_rows(store)[-1].verdict == "open"


def test_our_own_message_coming_back_starts_nothing(store: Store, say: Callable[..., Any]) -> None:
    assert say(**{MARK: store.uuid}).verdict == "drop"
    with store.read() as tx:
        assert incidents.listed(tx) == []


def test_a_fault_about_one_alert_goes_to_a_person_and_stops_no_other(
    store: Store, say: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    wants = Runbook.wants

    def faulty(self: Runbook, alert: Alert) -> bool:
        if alert.name == "Poison":
            raise RuntimeError("a bug")
        return wants(self, alert)

    monkeypatch.setattr(Runbook, "wants", faulty)
    assert say(name="Poison").verdict == "given up"
    assert say().verdict == "open"
    with store.read() as tx:
        assert "a bug" in tx.conn.execute(messages.select()).first().body


def test_a_row_that_cannot_be_read_goes_to_a_person_and_stops_no_other(store: Store, say: Callable[..., Any]) -> None:
    say()
    spoilt = inbox_rows(store)[0].alert | {"severity": "[secret]"}
    with store.write() as tx:
        tx.conn.execute(table.update().values(alert=spoilt, state="new"))
    assert say(env="dev").verdict == "open"
    assert inbox_rows(store)[0].verdict == "given up"


def test_a_secret_that_is_one_of_our_own_words_hides_no_severity(store: Store, say: Callable[..., Any]) -> None:
    remember("critical")
    try:
        assert say(note="critical").verdict == "open"
    finally:
        forget_all()
    assert inbox_rows(store)[0].alert["labels"]["note"] == "[secret]"
    assert inbox_rows(store)[0].alert["severity"] == "critical"
