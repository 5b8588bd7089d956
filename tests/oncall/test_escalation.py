"""Whom is told of a warning, of what became critical, and of what somebody took and did not end."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from databases import Clock
from incident_states import Paging, alert, asking, handed_over, on_call, ordered, unwritable
from mail_server import Postbox, text_of
from pydantic import SecretStr

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.incidents.incident import IllegalMove, Incident, State
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.paging import Pager
from paramedic.settings import Settings
from paramedic.store import Store, StoreUnavailable, attempts, deliveries, incidents, joining, lifecycle, messages
from paramedic.store import trail as stored_trail
from paramedic.store.runbook_versions import Plan

pytestmark = pytest.mark.real

PEOPLE = """\
people:
  ada: {name: Ada, email: ada@example.org}
  bob: {name: Bob, email: bob@example.org}
  cyd: {name: Cyd, email: cyd@example.org}
rotation: {zone: UTC, starts: 2026-01-05 09:00, every: 1 week, people: [ada]}
policies:
  default:
    critical: [{tell: oncall}, {tell: bob, after: 5m}, {tell: cyd, after: 5m}]
    warning: [{tell: oncall, after: 1m}, {tell: bob, after: 20m}]
    repeat: 30m
    acknowledged_for: 2h
"""

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
ADA, BOB, CYD = "ada@example.org", "bob@example.org", "cyd@example.org"


@pytest.fixture
def paging(timed: Store, tmp_path: Path, postbox: Postbox, clock: Clock) -> Paging:
    """A Pager of its own, as each process has."""
    settings = Settings(data=tmp_path, smtp_url=SecretStr(postbox.url), mail_from="paramedic@example.org")

    def make(oncall_yaml: str = PEOPLE) -> Pager:
        return Pager(timed, settings, on_call(oncall_yaml), steady=lambda: clock.now().timestamp())

    return make


def minutes_pass(clock: Clock, pager: Pager, count: int) -> None:
    """What a watchdog does, a minute a time."""
    for _ in range(count):
        clock.advance(MINUTE)
        pager.end_acknowledgements()
        pager.deliver_due()


def taken(store: Store, incident: Incident, by: str = "ada") -> None:
    with store.record() as tx:
        lifecycle.acknowledge(tx, incident.number, by=by, reason="by the link in a message")


def now(store: Store, incident: Incident) -> Incident:
    with store.read() as tx:
        return incidents.get(tx, incident.number)


def reasons(store: Store, what: str) -> list[str]:
    with store.read() as tx:
        return [entry.reason for entry in stored_trail.entries(tx) if entry.what == what]


def test_a_warning_climbs_its_own_rungs(timed: Store, paging: Paging, postbox: Postbox, clock: Clock) -> None:
    handed_over(timed, severity=Severity.WARNING)
    pager = paging()
    pager.deliver_due()
    assert postbox.recipients == []
    minutes_pass(clock, pager, 20)
    assert postbox.recipients == [ADA]
    minutes_pass(clock, pager, 1)
    assert postbox.recipients == [ADA, BOB]


def test_an_approval_is_asked_of_the_people_for_its_severity(timed: Store, paging: Paging, postbox: Postbox) -> None:
    asking(timed, severity=Severity.WARNING)
    postbox.says = {ADA: "550 nobody here", BOB: "550 nobody here"}
    assert paging().deliver_due() == 0
    assert postbox.recipients == [], "who climbs for what is critical was asked about a warning"


def test_what_is_critical_climbs_the_rungs_for_critical(
    timed: Store, paging: Paging, postbox: Postbox, clock: Clock
) -> None:
    handed_over(timed)
    pager = paging()
    pager.deliver_due()
    minutes_pass(clock, pager, 10)
    assert postbox.recipients == [ADA, BOB, CYD]


def test_a_warning_that_becomes_critical_begins_the_rungs_for_critical(
    timed: Store, paging: Paging, postbox: Postbox, clock: Clock
) -> None:
    incident = handed_over(timed, severity=Severity.WARNING)
    pager = paging()
    pager.deliver_due()
    minutes_pass(clock, pager, 1)
    for _ in range(3):  # said again and again, it begins once
        with timed.record() as tx:
            joining.join(tx, incident.number, alert(severity=Severity.CRITICAL), reason="it is worse")
    pager.deliver_due()
    minutes_pass(clock, pager, 5)
    assert postbox.recipients == [ADA, ADA, BOB]
    assert reasons(timed, "escalation.begun_anew") == ["it has become critical: the rungs for critical begin"]
    minutes_pass(clock, pager, 20)
    with timed.read() as tx:
        rungs = [(message.severity, message.step, message.state) for message in messages.of(tx, incident.number)]
    assert rungs[:3] == [("warning", 0, "sent"), ("warning", 1, "withdrawn"), ("critical", 0, "sent")]
    assert {severity for severity, _, _ in rungs[3:]} == {"critical"}


@pytest.mark.parametrize("looked_at", [False, True])
def test_a_warning_whose_first_step_waits_and_that_becomes_critical_is_paged_at_once(
    timed: Store, paging: Paging, postbox: Postbox, *, looked_at: bool
) -> None:
    incident = handed_over(timed, severity=Severity.WARNING)
    pager = paging()
    assert not looked_at or pager.deliver_due() == 0
    with timed.record() as tx:
        joining.join(tx, incident.number, alert(severity=Severity.CRITICAL), reason="it is worse")
    assert pager.deliver_due() == 1
    assert postbox.recipients == [ADA]
    assert postbox.subjects[0].startswith("[critical]")


def test_a_warning_that_becomes_critical_while_its_page_is_on_its_way_climbs_one_ladder(
    timed: Store, paging: Paging, postbox: Postbox, clock: Clock
) -> None:
    incident = handed_over(timed, severity=Severity.WARNING)
    pager = paging()
    pager.deliver_due()
    clock.advance(MINUTE)

    def worse() -> None:
        postbox.arriving = None
        with timed.record() as tx:
            joining.join(tx, incident.number, alert(severity=Severity.CRITICAL), reason="it is worse")

    postbox.arriving = worse
    pager.deliver_due()
    pager.deliver_due()  # its first step for critical goes out in either round: the first may be slow enough to see it
    minutes_pass(clock, pager, 5)
    assert postbox.recipients == [ADA, ADA, BOB]
    with timed.read() as tx:
        rungs = [(message.severity, message.step) for message in messages.of(tx, incident.number)]
    assert rungs == [("warning", 0), ("critical", 0), ("critical", 1), ("critical", 2)]


def test_a_warning_that_somebody_acknowledged_and_that_becomes_critical_is_escalated_and_its_holder_told(
    timed: Store, paging: Paging, postbox: Postbox, clock: Clock
) -> None:
    incident = handed_over(timed, severity=Severity.WARNING)
    taken(timed, incident, by="cyd")
    for _ in range(3):  # said again and again, it is told once
        with timed.record() as tx:
            joining.join(tx, incident.number, alert(severity=Severity.CRITICAL), reason="it is worse")
    assert now(timed, incident).state is State.HANDED_OVER
    pager = paging()
    pager.deliver_due()
    assert sorted(postbox.recipients) == [ADA, CYD]
    assert (
        f"[critical] tracking-api on web-1: TrackingApiMemory, critical now, escalated again ({incident.id})"
    ) in postbox.subjects
    minutes_pass(clock, pager, 5)
    assert postbox.recipients[2:] == [BOB]


def test_a_critical_that_somebody_acknowledged_stays_theirs(timed: Store) -> None:
    incident = handed_over(timed)
    taken(timed, incident)
    with timed.record() as tx:
        joining.join(tx, incident.number, alert(severity=Severity.CRITICAL), reason="again")
        assert deliveries.due(tx) == []
    assert now(timed, incident).state is State.ACKNOWLEDGED


@pytest.mark.parametrize(
    ("joins", "updates"),
    [
        ([alert("ShopDiskFull")], ["ShopDiskFull joined it (critical)"]),
        ([alert("ShopSlow", Severity.WARNING)], ["ShopSlow joined it (warning)"]),
        ([alert(mountpoint="/var")], ["TrackingApiMemory joined it (critical)"]),
        ([alert(mountpoint="/var"), alert(mountpoint="/")], ["TrackingApiMemory joined it (critical)"]),
        ([alert("ShopDiskFull")] * 9, ["ShopDiskFull joined it (critical)"]),
        ([alert("ShopDiskFull"), alert("ShopSlow")], ["ShopDiskFull joined it", "ShopSlow joined it"]),
        ([alert(), alert(replica="b"), alert(prometheus="monitoring/k8s")], []),
        ([replace(alert("ShopDiskFull"), status=Status.RESOLVED)], []),
        ([replace(alert(), status=Status.RESOLVED), alert()], []),
    ],
)
def test_what_joins_with_news_is_told_to_whoever_has_acknowledged(
    timed: Store, paging: Paging, postbox: Postbox, joins: list[Alert], updates: list[str]
) -> None:
    incident = handed_over(timed)
    taken(timed, incident, by="cyd")
    for joining_alert in joins:
        with timed.record() as tx:
            joining.join(tx, incident.number, joining_alert, reason="a test")
    paging().deliver_due()
    assert postbox.recipients == [CYD] * len(updates)
    for words, subject in zip(updates, postbox.subjects, strict=True):
        assert words in subject
    assert now(timed, incident).state is State.ACKNOWLEDGED


def test_what_joins_with_news_after_a_page_is_told_and_before_it_stands_in_it(
    timed: Store, paging: Paging, postbox: Postbox
) -> None:
    incident = handed_over(timed)
    with timed.record() as tx:
        joining.join(tx, incident.number, alert("ShopSlow"), reason="before any page")
    paging().deliver_due()
    with timed.record() as tx:
        joining.join(tx, incident.number, alert("ShopDiskFull", mountpoint="/var"), reason="after it")
    paging().deliver_due()
    assert postbox.recipients == [ADA, ADA]
    assert "ShopDiskFull joined it (critical)" in postbox.subjects[1]
    assert 'mountpoint="/var"' in text_of(postbox.letters[1])


def test_an_acknowledgement_covers_what_was_acknowledged(timed: Store, paging: Paging, postbox: Postbox) -> None:
    incident = handed_over(timed)
    taken(timed, incident, by="cyd")
    with timed.record() as tx:
        joining.join(tx, incident.number, alert(severity=Severity.WARNING), reason="it fell")
        joining.join(tx, incident.number, alert(), reason="it rose again")
    paging().deliver_due()
    assert (postbox.recipients, now(timed, incident).state) == ([CYD], State.ACKNOWLEDGED)
    assert "critical again, as when it was acknowledged" in postbox.subjects[0]


def test_a_critical_that_joins_an_acknowledged_warning_is_named_to_its_holder(
    timed: Store, paging: Paging, postbox: Postbox
) -> None:
    incident = handed_over(timed, severity=Severity.WARNING)
    taken(timed, incident, by="cyd")
    with timed.record() as tx:
        joining.join(tx, incident.number, alert("ShopDiskFull"), reason="another")
    paging().deliver_due()
    assert sorted(postbox.recipients) == [ADA, CYD]
    update = postbox.letters[postbox.recipients.index(CYD)]
    assert "ShopDiskFull (critical)" in text_of(update)
    taken(timed, incident, by="ada")
    with timed.record() as tx:
        joining.join(tx, incident.number, alert("ShopSlow"), reason="a third")
    assert now(timed, incident).state is State.ACKNOWLEDGED, "critical was acknowledged this time"


def test_the_page_has_the_checklist_of_each_runbook_that_wants_one_of_its_alerts(
    timed: Store, paging: Paging, postbox: Postbox
) -> None:
    incident = ordered(timed)
    with timed.record() as tx:
        other = Plan("shop-down", "b" * 64, "---\n---\n## Mitigation\nAsk the network team.\n", rungs=1)
        joining.join(tx, incident.number, alert("ShopDown"), reason="a test", plan=other)
        lifecycle.hand_over(tx, incident.number, Outcome(Ending.HANDED_OVER, "failed"), actor="run:run-1")
    paging().deliver_due()
    text = text_of(postbox.letters[0])
    assert "ShopDown joined it, which runbook shop-down wants. What that says:" in text
    assert "Ask the network team." in text


def test_an_acknowledgement_ends_and_who_gave_it_is_told_first(
    timed: Store, paging: Paging, postbox: Postbox, clock: Clock
) -> None:
    incident = handed_over(timed)
    pager = paging()
    pager.deliver_due()
    minutes_pass(clock, pager, 5)
    assert postbox.recipients == [ADA, BOB]
    taken(timed, incident, by="ada")
    minutes_pass(clock, pager, 119)
    assert (postbox.recipients, now(timed, incident).state) == ([ADA, BOB], State.ACKNOWLEDGED)
    minutes_pass(clock, pager, 1)
    assert (postbox.recipients, now(timed, incident).state) == ([ADA, BOB, ADA], State.HANDED_OVER)
    assert "nobody's any more; it was ada's since 09:35:00, for 2h" in text_of(postbox.letters[-1])
    minutes_pass(clock, pager, 5)
    assert postbox.recipients == [ADA, BOB, ADA, CYD], "the climbing goes on from where it was"
    assert reasons(timed, "acknowledgement.ended") == [
        "ada has had it for 2h, and it is not over: ada is told first, then the rungs climb on"
    ]
    taken(timed, incident, by="ada")
    minutes_pass(clock, pager, 120)
    assert postbox.recipients[4:] == [ADA], "once more taken, once more for its time"


def test_an_acknowledgement_before_any_page_ends_as_well(
    timed: Store, paging: Paging, postbox: Postbox, clock: Clock
) -> None:
    incident = handed_over(timed)
    taken(timed, incident, by="cyd")
    pager = paging()
    minutes_pass(clock, pager, 120)
    minutes_pass(clock, pager, 4)
    assert postbox.recipients == [CYD]
    minutes_pass(clock, pager, 1)
    assert postbox.recipients == [CYD, ADA], "the first rung has not been told yet"


@pytest.mark.parametrize("who", ["root", "dan"])  # nobody's name, and somebody without an address
def test_who_acknowledged_and_cannot_be_told_makes_the_rungs_climb_at_once(
    timed: Store, paging: Paging, postbox: Postbox, clock: Clock, who: str
) -> None:
    incident = handed_over(timed)
    pager = paging(PEOPLE.replace("rotation:", "  dan: {name: Dan}\nrotation:"))
    pager.deliver_due()
    minutes_pass(clock, pager, 10)
    taken(timed, incident, by=who)  # all three rungs were told: there is no higher one
    minutes_pass(clock, pager, 120)
    pager.deliver_due()
    assert postbox.recipients == [ADA, BOB, CYD, CYD]
    assert reasons(timed, "person.unreachable") == [f"{who} is nobody who can be told now"]


def test_an_acknowledger_whose_mailbox_waits_does_not_stop_the_climbing(
    timed: Store, paging: Paging, postbox: Postbox, clock: Clock
) -> None:
    incident = handed_over(timed)
    pager = paging()
    pager.deliver_due()
    minutes_pass(clock, pager, 10)
    taken(timed, incident)
    postbox.says[ADA] = "451 4.7.1 later"
    minutes_pass(clock, pager, 123)
    assert postbox.recipients == [ADA, BOB, CYD, CYD]


def test_only_time_ends_an_acknowledgement(timed: Store) -> None:
    incident = handed_over(timed)
    taken(timed, incident)
    with timed.record() as tx, pytest.raises(IllegalMove, match=f"{incident.id} is acknowledged: it is ada's"):
        lifecycle.hand_over(tx, incident.number, Outcome(Ending.HANDED_OVER, "a run says so"), actor="run:run-1")
    assert now(timed, incident).state is State.ACKNOWLEDGED


def test_automation_does_not_act_on_what_was_acknowledged_once(timed: Store, clock: Clock) -> None:
    incident = handed_over(timed)
    taken(timed, incident)
    clock.advance(2 * HOUR)
    with timed.record() as tx:
        assert lifecycle.end_acknowledgement(tx, incident.number, after=2 * HOUR)
        assert not lifecycle.end_acknowledgement(tx, incident.number, after=2 * HOUR), "once"
        assert not attempts.raise_attempt(tx, incident.number, after=1, rungs=1, reason="another try")
        assert attempts.begin_attempt(tx, incident.number, 1, flow_run="run-1") is not None
        assert len(deliveries.due(tx)) == 1


def test_what_is_over_is_over(timed: Store, paging: Paging, postbox: Postbox, clock: Clock) -> None:
    incident = handed_over(timed)
    taken(timed, incident)
    with timed.record() as tx:
        lifecycle.resolve(tx, incident.number, Outcome(Ending.HANDED_OVER, "done"), actor="person:ada")
    minutes_pass(clock, paging(), 600)
    assert postbox.recipients == []


def test_a_store_that_cannot_be_written_ends_no_acknowledgement_and_the_next_look_does(
    store_url: str, timed: Store, paging: Paging, clock: Clock
) -> None:
    incident = handed_over(timed)
    taken(timed, incident)
    clock.advance(3 * HOUR)
    with unwritable(store_url):
        timed.close()
        with pytest.raises(StoreUnavailable):
            paging().end_acknowledgements()
    timed.close()
    assert paging().end_acknowledgements() == 1
    assert paging().end_acknowledgements() == 0
