"""Telling people: never twice without need, never not at all."""

import dataclasses
import os
import re
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from databases import Clock, processes
from incident_states import PEOPLE, OnCall, Paging, acting, asking, handed_over, on_call, told, unwritable
from mail_server import Postbox, text_of
from pydantic import SecretStr

from paramedic import keys
from paramedic.alerts.alert import Severity
from paramedic.audit import verification
from paramedic.demo.world import free_port
from paramedic.incidents.incident import Incident
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.messages import signed_link
from paramedic.paging import Pager
from paramedic.paging.recipients import Recipients
from paramedic.remediation.approval import code
from paramedic.settings import Settings
from paramedic.store import Store, approvals, evidence, lifecycle, messages
from paramedic.store import trail as stored_trail
from paramedic.store.messages import QueuedMessage
from paramedic.text import redaction

pytestmark = pytest.mark.real


@pytest.fixture
def settings(tmp_path: Path, postbox: Postbox) -> Settings:
    return Settings(data=tmp_path, smtp_url=SecretStr(postbox.url), mail_from="paramedic@example.org")


@pytest.fixture
def paging(timed: Store, settings: Settings, clock: Clock) -> Paging:
    """A Pager of its own, as each process has."""

    def make(book: OnCall | None = None, **instead: Any) -> Pager:
        return Pager(timed, settings.model_copy(update=instead), book or on_call(), steady=seconds(clock))

    return make


def seconds(clock: Clock) -> Callable[[], float]:
    return lambda: clock.now().timestamp()


def rows(store: Store, incident: Incident) -> list[QueuedMessage]:
    with store.read() as tx:
        return messages.of(tx, incident.number)


def test_a_page_reaches_whoever_is_on_call_with_all_that_a_person_needs(
    timed: Store, paging: Paging, postbox: Postbox, settings: Settings
) -> None:
    incident, act = acting(timed)
    with timed.record() as tx:
        body = "process 42 holds 157,286,400 B"
        evidence.add(tx, incident.number, 1, kind="memory", taken_at=tx.now, body=body)
        lifecycle.hand_over(tx, incident.number, Outcome(Ending.HANDED_OVER, "the run died"), actor="watchdog")
    assert paging().deliver_due() == 1

    [page] = postbox.letters
    assert page["To"] == "ada@example.org"
    assert page["Subject"] == f"[{incident.id}] tracking-api on web-1: handed over"
    assert page["X-Paramedic"] == timed.uuid
    assert page["Message-ID"] == f"<{rows(timed, incident)[0].id}.{timed.uuid}@paramedic.invalid>"
    text = text_of(page)
    assert "It is yours because: the run died" in text
    assert f"OPEN: {act.words}" in text
    assert "process 42 holds 157,286,400 B" in text
    assert "supervisorctl restart tracking-api" in text  # the runbook's checklist
    assert "incident.opened: it is new" in text
    token = re.search(rf"{re.escape(settings.links_at())}/ack/(\S+)", text)
    assert token is not None
    said = signed_link.read(keys.link_key(settings), token[1], timedelta(hours=1))
    assert (said.store, said.incident, said.person) == (timed.uuid, incident.number, "ada")


def test_what_was_told_is_on_the_trail_and_the_next_rung_waits_its_time(
    timed: Store, paging: Paging, postbox: Postbox, clock: Clock
) -> None:
    incident = handed_over(timed)
    pager = paging()
    pager.deliver_due()
    assert told(timed) == [("person.told", "ada was told by email")]
    clock.advance(timedelta(minutes=9, seconds=59))
    assert pager.deliver_due() == 0
    clock.advance(timedelta(seconds=1))
    assert pager.deliver_due() == 1
    assert postbox.told == ["ada@example.org", "bob@example.org"]
    for _ in range(2):  # the last rung repeats, in one thread of the mailbox
        clock.advance(timedelta(minutes=30))
        pager.deliver_due()
    assert postbox.told[2:] == ["bob@example.org", "bob@example.org"]
    assert len({page["References"] for page in postbox.letters}) == 1
    assert [row.step for row in rows(timed, incident)] == [0, 1, 2, 3, 4]


def _token(letter: Any, settings: Settings) -> signed_link.Approving:
    found = re.search(rf"{re.escape(settings.links_at())}/approve/(\S+)", text_of(letter))
    assert found is not None
    return signed_link.read_approval(keys.link_key(settings), found[1], timedelta(hours=1))


def test_who_is_on_call_is_asked_for_an_approval_with_all_that_an_answer_needs(
    timed: Store, paging: Paging, postbox: Postbox, settings: Settings
) -> None:
    incident, asked = asking(timed)
    assert paging().deliver_due() == 1
    [letter] = postbox.letters
    assert letter["To"] == "ada@example.org"
    assert letter["Subject"] == f"[{incident.id}] tracking-api on web-1: approve restart?"
    text = text_of(letter)
    for said in (
        "before it does this: restart",
        "On web-1/tracking-api (pid 4711 since 1970-01-01T00:00:01.000000Z, RUNNING),",
        "until 2026-01-31T09:45:00.000000Z.",
        f"For {incident.id}: TrackingApiMemory (critical)",
        "Without an approval nothing is done",
        f"paramedic incident approve {incident.id} --by ada\n",
        f"paramedic incident approve {incident.id} --by ada --deny",
    ):
        assert said in text
    said_by_link = _token(letter, settings)
    assert (said_by_link.store, said_by_link.approval, said_by_link.person) == (timed.uuid, asked.id, "ada")
    digits = code(keys.link_key(settings), timed.uuid, asked.id, "ada")
    assert f"Your code there: {digits}\n" in text
    with timed.read() as tx:
        assert digits not in str([(entry.reason, entry.data) for entry in stored_trail.entries(tx)])
    assert told(timed) == [("approver.told", "ada was told by email")]
    assert [row.state for row in rows(timed, incident)] == ["sent"], "nothing climbs while it waits"


def test_where_the_first_of_the_policy_cannot_be_told_the_next_is_asked(
    timed: Store, paging: Paging, postbox: Postbox, settings: Settings
) -> None:
    asking(timed)
    postbox.says["ada@example.org"] = "550 nobody here"
    assert paging().deliver_due() == 1
    assert postbox.told == ["bob@example.org"]
    assert _token(postbox.letters[0], settings).person == "bob"


@pytest.mark.parametrize("answered", [True, False])
def test_nobody_is_asked_what_is_answered_or_past_its_time(
    timed: Store, paging: Paging, postbox: Postbox, clock: Clock, *, answered: bool
) -> None:
    incident, asked = asking(timed)
    if answered:
        with timed.record() as tx:
            assert not isinstance(approvals.decide(tx, asked.id, granted=True, by="bob", how="command line"), str)
    else:
        clock.advance(timedelta(minutes=15))
    assert paging().deliver_due() == 0
    assert postbox.letters == []
    assert [row.state for row in rows(timed, incident)] == ["withdrawn"]


def test_without_the_key_a_person_is_asked_all_the_same_and_answers_on_the_command_line(
    timed: Store, paging: Paging, postbox: Postbox, settings: Settings
) -> None:
    incident, _ = asking(timed)
    (settings.data / "link.key").write_text("cut")
    assert paging().deliver_due() == 1
    text = text_of(postbox.letters[0])
    assert "/approve/" not in text
    assert "code" not in text
    assert f"paramedic incident approve {incident.id} --by ada" in text


def test_nobody_is_paged_about_what_somebody_has(timed: Store, paging: Paging, postbox: Postbox, clock: Clock) -> None:
    incident = handed_over(timed)
    pager = paging()
    pager.deliver_due()
    with timed.record() as tx:
        lifecycle.acknowledge(tx, incident.number, by="ada", reason="by the link in a message")
    clock.advance(timedelta(days=1))
    assert pager.deliver_due() == 0
    assert len(postbox.letters) == 1


def test_a_rung_whose_incident_was_taken_while_it_was_on_its_way_climbs_no_further(
    timed: Store, paging: Paging, postbox: Postbox
) -> None:
    incident = handed_over(timed)

    def taken() -> None:
        with timed.record() as tx:
            lifecycle.acknowledge(tx, incident.number, by="ada", reason="on the command line")

    postbox.arriving = taken
    paging().deliver_due()
    assert [row.state for row in rows(timed, incident)] == ["sent"]


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
    assert sum(one.result() for one in sent) == 1
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
    assert [row.state for row in rows(store, incident)] == ["sending"]

    assert Pager(store, settings, on_call()).deliver_due() == 0  # it is still held
    later = Store(store_url, now=lambda: datetime.now(UTC) + timedelta(seconds=31))
    assert Pager(later, settings, on_call()).deliver_due() == 1
    assert Pager(later, settings, on_call()).deliver_due() == 0
    first, second = postbox.letters
    assert first["Message-ID"] == second["Message-ID"]


def test_a_mail_server_that_is_away_is_asked_again_and_the_next_rung_is_told_as_well(
    timed: Store, paging: Paging, postbox: Postbox, clock: Clock
) -> None:
    incident = handed_over(timed)
    pager = paging()
    postbox.says["*"] = "451 4.7.1 later"
    waits = []
    for _ in range(3):
        assert pager.deliver_due() == 0
        row = rows(timed, incident)[0]
        waits.append((row.due_at - clock.now()).total_seconds())
        clock.advance(row.due_at - clock.now())
    assert waits == [5, 15, 60]
    assert [row.step for row in rows(timed, incident)] == [0, 1]
    for _ in range(40):  # an outage of the mail server climbs no pile
        pager.deliver_due()
        clock.advance(timedelta(minutes=5))
    assert [row.state for row in rows(timed, incident)] == ["due", "due"]
    postbox.says.clear()
    assert pager.deliver_due() == 2
    assert postbox.told == ["ada@example.org", "bob@example.org"]
    assert [(row.step, row.state) for row in rows(timed, incident)] == [(0, "sent"), (1, "sent"), (2, "due")]


def test_a_person_who_cannot_be_reached_is_passed_over_at_once(
    timed: Store, paging: Paging, postbox: Postbox, clock: Clock
) -> None:
    handed_over(timed)
    pager = paging()
    postbox.says["ada@example.org"] = "550 5.1.1 no such person"
    pager.deliver_due()
    pager.deliver_due()
    assert postbox.told == ["bob@example.org"]
    assert [what for what, _ in told(timed)] == ["person.unreachable", "person.told"]
    assert "ada cannot be told: email: the mail server answered 550" in told(timed)[0][1]


@pytest.mark.parametrize(
    "said",
    [
        PEOPLE.replace("2026-01-05", "2027-01-04"),  # nobody is on call yet
        PEOPLE.replace("people: [ada]", "people: [eve]"),  # who has no address
    ],
)
def test_nobody_on_call_means_the_next_rung_at_once(timed: Store, paging: Paging, postbox: Postbox, said: str) -> None:
    handed_over(timed)
    pager = paging(on_call(said))
    pager.deliver_due()
    pager.deliver_due()
    assert postbox.told == ["bob@example.org"]
    assert told(timed)[0] == ("person.unreachable", "oncall is nobody who can be told now")


def test_a_policy_that_reaches_nobody_is_climbed_again_and_again(
    timed: Store, paging: Paging, postbox: Postbox, clock: Clock
) -> None:
    incident = handed_over(timed)
    pager = paging()
    postbox.says["*"] = "550 5.1.1 no such person"
    for _ in range(5):
        pager.deliver_due()
    assert [(row.step, row.state) for row in rows(timed, incident)] == [
        (0, "unreachable"),
        (1, "unreachable"),
        (0, "due"),
    ]
    clock.advance(timedelta(minutes=30))
    postbox.says.clear()
    pager.deliver_due()
    assert postbox.told == ["ada@example.org"]


def test_without_a_mail_server_the_trail_says_that_nobody_was_told(timed: Store, paging: Paging) -> None:
    handed_over(timed)
    paging(smtp_url=None).deliver_due()
    assert told(timed) == [
        (
            "person.unreachable",
            "ada cannot be told: email: no smtp_url is set: nothing can leave by it",
        )
    ]


def test_a_store_that_cannot_be_written_stops_no_page_and_repeats_none(
    store_url: str, timed: Store, paging: Paging, postbox: Postbox, clock: Clock
) -> None:
    incident = handed_over(timed)
    pager = paging()
    with unwritable(store_url):
        timed.close()
        assert pager.deliver_due() == 1
        clock.advance(timedelta(minutes=4))
        assert pager.deliver_due() == 0
        clock.advance(timedelta(minutes=2))
        assert pager.deliver_due() == 1  # nobody could have acknowledged it
        assert postbox.told == ["ada@example.org"] * 2
    timed.close()
    assert pager.deliver_due() == 0
    assert told(timed) == [("person.told", "ada was told by email")]
    assert [(row.step, row.state) for row in rows(timed, incident)] == [(0, "sent"), (1, "due")]


def test_a_store_that_cannot_be_written_keeps_nobody_from_the_next_rung(
    store_url: str, timed: Store, paging: Paging, postbox: Postbox
) -> None:
    handed_over(timed)
    postbox.says["ada@example.org"] = "550 5.1.1 no such person"
    with unwritable(store_url):
        timed.close()
        assert paging().deliver_due() == 1
    assert postbox.told == ["bob@example.org"]


def test_a_fault_in_composing_a_page_keeps_nobody_in_the_dark(
    timed: Store, paging: Paging, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = handed_over(timed)

    def fault(*_: Any, **__: Any) -> None:
        raise KeyError("what nobody thought of")

    monkeypatch.setattr("paramedic.messages.compose.page", fault)
    assert paging().deliver_due() == 1
    [page] = postbox.letters
    assert page["Subject"] == f"[{incident.id}] needs a look"
    assert "KeyError: 'what nobody thought of'" in text_of(page)
    assert "/ack/" in text_of(page)


def test_a_fault_in_one_message_keeps_no_other_from_its_person(
    timed: Store, paging: Paging, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with timed.write() as tx:
        for subject in ("first", "second"):
            messages.queue_internal_alert(tx, subject=subject, body="", same_within_minutes=1)
    whole = Recipients.of

    def fault(self: Recipients, message: QueuedMessage, now: datetime, **how: bool) -> Any:
        if message.subject == "first":
            raise KeyError("what nobody thought of")
        return whole(self, message, now, **how)

    monkeypatch.setattr(Recipients, "of", fault)
    assert paging().deliver_due() == 1
    assert postbox.subjects == ["[Paramedic] second"]


def test_without_its_key_a_page_leaves_without_a_link(timed: Store, paging: Paging, postbox: Postbox) -> None:
    handed_over(timed)
    assert paging(link_key_file=Path("/proc/nowhere/link.key")).deliver_due() == 1
    assert "/ack/" not in text_of(postbox.letters[0])
    assert "paramedic incident ack" in text_of(postbox.letters[0])


def test_labels_are_data_in_a_mail_and_secrets_are_not_in_it(timed: Store, paging: Paging, postbox: Postbox) -> None:
    redaction.remember("hunter2-and-more")
    sly = "up\r\nBcc: eve@example.org\nX-Evil: 1\n\nhunter2-and-more\x1b[2J"
    handed_over(timed, because=sly, title=sly)
    paging().deliver_due()
    [page] = postbox.letters
    assert (page["Bcc"], page["X-Evil"], page["To"]) == (None, None, "ada@example.org")
    assert "hunter2" not in page.as_string()
    assert "\x1b" not in page.as_string()
    redaction.forget_all()


def test_news_goes_to_whoever_is_on_call_once(timed: Store, paging: Paging, postbox: Postbox, clock: Clock) -> None:
    incident, _ = acting(timed)
    with timed.record() as tx:
        lifecycle.resolve(tx, incident.number, Outcome(Ending.REMEDIATED, "the restart helped"), actor="run:run-1")
        messages.queue_resolution(tx, incident=incident.number, policy="default")
    pager = paging()
    pager.deliver_due(incident.number)
    clock.advance(timedelta(days=1))
    pager.deliver_due()
    assert postbox.subjects == [f"[{incident.id}] tracking-api on web-1: remediated"]
    assert told(timed) == [("news.told", "ada was told by email")]


def test_one_incidents_messages_can_be_sent_alone(timed: Store, paging: Paging, postbox: Postbox) -> None:
    with timed.write() as tx:
        messages.queue_internal_alert(tx, subject="another word", body="", same_within_minutes=1)
    incident = handed_over(timed)
    paging().deliver_due(incident.number)
    assert postbox.subjects == [f"[{incident.id}] tracking-api on web-1: handed over"]


def test_trouble_of_our_own_reaches_somebody_whoever_is_on_call(
    timed: Store, paging: Paging, postbox: Postbox, clock: Clock
) -> None:
    with timed.write() as tx:
        messages.queue_internal_alert(tx, subject="Alerts wait", body="3 alerts", same_within_minutes=1)
    pager = paging()
    postbox.says = dict.fromkeys(("ada@example.org", "bob@example.org"), "550 5.1.1 no such person")
    assert pager.deliver_due() == 0
    assert told(timed)[0][0] == "trouble.unreachable"
    clock.advance(timedelta(minutes=30))  # said again: nobody knows it yet
    del postbox.says["bob@example.org"]
    assert pager.deliver_due() == 1
    assert postbox.told == ["bob@example.org"]


def test_a_slow_mail_server_does_not_hold_the_round_for_ever(
    timed: Store, paging: Paging, postbox: Postbox, clock: Clock
) -> None:
    with timed.write() as tx:
        for number in range(5):
            messages.queue_internal_alert(tx, subject=f"word {number}", body="", same_within_minutes=1)
    postbox.arriving = lambda: clock.advance(timedelta(seconds=20))
    pager = paging()
    assert pager.deliver_due() == 2
    assert pager.deliver_due() == 2
    assert pager.deliver_due() == 1


def test_a_direct_page_needs_no_store(tmp_path: Path, settings: Settings, postbox: Postbox, clock: Clock) -> None:
    gone = Store(f"sqlite:///{tmp_path}/no/such/folder/paramedic.db")
    pager = Pager(gone, settings, on_call(), steady=seconds(clock))
    for _ in range(3):
        assert pager.page_directly("the store does not answer", "It is gone.\x1b[2J")
        clock.advance(timedelta(minutes=1))
    assert postbox.subjects == ["[Paramedic] the store does not answer"]
    assert postbox.told == ["ada@example.org"]
    assert postbox.letters[0]["X-Paramedic"] == "unknown"
    assert "It is gone.\\x1b[2J" in text_of(postbox.letters[0])
    assert pager.page_directly("another", "word")
    clock.advance(timedelta(minutes=3))
    assert pager.page_directly("the store does not answer", "It is still gone.")
    assert len(postbox.letters) == 3


def test_a_direct_page_that_did_not_leave_is_tried_again(
    tmp_path: Path, settings: Settings, postbox: Postbox, clock: Clock
) -> None:
    pager = Pager(Store(f"sqlite:///{tmp_path}/none.db"), settings, on_call(), steady=seconds(clock))
    postbox.says["*"] = "451 4.7.1 later"
    assert not pager.page_directly("trouble", "words")
    postbox.says = {"ada@example.org": "550 5.1.1 no such person"}
    assert pager.page_directly("trouble", "words")
    assert postbox.told == ["bob@example.org"]
    away = settings.model_copy(update={"smtp_url": SecretStr(f"smtp://127.0.0.1:{free_port()}")})
    assert not Pager(Store(f"sqlite:///{tmp_path}/none.db"), away, on_call()).page_directly("trouble", "words")


def test_after_all_that_the_trail_verifies(timed: Store, paging: Paging, settings: Settings) -> None:
    handed_over(timed)
    paging().deliver_due()
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
    timed: Store, paging: Paging, postbox: Postbox, recipient: str | None, to: str
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
    assert paging().deliver_due() == 1
    [letter] = postbox.letters
    assert letter["To"] == to
    assert letter["Subject"] == f"[{incident.id}] tracking-api on web-1: ShopDiskFull joined it"
    assert "    ShopDiskFull (critical)\n    **Take it**\n" in text_of(letter)
    assert letter["X-Paramedic-Kind"] == "update"
    assert told(timed)[-1][0] == "update.told"
