"""Telling people: never twice without need, never not at all."""

import dataclasses
import os
import re
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from databases import Clock, processes
from incident_states import Paging, acting, asking, handed_over, on_call, pager_entries, queued
from mail_server import Postbox, text_of

from paramedic import keys
from paramedic.alerts.alert import Severity
from paramedic.audit import verification
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.messages import signed_link
from paramedic.paging import Pager
from paramedic.remediation.approval import code
from paramedic.settings import Settings
from paramedic.store import Store, approvals, evidence, lifecycle, messages
from paramedic.store import trail as stored_trail

pytestmark = pytest.mark.real


def test_a_page_reaches_whoever_is_on_call_with_all_that_a_person_needs(
    timed: Store, by_mail: Paging, postbox: Postbox, settings: Settings
) -> None:
    incident, _ = acting(timed)
    with timed.record() as tx:
        body = "process 42 holds 157,286,400 B"
        evidence.add(tx, incident.number, 1, kind="memory", taken_at=tx.now, body=body)
        lifecycle.hand_over(tx, incident.number, Outcome(Ending.HANDED_OVER, "the run died"), actor="watchdog")
    assert by_mail().deliver_due() == 1

    [page] = postbox.letters
    assert page["To"] == "ada@example.org"
    assert page["Subject"] == (
        f"[critical] tracking-api on web-1: TrackingApiMemory, restarted, handed over ({incident.id})"
    )
    assert page["X-Paramedic"] == timed.uuid
    assert page["Message-ID"] == f"<{queued(timed, incident)[0].id}.{timed.uuid}@paramedic.invalid>"
    text = text_of(page)
    assert "It is a person's because: the run died" in text
    assert "OPEN: restarted web-1/tracking-api: nobody knows whether it happened" in text
    assert "process 42 holds 157,286,400 B" in text
    assert "supervisorctl restart tracking-api" in text  # the runbook's checklist
    assert "opened: it is new" in text
    token = re.search(rf"{re.escape(settings.links_at())}/ack/(\S+)", text)
    assert token is not None
    read_back = signed_link.read(keys.link_key(settings), token[1], timedelta(hours=1))
    assert (read_back.store, read_back.incident, read_back.person) == (timed.uuid, incident.number, "ada")


def test_what_was_told_is_on_the_trail_and_the_next_rung_waits_its_time(
    timed: Store, by_mail: Paging, postbox: Postbox, clock: Clock
) -> None:
    incident = handed_over(timed)
    pager = by_mail()
    pager.deliver_due()
    assert pager_entries(timed) == [("person.told", "ada was told by email")]
    clock.advance(timedelta(minutes=9, seconds=59))
    assert pager.deliver_due() == 0
    clock.advance(timedelta(seconds=1))
    assert pager.deliver_due() == 1
    assert postbox.recipients == ["ada@example.org", "bob@example.org"]
    for _ in range(2):  # the last rung repeats, in one thread of the mailbox
        clock.advance(timedelta(minutes=30))
        pager.deliver_due()
    assert postbox.recipients[2:] == ["bob@example.org", "bob@example.org"]
    assert len({page["References"] for page in postbox.letters}) == 1
    assert [row.step for row in queued(timed, incident)] == [0, 1, 2, 3, 4]


def _token(letter: Any, settings: Settings) -> signed_link.Approving:
    found = re.search(rf"{re.escape(settings.links_at())}/approve/(\S+)", text_of(letter))
    assert found is not None
    return signed_link.read_approval(keys.link_key(settings), found[1], timedelta(hours=1))


def test_who_is_on_call_is_asked_for_an_approval_with_all_that_an_answer_needs(
    timed: Store, by_mail: Paging, postbox: Postbox, settings: Settings
) -> None:
    incident, asked = asking(timed)
    assert by_mail().deliver_due() == 1
    [letter] = postbox.letters
    assert letter["To"] == "ada@example.org"
    assert letter["Subject"] == f"[critical] tracking-api on web-1: approve restart? ({incident.id})"
    text = text_of(letter)
    for words in (
        "before it does this: restart",
        "On:      web-1/tracking-api (pid 4711 since 1970-01-01T00:00:01.000000Z, RUNNING)",
        "Until:   Sat 31 Jan 2026 09:45:00 UTC",
        f"For:     {incident.id}: TrackingApiMemory on web-1/tracking-api (critical)",
        "Without an approval nothing is done",
        f"paramedic incident approve {incident.id} --by ada\n",
        f"paramedic incident approve {incident.id} --by ada --deny",
    ):
        assert words in text
    by_link = _token(letter, settings)
    assert (by_link.store, by_link.approval, by_link.person) == (timed.uuid, asked.id, "ada")
    digits = code(keys.link_key(settings), timed.uuid, asked.id, "ada")
    assert f"Your code there: {digits}\n" in text
    with timed.read() as tx:
        assert digits not in str([(entry.reason, entry.data) for entry in stored_trail.entries(tx)])
    assert pager_entries(timed) == [("approver.told", "ada was told by email")]
    assert [row.state for row in queued(timed, incident)] == ["sent"], "nothing climbs while it waits"


def test_where_the_first_of_the_policy_cannot_be_told_the_next_is_asked(
    timed: Store, by_mail: Paging, postbox: Postbox, settings: Settings
) -> None:
    asking(timed)
    postbox.says["ada@example.org"] = "550 nobody here"
    assert by_mail().deliver_due() == 1
    assert postbox.recipients == ["bob@example.org"]
    assert _token(postbox.letters[0], settings).person == "bob"


@pytest.mark.parametrize("answered", [True, False])
def test_nobody_is_asked_what_is_answered_or_past_its_time(
    timed: Store, by_mail: Paging, postbox: Postbox, clock: Clock, *, answered: bool
) -> None:
    incident, asked = asking(timed)
    if answered:
        with timed.record() as tx:
            assert not isinstance(approvals.decide(tx, asked.id, granted=True, by="bob", how="command line"), str)
    else:
        clock.advance(timedelta(minutes=15))
    assert by_mail().deliver_due() == 0
    assert postbox.letters == []
    assert [row.state for row in queued(timed, incident)] == ["withdrawn"]


def test_without_the_key_a_person_is_asked_all_the_same_and_answers_on_the_command_line(
    timed: Store, by_mail: Paging, postbox: Postbox, settings: Settings
) -> None:
    incident, _ = asking(timed)
    (settings.data / "link.key").write_text("cut")
    assert by_mail().deliver_due() == 1
    text = text_of(postbox.letters[0])
    assert "/approve/" not in text
    assert "code" not in text
    assert f"paramedic incident approve {incident.id} --by ada" in text


def test_nobody_is_paged_about_what_somebody_has(timed: Store, by_mail: Paging, postbox: Postbox, clock: Clock) -> None:
    incident = handed_over(timed)
    pager = by_mail()
    pager.deliver_due()
    with timed.record() as tx:
        lifecycle.acknowledge(tx, incident.number, by="ada", reason="by the link in a message")
    clock.advance(timedelta(days=1))
    assert pager.deliver_due() == 0
    assert len(postbox.letters) == 1


def test_a_rung_whose_incident_was_taken_while_it_was_on_its_way_climbs_no_further(
    timed: Store, by_mail: Paging, postbox: Postbox
) -> None:
    incident = handed_over(timed)

    def taken() -> None:
        with timed.record() as tx:
            lifecycle.acknowledge(tx, incident.number, by="ada", reason="on the command line")

    postbox.arriving = taken
    by_mail().deliver_due()
    assert [row.state for row in queued(timed, incident)] == ["sent"]


def test_two_watchdogs_at_once_send_one_message(
    store_url: str, timed: Store, settings: Settings, postbox: Postbox
) -> None:
    handed_over(timed)
    gate = threading.Barrier(4)

    def watch() -> int:
        store = Store(store_url, now=timed._now)
        pager = Pager(store, settings, on_call())
        gate.wait()
        try:
            return pager.deliver_due()
        finally:
            store.close()

    with ThreadPoolExecutor(4) as pool:
        sent = [pool.submit(watch) for _ in range(4)]
    assert sum(future.result() for future in sent) == 1
    assert len(postbox.letters) == 1


def page_in_a_process_of_its_own(url: str, settings: Settings) -> None:
    Pager(Store(url), settings, on_call()).deliver_due()


@pytest.mark.parametrize("backend", ["sqlite"])
def test_who_is_killed_between_sending_and_recording_repeats_the_message_once(
    store_url: str, settings: Settings, postbox: Postbox
) -> None:
    store = Store(store_url)
    incident = handed_over(store)
    child = processes.Process(target=page_in_a_process_of_its_own, args=(store_url, settings))
    postbox.arriving = lambda: os.kill(child.pid or 0, signal.SIGKILL)
    child.start()
    child.join(30)
    postbox.arriving = None
    assert child.exitcode == -signal.SIGKILL
    assert [row.state for row in queued(store, incident)] == ["sending"]

    assert Pager(store, settings, on_call()).deliver_due() == 0  # it is still held
    later = Store(store_url, now=lambda: datetime.now(UTC) + timedelta(seconds=31))
    assert Pager(later, settings, on_call()).deliver_due() == 1
    assert Pager(later, settings, on_call()).deliver_due() == 0
    first, second = postbox.letters
    assert first["Message-ID"] == second["Message-ID"]


def test_news_goes_to_whoever_is_on_call_once(timed: Store, by_mail: Paging, postbox: Postbox, clock: Clock) -> None:
    incident, _ = acting(timed)
    with timed.record() as tx:
        lifecycle.resolve(tx, incident.number, Outcome(Ending.REMEDIATED, "the restart helped"), actor="run:run-1")
        messages.queue_resolution(tx, incident=incident.number, policy="default")
    pager = by_mail()
    pager.deliver_due(incident.number)
    clock.advance(timedelta(days=1))
    pager.deliver_due()
    assert postbox.subjects == [f"[critical] tracking-api on web-1: TrackingApiMemory, remediated ({incident.id})"]
    assert pager_entries(timed) == [("news.told", "ada was told by email")]


def test_one_incidents_messages_can_be_sent_alone(timed: Store, by_mail: Paging, postbox: Postbox) -> None:
    with timed.write() as tx:
        messages.queue_internal_alert(tx, subject="another word", body="", same_within_minutes=1)
    incident = handed_over(timed)
    by_mail().deliver_due(incident.number)
    assert postbox.subjects == [f"[critical] tracking-api on web-1: TrackingApiMemory, handed over ({incident.id})"]


def test_trouble_of_our_own_reaches_somebody_whoever_is_on_call(
    timed: Store, by_mail: Paging, postbox: Postbox, clock: Clock
) -> None:
    with timed.write() as tx:
        messages.queue_internal_alert(tx, subject="Alerts wait", body="3 alerts", same_within_minutes=1)
    pager = by_mail()
    postbox.says = dict.fromkeys(("ada@example.org", "bob@example.org"), "550 5.1.1 no such person")
    assert pager.deliver_due() == 0
    assert pager_entries(timed)[0][0] == "trouble.unreachable"
    clock.advance(timedelta(minutes=30))  # said again: nobody knows it yet
    del postbox.says["bob@example.org"]
    assert pager.deliver_due() == 1
    assert postbox.recipients == ["bob@example.org"]


def test_after_all_that_the_trail_verifies(timed: Store, by_mail: Paging, settings: Settings) -> None:
    handed_over(timed)
    by_mail().deliver_due()
    with timed.read() as tx:
        key = keys.signing_key(settings).public_key()
        found = verification.verify(
            stored_trail.entries(tx), lambda seq: stored_trail.content(tx, seq), [], key, tx.store
        )
    assert found.verified, found.faults
    assert dataclasses.asdict(found)["entries"] == found.entries


@pytest.mark.parametrize(
    ("recipient", "to"), [("bob", "bob@example.org"), (None, "ada@example.org"), ("eve", "ada@example.org")]
)
def test_what_changed_about_an_incident_is_told_to_its_holder_else_to_whoever_is_on_call(
    timed: Store, by_mail: Paging, postbox: Postbox, recipient: str | None, to: str
) -> None:
    incident = handed_over(timed)
    with timed.record() as tx:
        lifecycle.acknowledge(tx, incident.number, by="bob", reason="on the command line")
        for _ in range(2):  # the same change, said twice before it left, is one message
            messages.queue_update(
                tx,
                incident=incident.number,
                policy=incident.policy,
                severity=Severity.CRITICAL,
                subject="ShopDiskFull joined it",
                body="ShopDiskFull (critical)\n**Take it**",
                recipient=recipient,
            )
    assert by_mail().deliver_due() == 1
    [letter] = postbox.letters
    assert letter["To"] == to
    assert letter["Subject"] == (
        f"[critical] tracking-api on web-1: TrackingApiMemory, ShopDiskFull joined it ({incident.id})"
    )
    assert "    ShopDiskFull (critical)\n    **Take it**\n" in text_of(letter)
    assert letter["X-Paramedic-Kind"] == "update"
    assert pager_entries(timed)[-1][0] == "update.told"
