"""Every alert gets its decision, and the decision its consequence."""

import itertools
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from databases import Clock
from sqlalchemy import event

from paramedic.alerts.alert import Alert, Severity, Status, fingerprint
from paramedic.catalog import runbook_file
from paramedic.catalog.library import Library, read_folder
from paramedic.catalog.runbook import Runbook
from paramedic.incidents.incident import State
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.intake import routing
from paramedic.intake.intake import Intake, Wake
from paramedic.intake.routing import CROWD
from paramedic.intake.triage import MARK
from paramedic.store import (
    Store,
    attempts,
    fingerprints,
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

SHELF = read_folder(Path(__file__).parents[2] / "runbooks")

#: Another runbook, which works on the same target.
DOWN = runbook_file.parse(
    SHELF.runbooks["tracking-api-memory"]
    .text.replace("runbook: tracking-api-memory", "runbook: tracking-api-down")
    .replace('alert: TrackingApiMemory{env=~"prod|canary"}', "alert: TrackingApiDown")
    .replace("1. Restart it", "1. Ask the network team"),
    "tracking-api-down.md",
)
BOTH = replace(SHELF, runbooks={**SHELF.runbooks, DOWN.name: DOWN})
KSM = {"job": "kube-state-metrics", "service": "kube-state-metrics", "instance": "10.1.2.3:8080"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(store_url: str, clock: Clock) -> Store:
    return Store(store_url, now=clock.now)


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
        said = {"alertname": name, "env": "prod", "instance": "web-1:9100"} | labels
        at = began or clock.now()
        known_by = fingerprint("alertmanager", said)
        alert = Alert("alertmanager", name, severity, status, at, known_by, said, ends_at=ended)
        inbox.receive(store, [alert], source="alertmanager", sender="test")
        Intake(store, lambda: BOTH).work()
        return rows(store)[-1]

    return taken


def rows(store: Store) -> list[Any]:
    with store.read() as tx:
        return list(tx.conn.execute(table.select().order_by(table.c.position)))


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
            == SHELF.runbooks["tracking-api-memory"].text
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
        assert [one.kind for one in tx.conn.execute(messages.select())] == ["rung"]


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
    Intake(store, lambda: SHELF).work()
    assert rows(store)[-1].state == "held"
    clock.advance(timedelta(minutes=11))
    Intake(store, lambda: SHELF).work()
    assert (rows(store)[-1].verdict, rows(store)[-1].incident) == ("open", 2)


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
    Intake(store, lambda: SHELF).work()
    assert [row.verdict for row in rows(store)] == ["open", "drop", "drop"]


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
    assert (say(name="TrackingApiDown").verdict, rows(store)[-1].incident) == ("open", 2)
    with store.read() as tx:
        assert incidents.get(tx, 1).state is State.RESOLVED
        assert incidents.get(tx, 2).runbook == "tracking-api-down"
        assert runbook_versions.runbook_text(tx, incidents.get(tx, 2).runbook_version or "") == DOWN.text
    clock.advance(timedelta(minutes=1))
    _ends_well(store, 2)
    clock.advance(timedelta(minutes=1))
    assert (say().verdict, rows(store)[-1].incident) == ("reopen", 1), "what came back is the first of the two"


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
    assert [(row.verdict, row.state) for row in rows(store)[2:]] == [("hold", "held")]
    if over:
        say(name="TrackingApiDown", began=began, ended=clock.now(), status=Status.RESOLVED)
    clock.advance(timedelta(minutes=11))
    Intake(store, lambda: BOTH).work()
    assert rows(store)[2].verdict == verdict
    with store.read() as tx:
        assert [one.runbook for one in incidents.listed(tx)] == ["tracking-api-down"] * (not over) + [
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
    said = [alert_about(f"queue-{n}", clock.now()) for n in range(3 * CROWD)]
    inbox.receive(store, said, source="alertmanager", sender="test")
    Intake(store, lambda: SHELF).work()
    with store.read() as tx:
        found = incidents.listed(tx, limit=100)
        assert len(found) == CROWD + 1
        assert found[0].target == "unlisted:QueueFull: many objects"
        assert len(incident_alerts.of(tx, found[0].number)) == 2 * CROWD
    with store.record() as tx:
        lifecycle.resolve(tx, 1, Outcome(Ending.HANDED_OVER, "mended"), actor="person:ada")
    clock.advance(timedelta(minutes=1))
    inbox.receive(store, said[-1:], source="alertmanager", sender="test")
    Intake(store, lambda: SHELF).work()
    assert rows(store)[-1].incident == found[0].number, "what is part of one stays there"


def alert_about(queue: str, at: datetime) -> Alert:
    said = {"alertname": "QueueFull", "instance": "rabbit:9419", "queue": queue}
    known_by = fingerprint("alertmanager", said)
    return Alert("alertmanager", "QueueFull", Severity.WARNING, Status.FIRING, at, known_by, said)


def test_what_begins_again_later_is_another_incident(store: Store, clock: Clock, say: Callable[..., Any]) -> None:
    say()
    clock.advance(timedelta(minutes=1))
    _ends_well(store, 1)
    clock.advance(timedelta(minutes=30))
    assert (say().verdict, rows(store)[-1].incident) == ("open", 2)


def _in_maintenance(store: Store, **minutes: int) -> int:
    with store.record() as tx:
        return maintenance.add(
            tx,
            service="tracking-api",
            target=None,
            starts_at=tx.now,
            ends_at=tx.now + timedelta(**minutes),
            by="ada",
            reason="a new disk",
        ).id


def test_an_alert_in_a_maintenance_window_is_looked_at_when_that_ends(
    store: Store, clock: Clock, say: Callable[..., Any]
) -> None:
    _in_maintenance(store, minutes=30)
    assert [(held.state, held.verdict) for held in (say(), say(env="canary"))] == [("held", "hold")] * 2
    clock.advance(timedelta(minutes=29))
    Intake(store, lambda: SHELF).work()
    assert {row.state for row in rows(store)} == {"held"}
    clock.advance(timedelta(minutes=1))
    Intake(store, lambda: SHELF).work()
    assert [(row.verdict, row.incident) for row in rows(store)] == [("open", 1), ("join", 1)]


def test_what_is_over_before_the_window_ends_opens_nothing(store: Store, clock: Clock, say: Callable[..., Any]) -> None:
    began = clock.now()
    _in_maintenance(store, minutes=30)
    say(began=began)
    say(began=began, status=Status.RESOLVED)
    clock.advance(timedelta(minutes=30))
    Intake(store, lambda: SHELF).work()
    assert [row.verdict for row in rows(store)] == ["drop", "drop"]


def test_a_window_that_is_ended_early_keeps_no_alert_waiting(
    store: Store, clock: Clock, say: Callable[..., Any]
) -> None:
    number = _in_maintenance(store, minutes=30)
    say()
    clock.advance(timedelta(minutes=1))
    with store.record() as tx:
        maintenance.end(tx, number, by="ada", reason="done")
    Intake(store, lambda: SHELF).work()
    assert rows(store)[-1].verdict == "open"


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
    spoilt = rows(store)[0].alert | {"severity": "[secret]"}
    with store.write() as tx:
        tx.conn.execute(table.update().values(alert=spoilt, state="new"))
    assert say(env="dev").verdict == "open"
    assert rows(store)[0].verdict == "given up"


def test_a_secret_that_is_one_of_our_own_words_hides_no_severity(store: Store, say: Callable[..., Any]) -> None:
    remember("critical")
    try:
        assert say(note="critical").verdict == "open"
    finally:
        forget_all()
    assert rows(store)[0].alert["labels"]["note"] == "[secret]"
    assert rows(store)[0].alert["severity"] == "critical"


def test_it_stops_when_told(store: Store) -> None:
    stop, wake = threading.Event(), Wake()
    thread = threading.Thread(target=Intake(store, lambda: SHELF).run, args=(stop, wake))
    thread.start()
    stop.set()
    wake.set()
    thread.join(10)
    assert not thread.is_alive()


# --- many at once ---------------------------------------------------------------------------------------------------


def _took_in(store: Store, *said: tuple[str, Severity], **labels: str) -> None:
    """So many alerts, each of a target of its own."""
    began = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
    alerts = []
    for name, severity in said:
        given = {"alertname": name, "instance": name} | labels
        alerts.append(
            Alert("alertmanager", name, severity, Status.FIRING, began, fingerprint("alertmanager", given), given)
        )
    inbox.receive(store, alerts, source="alertmanager", sender="test")


def test_a_critical_alert_is_decided_before_five_thousand_warnings_and_its_decision_waits_for_none_of_them(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    _took_in(store, *((f"W{number}", Severity.WARNING) for number in range(3000)))
    _took_in(store, ("Critical", Severity.CRITICAL))
    _took_in(store, *((f"V{number}", Severity.WARNING) for number in range(2021)))
    rang: list[int] = []
    intake = Intake(store, lambda: SHELF, decided=lambda: rang.append(len(_decisions(store))))
    assert intake.decide_some() == 1
    assert _decisions(store) == ["Critical"]
    assert rang == [1], "dispatch hears of it before the next decision"
    _took_in(store, ("Critical too", Severity.CRITICAL))
    assert intake.decide_some() == 1
    monkeypatch.setattr("paramedic.intake.intake._LONGEST_SECONDS", 0)
    assert intake.decide_some() == 1
    assert _decisions(store) == ["Critical", "Critical too", "W0"]


class _Waits(Wake):
    """Notes what triage waits for, and waits for nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def wait(self, seconds: float) -> None:
        self.said.append(f"any, {seconds:.2f} s")

    def wait_critical(self, seconds: float) -> bool:
        self.said.append(f"critical, {seconds:.2f} s")
        return False


def test_while_alerts_come_in_triage_leaves_the_store_to_their_senders(store: Store) -> None:
    """As a script: two batches while alerts come in, one after they stopped, then nothing waits."""
    stop, wake = threading.Event(), _Waits()
    came = iter([True, True, False])

    class Scripted(Intake):
        def decide_some(self) -> int:
            try:
                if next(came):
                    wake.set()
            except StopIteration:
                stop.set()
                return 0
            return 1

    Scripted(store, lambda: SHELF).run(stop, wake)
    assert wake.said == ["critical, 0.40 s", "critical, 0.40 s", "any, 1.00 s"]


def test_only_a_critical_alert_ends_that_pause() -> None:
    wake = Wake()
    wake.set()
    assert not wake.wait_critical(0)
    wake.set(critical=True)
    assert wake.wait_critical(60)
    assert not wake.wait_critical(0), "once"
    assert wake.cleared()
    assert not wake.cleared()


def _decisions(store: Store) -> list[str]:
    """What was decided, in its order."""
    with store.read() as tx:
        rows = tx.conn.execute(table.select().where(table.c.state == "triaged").order_by(table.c.incident))
        return [row.alert["name"] for row in rows]


def test_many_decisions_are_one_transaction(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paramedic.intake.intake._LONGEST_SECONDS", 60)
    _took_in(store, *((f"W{number}", Severity.WARNING) for number in range(100)))
    written: list[int] = []
    event.listen(
        store.engine, "commit", lambda conn: conn.get_execution_options().get("paramedic_writes") and written.append(1)
    )
    Intake(store, lambda: SHELF).work()
    assert len(_decisions(store)) == 100
    assert sum(written) == 1


def test_one_that_cannot_be_decided_costs_none_of_its_batch_its_decision(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    _took_in(store, ("Before", Severity.WARNING), ("Poison", Severity.WARNING), ("After", Severity.WARNING))
    place = routing.place

    def poisoned(alert: Alert, library: Library) -> routing.Place:
        if alert.name == "Poison":
            raise RuntimeError("a bug")
        return place(alert, library)

    monkeypatch.setattr(routing, "place", poisoned)
    Intake(store, lambda: SHELF).work()
    assert [(row.alert["name"], row.verdict) for row in rows(store)] == [
        ("Before", "open"),
        ("Poison", "given up"),
        ("After", "open"),
    ]
    with store.read() as tx:
        assert len(incidents.listed(tx)) == 2
        assert [one.kind for one in tx.conn.execute(messages.select())].count("trouble") == 1


def test_what_a_batch_had_not_committed_is_decided_afterwards_and_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a kill leaves it: the connection goes away with the transaction open."""
    _took_in(store, *((f"W{number}", Severity.WARNING) for number in range(20)))
    monkeypatch.setattr("paramedic.intake.intake._LONGEST_SECONDS", 60)
    decided = inbox.decided

    def dies(*given: Any, **named: Any) -> None:
        if given[1].alert.name == "W10":
            raise KeyboardInterrupt  # nothing of ours catches it
        decided(*given, **named)

    with monkeypatch.context() as patched:
        patched.setattr(inbox, "decided", dies)
        with pytest.raises(KeyboardInterrupt):
            Intake(store, lambda: SHELF).decide_some()
    assert _decisions(store) == []
    Intake(store, lambda: SHELF).work()
    assert _decisions(store) == [f"W{number}" for number in range(20)]
    with store.read() as tx:
        assert len(incidents.listed(tx, limit=100)) == 20


@pytest.mark.parametrize("severities", list(itertools.product(Severity, repeat=3)))
def test_whatever_severities_one_alert_went_through_it_ends_as_its_last_word_says(
    store: Store, clock: Clock, severities: tuple[Severity, ...]
) -> None:
    """A check's alert changes its severity under one fingerprint; the worst first must not leave it firing for ever."""
    began = clock.now() - timedelta(minutes=5)
    labels = {"alertname": "TrackingApiMemory", "env": "prod", "instance": "web-1:9100"}
    statuses = (Status.FIRING, Status.FIRING, Status.RESOLVED)
    alerts = [
        Alert("checks", "TrackingApiMemory", severity, status, began, "f", labels)
        for severity, status in zip(severities, statuses, strict=True)
    ]
    inbox.receive(store, alerts, source="checks", sender="checks")
    Intake(store, lambda: SHELF).work()
    with store.read() as tx:
        assert [one["status"] for number in incidents.listed(tx) for one in incident_alerts.of(tx, number.number)] in (
            [],
            ["resolved"],
        )
        said = fingerprints.last_word(tx, "f")
        assert said is not None
        assert said.status is Status.RESOLVED
