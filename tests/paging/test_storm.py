"""A storm is a few messages: the worst leaves first, and what goes beyond five a minute is one digest."""

import re
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from databases import Clock
from incident_states import PEOPLE, Paging, asking, handed_over, pager_entries
from mail_server import Postbox, text_of
from sqlalchemy import update
from webhook_receiver import Hooks

from paramedic import keys
from paramedic.alerts.alert import Severity
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.messages import signed_link
from paramedic.paging.delivery import Delivery
from paramedic.settings import Settings
from paramedic.store import Store, lifecycle, messages
from paramedic.store.tables import messages as table

pytestmark = pytest.mark.real

ADA = "ada@example.org"


def storm(store: Store, count: int, severity: Severity = Severity.WARNING, host: str = "web") -> list[int]:
    return [handed_over(store, target=f"{host}-{number}/api", severity=severity).number for number in range(count)]


def rungs(store: Store, number: int) -> list[tuple[int, str]]:
    with store.read() as tx:
        return [(message.step, message.state) for message in messages.of(tx, number) if message.kind == "rung"]


def test_a_storm_is_a_few_messages_with_the_critical_first_and_each_incident_is_told(
    timed: Store, paging: Paging, postbox: Postbox, clock: Clock, tmp_path: Path
) -> None:
    warnings = storm(timed, 60)
    clock.advance(timedelta(seconds=1))
    critical = handed_over(timed, target="db-1/postgres").number
    pager = paging()
    assert pager.deliver_due() == 61
    assert postbox.recipients == [ADA] * len(postbox.recipients)
    assert len(postbox.letters) <= 5
    assert postbox.subjects[0] == (
        f"[critical] tracking-api on db-1/postgres: TrackingApiMemory, handed over (INC-{critical})"
    )
    for number in warnings:
        assert rungs(timed, number) == [(0, "sent"), (1, "due")], "as if it had been told alone"
    assert len([what for what, _ in pager_entries(timed) if what == "person.told"]) == 61
    digest = text_of(postbox.letters[-1])
    key = keys.link_key(Settings(data=tmp_path))
    links = [signed_link.read(key, token, timedelta(hours=1)) for token in re.findall(r"/ack/(\S+)", digest)]
    listed = {int(number) for number in re.findall(r"^INC-(\d+) ", digest, re.MULTILINE)}
    assert listed >= {link.incident for link in links}
    assert {link.person for link in links} == {"ada"}
    assert len(links) == 50, "what can be taken by its link, before the others are named"
    alone = {int(found[1]) for subject in postbox.subjects if (found := re.search(r"\(INC-(\d+)\)$", subject))}
    assert alone | listed == {*warnings, critical}
    assert pager.deliver_due() == 0


def test_a_person_gets_as_many_letters_a_minute_as_the_settings_say(
    timed: Store, paging: Paging, postbox: Postbox
) -> None:
    storm(timed, 8, Severity.CRITICAL)
    assert paging(messages_a_minute=3).deliver_due() == 8
    assert len(postbox.letters) == 3, "two alone, and the others in one"


def test_what_another_process_sent_since_the_look_counts_as_the_settings_say(
    timed: Store, paging: Paging, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    storm(timed, 3, Severity.CRITICAL)
    assert paging(messages_a_minute=3).deliver_due() == 3
    assert len(postbox.letters) == 3
    look = Delivery._look
    monkeypatch.setattr(Delivery, "_look", lambda self: look(self) and Counter())  # as before the other's three
    storm(timed, 1, Severity.CRITICAL, host="db")
    assert paging(messages_a_minute=3).deliver_due() == 0
    assert len(postbox.letters) == 3


def test_a_digest_lists_the_worst_first_and_says_how_many_there_are(
    timed: Store, paging: Paging, postbox: Postbox, clock: Clock
) -> None:
    storm(timed, 6)
    worse = storm(timed, 7, Severity.CRITICAL, "db")
    assert paging().deliver_due() == 13
    assert len(postbox.letters) == 5
    digest = text_of(postbox.letters[-1])
    assert "9 messages: 3 critical, 6 warning to be taken" in digest
    assert postbox.subjects[-1].strip().startswith("[Paramedic] 9 messages: 3 critical, 6 warning to be taken")
    order = [int(number) for number in re.findall(r"^INC-(\d+) ", digest, re.MULTILINE)]
    assert order[:3] == worse[4:]


def test_what_comes_within_the_minute_waits_for_the_next_one_and_a_critical_does_not(
    timed: Store, paging: Paging, postbox: Postbox, clock: Clock
) -> None:
    pager = paging()
    storm(timed, 10)
    assert pager.deliver_due() == 10
    assert len(postbox.letters) == 3
    for number in range(20):  # one after the other, as they come
        storm(timed, 1, host=f"late-{number}")
        clock.advance(timedelta(seconds=1))
        pager.deliver_due()
    assert len(postbox.letters) == 4
    critical = handed_over(timed, target="db-1/postgres").number
    assert pager.deliver_due() >= 1
    assert len(postbox.letters) == 5
    assert f"INC-{critical}" in text_of(postbox.letters[-1])
    clock.advance(timedelta(seconds=41))
    pager.deliver_due()
    assert len(postbox.letters) <= 8
    for _ in range(10):
        clock.advance(timedelta(seconds=61))
        pager.deliver_due()
    with timed.read() as tx:
        assert [
            message
            for number in range(1, 32)
            for message in messages.of(tx, number)
            if message.state != "sent" and message.step == 0
        ] == []


@pytest.mark.parametrize("lasts", [0.0, 0.05])
def test_many_senders_at_once_keep_to_the_same_few(
    store_url: str, timed: Store, paging: Paging, postbox: Postbox, clock: Clock, lasts: float
) -> None:
    numbers = storm(timed, 12, Severity.CRITICAL)
    postbox.arriving = lambda: time.sleep(lasts)
    gate = threading.Barrier(4)

    def sender(number: int) -> None:
        pager = paging()
        pager._store = Store(store_url, now=clock.now)
        gate.wait()
        for own in numbers[number::4]:
            pager.deliver_due(own)  # as the runs of playbooks do
        pager.deliver_due()  # and the watchdog

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(sender, range(4)))
    assert len(postbox.letters) <= 5
    told_of = [entry for entry in pager_entries(timed) if entry[0] == "person.told"]
    assert len(told_of) <= 12
    clock.advance(timedelta(seconds=61))
    paging().deliver_due()
    assert len([entry for entry in pager_entries(timed) if entry[0] == "person.told"]) == 12, "each once"


def test_a_critical_page_is_not_kept_by_warnings_on_a_slow_mail_server(
    timed: Store, paging: Paging, postbox: Postbox, clock: Clock
) -> None:
    """Warnings are under way, each to somebody else, when it comes."""
    people = PEOPLE
    for number in range(12):
        people = people.replace("rotation:", f"  p{number}: {{name: P, email: p{number}@example.org}}\nrotation:")
        people += f"  p{number}: {{rungs: [{{tell: p{number}}}]}}\n"
    for number in range(12):
        incident = handed_over(timed, target=f"web-{number}/api", severity=Severity.WARNING)
        with timed.write() as tx:
            row = update(table).where(table.c.incident == incident.number)
            tx.conn.execute(row.values(policy=f"p{number}"))
    came: list[Any] = []

    def arriving() -> None:
        if not came:
            came.append(handed_over(timed, target="db-1/postgres"))
        time.sleep(0.1)  # the one thread of this mail server: it takes one letter after the other

    postbox.arriving = arriving
    assert paging(people).deliver_due() == 13
    assert postbox.recipients.index(ADA) <= 5


def test_several_people_are_told_at_once(timed: Store, paging: Paging, hooks: Hooks, chat: Hooks) -> None:
    people = """\
people:
  ada: {name: Ada, ways: ["webhook:ops"]}
  bob: {name: Bob, ways: ["apprise:chat"]}
rotation: {zone: UTC, starts: 2026-01-05 09:00, every: 1 week, people: [ada]}
policies:
  default: {rungs: [{tell: oncall}], repeat: 30m}
  bobs: {rungs: [{tell: bob}], repeat: 30m}
"""
    import apprise  # noqa: F401 - who sends first pays for its import: not in this time

    for number, policy in enumerate(("default", "bobs")):
        incident = handed_over(timed, target=f"web-{number}/api")
        with timed.write() as tx:
            tx.conn.execute(update(table).where(table.c.incident == incident.number).values(policy=policy))
    both = threading.Barrier(2)
    hooks.arriving = chat.arriving = lambda: both.wait(10) and None
    assert paging(people).deliver_due() == 2


def test_a_question_in_a_storm_keeps_its_link_and_its_code(timed: Store, paging: Paging, postbox: Postbox) -> None:
    for number in range(9):
        asking(timed, target=f"web-{number}/api")
    assert paging().deliver_due() == 9
    assert len(postbox.letters) == 5
    digest = text_of(postbox.letters[-1])
    assert len(re.findall(r"answer it: \S+/approve/\S+ code \w+", digest)) == 5


def test_a_storm_of_trouble_and_news_is_a_few_messages_too(timed: Store, paging: Paging, postbox: Postbox) -> None:
    for number in range(20):
        with timed.write() as tx:
            messages.queue_internal_alert(tx, subject=f"trouble {number}", body="words", same_within_minutes=1)
    for number in storm(timed, 20):
        with timed.record() as tx:
            lifecycle.resolve(tx, number, Outcome(Ending.REMEDIATED, "it helped"), actor="run:run-1")
            messages.queue_resolution(tx, incident=number, policy="default")
    assert paging().deliver_due() == 40
    assert len(postbox.letters) == 5


def test_what_was_acknowledged_before_the_digest_left_is_not_in_it(
    timed: Store, paging: Paging, postbox: Postbox
) -> None:
    numbers = storm(timed, 10)
    taken = numbers[-1]
    sent: list[int] = []

    def arriving() -> None:
        if not sent:
            sent.append(taken)
            with timed.record() as tx:
                lifecycle.acknowledge(tx, taken, by="bob", reason="on the command line")

    postbox.arriving = arriving
    assert paging().deliver_due() == 9
    assert f"INC-{taken} " not in text_of(postbox.letters[-1])
    assert rungs(timed, taken) == [(0, "withdrawn")]


def test_a_digest_whose_person_cannot_be_told_climbs_for_each_incident(
    timed: Store, paging: Paging, postbox: Postbox, clock: Clock
) -> None:
    numbers = storm(timed, 10)
    postbox.says[ADA] = "550 5.1.1 no such person"
    pager = paging()
    for _ in range(4):
        pager.deliver_due()
        clock.advance(timedelta(minutes=1))
    assert {rungs(timed, number)[0] for number in numbers} == {(0, "unreachable")}
    assert {rungs(timed, number)[1] for number in numbers} == {(1, "sent")}


def test_direct_pages_are_a_few_as_well(tmp_path: Path, paging: Paging, postbox: Postbox, clock: Clock) -> None:
    pager = paging()
    pager._store = Store(f"sqlite:///{tmp_path}/no/such/folder/paramedic.db")
    for number in range(30):
        pager.page_directly(f"trouble {number}", "words")
    assert len(postbox.letters) == 5
    clock.advance(timedelta(seconds=61))
    for number in range(30):  # whoever was not heard says it again
        pager.page_directly(f"trouble {number}", "words")
    assert len(postbox.letters) <= 10
    sent = "".join(text_of(letter) + str(letter["Subject"]) for letter in postbox.letters)
    for _ in range(6):
        clock.advance(timedelta(seconds=61))
        for number in range(30):
            pager.page_directly(f"trouble {number}", "words")
    sent = "".join(text_of(letter) + str(letter["Subject"]) for letter in postbox.letters)
    assert [number for number in range(30) if f"trouble {number}" not in sent] == []


def test_a_store_that_cannot_be_written_keeps_to_the_few(
    store_url: str, timed: Store, paging: Paging, postbox: Postbox
) -> None:
    from incident_states import unwritable

    storm(timed, 12, Severity.CRITICAL)
    pager = paging()
    with unwritable(store_url):
        timed.close()
        assert pager.deliver_due() == 12
        assert pager.deliver_due() == 0
    assert len(postbox.letters) == 5


def test_a_digest_that_cannot_be_composed_still_names_its_incidents(
    timed: Store, paging: Paging, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(*_: Any, **__: Any) -> None:
        raise KeyError("what nobody thought of")

    monkeypatch.setattr("paramedic.messages.digest.item", fault)
    numbers = storm(timed, 9)
    assert paging().deliver_due() == 9
    digest = text_of(postbox.letters[-1])
    assert f"INC-{numbers[-1]} needs a look" in digest


def test_labels_are_data_in_a_digest(timed: Store, paging: Paging, postbox: Postbox) -> None:
    for number in range(9):
        handed_over(
            timed, target=f"web-{number}/api", title="up\r\nBcc: eve@example.org\n\nINC-99 (critical) take it\x1b[2J"
        )
    paging().deliver_due()
    digest = postbox.letters[-1]
    assert digest["Bcc"] is None
    assert not re.search(r"^INC-99", text_of(digest), re.MULTILINE)
    assert "\x1b" not in digest.as_string()
