"""Each message says whether it is well at the moment when it leaves; and who holds an incident hears when that turns."""

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from databases import Clock
from incident_states import Paging, alert, asking, handed_over
from mail_server import Postbox, text_of
from message_cases import happened
from webhook_receiver import Hooks

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.incidents.incident import Incident
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.store import Store, joining, lifecycle, messages

pytestmark = pytest.mark.real

ADA, BOB = "ada@example.org", "bob@example.org"


def receive(store: Store, incident: Incident, status: Status, clock: Clock, **labels: str) -> None:
    received: Alert = alert(**labels)
    moment = clock.now() - timedelta(seconds=5)
    if status is Status.RESOLVED:
        received = dataclasses.replace(received, status=status, ends_at=moment)
    else:
        received = dataclasses.replace(received, starts_at=moment)
    with store.record() as tx:
        joining.join(tx, incident.number, received, reason="the sender says so")


def updates(postbox: Postbox) -> list[tuple[str, str]]:
    return [
        (str(letter["To"]), happened(str(letter["Subject"])))
        for letter in postbox.letters
        if letter["X-Paramedic-Kind"] == "update"
    ]


def test_a_page_says_that_its_alert_still_fires(timed: Store, paging: Paging, postbox: Postbox) -> None:
    handed_over(timed)
    paging().deliver_due()
    text = text_of(postbox.letters[0])
    assert "Now:     its alert fires, last said at 09:30:00" in text
    assert "What to do:\n" in text


def test_a_page_whose_alert_has_ended_says_so_and_speaks_of_no_present(
    timed: Store, paging: Paging, postbox: Postbox, clock: Clock
) -> None:
    incident = handed_over(timed)
    clock.advance(timedelta(minutes=2))
    receive(timed, incident, Status.RESOLVED, clock)
    clock.advance(timedelta(minutes=1))
    assert paging().deliver_due() == 1, "it is told all the same: no word of the sender's is a verification"
    [page] = postbox.letters
    assert page["Subject"] == (
        f"[critical] tracking-api on web-1: TrackingApiMemory, handed over, its alert has ended ({incident.id})"
    )
    text = text_of(page)
    assert "Now:     its alert has ended, at 09:31:55, by its sender's word" in text
    assert "What to do, if it is not well:\n" in text


def test_of_several_alerts_one_that_fires_is_enough(
    timed: Store, paging: Paging, postbox: Postbox, clock: Clock
) -> None:
    incident = handed_over(timed)
    receive(timed, incident, Status.FIRING, clock, pod="b")
    receive(timed, incident, Status.RESOLVED, clock)
    paging().deliver_due()
    text = text_of(postbox.letters[0])
    assert "1 of 2 alerts fire" in text
    assert "has ended" not in text


def notice(tx: Any, incident: Incident) -> None:
    messages.queue_channel_update(
        tx, incident=incident.number, policy="default", channel=f"email:{BOB}", happened="opened"
    )


def approval(tx: Any, incident: Incident) -> None:
    messages.queue_approval(tx, incident=incident.number, policy="default", severity=Severity.CRITICAL)


def news(tx: Any, incident: Incident) -> None:
    messages.queue_resolution(tx, incident=incident.number, policy="default")


def update(tx: Any, incident: Incident) -> None:
    more = {"subject": "ShopDown joined it", "body": "", "recipient": "ada"}
    messages.queue_update(tx, incident=incident.number, policy="default", severity=Severity.CRITICAL, **more)


@pytest.mark.parametrize("queue", [notice, approval, news, update])
@pytest.mark.parametrize("ended", [True, False])
def test_whatever_the_message_is_it_says_whether_it_is_well_when_it_leaves(
    timed: Store, paging: Paging, postbox: Postbox, clock: Clock, queue: Any, *, ended: bool
) -> None:
    incident, _ = asking(timed)
    with timed.record() as tx:
        messages.withdraw(tx, incident.number, kind="approval")
        queue(tx, incident)
    clock.advance(timedelta(minutes=1))
    receive(timed, incident, Status.RESOLVED if ended else Status.FIRING, clock)
    assert paging().deliver_due() == 1
    text = text_of(postbox.letters[0])
    assert ("its alert has ended, at" in text) is ended
    assert ("its alert fires" in text) is not ended


def test_a_digest_says_it_of_each(timed: Store, paging: Paging, postbox: Postbox, clock: Clock) -> None:
    several = [handed_over(timed, target=f"web-{number}/api") for number in range(9)]
    receive(timed, several[-1], Status.RESOLVED, clock)
    assert paging().deliver_due() == 9
    lines = [line for line in text_of(postbox.letters[-1]).split("\n") if line.startswith("INC-")]
    assert ["has ended" in line for line in lines] == [line.startswith(f"{several[-1].id} ") for line in lines]
    assert sum("its alert fires" in line for line in lines) == 4


def test_who_acknowledged_hears_once_that_it_ended_and_that_it_fires_again(
    timed: Store, paging: Paging, postbox: Postbox, clock: Clock
) -> None:
    incident = handed_over(timed)
    receive(timed, incident, Status.FIRING, clock, pod="b")
    pager = paging()
    pager.deliver_due()
    with timed.record() as tx:
        lifecycle.acknowledge(tx, incident.number, by="bob", reason="on the command line")
    clock.advance(timedelta(minutes=5))
    receive(timed, incident, Status.RESOLVED, clock)
    assert pager.deliver_due() == 0, "the other one fires"
    for _ in range(3):  # as senders say it, again and again
        clock.advance(timedelta(minutes=5))
        receive(timed, incident, Status.RESOLVED, clock, pod="b")
        pager.deliver_due()
    assert updates(postbox) == [(BOB, "none of its alerts fires any more")]
    assert "all 2 alerts have ended" in text_of(postbox.letters[-1])
    for _ in range(3):
        clock.advance(timedelta(minutes=5))
        receive(timed, incident, Status.FIRING, clock, pod="b")
        pager.deliver_due()
    assert updates(postbox)[1:] == [(BOB, "it fires again")]
    clock.advance(timedelta(minutes=5))
    receive(timed, incident, Status.RESOLVED, clock, pod="b")
    pager.deliver_due()
    assert updates(postbox)[2:] == [(BOB, "none of its alerts fires any more")]


def test_who_was_paged_hears_that_it_ended_though_nobody_acknowledged(
    timed: Store, paging: Paging, postbox: Postbox, clock: Clock
) -> None:
    incident = handed_over(timed)
    pager = paging()
    pager.deliver_due()
    clock.advance(timedelta(minutes=10))
    pager.deliver_due()
    clock.advance(timedelta(minutes=1))
    receive(timed, incident, Status.RESOLVED, clock)
    pager.deliver_due()
    assert sorted(updates(postbox)) == [(ADA, messages.ENDED), (BOB, messages.ENDED)]


def test_nobody_who_has_not_heard_of_it_hears_of_its_end(
    timed: Store, paging: Paging, postbox: Postbox, clock: Clock
) -> None:
    incident = handed_over(timed)
    receive(timed, incident, Status.RESOLVED, clock)
    working, _ = asking(timed, target="web-2/api")
    receive(timed, working, Status.RESOLVED, clock)
    paging().deliver_due()
    assert updates(postbox) == []


def test_what_turned_once_more_before_it_left_is_told_to_nobody(
    timed: Store, paging: Paging, postbox: Postbox, clock: Clock
) -> None:
    incident = handed_over(timed)
    pager = paging()
    pager.deliver_due()
    for status in (Status.RESOLVED, Status.FIRING, Status.RESOLVED, Status.FIRING):
        clock.advance(timedelta(minutes=1))
        receive(timed, incident, status, clock)
    pager.deliver_due()
    assert updates(postbox) == [], "it fires, as it did when they were told"


def test_what_turned_while_it_was_on_its_way_is_told_to_nobody(
    timed: Store, paging: Paging, postbox: Postbox, clock: Clock
) -> None:
    """The mail server says "later" until it has turned once more, and the row could not be taken back."""
    incident = handed_over(timed)
    pager = paging()
    pager.deliver_due()
    receive(timed, incident, Status.RESOLVED, clock)
    receive(timed, incident, Status.FIRING, clock)
    with timed.record() as tx:
        more = {"subject": messages.ENDED, "body": "", "recipient": "ada"}
        messages.queue_update(tx, incident=incident.number, policy="default", severity=Severity.WARNING, **more)
    assert pager.deliver_due() == 0
    assert updates(postbox) == []


def test_after_its_end_nobody_hears_of_an_alert(timed: Store, paging: Paging, postbox: Postbox, clock: Clock) -> None:
    incident = handed_over(timed)
    pager = paging()
    pager.deliver_due()
    with timed.record() as tx:
        lifecycle.resolve(tx, incident.number, Outcome(Ending.HANDED_OVER, "done"), actor="person:ada")
    receive(timed, incident, Status.RESOLVED, clock)
    pager.deliver_due()
    assert updates(postbox) == []


def test_a_channel_that_listens_hears_it_too(timed: Store, paging: Paging, hooks: Hooks) -> None:
    incident = handed_over(timed)
    with timed.record() as tx:
        messages.queue_channel_update(
            tx, incident=incident.number, policy="default", channel="webhook:ops", happened="opened"
        )
    paging().deliver_due()
    assert "its alert fires" in hooks.payloads[0]["data"]["text"]
