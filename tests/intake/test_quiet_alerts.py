"""Silenced and inhibited alerts are held with their reason, and decided anew when that is over: none is lost."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from databases import Clock
from sqlalchemy import select
from store_states import inbox_rows, recorded

from paramedic.alerts.alert import Alert, Severity, Status, fingerprint
from paramedic.alerts.silence import Silence
from paramedic.catalog.library import Library, read_folder
from paramedic.catalog.services import parse_services
from paramedic.intake.dry_run import rehearse
from paramedic.intake.intake import Intake
from paramedic.store import Store, inbox, incident_alerts, incidents, silences
from paramedic.store.silences import IDLE, NoSuchSilence, report_idle
from paramedic.store.table_facts import Restoration, declared
from paramedic.store.tables import messages, silence_kinds
from paramedic.store.tables import silences as silence_rows

SHIPPED = read_folder(Path(__file__).parents[2] / "runbooks")
SERVICES = (Path(__file__).parents[2] / "runbooks" / "services.yaml").read_text()
INHIBIT = """
inhibit:
  - source_matchers: ['alertname="HostDown"']
    target_matchers: ['severity="warning"']
    equal: [instance]
  - source_matchers: ['team="net"']
    target_matchers: ['alertname=~"Link.*"']
"""
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def library(more: str = "") -> Library:
    return replace(SHIPPED, services=parse_services(SERVICES + more, "services.yaml"))


class Sender:
    """Says alerts, and has them decided."""

    def __init__(self, store: Store, clock: Clock, used: Library) -> None:
        self.store, self.clock, self.used = store, clock, used

    def decide(self) -> None:
        Intake(self.store, lambda: self.used).work()

    def say(
        self,
        name: str,
        *,
        status: Status = Status.FIRING,
        severity: Severity = Severity.CRITICAL,
        began: datetime | None = None,
        **labels: str,
    ) -> Any:
        self.send([self.alert(name, status=status, severity=severity, began=began, **labels)])
        return inbox_rows(self.store)[-1]

    def alert(
        self,
        name: str,
        *,
        status: Status = Status.FIRING,
        severity: Severity = Severity.CRITICAL,
        began: datetime | None = None,
        **labels: str,
    ) -> Alert:
        identity = {"alertname": name} | labels
        at, ended = began or self.clock.now(), self.clock.now() if status is Status.RESOLVED else None
        known_by = fingerprint("alertmanager", identity)
        return Alert(
            "alertmanager", name, severity, status, at, known_by, identity | {"severity": severity}, ends_at=ended
        )

    def send(self, alerts: Sequence[Alert]) -> None:
        inbox.receive(self.store, alerts, source="alertmanager", sender="test")
        self.decide()


@pytest.fixture
def sender(store: Store, clock: Clock) -> Sender:
    return Sender(store, clock, library())


@pytest.fixture
def inhibited(store: Store, clock: Clock) -> Sender:
    return Sender(store, clock, library(INHIBIT))


@pytest.fixture
def silence(store: Store) -> Callable[..., Silence]:
    def begun(*matchers: str, lasts: timedelta = HOUR) -> Silence:
        with store.record() as tx:
            return silences.add(tx, matchers=matchers, ends_at=tx.now + lasts, author="ada", reason="we know")

    return begun


def _open(store: Store) -> list[str]:
    with store.read() as tx:
        return [incident.title for incident in incidents.listed(tx)]


def _told(store: Store) -> list[Any]:
    with store.read() as tx:
        return list(tx.conn.execute(select(messages.c.subject, messages.c.body).where(messages.c.kind == "trouble")))


# --- silences ---------------------------------------------------------------------------------------------------------


def test_a_silenced_alert_is_held_with_who_silenced_it_and_why_and_opens_nothing(
    store: Store, sender: Sender, silence: Callable[..., Silence]
) -> None:
    made = silence('service="shop"')
    held = sender.say("Down", service="shop")
    assert (held.state, held.verdict, held.look_again_at) == ("held", "hold", made.ends_at)
    assert held.reason.startswith("silence 1 holds it until 2026-01-31T")
    assert held.reason.endswith("by ada: we know")
    assert _open(store) == []
    assert sender.say("Down", service="mail").verdict == "open"
    with store.read() as tx:
        assert silences.held_by(tx, made) == 1


def test_what_still_fires_when_the_silence_ends_is_handled_then(
    store: Store, clock: Clock, sender: Sender, silence: Callable[..., Silence]
) -> None:
    silence('service="shop"')
    sender.say("Down", service="shop")
    clock.advance(HOUR - MINUTE)
    sender.decide()
    assert _open(store) == []
    clock.advance(MINUTE)
    sender.decide()
    assert _open(store) == ["Down"]


def test_what_a_silence_held_is_handled_as_soon_as_it_is_ended(
    store: Store, sender: Sender, silence: Callable[..., Silence]
) -> None:
    """prometheus/alertmanager#2896: there it waits for the next repetition."""
    silence('service="shop"')
    silence('service="mail"')
    sender.say("Down", service="shop")
    sender.say("Down", service="mail", instance="m-1")
    with store.record() as tx:
        silences.expire(tx, 1, by="ben", reason="done")
    sender.decide()
    assert _open(store) == ["Down"]
    assert [row.state for row in inbox_rows(store)] == ["triaged", "held"]
    assert [what for what in recorded(store) if what.startswith("silence")] == [
        "silence.added",
        "silence.added",
        "silence.expired",
    ]


def test_what_ended_while_it_was_silenced_opens_nothing_afterwards(
    store: Store, clock: Clock, sender: Sender, silence: Callable[..., Silence]
) -> None:
    """prometheus/alertmanager#226, #2805: the end of an alert is never silenced."""
    silence('service="shop"')
    began = clock.now()
    sender.say("Down", service="shop", began=began)
    clock.advance(MINUTE)
    assert sender.say("Down", service="shop", status=Status.RESOLVED, began=began).verdict == "drop"
    clock.advance(HOUR)
    sender.decide()
    assert _open(store) == []
    assert {row.state for row in inbox_rows(store)} == {"triaged"}


def test_the_end_of_an_alert_is_noted_on_its_incident_though_it_is_silenced_by_now(
    store: Store, clock: Clock, sender: Sender, silence: Callable[..., Silence]
) -> None:
    began = clock.now()
    sender.say("Down", service="shop", began=began)
    silence('service="shop"')
    assert sender.say("Down", service="shop", began=began).verdict == "hold"
    clock.advance(MINUTE)
    assert sender.say("Down", service="shop", status=Status.RESOLVED, began=began).verdict == "mark_resolved"
    with store.read() as tx:
        assert [row["status"] for row in incident_alerts.of(tx, 1)] == ["resolved"]


def test_of_two_silences_the_one_that_ends_last_holds_it(
    clock: Clock, store: Store, sender: Sender, silence: Callable[..., Silence]
) -> None:
    silence('service="shop"', lasts=2 * HOUR)
    silence('alertname="Down"')
    assert sender.say("Down", service="shop").reason.startswith("silence 1")
    with store.record() as tx:
        silences.expire(tx, 1, by="ben", reason="done")
    sender.decide()
    assert inbox_rows(store)[-1].reason.startswith("silence 2")
    clock.advance(HOUR)
    sender.decide()
    assert _open(store) == ["Down"]


def test_a_restore_ends_every_silence_and_nothing_that_was_ended_since_hides_again(
    store: Store, sender: Sender, silence: Callable[..., Silence]
) -> None:
    """prometheus/alertmanager#3457: an expired silence came back, and hid alerts."""
    silence('service="shop"')
    sender.say("Down", service="shop")
    facts = next(facts for facts in declared() if facts.table is silence_rows)
    assert callable(facts.restore)
    with store.record() as tx:
        facts.restore(tx, Restoration(2, "restored from a backup"))
    sender.decide()
    assert _open(store) == ["Down"]


def test_an_end_that_nobody_made_is_said(store: Store) -> None:
    with pytest.raises(NoSuchSilence, match="there is no silence 7"), store.record() as tx:
        silences.expire(tx, 7, by="ada", reason="r")


# --- what a silence hides ---------------------------------------------------------------------------------------------


def test_a_silence_that_hides_something_worse_or_of_another_name_is_reported_once_an_hour(
    store: Store, clock: Clock, sender: Sender, silence: Callable[..., Silence]
) -> None:
    silence('service="shop"', lasts=5 * HOUR)
    sender.say("Slow", severity=Severity.WARNING, service="shop")
    sender.say("Slow", severity=Severity.WARNING, service="shop", instance="web-2")
    assert _told(store) == [], "the first kind is what it is for"
    sender.say("Slow", severity=Severity.CRITICAL, service="shop")
    [told] = _told(store)
    assert told.subject == "Silence 1 hides a failure that it did not hide before"
    assert told.body.startswith("Slow (critical); before it hid Slow (warning).")
    assert "paramedic silence expire 1" in told.body
    assert recorded(store)[-1] == "silence.hides_more"
    sender.say("Slow", severity=Severity.WARNING, service="shop")
    sender.say("DiskFull", service="shop")
    assert len(_told(store)) == 2, "the next one is due in an hour"


def test_what_fires_when_the_silence_begins_is_what_it_is_for(
    store: Store, sender: Sender, silence: Callable[..., Silence]
) -> None:
    sender.say("Slow", severity=Severity.WARNING, service="shop")
    silence('service="shop"')
    sender.say("Down", service="shop", instance="web-2")
    [told] = _told(store)
    assert told.body.startswith("Down (critical); before it hid Slow (warning).")


def test_a_silence_that_matches_nothing_for_days_is_reported_once(
    store: Store, clock: Clock, sender: Sender, silence: Callable[..., Silence]
) -> None:
    """prometheus/alertmanager#5459."""
    silence('service="shp"', lasts=20 * 24 * HOUR)
    silence('service="shop"', lasts=20 * 24 * HOUR)
    clock.advance(IDLE - HOUR)
    sender.say("Down", service="shop")
    clock.advance(HOUR)
    with store.record() as tx:
        assert report_idle(tx) == 1
        assert report_idle(tx) == 0
    [told] = _told(store)
    assert 'service="shp"' in told.body
    assert 'service="shop"' not in told.body
    clock.advance(IDLE)
    with store.record() as tx:
        assert report_idle(tx) == 1, "the other one, by now"


def test_old_silences_go_with_what_they_hid(
    store: Store, clock: Clock, sender: Sender, silence: Callable[..., Silence]
) -> None:
    from paramedic.store.retention import remove_old
    from paramedic.store.table_facts import Cutoffs

    silence('service="shop"')
    sender.say("Down", service="shop")
    silence('service="mail"', lasts=24 * 60 * HOUR)
    clock.advance(24 * 30 * HOUR)
    with store.record() as tx:
        while remove_old(tx, Cutoffs(received=tx.now - HOUR, ended=tx.now - HOUR), at_most=50):
            pass
        assert [found.id for found in silences.listed(tx, past=True)] == [2]
        assert tx.conn.execute(select(silence_kinds)).all() == []


def test_a_dry_run_says_what_holds_it(store: Store, inhibited: Sender, silence: Callable[..., Silence]) -> None:
    wanted = inhibited.alert("TrackingApiMemory", severity=Severity.WARNING, env="prod", instance="web-1:9100")
    runbook = inhibited.used.runbooks["tracking-api-memory"]
    assert not any("it would be held" in line for line in rehearse(wanted, runbook, inhibited.used, store).lines)
    inhibited.say("HostDown", instance="web-1:9100")
    said = rehearse(wanted, runbook, inhibited.used, store)
    assert (said.acts, "it would be held: HostDown fires and inhibits it" in said.lines[-1]) == (False, True)
    silence("TrackingApiMemory")
    assert "it would be held: silence 1 holds it until" in rehearse(wanted, runbook, inhibited.used, store).lines[-1]


# --- inhibition -------------------------------------------------------------------------------------------------------


def test_a_target_is_held_while_its_source_fires_and_decided_when_that_has_ended(
    store: Store, clock: Clock, inhibited: Sender
) -> None:
    began = clock.now()
    inhibited.say("HostDown", instance="web-1", began=began)
    held = inhibited.say("Slow", severity=Severity.WARNING, instance="web-1", service="shop")
    assert (held.state, held.verdict) == ("held", "hold")
    assert held.reason.startswith('HostDown fires and inhibits it, by the rule: alertname="HostDown" inhibits')
    assert _open(store) == ["HostDown"]
    clock.advance(MINUTE)
    inhibited.say("HostDown", instance="web-1", began=began, status=Status.RESOLVED)
    assert "Slow" in _open(store)


def test_what_differs_in_a_label_that_must_be_equal_or_matches_no_target_is_not_inhibited(inhibited: Sender) -> None:
    inhibited.say("HostDown", instance="web-1")
    assert inhibited.say("Slow", severity=Severity.WARNING, instance="web-2").verdict == "open"
    assert inhibited.say("Worse", severity=Severity.CRITICAL, instance="web-1", device="sda").verdict == "open"


def test_where_both_lack_a_label_that_must_be_equal_it_is_equal(inhibited: Sender) -> None:
    """prometheus/alertmanager#507, #1727."""
    inhibited.say("HostDown", cluster="a")
    assert inhibited.say("Slow", severity=Severity.WARNING, cluster="b").verdict == "hold"


def test_an_alert_on_both_sides_of_a_rule_inhibits_neither_itself_nor_another_such_one(inhibited: Sender) -> None:
    """prometheus/alertmanager#666."""
    assert inhibited.say("LinkDown", team="net", device="a").verdict == "open"
    assert inhibited.say("LinkDown", team="net", device="a").verdict == "join"
    assert inhibited.say("LinkFlaps", team="net", device="b").verdict == "open"
    assert inhibited.say("LinkSlow", device="c").verdict == "hold", "it is on one side alone"


def test_a_source_that_is_itself_silenced_inhibits_all_the_same(
    inhibited: Sender, silence: Callable[..., Silence]
) -> None:
    silence('alertname="HostDown"')
    assert inhibited.say("HostDown", instance="web-1").verdict == "hold"
    assert inhibited.say("Slow", severity=Severity.WARNING, instance="web-1").verdict == "hold"


def test_in_one_delivery_the_source_is_decided_before_a_target_that_is_less_severe(
    store: Store, inhibited: Sender
) -> None:
    """prometheus/alertmanager#2229: a target that came before its source was not inhibited."""
    target = inhibited.alert("Slow", severity=Severity.WARNING, instance="web-1")
    inhibited.send([target, inhibited.alert("HostDown", instance="web-1")])
    assert _open(store) == ["HostDown"]


def test_a_source_of_which_nobody_has_heard_for_a_day_inhibits_nothing(
    store: Store, clock: Clock, inhibited: Sender
) -> None:
    """Its sender may be gone, and never say that it is over: keephq/keep#5257, suppressed for ever."""
    inhibited.say("HostDown", instance="web-1")
    inhibited.say("Slow", severity=Severity.WARNING, instance="web-1", service="shop")
    clock.advance(23 * HOUR)
    inhibited.decide()
    assert _open(store) == ["HostDown"]
    clock.advance(HOUR)
    inhibited.decide()
    assert "Slow" in _open(store)


def test_a_rule_that_is_taken_out_holds_nothing_any_more(store: Store, clock: Clock, inhibited: Sender) -> None:
    inhibited.say("HostDown", instance="web-1")
    inhibited.say("Slow", severity=Severity.WARNING, instance="web-1", service="shop")
    inhibited.used = library()
    clock.advance(5 * MINUTE)
    inhibited.decide()
    assert "Slow" in _open(store)


def test_what_has_an_incident_already_joins_it_though_it_is_inhibited(inhibited: Sender) -> None:
    inhibited.say("Slow", severity=Severity.WARNING, instance="web-1", service="shop")
    inhibited.say("HostDown", instance="web-1")
    assert inhibited.say("Slow", severity=Severity.WARNING, instance="web-1").verdict == "join"
